"""The values of synthetic object records: sizes, times, ETags, storage classes, extra columns."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stocktake.model import object_schema
from stocktake.testing._chance import Ints, bell, below, draw, hex_text
from stocktake.testing._shapes import MARKER, text_array

Flags = npt.NDArray[np.bool_]

FIRST_STAMP = datetime(2026, 1, 5, 1, 0, tzinfo=UTC)
"""When generation 1 was scanned; each further one a day later."""

DAY_MS = 86_400_000
CORE = ("key", "size_bytes", "last_modified", "etag", "storage_class")
VERSIONS = ("version_id", "is_latest", "is_delete_marker")
EXTRAS = (
    "checksum_algorithm",
    "extra_bucket_key_status",
    "extra_encryption_status",
    "extra_is_multipart_uploaded",
    "extra_object_owner",
    "extra_replication_status",
)

# natural logarithm of the median size and its deviation, by kind of object
_LOG_SIZE = np.array([17.03, 15.6, 8.9, 0.0, 17.3, 12.2])
_LOG_SPREAD = np.array([0.25, 0.5, 0.3, 0.0, 1.1, 2.0])
_SIZE_MAX = 5 * 1024**4
_MULTIPART_BYTES = 16 * 1024 * 1024
_CLASSES = pa.array(
    ["STANDARD", "STANDARD_IA", "INTELLIGENT_TIERING", "GLACIER_IR", "DEEP_ARCHIVE"]
)
_CLASS_BOUNDS = np.array([70, 85, 90, 96])
_ENDINGS = pa.array(["", *(f"-{parts}" for parts in range(1, 10_001))])
_CHECKSUMS = pa.array(["CRC64NVME", "CRC32", "SHA256"])
_OWNER = "75aa57f09aa0c8caeab4f8c24e99d10f8e7faeebf76c078efc7c6caea54ba06a"


@dataclass(frozen=True, slots=True)
class Versions:
    """What an all-versions report says of each row: its place among its key's versions."""

    ids: Ints
    null: Flags
    latest: Flags
    marker: Flags


@dataclass(frozen=True, slots=True)
class Contents:
    """Rows whose values are wanted.

    Attributes:
        keys: Of the rows.
        kinds: What each object is, which decides its size.
        groups: Rows of one folder tend to have one storage class.
        ids: A number for each distinct content; the same number gives the same values.
        times_ms: Last modification, milliseconds since 1970.
        versions: For all-versions reports only.
    """

    keys: pa.Array
    kinds: npt.NDArray[np.int8]
    groups: Ints
    ids: Ints
    times_ms: Ints
    versions: Versions | None = None


def stamp_of(generation: int) -> datetime:
    """When that generation was scanned."""
    return FIRST_STAMP + timedelta(days=generation - 1)


def object_batch(seed: int, rows: Contents, *, extras: bool) -> pa.RecordBatch:
    """The rows as object records. Delete markers have no size, ETag or storage class."""
    sizes = _sizes(seed, rows)
    multipart = (sizes > _MULTIPART_BYTES) & (below(draw(seed, 42, rows.ids), 3) != 0)
    columns: dict[str, pa.Array] = {
        "key": rows.keys,
        "size_bytes": pa.array(sizes),
        "last_modified": _times(rows.times_ms),
        "etag": _etags(seed, rows.ids, sizes, multipart),
        "storage_class": _storage_classes(seed, rows),
    }
    if extras:
        columns |= _extras(seed, rows, multipart)
    if rows.versions is not None:
        columns = _versioned(seed, columns, rows.versions)
    schema = object_schema(columns)
    return pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)


def _sizes(seed: int, rows: Contents) -> Ints:
    spread = _LOG_SPREAD[rows.kinds] * bell(draw(seed, 41, rows.ids))
    sizes = np.exp(_LOG_SIZE[rows.kinds] + spread).astype(np.int64)
    sizes = np.minimum(sizes, _SIZE_MAX)
    return np.where(rows.kinds == MARKER, 0, sizes)


def _times(times_ms: Ints) -> pa.Array:
    data = np.ascontiguousarray(times_ms)
    return pa.Array.from_buffers(pa.timestamp("ms"), len(data), [None, pa.py_buffer(data)])


def _etags(seed: int, ids: Ints, sizes: Ints, multipart: Flags) -> pa.Array:
    digits = text_array(hex_text(draw(seed, 43, ids), draw(seed, 44, ids)))
    parts = np.where(multipart, np.minimum(-(-sizes // _MULTIPART_BYTES), 10_000), 0)
    return pc.binary_join_element_wise(digits, _ENDINGS.take(pa.array(parts)), "")


def _storage_classes(seed: int, rows: Contents) -> pa.Array:
    chance = below(draw(seed, 45, rows.groups), 100)
    odd = below(draw(seed, 46, rows.ids), 1_000) == 0
    index = np.searchsorted(_CLASS_BOUNDS, np.where(odd, 90, chance), side="right")
    return _CLASSES.take(pa.array(index))


def _extras(seed: int, rows: Contents, multipart: Flags) -> dict[str, pa.Array]:
    count = len(rows.ids)
    checksums = _CHECKSUMS.take(pa.array(below(draw(seed, 47, rows.ids), 3)))
    known = below(draw(seed, 48, rows.ids), 4) == 0
    return {
        "checksum_algorithm": _where(known, checksums),
        "extra_bucket_key_status": pa.repeat("DISABLED", count),
        "extra_encryption_status": pa.repeat("SSE-S3", count),
        "extra_is_multipart_uploaded": pc.cast(pa.array(multipart), pa.string()),
        "extra_object_owner": pa.repeat(_OWNER, count),
        "extra_replication_status": pa.nulls(count, pa.string()),
    }


def _versioned(seed: int, columns: dict[str, pa.Array], versions: Versions) -> dict[str, pa.Array]:
    digits = hex_text(draw(seed, 51, versions.ids), draw(seed, 52, versions.ids))
    names = pc.if_else(pa.array(versions.null), "null", text_array(digits))
    kept = {"key", "last_modified", "extra_bucket_key_status", "extra_object_owner"}
    if versions.marker.any():
        columns = {
            name: values if name in kept else _where(~versions.marker, values)
            for name, values in columns.items()
        }
    return columns | {
        "version_id": names,
        "is_latest": pa.array(versions.latest),
        "is_delete_marker": pa.array(versions.marker),
    }


def _where(keep: Flags, values: pa.Array) -> pa.Array:
    return pc.if_else(pa.array(keep), values, pa.scalar(None, values.type))
