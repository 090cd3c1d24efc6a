"""A listing held against a manifest: two streams in key order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from stocktake.manifests._dataset_values import DatasetInfo, Entry
from stocktake.manifests._local_files import OWN_FOLDER
from stocktake.manifests._record import UploadRecord
from stocktake.manifests._verify_object import NOTHING, missing, other_size
from stocktake.manifests._verify_values import Damage, VerifyFinding


@dataclass(frozen=True, slots=True)
class Listed:
    """An object as a listing has it."""

    key: str
    size_bytes: int
    etag: str | None


@dataclass(frozen=True, slots=True)
class Compared:
    """One key: what the manifest has of it, and how the listing differs, if it does.

    Attributes:
        record: None for an object that the manifest has not.
        finding: None: as far as a listing says, it is the same.
    """

    record: UploadRecord | None
    finding: VerifyFinding | None


def listed_objects(batches: Iterable[pa.RecordBatch], info: DatasetInfo) -> Iterator[Listed]:
    """The objects of a dataset's prefix, without stocktake's own."""
    own = f"{info.prefix}{OWN_FOLDER}/"
    for batch in batches:
        columns = (batch.column(name).to_pylist() for name in ("key", "size_bytes", "etag"))
        for key, size_bytes, etag in zip(*columns, strict=True):
            if not key.startswith(own):
                yield Listed(key, size_bytes, etag)


def compare_listing(entries: Iterable[Entry], objects: Iterable[Listed]) -> Iterator[Compared]:
    """Every key that either has, in order; folder markers that the manifest has not are none."""
    manifest, listing = iter(entries), iter(objects)
    entry, there = next(manifest, None), next(listing, None)
    while entry is not None or there is not None:
        if entry is None or (there is not None and there.key < entry.record.s3_key):
            assert there is not None
            if there.size_bytes or not there.key.endswith("/"):
                yield Compared(None, _extra(there))
            there = next(listing, None)
        elif there is None or there.key > entry.record.s3_key:
            yield Compared(entry.record, missing(entry.record, "list"))
            entry = next(manifest, None)
        else:
            yield Compared(entry.record, _difference(entry.record, there))
            entry, there = next(manifest, None), next(listing, None)


def _difference(record: UploadRecord, there: Listed) -> VerifyFinding | None:
    if there.size_bytes != record.size_bytes:
        return other_size(record, there.size_bytes, "list")
    if None not in {record.etag, there.etag} and record.etag != there.etag:
        return VerifyFinding(
            record.s3_key, Damage.ETAG, f"ETag {record.etag}", f"ETag {there.etag}", "list"
        )
    return None


def _extra(there: Listed) -> VerifyFinding:
    found = f"{there.size_bytes:,} bytes"
    return VerifyFinding(there.key, Damage.EXTRA, NOTHING, found, "list")
