"""From typed values back to the texts they came from: what makes a type lossless.

A field whose type does not say how its values were written says it in its metadata, under
`stocktake.format`: `YYYY-MM-DDTHH:MM:SS.fff+02:00`, `True/False`, `1` (whole doubles without `.0`).
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

FORMAT = b"stocktake.format"
"""Key in a field's metadata."""

_SECOND_AT, _FRACTION_AT = 17, 20
_TIME_FRACTION_AT = 9
_SECOND_NS = 1_000_000_000


def float_text(value: float, *, dotted: bool) -> str:
    """The shortest digits that give this number again, never with an exponent."""
    if math.isinf(value) or math.isnan(value):
        return str(value)
    return np.format_float_positional(value, unique=True, trim="0" if dotted else "-")


def field_with_format(name: str, arrow_type: pa.DataType, text_format: str | None) -> pa.Field:
    """A field that remembers how its values were written."""
    metadata = {FORMAT: text_format} if text_format else None
    return pa.field(name, arrow_type, metadata=metadata)


def to_typed(texts: pa.StringArray, arrow_type: pa.DataType) -> pa.Array:
    """Texts of a column as the type that was decided for it.

    Raises:
        pa.ArrowInvalid: It was not decided for these texts.
    """
    if pa.types.is_boolean(arrow_type):
        return pc.equal(pc.utf8_lower(texts), "true")
    if pa.types.is_time64(arrow_type):  # Arrow has no such cast
        stamps = pc.binary_join_element_wise("1970-01-01", texts, " ")
        return pc.cast(pc.cast(stamps, pa.timestamp(arrow_type.unit)), arrow_type)
    return pc.cast(texts, arrow_type)


def to_text(values: pa.Array | pa.ChunkedArray, field: pa.Field) -> pa.Array | pa.ChunkedArray:
    """The texts that a column's values were made of; nulls stay nulls. Not fast."""
    kind = field.type
    if pa.types.is_string(kind):
        return values
    text_format = (field.metadata or {}).get(FORMAT, b"").decode()
    if pa.types.is_integer(kind) or pa.types.is_date32(kind):
        return pc.cast(values, pa.string())
    if pa.types.is_decimal(kind):
        return _each(values, lambda value: format(value, "f"))
    if pa.types.is_boolean(kind):
        yes, no = (text_format or "true/false").split("/")
        return pc.if_else(values, yes, no)
    if pa.types.is_floating(kind):
        if text_format == "1e-05":
            return _each(values, repr)
        dotted = text_format != "1"
        return _each(values, lambda value: float_text(value, dotted=dotted))
    if pa.types.is_timestamp(kind):
        return _each(pc.cast(values, pa.int64()), _timestamp_writer(kind, text_format))
    if pa.types.is_time64(kind):
        return _each(pc.cast(values, pa.int64()), _time_writer(kind, text_format))
    return pc.cast(values, pa.string())


def _each(values: pa.Array | pa.ChunkedArray, write: Callable[[Any], str]) -> pa.Array:
    texts = [None if value is None else write(value) for value in values.to_pylist()]
    return pa.array(texts, pa.string())


def _timestamp_writer(kind: pa.TimestampType, text_format: str) -> Callable[[int], str]:
    per_second = _SECOND_NS if kind.unit == "ns" else 1_000_000
    seconds = len(text_format) > _SECOND_AT - 1 and text_format[16] == ":"
    digits = text_format.count("f")
    zone = text_format[_FRACTION_AT + digits if digits else (19 if seconds else 16) :]
    shift = _offset(zone)

    def write(value: int) -> str:
        whole, fraction = divmod(value, per_second)
        moment = dt.datetime(1970, 1, 1) + dt.timedelta(seconds=whole + shift)  # noqa: DTZ001
        text = moment.isoformat(text_format[10], "seconds" if seconds else "minutes")
        return text + _fraction(fraction, per_second, digits) + zone

    return write


def _offset(zone: str) -> int:
    if not zone or zone == "Z":
        return 0
    seconds = int(zone[1:3]) * 3600 + int(zone[4:6]) * 60
    return -seconds if zone[0] == "-" else seconds


def _time_writer(kind: pa.Time64Type, text_format: str) -> Callable[[int], str]:
    per_second = _SECOND_NS if kind.unit == "ns" else 1_000_000
    digits = text_format.count("f")

    def write(value: int) -> str:
        whole, fraction = divmod(value, per_second)
        clock = f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"
        return clock + _fraction(fraction, per_second, digits)

    return write


def _fraction(fraction: int, per_second: int, digits: int) -> str:
    if not digits:
        return ""
    return "." + str(fraction * (_SECOND_NS // per_second)).rjust(9, "0")[:digits]
