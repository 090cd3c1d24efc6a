"""Types as Arrow writes them, read from a user's schema."""

from __future__ import annotations

import re

import pyarrow as pa

from stocktake.errors import InvalidSettingError

_PLAIN = {
    str(one): one
    for one in (
        pa.int8(),
        pa.int16(),
        pa.int32(),
        pa.int64(),
        pa.uint8(),
        pa.uint16(),
        pa.uint32(),
        pa.uint64(),
        pa.float32(),
        pa.float64(),
        pa.bool_(),
        pa.string(),
        pa.date32(),
        pa.timestamp("ms"),
        pa.timestamp("us"),
        pa.timestamp("ns"),
        pa.time64("us"),
        pa.time64("ns"),
    )
} | {"float32": pa.float32(), "float64": pa.float64(), "date32": pa.date32(), "date": pa.date32()}
_DECIMAL = re.compile(r"decimal(?:128)?\((\d{1,2}), ?(\d{1,2})\)")
_ZONED = re.compile(r"timestamp\[(ms|us|ns), ?tz=([A-Za-z0-9_/+:-]{1,40})\]")


def arrow_type(text: str) -> pa.DataType:
    """`int64`, `decimal128(10, 2)`, `timestamp[us, tz=UTC]`, ...

    Raises:
        InvalidSettingError: No such type, or none that a table's column can have.
    """
    if text in _PLAIN:
        return _PLAIN[text]
    found = _DECIMAL.fullmatch(text)
    if found and 1 <= int(found[1]) <= 38 and int(found[2]) <= int(found[1]):
        return pa.decimal128(int(found[1]), int(found[2]))
    found = _ZONED.fullmatch(text)
    if found:
        return pa.timestamp(found[1], found[2])
    raise InvalidSettingError(
        f"type {text!r} is not known",
        hint="for example int64, double, string, bool, decimal128(10, 2), timestamp[us, tz=UTC]",
    )
