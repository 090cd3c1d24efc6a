"""One record of a notification, or one EventBridge detail, as an `ObjectEvent`.

Keys: notifications encode them like HTML forms (`+` is a space, `%2B` a plus; MinIO and others also
encode `/`), Ceph sends them as they are, and so does EventBridge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from urllib.parse import unquote_to_bytes

from stocktake.clock import parse_utc
from stocktake.events._event import EventKind, ObjectEvent
from stocktake.events._names import kind_of_eventbridge, kind_of_s3
from stocktake.events._sequencer import read_sequencer
from stocktake.model import escape_key, normalise_etag

KEY_BYTES_MAX = 1024
_PLACE_BYTES_MAX = 2600  # what an index of PostgreSQL takes, with the rest of the row
_NAME_CHARS_MAX = 200
_MAJOR_VERSION = "2"
_GONE = frozenset({EventKind.DELETED, EventKind.DELETE_MARKER})


class Reason(StrEnum):
    """Why a message, or a record of it, could not be understood."""

    NOT_UTF8 = "not-utf-8"
    NOT_JSON = "not-json"
    NOT_AN_EVENT = "not-an-event"
    NESTED_TOO_DEEP = "nested-too-deep"
    TOO_MANY_RECORDS = "too-many-records"
    SUBSCRIPTION = "subscription-confirmation"
    VERSION = "event-version"
    NO_NAME = "no-event-name"
    NO_BUCKET = "no-bucket"
    NO_KEY = "no-key"
    IMPOSSIBLE_KEY = "impossible-key"
    IMPOSSIBLE_VERSION_ID = "impossible-version-id"


@dataclass(frozen=True, slots=True)
class Refusal:
    """What could not be understood.

    Attributes:
        reason: Stable, for counting.
        detail: For people: what was found, and what was expected.
    """

    reason: Reason
    detail: str

    def __str__(self) -> str:
        """Reason and detail as one text."""
        return f"{self.reason}: {self.detail}"


def is_record(value: object) -> bool:
    """True if this is a record of a notification of S3, MinIO, Ceph or the like."""
    return isinstance(value, dict) and isinstance(value.get("s3"), dict)


def read_record(record: Mapping[str, Any], envelope: str) -> ObjectEvent | Refusal | None:
    """The event that a notification's record tells of; None if nothing happened to an object."""
    version = record.get("eventVersion", _MAJOR_VERSION)
    if str(version).split(".")[0] != _MAJOR_VERSION:
        return Refusal(Reason.VERSION, f"eventVersion {version!r:.40} is not 2.x")
    name = _name(record.get("eventName"))
    if name is None:
        return Refusal(Reason.NO_NAME, "eventName is missing or no name")
    kind = kind_of_s3(name)
    if kind is None:
        return None
    found = record["s3"]
    body = found.get("object")
    if not isinstance(body, dict):
        return Refusal(Reason.NO_KEY, "s3.object is missing")
    source = record.get("eventSource")
    raw = isinstance(source, str) and source.startswith("ceph:")
    fields = _Fields(
        kind=kind,
        name=name.removeprefix("s3:"),
        key=_key(body.get("key"), form_encoded=not raw),
        version_id=body.get("versionId"),
        etag=body.get("eTag", body.get("etag")),
        occurred_at=record.get("eventTime"),
    )
    return _event(fields, found.get("bucket"), body, envelope)


def is_eventbridge(value: Mapping[str, Any]) -> bool:
    """True if this is an EventBridge event of S3."""
    return (
        value.get("source") == "aws.s3"
        and isinstance(value.get("detail-type"), str)
        and isinstance(value.get("detail"), dict)
    )


def read_eventbridge(value: Mapping[str, Any], envelope: str) -> ObjectEvent | Refusal | None:
    """The event that an EventBridge message of S3 tells of; None if nothing happened."""
    detail = value["detail"]
    name = _name(value["detail-type"])
    if name is None:
        return Refusal(Reason.NO_NAME, "detail-type is no name")
    kind = kind_of_eventbridge(name, detail.get("deletion-type"))
    if kind is None:
        return None
    body = detail.get("object")
    if not isinstance(body, dict):
        # only object events have an object; others of the same source (API calls) are not ours
        return Refusal(Reason.NOT_AN_EVENT, f"`{name}` of EventBridge names no object")
    fields = _Fields(
        kind=kind,
        name=name,
        key=_key(body.get("key"), form_encoded=False),
        version_id=body.get("version-id"),
        etag=body.get("etag"),
        occurred_at=value.get("time"),
    )
    return _event(fields, detail.get("bucket"), body, envelope)


@dataclass(frozen=True, slots=True)
class _Fields:
    """What the dialects spell differently."""

    kind: EventKind
    name: str
    key: str | Refusal
    version_id: object
    etag: object
    occurred_at: object


def _event(
    fields: _Fields, bucket: object, body: Mapping[str, Any], envelope: str
) -> ObjectEvent | Refusal:
    named = bucket.get("name") if isinstance(bucket, dict) else None
    if not isinstance(named, str) or not named.isprintable() or not 0 < len(named) <= 255:
        return Refusal(Reason.NO_BUCKET, "the bucket has no name")
    if isinstance(fields.key, Refusal):
        return fields.key
    version_id = fields.version_id or None
    if version_id is not None and not _is_version_id(version_id):
        return Refusal(Reason.IMPOSSIBLE_VERSION_ID, f"version id {version_id!r:.40}")
    place = f"{named}{escape_key(fields.key)}{version_id or ''}"
    if len(place.encode()) > _PLACE_BYTES_MAX:
        return Refusal(Reason.IMPOSSIBLE_KEY, "bucket, key and version id are too long together")
    gone = fields.kind in _GONE
    return ObjectEvent(
        kind=fields.kind,
        name=fields.name,
        bucket=named,
        key=fields.key,
        version_id=version_id if isinstance(version_id, str) else None,
        size_bytes=None if gone else _size_bytes(body.get("size")),
        etag=None if gone else _etag(fields.etag),
        sequencer=read_sequencer(body.get("sequencer")),
        occurred_at=_instant(fields.occurred_at),
        envelope=envelope,
    )


def _key(value: object, *, form_encoded: bool) -> str | Refusal:
    if not isinstance(value, str) or not value:
        return Refusal(Reason.NO_KEY, "the object has no key")
    try:
        raw = value.encode()
        if form_encoded:
            raw = unquote_to_bytes(raw.replace(b"+", b" "))
        key = raw.decode()
    except UnicodeError:
        return Refusal(Reason.IMPOSSIBLE_KEY, "the key is not UTF-8")
    if len(raw) > KEY_BYTES_MAX:
        return Refusal(Reason.IMPOSSIBLE_KEY, f"the key has {len(raw)} bytes, 1,024 are possible")
    return key


def _name(value: object) -> str | None:
    if isinstance(value, str) and value.isprintable() and 0 < len(value) <= _NAME_CHARS_MAX:
        return value
    return None


def _is_version_id(value: object) -> bool:
    return (
        isinstance(value, str)
        and value.isascii()
        and value.isprintable()
        and len(value) <= KEY_BYTES_MAX
    )


def _size_bytes(value: object) -> int | None:
    number = isinstance(value, int) and not isinstance(value, bool)
    return value if number and isinstance(value, int) and 0 <= value < 1 << 63 else None


def _etag(value: object) -> str | None:
    if not isinstance(value, str) or not value.isascii() or not value.isprintable():
        return None
    return normalise_etag(value[:KEY_BYTES_MAX])


def _instant(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        return parse_utc(value)
    except (ValueError, OverflowError):
        return None
