"""What the ledger says of sources and objects, and how their values become columns."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from stocktake.ship._records import Identity, ObjectState, PlannedObject, SourceKind, SourceState

_WRAP = 1 << 64
_EARLIEST_NS = -2_300_000_000 * 10**9


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A file as `ship status` shows it.

    Attributes:
        source_id: The ledger's number of this content of the file.
        path: Relative to the folder.
        kind: What is done with it.
        state: Where it is on its way.
        size_bytes: Of the file.
        attempts: Failed tries that counted.
        since: When it came into this state.
        due: When it is tried again.
        error: `StocktakeError.to_dict()` of the last failure.
        sha256: Hex, once it is known.
        objects: How many it becomes, once it is known.
        skipped: What is not shipped and why; the first thousand.
        skipped_count: All of them.
        warnings: One line each.
        incomplete_since: When it was first found to end too early.
    """

    source_id: int
    path: bytes
    kind: SourceKind
    state: SourceState
    size_bytes: int
    attempts: int
    since: datetime
    due: datetime | None
    error: Mapping[str, Any] | None
    sha256: str | None
    objects: int | None
    skipped: tuple[Mapping[str, str], ...]
    skipped_count: int
    warnings: tuple[str, ...]
    incomplete_since: datetime | None


@dataclass(frozen=True, slots=True)
class OpenUpload:
    """A multipart upload that was begun and has not ended, as far as the ledger knows.

    Attributes:
        object_id: The ledger's number of the object.
        source_id: The ledger's number of the file's content.
        path: Of the file.
        source_sha256: Hex, of the file.
        token: What the object's metadata carries.
        state: intent | uploading | completing.
        planned: What it is; its `key` is the destination.
        upload_id: None in intent.
        part_size_bytes: None in intent.
        etags: Of the parts, in completing.
        size_bytes: Of all parts together, in completing.
        crc64nvme: Of all parts together, in completing.
        md5: Of all parts together, in completing.
        recorded: When this state was recorded.
        replaces_etag: ETag of our own earlier object there.
        orphaned: No task has it any more: it may be settled while others are under way.
    """

    object_id: int
    source_id: int
    path: bytes
    source_sha256: str | None
    token: str
    state: ObjectState
    planned: PlannedObject
    upload_id: str | None
    part_size_bytes: int | None
    etags: tuple[str, ...]
    size_bytes: int | None
    crc64nvme: str | None
    md5: str | None
    recorded: datetime
    replaces_etag: str | None
    orphaned: bool


@dataclass(frozen=True, slots=True)
class LedgerFigures:
    """The ledger in a few numbers.

    Attributes:
        sources: Files by state; states without any are left out.
        files_completed: Files completed since the ledger was made, repeats included.
        objects_completed: Objects proven since the ledger was made.
        bytes_completed: Their bytes.
        open_uploads: Multipart uploads under way or left behind.
        unwritten_records: Completed objects that are in no manifest segment yet.
        oldest_pending: Since when the first file waits.
        file_bytes: Size of the ledger, without its write-ahead log.
    """

    sources: Mapping[SourceState, int]
    files_completed: int
    objects_completed: int
    bytes_completed: int
    open_uploads: int
    unwritten_records: int
    oldest_pending: datetime | None
    file_bytes: int


def hash64(value: bytes) -> int:
    """48 bits of a hash, as the ledger's indexes keep it."""
    return int.from_bytes(hashlib.blake2b(value, digest_size=6).digest(), "big")


def key_hash(key: str) -> int:
    """The hash of a key."""
    return hash64(key.encode("utf-8", "surrogatepass"))


def identity_columns(identity: Identity) -> tuple[int, int, int, int, int]:
    """dev, ino, size_bytes, mtime_ns, ctime_after_ns: each fits into 64 bits with a sign."""
    return (
        _signed(identity.dev),
        _signed(identity.ino),
        identity.size_bytes,
        _signed(identity.mtime_ns),
        _signed(identity.ctime_ns - identity.mtime_ns),
    )


def identity_of_row(row: Any) -> Identity:
    """The identity that `identity_columns` was made of."""
    mtime_ns = row["mtime_ns"]
    if mtime_ns < _EARLIEST_NS:
        mtime_ns += _WRAP
    ctime_ns = mtime_ns + row["ctime_after_ns"]
    if ctime_ns < _EARLIEST_NS:
        ctime_ns += _WRAP
    elif ctime_ns >= _WRAP + _EARLIEST_NS:
        ctime_ns -= _WRAP
    return Identity(row["dev"] % _WRAP, row["ino"] % _WRAP, row["size_bytes"], mtime_ns, ctime_ns)


def _signed(value: int) -> int:
    value %= _WRAP
    return value - _WRAP if value >= _WRAP >> 1 else value


def pack_json(value: Any) -> bytes | None:
    """JSON, deflated; None for None."""
    return None if value is None else zlib.compress(json.dumps(value).encode(), 6)


def unpack_json(value: bytes | None) -> Any:
    """What `pack_json` was given."""
    return None if value is None else json.loads(zlib.decompress(value))


def extra_of(row: Any) -> dict[str, Any]:
    """The seldom values of a row."""
    text = row["extra"]
    return {} if text is None else dict(json.loads(text))


def extra_text(extra: Mapping[str, Any]) -> str | None:
    """The seldom values as a column: those that are None are left out."""
    kept = {name: value for name, value in extra.items() if value is not None}
    return json.dumps(kept, separators=(",", ":")) if kept else None


def crc_bytes(text: str | None) -> bytes | None:
    """Base64 to the eight bytes it is of."""
    if text is None:
        return None
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return text.encode()


def crc_text(value: bytes | None) -> str | None:
    """Eight bytes as S3 has them."""
    if not value:
        return None
    return base64.b64encode(value).decode() if len(value) == 8 else value.decode()


def hex_bytes(text: str | None) -> bytes | None:
    """Hex digits to bytes."""
    return None if text is None else bytes.fromhex(text)


def hex_text(value: bytes | None) -> str | None:
    """Bytes to hex digits; zeros only keep the room of a value that is not known yet."""
    return value.hex() if value and any(value) else None


def entry_bytes(entry: str | None) -> bytes | None:
    """A member's path as it is stored: lone surrogates survive."""
    return None if entry is None else entry.encode("utf-8", "surrogatepass")


def entry_text(value: bytes | None) -> str | None:
    """A member's path."""
    return None if value is None else value.decode("utf-8", "surrogatepass")


def from_seconds(value: int) -> datetime:
    """Seconds since 1970 as aware UTC."""
    return datetime.fromtimestamp(value, UTC)


def from_millis(value: int | None) -> datetime | None:
    """Milliseconds since 1970 as aware UTC."""
    return None if value is None else datetime.fromtimestamp(value / 1000, UTC)
