"""A dataset's manifest as JSON: the fields that its readers have always known, and ours beside.

The control database is the truth; this is a picture of one version of it, the same bytes whenever
it is drawn. docs/formats/manifest.md is the page of the format.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from stocktake import __version__
from stocktake.clock import format_utc
from stocktake.errors import DatasetNotFoundError
from stocktake.manifests._dataset import Dataset
from stocktake.manifests._dataset_address import object_url
from stocktake.manifests._dataset_read import read_history
from stocktake.manifests._dataset_values import DatasetInfo, VersionInfo
from stocktake.manifests._record import UploadRecord

FORMAT = "stocktake-manifest"
FORMAT_VERSION = 1
HISTORY_MAX = 100
"""Versions that a manifest tells of, the newest ones; the database has all."""

_PIECE_CHARS = 1 << 16
_JSON_SAFE_INT = 2**53 - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_KNOWN = frozenset(
    (
        *("filename", "s3_url", "md5_hash", "last_modified", "local_path", "schema", "part_size"),
        *UploadRecord.__slots__,
    )
)
_OPTIONAL = (
    "etag",
    "version_id",
    "sha256",
    "crc64nvme",
    "part_size_bytes",
    "source_raw",
    "source_sha256",
    "source_size_bytes",
    "source_mtime_ns",
    "entry",
    "rows",
)

_line = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def render_manifest(dataset: Dataset, *, version: int | None = None) -> Iterator[bytes]:
    """The manifest of a version (the one there is now) in pieces of some 64 kB.

    Pretty on the outside, one line per file, ASCII. Memory is bounded; commits meanwhile do not
    show. An earlier version says when it was made as `last_synced`.

    Raises:
        DatasetNotFoundError: No such version, or the dataset was forgotten.
    """
    return _draw(dataset, version_info(dataset, version))


def manifest_with_etag(dataset: Dataset) -> tuple[str, Iterator[bytes]]:
    """The ETag of the manifest as it is now, and that very manifest, whatever comes in between.

    Raises:
        DatasetNotFoundError: The dataset was forgotten.
    """
    info = dataset.info()
    return etag_of(info), _draw(dataset, info)


def _draw(dataset: Dataset, info: DatasetInfo) -> Iterator[bytes]:
    history = read_history(dataset.state, dataset.id, HISTORY_MAX, info.version)
    yield _head(info).encode()
    text: list[str] = []
    held = 0
    first = True
    for entry in dataset.entries(version=info.version):
        line = ("\n    " if first else ",\n    ") + _line(file_values(info, entry.record))
        first = False
        text.append(line)
        held += len(line)
        if held >= _PIECE_CHARS:
            yield "".join(text).encode()
            text, held = [], 0
    text.append("\n  ]" if not first else "]")
    text.append(_tail(history))
    yield "".join(text).encode()


def manifest_etag(dataset: Dataset) -> str:
    """A strong ETag of the manifest as it is now, quoted; nothing is rendered for it.

    Another release of stocktake may draw the same version otherwise, and so has other ETags.

    Raises:
        DatasetNotFoundError: The dataset was forgotten.
    """
    return etag_of(dataset.info())


def etag_of(info: DatasetInfo) -> str:
    """The ETag of the manifest of a dataset as it stood."""
    synced = format_utc(info.last_synced) if info.last_synced else None
    facts = [
        *(__version__, FORMAT_VERSION, info.id, info.title, info.bucket, info.prefix),
        *(format_utc(info.created_at), synced, info.version, info.base_url),
    ]
    return f'"{hashlib.sha256(_line(facts).encode()).hexdigest()[:32]}"'


def file_values(info: DatasetInfo, record: UploadRecord) -> dict[str, Any]:
    """A file of the manifest. What a record has not, beyond the eight old fields, is left out."""
    uploaded = format_utc(record.uploaded_at)
    theirs = record.extra.get("local_path")
    values: dict[str, Any] = {
        "filename": record.s3_key.removeprefix(info.prefix),
        "s3_key": record.s3_key,
        "s3_url": object_url(info, record.s3_key),
        "size_bytes": _safe(record.size_bytes),
        "md5_hash": record.md5,
        "uploaded_at": uploaded,
        "last_modified": _mtime(record.source_mtime_ns) or uploaded,
        "local_path": theirs if isinstance(theirs, str) else record.source,
    }
    for name in _OPTIONAL:
        value = getattr(record, name)
        if value is not None:
            values[name] = _safe(value)
    if record.token:
        values["token"] = record.token
    values["verified_by"] = record.verified_by
    values["source"] = record.source
    if record.columns:
        values["schema"] = [dict(one) for one in record.columns]
    if record.extra:
        _add_extra(values, record.extra)
    return values


def _add_extra(values: dict[str, Any], extra: Mapping[str, Any]) -> None:
    """Fields of other programs under their own names; below `extra` if the name is ours."""
    covered = {name: value for name, value in extra.items() if name in _KNOWN}
    values |= {name: value for name, value in extra.items() if name not in _KNOWN}
    if covered:
        values["extra"] = covered


def version_info(dataset: Dataset, version: int | None = None) -> DatasetInfo:
    """The dataset as it was at a version; `last_synced` of an earlier one is when it was made.

    Raises:
        DatasetNotFoundError: No such version, or the dataset was forgotten.
    """
    info = dataset.info()
    if version is None or version == info.version:
        return info
    if not 0 <= version < info.version:
        raise DatasetNotFoundError(
            f"dataset `{info.id}` has no version {version}: the last one is {info.version}",
            hint=f"see them: stocktake manifest history {info.id}",
            dataset=info.id,
            version=version,
        )
    if version == 0:
        return replace(info, version=0, last_synced=None, total_files=0, total_size_bytes=0)
    then = read_history(dataset.state, dataset.id, 1, version)[0]
    return replace(
        info,
        version=version,
        last_synced=then.at,
        total_files=then.total_files,
        total_size_bytes=then.total_size_bytes,
    )


def head_values(info: DatasetInfo) -> dict[str, Any]:
    """The manifest's members before its files."""
    return {
        "style_id": info.id,
        "style_title": info.title,
        "dataset_id": info.id,
        "title": info.title,
        "s3_bucket": info.bucket,
        "s3_prefix": info.prefix,
        "created_at": format_utc(info.created_at),
        "last_synced": format_utc(info.last_synced) if info.last_synced else None,
        "total_files": info.total_files,
        "total_size_bytes": _safe(info.total_size_bytes),
        "version": info.version,
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
    }


def _head(info: DatasetInfo) -> str:
    return json.dumps(head_values(info), indent=2).removesuffix("\n}") + ',\n  "files": ['


def _tail(history: list[VersionInfo]) -> str:
    lines = [
        _line(
            {
                "version": one.version,
                "at": format_utc(one.at),
                "reason": one.reason.value,
                "added": one.added,
                "replaced": one.replaced,
                "deleted": one.deleted,
                "total_files": one.total_files,
                "total_size_bytes": _safe(one.total_size_bytes),
            }
        )
        for one in history
    ]
    body = "\n    " + ",\n    ".join(lines) + "\n  " if lines else ""
    return f',\n  "history": [{body}]\n}}\n'


def _safe(value: Any) -> Any:
    """Numbers that not every reader of JSON keeps are written as text."""
    if isinstance(value, int) and abs(value) > _JSON_SAFE_INT:
        return str(value)
    return value


def _mtime(value_ns: int | None) -> str | None:
    if value_ns is None:
        return None
    try:
        return format_utc(_EPOCH + timedelta(microseconds=value_ns // 1000))
    except OverflowError:
        return None
