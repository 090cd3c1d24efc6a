"""Manifests that are read, whoever wrote them: our own rendering, and what it was made after."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain, islice
from typing import Any

from stocktake.errors import ManifestFormatError
from stocktake.manifests._dataset_registry import OWN_FOLDER
from stocktake.manifests._dataset_values import DatasetSpec
from stocktake.manifests._foreign_entries import HeadTimes, Remarks, entry_key, entry_record
from stocktake.manifests._foreign_json import ManifestReader, Readable
from stocktake.manifests._foreign_values import (
    as_text,
    as_time,
    as_whole,
    bucket_of_url,
    epoch,
)
from stocktake.manifests._record import UploadRecord
from stocktake.manifests._render import FORMAT, FORMAT_VERSION

BYTES_MAX = 2 << 30
RECORDS_MAX = 5_000_000
_HEAD = frozenset(
    (
        *("style_id", "dataset_id", "id", "title", "s3_bucket", "s3_prefix", "created_at"),
        *("last_synced", "total_files", "total_size_bytes", "version", "style_title"),
        *("format", "format_version", "history"),
    )
)
_REPORT = frozenset(("sourceBucket", "destinationBucket", "fileSchema"))


@dataclass(frozen=True, slots=True)
class ParsedManifest:
    """What a manifest says.

    Attributes:
        spec: The dataset it is about.
        created_at: When that was made, if it says so.
        last_synced: As above.
        version: Of the manifest; None in other programs' ones.
        records: In key order, one per key.
        notes: What was put right, what was left out, for people.
        left_out: How many entries are not in `records`.
        extra: Members of the head that we do not know.
    """

    spec: DatasetSpec
    created_at: datetime | None
    last_synced: datetime | None
    version: int | None
    records: list[UploadRecord]
    notes: list[str]
    left_out: int = 0
    extra: Mapping[str, Any] = field(default_factory=dict)


def parse_manifest(
    pieces: Readable | bytes,
    *,
    bytes_max: int = BYTES_MAX,
    dataset_id: str | None = None,
    bucket: str | None = None,
) -> ParsedManifest:
    """Read a manifest; `dataset_id` and `bucket` stand in for what it does not say.

    Memory: about 1 kB per file, whatever the JSON's size.

    Raises:
        ManifestFormatError: It is no manifest, is cut off or too large, or does not say of what.
    """
    source: Readable = io.BytesIO(pieces) if isinstance(pieces, bytes) else pieces
    reader = ManifestReader(source, bytes_max=bytes_max)
    remarks = Remarks()
    kept: dict[str, UploadRecord] = {}
    given = {"dataset_id": dataset_id, "s3_bucket": bucket}
    entries = reader.files()
    first = list(islice(entries, 1))
    if not {"s3_prefix", "s3_bucket"} <= set(reader.head):
        first.extend(islice(entries, RECORDS_MAX))  # what they need may stand behind them
    said = _said(reader.head, given, first)
    times = _times(said)
    total = 0
    for entry in chain(first, entries):
        total += 1
        if total > RECORDS_MAX:
            raise ManifestFormatError(f"the manifest has more than {RECORDS_MAX:,} files")
        _keep(entry, times, kept, remarks)
    return _parsed({**reader.head, **said}, kept, remarks, total)


def _said(
    head: Mapping[str, Any], given: Mapping[str, str | None], first: Iterable[Any]
) -> dict[str, Any]:
    """The head with what was given in its place; the bucket also of the files' addresses."""
    said = {**head, **{name: value for name, value in given.items() if value is not None}}
    if as_text(said.get("s3_bucket")) is None:
        said["s3_bucket"] = _bucket_of(first)
    return said


def _bucket_of(entries: Iterable[Any]) -> str | None:
    """The bucket that the addresses of all entries name."""
    named = {bucket_of_url(one.get("s3_url")) for one in entries if isinstance(one, Mapping)} - {
        None
    }
    return named.pop() if len(named) == 1 else None


def _times(said: Mapping[str, Any]) -> HeadTimes:
    fallback = as_time(said.get("last_synced")) or as_time(said.get("created_at")) or epoch()
    prefix = _slashed(as_text(said.get("s3_prefix")) or "")
    return HeadTimes(fallback, as_text(said.get("s3_bucket")), prefix)


def _slashed(prefix: str) -> str:
    return prefix if not prefix or prefix.endswith("/") else prefix + "/"


def _keep(entry: Any, times: HeadTimes, kept: dict[str, UploadRecord], remarks: Remarks) -> None:
    if not isinstance(entry, Mapping):
        remarks.add("left out: no object", str(entry)[:80])
        return
    key = entry_key(entry, times, remarks)
    record = None if key is None else entry_record(entry, key, times, remarks)
    if record is None:
        return
    earlier = kept.get(record.s3_key)
    if earlier is not None:
        remarks.add("the same key again: the newer upload counts", record.s3_key)
        if earlier.uploaded_at > record.uploaded_at:
            return
    kept[record.s3_key] = record


def _parsed(
    head: Mapping[str, Any], kept: dict[str, UploadRecord], remarks: Remarks, total: int
) -> ParsedManifest:
    spec = _spec(head, kept)
    records = [_placed(kept[key], spec) for key in sorted(kept) if _belongs(key, spec, remarks)]
    return ParsedManifest(
        spec=spec,
        created_at=as_time(head.get("created_at")),
        last_synced=as_time(head.get("last_synced")),
        version=as_whole(head.get("version")),
        records=records,
        notes=remarks.lines() + _total_notes(head, records),
        left_out=total - len(records),
        extra={name: value for name, value in head.items() if name not in _HEAD},
    )


def _spec(said: Mapping[str, Any], kept: Mapping[str, UploadRecord]) -> DatasetSpec:
    dataset_id = next(
        (text for name in ("dataset_id", "style_id", "id") if (text := as_text(said.get(name)))),
        None,
    )
    bucket = as_text(said.get("s3_bucket"))
    if set(said) & _REPORT:
        raise ManifestFormatError(
            "this is the manifest of an inventory report",
            hint="import it into the catalog: stocktake inventory import",
        )
    if dataset_id is None:
        raise ManifestFormatError(
            "the manifest does not say which dataset it is about", hint="name it with --dataset"
        )
    if (
        as_text(said.get("format")) == FORMAT
        and (as_whole(said.get("format_version")) or 0) > FORMAT_VERSION
    ):
        raise ManifestFormatError(
            f"the manifest has format version {said['format_version']}, "
            f"this stocktake knows {FORMAT_VERSION}",
            hint="upgrade: pip install --upgrade stocktake",
        )
    if bucket is None:
        raise ManifestFormatError(
            "the manifest does not say in which bucket its files are",
            hint="name it with --bucket",
        )
    title = as_text(said.get("title")) or as_text(said.get("style_title")) or dataset_id
    return DatasetSpec(dataset_id, title, bucket, _prefix(said.get("s3_prefix"), kept))


def _prefix(said: Any, keys: Iterable[str]) -> str:
    """The prefix as it is said, without a slash before it that no key has; else the keys' own."""
    if isinstance(said, str):
        slashed = _slashed(said)
        bare = slashed.lstrip("/")
        if slashed == bare or any(key.startswith(slashed) for key in keys):
            return slashed
        return bare
    return common_folder(keys)


def common_folder(keys: Iterable[str]) -> str:
    """The deepest folder that all keys are in; empty for none."""
    ordered = [min(keys, default=""), max(keys, default="")]
    first, last = ordered
    same = 0
    while same < min(len(first), len(last)) and first[same] == last[same]:
        same += 1
    return first[: first.rfind("/", 0, same) + 1]


def _belongs(key: str, spec: DatasetSpec, remarks: Remarks) -> bool:
    if not key.startswith(spec.prefix):
        remarks.add("left out: the key is not below the prefix", key)
        return False
    if key == spec.prefix or key.startswith(spec.prefix + OWN_FOLDER):
        remarks.add("left out: no file of the dataset", key)
        return False
    return True


def _placed(record: UploadRecord, spec: DatasetSpec) -> UploadRecord:
    """With the path below the folder, for a record whose manifest does not tell it."""
    if record.source:
        return record
    source = record.s3_key.removeprefix(spec.prefix)
    extra = {k: v for k, v in record.extra.items() if k != "local_path" or v != source}
    return replace(record, source=source, extra=extra)


def _total_notes(head: Mapping[str, Any], records: list[UploadRecord]) -> list[str]:
    notes = []
    files, size_bytes = as_whole(head.get("total_files")), as_whole(head.get("total_size_bytes"))
    if files is not None and files != len(records):
        notes.append(f"it claims {files:,} files and has {len(records):,}")
    actual = sum(one.size_bytes for one in records)
    if size_bytes is not None and size_bytes != actual:
        notes.append(f"it claims {size_bytes:,} bytes and its files have {actual:,}")
    return notes
