"""Entries as rows, and back. What a database's text cannot hold goes into the JSON column."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.sql import ColumnElement, Select

from stocktake.clock import format_utc, parse_utc
from stocktake.errors import UsageError
from stocktake.manifests._dataset_values import Entry
from stocktake.manifests._record import UploadRecord
from stocktake.model import display_key
from stocktake.state import dataset_entries

KEY_BYTES_MAX = 1024
_INT_MAX = 2**63 - 1
_SIZE_BYTES_MAX = 1 << 50  # 20 times the largest object there can be

_TEXTS = ("etag", "version_id", "md5", "sha256", "crc64nvme", "token", "verified_by", "source")
_REQUIRED_TEXTS = frozenset({"token", "verified_by", "source"})
_NUMBERS = ("size_bytes", "part_size_bytes", "source_mtime_ns")
_REST = ("source_raw", "entry", "rows")

_e = dataset_entries.c
COLUMNS = (
    _e.s3_key,
    _e.since_version,
    _e.until_version,
    _e.size_bytes,
    _e.etag,
    _e.version_id,
    _e.md5,
    _e.sha256,
    _e.crc64nvme,
    _e.part_size_bytes,
    _e.token,
    _e.uploaded_at,
    _e.verified_by,
    _e.source,
    _e.source_mtime_ns,
    _e.rest,
)


def select_entries(dataset_id: str, *conditions: ColumnElement[bool]) -> Select[Any]:
    """Rows of a dataset as `entry_of` reads them."""
    return select(*COLUMNS).where(_e.dataset_id == dataset_id, *conditions)


def at_version(version: int) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Conditions: the row was in the manifest at that version."""
    return _e.since_version <= version, _e.until_version.is_(None) | (_e.until_version > version)


def key_bytes(s3_key: str) -> bytes:
    """The key as the database has it.

    Raises:
        UsageError: It cannot be a key: empty, too long, or not Unicode text.
    """
    try:
        key = s3_key.encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            f"`{display_key(s3_key)}` is no key: it is not Unicode text", key=display_key(s3_key)
        ) from error
    if not 0 < len(key) <= KEY_BYTES_MAX:
        raise UsageError(
            f"`{display_key(s3_key[:80])}` is no key: it has {len(key)} bytes, 1 to 1024 are legal"
        )
    return key


def row_of(record: UploadRecord) -> dict[str, Any]:
    """The columns of a record, without dataset and versions; `rest` only if there is any.

    Raises:
        UsageError: A value that no database can hold.
    """
    row: dict[str, Any] = {"s3_key": key_bytes(record.s3_key)}
    rest: dict[str, Any] = {}
    for name in _TEXTS:
        value = getattr(record, name)
        if value is not None and not _is_plain(value):
            rest[name] = value
            value = "" if name in _REQUIRED_TEXTS else None
        row[name] = value
    for name in _NUMBERS:
        row[name] = value = getattr(record, name)
        if value is not None and not abs(value) <= _INT_MAX:
            raise UsageError(f"{name} of `{display_key(record.s3_key)}` is out of range: {value}")
    if not 0 <= record.size_bytes <= _SIZE_BYTES_MAX:
        raise UsageError(f"`{display_key(record.s3_key)}` cannot have {record.size_bytes} bytes")
    row["uploaded_at"] = format_utc(record.uploaded_at)
    rest |= _rest_of(record)
    if rest:
        row["rest"] = _checked(rest, record.s3_key)
    return row


def entry_of(row: Row[Any]) -> Entry:
    """The entry of a row of `select_entries`."""
    values: tuple[Any, ...] = tuple(row)
    key, since, _until, size, etag, version_id, md5, sha256, crc, part = values[:10]
    token, at, by, source, mtime, rest = values[10:]
    given: Mapping[str, Any] = rest or {}
    record = UploadRecord(
        s3_key=bytes(key).decode(),
        size_bytes=size,
        etag=etag,
        version_id=version_id,
        md5=md5,
        sha256=sha256,
        crc64nvme=crc,
        part_size_bytes=part,
        token=token,
        uploaded_at=parse_utc(at),
        verified_by=by,
        source=source,
        source_raw=None,
        source_sha256=sha256,
        source_size_bytes=size if sha256 is not None else None,
        source_mtime_ns=mtime,
    )
    return Entry(_with_rest(record, given) if given else record, since)


def _is_plain(text: str) -> bool:
    """Whether every database's text can hold it: no NUL, no lone surrogates."""
    if text.isascii():
        return "\0" not in text
    return "\0" not in text and not any("\ud800" <= char <= "\udfff" for char in text)


def _rest_of(record: UploadRecord) -> dict[str, Any]:
    """What few records have. A source that is the object's own bytes takes no room."""
    rest = {name: value for name in _REST if (value := getattr(record, name)) is not None}
    if record.source_sha256 != record.sha256:
        rest["source_sha256"] = record.source_sha256
    usual = record.size_bytes if record.sha256 is not None else None
    if record.source_size_bytes != usual:
        rest["source_size_bytes"] = record.source_size_bytes
    if record.columns:
        rest["columns"] = [dict(one) for one in record.columns]
    if record.extra:
        rest["extra"] = dict(record.extra)
    return rest


def _checked(rest: dict[str, Any], key: str) -> dict[str, Any]:
    try:
        json.dumps(rest, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"the record of `{display_key(key)}` is no JSON: {error}") from error
    return rest


def _with_rest(record: UploadRecord, rest: Mapping[str, Any]) -> UploadRecord:
    values = dict(rest)
    if "columns" in values:
        values["columns"] = tuple(values["columns"])
    if "sha256" in values:  # the column could not hold it: the source's defaults follow the value
        values.setdefault("source_sha256", values["sha256"])
        values.setdefault("source_size_bytes", record.size_bytes)
    return replace(record, **values)
