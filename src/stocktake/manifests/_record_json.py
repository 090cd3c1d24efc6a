"""An upload record as one line of JSON, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from stocktake.clock import format_utc, parse_utc
from stocktake.errors import SegmentError
from stocktake.manifests._record import UploadRecord

_NAMES = tuple(field.name for field in fields(UploadRecord))
_OTHER_TYPES = ("uploaded_at", "columns", "extra")


def record_to_json(record: UploadRecord) -> dict[str, Any]:
    """The record as JSON values; what it has not is left out."""
    values: dict[str, Any] = {}
    for name in _NAMES:
        value = getattr(record, name)
        if value is not None and name not in _OTHER_TYPES:
            values[name] = value
    values["uploaded_at"] = format_utc(record.uploaded_at)
    if record.columns:
        values["columns"] = [dict(one) for one in record.columns]
    if record.extra:
        values["extra"] = dict(record.extra)
    return values


def record_from_json(values: Mapping[str, Any]) -> UploadRecord:
    """The record of JSON values; fields that this version does not know are passed over.

    Raises:
        SegmentError: A field is missing or has another type.
    """
    known = {name: values.get(name) for name in _NAMES}
    try:
        known["uploaded_at"] = parse_utc(str(values["uploaded_at"]))
        known["columns"] = tuple(values.get("columns") or ())
        known["extra"] = dict(values.get("extra") or {})
        for name in ("s3_key", "token", "verified_by", "source"):
            known[name] = str(values[name])
        known["size_bytes"] = int(values["size_bytes"])
        for name in ("source_size_bytes", "source_mtime_ns"):
            known[name] = None if values.get(name) is None else int(values[name])
    except (KeyError, ValueError, TypeError) as error:
        raise SegmentError(f"a manifest record lacks or spoils {error}") from error
    return UploadRecord(**known)  # type: ignore[arg-type]


def record_line(record: UploadRecord) -> str:
    """One line, without its end; the same record always gives the same line."""
    return json.dumps(record_to_json(record), separators=(",", ":"), sort_keys=True)
