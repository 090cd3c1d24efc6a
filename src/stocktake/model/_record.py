"""The object record: the one currency between rooms, as Arrow record batches.

A batch holds `key` and whichever other columns its source knows, in the order of `OBJECT`, then
the source's further columns as text named `extra_<name>`. A column that the source does not have is
not in the batch: unknown is never 0. The bucket is in the header (`SourceHeader`), because a source
has exactly one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

EXTRA_PREFIX = "extra_"

OBJECT: pa.Schema = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("version_id", pa.string()),
        pa.field("is_latest", pa.bool_()),
        pa.field("is_delete_marker", pa.bool_()),
        pa.field("size_bytes", pa.int64()),
        # naive = UTC: DuckDB needs pytz for zoned values, and every reader agrees on naive ones
        pa.field("last_modified", pa.timestamp("ms")),
        pa.field("etag", pa.string()),
        pa.field("storage_class", pa.string()),
        pa.field("checksum_algorithm", pa.string()),
    ]
)
"""All core columns, in order. `version_id` NULL or '' never occurs: the null version is 'null'."""

CORE_FIELDS: tuple[str, ...] = tuple(OBJECT.names)

_CORE_BY_REPORT_NAME = {
    "key": "key",
    "versionid": "version_id",
    "islatest": "is_latest",
    "isdeletemarker": "is_delete_marker",
    "size": "size_bytes",
    "lastmodifieddate": "last_modified",
    "lastmodified": "last_modified",
    "etag": "etag",
    "storageclass": "storage_class",
    "checksumalgorithm": "checksum_algorithm",
}

_KNOWN_EXTRAS = [
    "is_multipart_uploaded",
    "replication_status",
    "encryption_status",
    "object_lock_retain_until_date",
    "object_lock_mode",
    "object_lock_legal_hold_status",
    "object_lock_event_hold_status",
    "object_lock_event_hold_duration",
    "intelligent_tiering_access_tier",
    "intelligent_tiering_reference_date",
    "bucket_key_status",
    "object_access_control_list",
    "object_owner",
    "lifecycle_expiration_date",
]
_EXTRA_BY_REPORT_NAME = {name.replace("_", ""): name for name in _KNOWN_EXTRAS}


def canonical_column(report_name: str) -> str:
    """Our name for a report's column: core name, `bucket`, or `extra_<snake_name>`.

    Case and underscores do not matter: `ETag`, `e_tag` and `etag` are one column. Unknown names
    keep their letters in lower case.
    Source: inventory report schemas of all three formats, `docs/formats/report.md`.
    """
    squeezed = report_name.strip().lower().replace("_", "")
    if squeezed == "bucket":
        return "bucket"
    core = _CORE_BY_REPORT_NAME.get(squeezed)
    if core is not None:
        return core
    return EXTRA_PREFIX + _EXTRA_BY_REPORT_NAME.get(squeezed, report_name.strip().lower())


def object_schema(columns: Iterable[str]) -> pa.Schema:
    """The Arrow schema of batches that hold these columns (our names), in canonical order.

    `key` is always there. Extra columns are text, sorted by name.
    """
    wanted = {"key", *columns}
    extras = sorted(name for name in wanted if name.startswith(EXTRA_PREFIX))
    unknown = wanted - set(CORE_FIELDS) - set(extras)
    if unknown:
        raise ValueError(f"not columns of the object record: {sorted(unknown)}")
    core = [OBJECT.field(name) for name in CORE_FIELDS if name in wanted]
    return pa.schema([*core, *(pa.field(name, pa.string()) for name in extras)])


@dataclass(frozen=True, slots=True)
class FileInfo:
    """One current object as APIs and tools see it. None means the source does not say."""

    key: str
    size_bytes: int | None
    last_modified: datetime | None
    etag: str | None
    storage_class: str | None
    checksum_algorithm: str | None
