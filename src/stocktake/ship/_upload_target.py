"""One object to be written, and what is known of its bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stocktake.ship._records import ObjectResult
from stocktake.store import Digests, ObjectHead


@dataclass(frozen=True, slots=True)
class Target:
    """One object to be written.

    Attributes:
        object_id: The ledger's number of it.
        token: Goes into its metadata and proves that it is ours.
        key: Destination.
        sha256: Hex, of the source entry's bytes.
        metadata: User metadata, the token with it.
        content_type: What it is taken for.
        replaces_etag: ETag of our own earlier object there.
        is_source: Its bytes are those of a whole source file, so `sha256` proves them.
        rows: Of a table.
        is_table: It is made while it is sent.
    """

    object_id: int
    token: str
    key: str
    sha256: str
    metadata: Mapping[str, str]
    content_type: str
    replaces_etag: str | None = None
    is_source: bool = False
    rows: int | None = None
    is_table: bool = False


def result_of(target: Target, digests: Digests, head: ObjectHead, verified_by: str) -> ObjectResult:
    """What is recorded of an object that is there and proven."""
    return ObjectResult(
        object_id=target.object_id,
        size_bytes=digests.size_bytes,
        crc64nvme=digests.crc64nvme,
        md5=digests.md5,
        sha256=target.sha256,
        etag=head.etag,
        version_id=head.version_id,
        part_size_bytes=digests.part_size_bytes,
        rows=target.rows,
        verified_by=verified_by,
    )
