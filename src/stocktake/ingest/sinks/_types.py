"""Column types as lakes know them: what widens without loss, and what has no place there."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.types as kinds

from stocktake.errors import UnreadableItemError

_WIDER: dict[pa.DataType, pa.DataType] = {
    pa.int8(): pa.int32(),
    pa.int16(): pa.int32(),
    pa.uint8(): pa.int32(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.uint64(): pa.decimal128(20, 0),
    pa.date64(): pa.date32(),
}
_DECIMAL_DIGITS_MAX = 38


def lake_type(kind: pa.DataType) -> pa.DataType:
    """The type in which Iceberg and DuckDB tables keep a column of this one.

    Times are in microseconds, instants in UTC; a value that has nanoseconds does not fit.

    Raises:
        UnreadableItemError: There is none (durations, more than 38 digits).
    """
    if kind in _WIDER:
        return _WIDER[kind]
    if kinds.is_timestamp(kind):
        return pa.timestamp("us", tz=None if kind.tz is None else "UTC")
    if kinds.is_time(kind):
        return pa.time64("us")
    if kinds.is_list(kind):
        return pa.list_(lake_type(kind.value_type))
    if kinds.is_struct(kind):
        return pa.struct([field.with_type(lake_type(field.type)) for field in kind])
    if kinds.is_map(kind):
        return pa.map_(lake_type(kind.key_type), lake_type(kind.item_type))
    if kinds.is_decimal(kind) and kind.precision <= _DECIMAL_DIGITS_MAX:
        return pa.decimal128(kind.precision, kind.scale)
    if any(is_a(kind) for is_a in _KEPT):
        return kind
    raise UnreadableItemError(f"has the type {kind}, for which tables have no place")


_KEPT = (
    kinds.is_boolean,
    kinds.is_integer,
    kinds.is_floating,
    kinds.is_date,
    kinds.is_string,
    kinds.is_large_string,
    kinds.is_binary,
    kinds.is_large_binary,
    kinds.is_fixed_size_binary,
)
