"""What stands at a key, by looking: our object, the same bytes, somebody else's, or nothing.

An answer that did not come, or came odd, proves nothing either way; the object itself does: its
token says whose it is, its checksum and size say which bytes it has.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from stocktake.errors import ForeignWriterError, ObjectNotFoundError
from stocktake.ship._metadata import ENTRY
from stocktake.ship._upload_target import Target
from stocktake.store import (
    SHA256_NAME,
    Calling,
    Digests,
    ObjectHead,
    Store,
    disproves,
    proof,
    token_of,
)

_PIECE_BYTES = 1 << 20


class Standing(Enum):
    """What is at a key."""

    ABSENT = "absent"
    OURS = "ours"
    """Our token and our bytes: it is done."""
    SAME = "same"
    """Somebody else's, or our own earlier, with the same bytes: it is adopted."""
    OTHER = "other"
    """Other bytes: it may be replaced, on condition that it is still this one."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What was found, and by what it was proven if it was."""

    standing: Standing
    head: ObjectHead | None = None
    verified_by: str = ""

    @property
    def etag(self) -> str | None:
        """Of what is there; None if nothing is."""
        return self.head.etag if self.head is not None else None

    @property
    def is_done(self) -> bool:
        """Nothing needs to be sent."""
        return self.standing in {Standing.OURS, Standing.SAME}


class Settler:
    """Looks at objects of one bucket."""

    def __init__(
        self, store: Store, bucket: str, call: Calling, knows_token: Callable[[str], bool]
    ) -> None:
        self._store = store
        self._bucket = bucket
        self._call = call
        self._knows_token = knows_token

    def settle(self, target: Target, digests: Digests | None) -> Settled:
        """What stands at the target's key. Without digests, only a source's SHA-256 can prove it.

        Raises:
            ForeignWriterError: Another shipper wrote it, and other bytes.
        """
        try:
            head = self._call(lambda: self._store.head(self._bucket, target.key))
        except ObjectNotFoundError:
            return Settled(Standing.ABSENT)
        token = token_of(head.metadata)
        if token == target.token:
            return self._settle_own(target, digests, head)
        if proof(head, digests) or _is_same_source(head, target):
            return Settled(Standing.SAME, head, "adopted")
        if token is not None and not self._knows_token(token):
            raise ForeignWriterError(
                f"s3://{self._bucket}/{target.key} was written by another shipper",
                bucket=self._bucket,
                key=target.key,
                ship_id=head.metadata.get("stocktake-ship", "?"),
            )
        return Settled(Standing.OTHER, head)

    def _settle_own(self, target: Target, digests: Digests | None, head: ObjectHead) -> Settled:
        by = proof(head, digests)
        if by is None and digests is not None and self._reads_back(target.key, head, digests):
            by = "read-back"
        return Settled(Standing.OURS, head, by) if by else Settled(Standing.OTHER, head)

    def _reads_back(self, key: str, head: ObjectHead, digests: Digests) -> bool:
        """For stores that tell no checksum and whose ETag is none: read it all."""
        if head.size_bytes != digests.size_bytes or disproves(head, digests):
            return False
        return self._call(lambda: self._md5_of(key, head.etag)) == digests.md5

    def _md5_of(self, key: str, etag: str | None) -> str:
        digest = hashlib.md5(usedforsecurity=False)
        with self._store.get(self._bucket, key, if_match=etag) as body:
            while piece := body.read(_PIECE_BYTES):
                digest.update(piece)
        return digest.hexdigest()


def _is_same_source(head: ObjectHead, target: Target) -> bool:
    """It says that it is the same source file, whole, and has its size."""
    said = head.metadata
    return (
        target.is_source
        and said.get(SHA256_NAME) == target.sha256
        and ENTRY not in said
        and said.get("stocktake-size") == str(head.size_bytes)
        and target.metadata.get("stocktake-size") == str(head.size_bytes)
    )
