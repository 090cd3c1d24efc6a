"""The text of a delivery: manifest.json as AWS prints it, its checksum, the Hive symlinks.

>>> hive_folder(datetime(2025, 6, 2, 1, 0, 59, tzinfo=UTC))
'dt=2025-06-02-01-00'
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from stocktake.inventory._manifest import ReportFormat
from stocktake.inventory._write_columns import ReportColumn, file_schema

_VERSION = "2016-11-30"


@dataclass(frozen=True, slots=True)
class ReportPart:
    """One data file that was written. `md5` is lower hex, of the stored bytes."""

    key: str
    size_bytes: int
    md5: str
    rows: int


def hive_folder(stamp: datetime) -> str:
    """The name of the delivery's Hive partition."""
    return stamp.astimezone(UTC).strftime("dt=%Y-%m-%d-%H-%M")


def manifest_text(
    source_bucket: str,
    destination_bucket: str,
    stamp: datetime,
    file_format: ReportFormat,
    columns: Sequence[ReportColumn],
    parts: Sequence[ReportPart],
) -> bytes:
    """manifest.json: two spaces of indent and a space on both sides of each colon."""
    minute = stamp.astimezone(UTC).replace(second=0, microsecond=0)
    fields = {
        "sourceBucket": source_bucket,
        "destinationBucket": f"arn:aws:s3:::{destination_bucket}",
        "version": _VERSION,
        "creationTimestamp": str(int(minute.timestamp()) * 1000),
        "fileFormat": file_format.value,
        "fileSchema": file_schema(columns, file_format),
    }
    lines = [f'  "{name}" : {json.dumps(value)},' for name, value in fields.items()]
    files = ", ".join(_file_text(part) for part in parts)
    lines.append(f'  "files" : [ {files} ]' if parts else '  "files" : [ ]')
    return "\n".join(["{", *lines, "}"]).encode()


def checksum_text(manifest: bytes) -> bytes:
    """manifest.checksum: the MD5 of the manifest's bytes and a line end, 33 bytes."""
    return hashlib.md5(manifest, usedforsecurity=False).hexdigest().encode() + b"\n"


def symlink_text(destination_bucket: str, parts: Sequence[ReportPart]) -> bytes:
    """symlink.txt: one address per part and line."""
    return "".join(f"s3://{destination_bucket}/{part.key}\n" for part in parts).encode()


def _file_text(part: ReportPart) -> str:
    return (
        "{\n"
        f'    "key" : {json.dumps(part.key, ensure_ascii=False)},\n'
        f'    "size" : {part.size_bytes},\n'
        f'    "MD5checksum" : "{part.md5}"\n'
        "  }"
    )
