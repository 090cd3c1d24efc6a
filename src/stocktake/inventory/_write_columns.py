"""How the columns of the object record are spelt and typed in the three report formats.

>>> report_columns(("bucket", "key", "etag"))[2].csv_name
'ETag'
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa

from stocktake.errors import InvalidSettingError, ReportWriteError
from stocktake.inventory._manifest import ReportFormat
from stocktake.model import CORE_FIELDS, EXTRA_PREFIX

_SUFFIXES = {
    ReportFormat.CSV: ".csv.gz",
    ReportFormat.ORC: ".orc",
    ReportFormat.PARQUET: ".parquet",
}


def part_suffix(file_format: ReportFormat) -> str:
    """How the keys of parts in that format end."""
    return _SUFFIXES[file_format]


def parse_format(text: str) -> ReportFormat:
    """The format of that name, in any case. Raises `InvalidSettingError`."""
    for member in ReportFormat:
        if member.value.lower() == text.strip().lower():
            return member
    raise InvalidSettingError(
        f"`{text}` is not a report format", hint="use csv, orc or parquet", value=text
    )


_TEXT = pa.string()
_TIME = pa.timestamp("ms", tz="UTC")

# our name -> (CSV name, ORC and Parquet name, type), in the order in which AWS writes columns
_KNOWN: dict[str, tuple[str, str, pa.DataType]] = {
    "bucket": ("Bucket", "bucket", _TEXT),
    "key": ("Key", "key", _TEXT),
    "version_id": ("VersionId", "version_id", _TEXT),
    "is_latest": ("IsLatest", "is_latest", pa.bool_()),
    "is_delete_marker": ("IsDeleteMarker", "is_delete_marker", pa.bool_()),
    "size_bytes": ("Size", "size", pa.int64()),
    "last_modified": ("LastModifiedDate", "last_modified_date", _TIME),
    "etag": ("ETag", "e_tag", _TEXT),
    "storage_class": ("StorageClass", "storage_class", _TEXT),
    "extra_is_multipart_uploaded": ("IsMultipartUploaded", "is_multipart_uploaded", pa.bool_()),
    "extra_replication_status": ("ReplicationStatus", "replication_status", _TEXT),
    "extra_encryption_status": ("EncryptionStatus", "encryption_status", _TEXT),
    "extra_object_lock_retain_until_date": (
        "ObjectLockRetainUntilDate",
        "object_lock_retain_until_date",
        _TIME,
    ),
    "extra_object_lock_mode": ("ObjectLockMode", "object_lock_mode", _TEXT),
    "extra_object_lock_legal_hold_status": (
        "ObjectLockLegalHoldStatus",
        "object_lock_legal_hold_status",
        _TEXT,
    ),
    "extra_intelligent_tiering_access_tier": (
        "IntelligentTieringAccessTier",
        "intelligent_tiering_access_tier",
        _TEXT,
    ),
    "extra_bucket_key_status": ("BucketKeyStatus", "bucket_key_status", _TEXT),
    "checksum_algorithm": ("ChecksumAlgorithm", "checksum_algorithm", _TEXT),
    "extra_object_access_control_list": (
        "ObjectAccessControlList",
        "object_access_control_list",
        _TEXT,
    ),
    "extra_object_owner": ("ObjectOwner", "object_owner", _TEXT),
    "extra_lifecycle_expiration_date": (
        "LifecycleExpirationDate",
        "lifecycle_expiration_date",
        _TIME,
    ),
}

DEFAULT_COLUMNS: tuple[str, ...] = (
    "bucket",
    "key",
    "size_bytes",
    "last_modified",
    "etag",
    "storage_class",
)
"""What a report of no rows at all claims to hold."""


@dataclass(frozen=True, slots=True)
class ReportColumn:
    """One column of a report: our name, its two spellings, and its type in ORC and Parquet."""

    name: str
    csv_name: str
    snake_name: str
    type: pa.DataType

    @property
    def required(self) -> bool:
        """True for the two columns that every row has."""
        return self.name in {"bucket", "key"}


def report_columns(names: Iterable[str]) -> tuple[ReportColumn, ...]:
    """The report columns of these object-record names (and `bucket`), in the given order.

    Extra columns that AWS does not have keep their name in all formats.

    Raises:
        ReportWriteError: A name that is not a column of the object record, twice, or no `key`.
    """
    wanted = tuple(names)
    if "key" not in wanted or len(set(wanted)) != len(wanted):
        raise ReportWriteError(
            "a report needs the column key, and each column once", columns=", ".join(wanted)
        )
    return tuple(_column(name) for name in wanted)


def aws_order(names: Iterable[str]) -> tuple[str, ...]:
    """`bucket`, `key`, then these columns as AWS orders them, then those it does not have."""
    wanted = {"bucket", "key", *names}
    known = [name for name in _KNOWN if name in wanted]
    return (*known, *sorted(wanted.difference(known)))


def file_schema(columns: Iterable[ReportColumn], file_format: ReportFormat) -> str:
    """The `fileSchema` of the manifest, in the words AWS uses for that format."""
    if file_format is ReportFormat.CSV:
        return ", ".join(column.csv_name for column in columns)
    if file_format is ReportFormat.ORC:
        inner = ",".join(f"{column.snake_name}:{_orc_type(column)}" for column in columns)
        return f"struct<{inner}>"
    inner = "  ".join(_parquet_field(column) for column in columns)
    return f"message s3.inventory {{  {inner}}}"


def _column(name: str) -> ReportColumn:
    known = _KNOWN.get(name)
    if known is not None:
        return ReportColumn(name, *known)
    if not name.startswith(EXTRA_PREFIX) or name in CORE_FIELDS:
        raise ReportWriteError(f"`{name}` is not a column of the object record", column=name)
    bare = name.removeprefix(EXTRA_PREFIX)
    return ReportColumn(name, bare, bare, _TEXT)


def _orc_type(column: ReportColumn) -> str:
    if pa.types.is_timestamp(column.type):
        return "timestamp"
    return {"bool": "boolean", "int64": "bigint"}.get(str(column.type), "string")


def _parquet_field(column: ReportColumn) -> str:
    need = "required" if column.required else "optional"
    if pa.types.is_timestamp(column.type):
        return f"{need} int64 {column.snake_name} (TIMESTAMP(MILLIS,true));"
    if pa.types.is_string(column.type):
        return f"{need} binary {column.snake_name} (STRING);"
    kind = "boolean" if pa.types.is_boolean(column.type) else "int64"
    return f"{need} {kind} {column.snake_name};"
