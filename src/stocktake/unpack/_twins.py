"""Which paths a walk has given already, and of what content: in 16 bytes each, not in objects.

A million names in a dict are 150 MB. Here they are hashes, keyed anew for every walk so that nobody
can make two names or two contents meet.
"""

from __future__ import annotations

import hashlib
import os
from typing import Any

UNREAD = bytes(8)
"""The content was not read to its end in this walk."""
UNKNOWN = b"\1" + bytes(7)
"""It was, but nobody had to compare it."""

_SLOT_BYTES = 16
_FILLED_MAX = 0.65


class Twins:
    """Paths with a digest of their content, in one table of bytes."""

    def __init__(self) -> None:
        self._key = os.urandom(32)
        self._slots = 1 << 10
        self._table = bytearray(self._slots * _SLOT_BYTES)
        self._count = 0

    def content_hash(self, path: str) -> Any:
        """A hash to feed a content to; the exact path is part of it."""
        return hashlib.sha256(self._key + path.encode("utf-8", "surrogateescape") + b"\0")

    def add(self, comparable_path: str) -> tuple[bytes, bytes | None]:
        """Add a path. Gives its hash, and the digest of its content if it is there already."""
        data = comparable_path.encode("utf-8", "surrogateescape")
        path = hashlib.blake2b(data, digest_size=8, key=self._key).digest()
        place = self._place(path)
        if self._table[place : place + 8] == path:
            return path, bytes(self._table[place + 8 : place + _SLOT_BYTES])
        if self._count >= self._slots * _FILLED_MAX:
            self._grow()
            place = self._place(path)
        self._table[place : place + 8] = path
        self._count += 1
        return path, None

    def note(self, path: bytes, digest: bytes) -> None:
        """Note the digest of a path's content."""
        place = self._place(path)
        self._table[place + 8 : place + _SLOT_BYTES] = digest[:8]

    def _place(self, path: bytes) -> int:
        """Where the path is, or the free slot where it belongs."""
        slot = int.from_bytes(path, "little") % self._slots
        while True:
            place = slot * _SLOT_BYTES
            found = self._table[place : place + 8]
            if found in (path, UNREAD):
                return place
            slot = (slot + 1) % self._slots

    def _grow(self) -> None:
        old = self._table
        self._slots *= 2
        self._table = bytearray(self._slots * _SLOT_BYTES)
        for at in range(0, len(old), _SLOT_BYTES):
            path = bytes(old[at : at + 8])
            if path != UNREAD:
                place = self._place(path)
                self._table[place : place + _SLOT_BYTES] = old[at : at + _SLOT_BYTES]
