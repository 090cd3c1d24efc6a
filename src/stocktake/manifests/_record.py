"""One upload, as the manifest of a dataset keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class UploadRecord:
    """An object that was uploaded and proven, with everything a reader of the manifest may ask.

    Attributes:
        s3_key: Identity: a later record of the same key replaces this one.
        size_bytes: Of the object.
        etag: Normalised; not an MD5 for multipart uploads.
        version_id: On versioned buckets.
        md5: Hex, of the object's bytes; None if nobody read them.
        sha256: Hex, of the object's bytes if they are the source's own; else None.
        crc64nvme: Base64 as S3 has it; None if the store cannot.
        part_size_bytes: Of a multipart upload.
        token: What its metadata carries to prove that it is ours; empty if somebody else's.
        uploaded_at: When it was proven, aware UTC.
        verified_by: checksum | etag | read-back | adopted | imported.
        source: Path of the file, relative to the folder; what is not UTF-8 escaped (`%E9`).
        source_raw: The path's bytes as hex, only if `source` is not them.
        source_sha256: Hex, of the source file; None if nobody read it, as its size and time.
        source_size_bytes: Of the source file.
        source_mtime_ns: Of the source file.
        entry: Path inside the archive; None for the file itself.
        rows: Of a table.
        columns: Of a table: {name, type, why} each.
        extra: What another program's manifest says beyond these, kept as it is.
    """

    s3_key: str
    size_bytes: int
    etag: str | None
    version_id: str | None
    md5: str | None
    sha256: str | None
    crc64nvme: str | None
    part_size_bytes: int | None
    token: str
    uploaded_at: datetime
    verified_by: str
    source: str
    source_raw: str | None
    source_sha256: str | None
    source_size_bytes: int | None
    source_mtime_ns: int | None
    entry: str | None = None
    rows: int | None = None
    columns: tuple[Mapping[str, Any], ...] = field(default=())
    extra: Mapping[str, Any] = field(default_factory=dict)
