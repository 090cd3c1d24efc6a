"""Turns columns of any type that an ORC or Parquet report may have into the object record's types.

Each function takes one column of a batch and gives one of the same length. A value that cannot be
turned becomes None: unknown, never 0.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote_from_bytes

import pyarrow as pa
import pyarrow.compute as pc

from stocktake.clock import parse_utc

_MS = pa.timestamp("ms")
_INT64_MAX = (1 << 63) - 1
_DIGITS = re.compile(r"-?\d{1,19}")
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}
_SECONDS_MAX = 10**11
_MS_MAX = 10**14
_US_MAX = 10**17


def plain(column: pa.Array) -> pa.Array:
    """The column without dictionary, view or large offsets."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return plain(column.dictionary_decode())
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return column.cast(pa.string())
    if pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return column.cast(pa.binary())
    if pa.types.is_fixed_size_binary(kind):
        return column.cast(pa.binary())
    return column


def to_text(column: pa.Array) -> pa.Array:
    """Text as CSV reports write it: `true`, `2024-05-06T22:38:00.000Z`; nothing for ''.

    Bytes that are not UTF-8 are percent-encoded; nested values are JSON.
    """
    column = plain(column)
    kind = column.type
    if pa.types.is_null(kind):
        return pa.nulls(len(column), pa.string())
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        text, _ = decode_utf8(column)
    elif pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        text = pc.strftime(_naive_ms(column), format="%Y-%m-%dT%H:%M:%SZ")
    elif pa.types.is_nested(kind):
        values = column.to_pylist()
        text = pa.array([_json(value) for value in values], pa.string())
    else:
        text = _cast_to_text(column)
    return _without_empty(text)


def decode_utf8(column: pa.Array) -> tuple[pa.Array, list[int]]:
    """Text of a string or binary column, and the positions that are not UTF-8.

    Those are given percent-encoded, as a CSV report would write them. Parquet readers do not check
    what they hand out as strings, so strings are checked too.
    """
    text = column.cast(pa.string(), safe=False) if pa.types.is_binary(column.type) else column
    try:
        text.validate(full=True)
    except pa.ArrowInvalid:
        return _decode_slowly(column.cast(pa.binary()))
    return text, []


def to_key(column: pa.Array) -> tuple[pa.Array, list[int]]:
    """Keys as text, null where there is none, and the positions that are not UTF-8."""
    column = plain(column)
    if pa.types.is_string(column.type) or pa.types.is_binary(column.type):
        text, undecodable = decode_utf8(column)
        return _without_empty(text), undecodable
    return to_text(column), []


def to_size(column: pa.Array) -> pa.Array:
    """Bytes as int64. Text, decimals and whole floats are understood, anything else is None."""
    column = plain(column)
    if pa.types.is_signed_integer(column.type):
        return column.cast(pa.int64())
    if not _is_simple(column.type):
        return pa.nulls(len(column), pa.int64())
    return pa.array([_size(value) for value in column.to_pylist()], pa.int64())


def to_boolean(column: pa.Array) -> pa.Array:
    """Booleans, also from `TRUE`, `false`, 1 and 0."""
    column = plain(column)
    if pa.types.is_boolean(column.type):
        return column
    if not _is_simple(column.type):
        return pa.nulls(len(column), pa.bool_())
    values = [_BOOLEANS.get(_loose(value)) for value in column.to_pylist()]
    return pa.array(values, pa.bool_())


def to_instant(column: pa.Array) -> pa.Array:
    """Naive UTC milliseconds. A timestamp without a zone is UTC (ORC has none), text is ISO 8601.

    Plain integers are epochs; their size tells seconds, milli-, micro- and nanoseconds apart.
    """
    column = plain(column)
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return _naive_ms(column)
    if not _is_simple(kind):
        return pa.nulls(len(column), _MS)
    return pa.array([_epoch_ms(value) for value in column.to_pylist()], pa.int64()).view(_MS)


def _is_simple(kind: pa.DataType) -> bool:
    """True for numbers and text, whose values can be read one by one."""
    types = pa.types
    return bool(
        types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_decimal(kind)
        or types.is_string(kind)
        or types.is_binary(kind)
    )


def _cast_to_text(column: pa.Array) -> pa.Array:
    try:
        return column.cast(pa.string())
    except pa.ArrowNotImplementedError:
        values = column.to_pylist()
        return pa.array([None if value is None else str(value) for value in values], pa.string())


def _without_empty(text: pa.Array) -> pa.Array:
    empty = pc.equal(text, "")
    if not pc.any(empty).as_py():
        return text
    return pc.if_else(empty, pa.scalar(None, pa.string()), text)


def _decode_slowly(column: pa.Array) -> tuple[pa.Array, list[int]]:
    texts: list[str | None] = []
    undecodable = []
    for position, value in enumerate(column.to_pylist()):
        try:
            texts.append(None if value is None else value.decode())
        except UnicodeDecodeError:
            texts.append(quote_from_bytes(value))
            undecodable.append(position)
    return pa.array(texts, pa.string()), undecodable


def _naive_ms(column: pa.Array) -> pa.Array:
    # a zoned Arrow timestamp holds UTC; the cast drops the zone's name and what is below 1 ms
    return column.cast(_MS, safe=False)


def _json(value: Any) -> str | None:
    return None if value is None else json.dumps(value, default=str, ensure_ascii=False)


def _loose(value: Any) -> str:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return str(value).strip().lower()


def _size(value: Any) -> int | None:
    if isinstance(value, str | bytes):
        text = _loose(value)
        value = int(text) if _DIGITS.fullmatch(text) else None
    try:
        size_bytes = None if value is None else int(value)
    except (ValueError, OverflowError, ArithmeticError):
        return None
    if size_bytes is None or size_bytes != value or not -_INT64_MAX <= size_bytes <= _INT64_MAX:
        return None
    return size_bytes


def _epoch_ms(value: Any) -> int | None:
    if isinstance(value, str | bytes):
        try:
            return round(parse_utc(_loose(value).upper()).timestamp() * 1000)
        except (ValueError, OverflowError):
            return None
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    distance = abs(value)
    if distance < _SECONDS_MAX:
        return value * 1000
    if distance < _MS_MAX:
        return value
    return value // 1000 if distance < _US_MAX else value // 1_000_000
