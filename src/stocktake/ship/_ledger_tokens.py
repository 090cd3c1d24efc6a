"""Tokens: what an object's metadata carries to prove that this ledger's upload made it.

A token is made of the object's number and a secret of the process that gave the number, so that
100,000 of them need no space. A ledger that was put back from a copy gives numbers again, but with
another secret: its tokens are others.
"""

from __future__ import annotations

import bisect
import hashlib
import hmac
import secrets
import sqlite3

_DIGITS = 16


class Tokens:
    """Makes tokens and knows them again. `begin` starts the session of this process."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        rows = connection.execute("SELECT first_id, secret FROM sessions ORDER BY first_id")
        self._first_ids: list[int] = []
        self._secrets: list[bytes] = []
        for row in rows:
            self._first_ids.append(row["first_id"])
            self._secrets.append(row["secret"])

    def begin(self, connection: sqlite3.Connection, first_id: int) -> None:
        """Numbers from here on have a secret of their own."""
        secret = secrets.token_bytes(16)
        connection.execute("INSERT OR REPLACE INTO sessions VALUES (?, ?)", (first_id, secret))
        if self._first_ids and self._first_ids[-1] == first_id:
            self._secrets[-1] = secret
        else:
            self._first_ids.append(first_id)
            self._secrets.append(secret)

    def token(self, object_id: int) -> str:
        """32 hex digits."""
        return f"{self._digest(object_id)}{object_id:0{_DIGITS}x}"

    def made(self, token: str, next_id: int) -> bool:
        """Whether it is the token of a number that was given."""
        if len(token) != 2 * _DIGITS:
            return False
        try:
            object_id = int(token[_DIGITS:], 16)
        except ValueError:
            return False
        return 0 < object_id < next_id and hmac.compare_digest(
            token.encode(), self.token(object_id).encode()
        )

    def _digest(self, object_id: int) -> str:
        place = bisect.bisect_right(self._first_ids, object_id) - 1
        secret = self._secrets[max(place, 0)]
        digest = hashlib.blake2b(b"%d" % object_id, digest_size=_DIGITS // 2, key=secret)
        return digest.hexdigest()
