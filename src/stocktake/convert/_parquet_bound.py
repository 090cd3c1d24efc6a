"""How large a Parquet file can get at most, before it is written."""

from __future__ import annotations

import pyarrow as pa

_CHUNK_BYTES = 1_000
_FOOTER_BYTES = 64 << 10
_ROW_GROUP_TEXT_BYTES = 16 << 20
_DECISION_BYTES = 1_200
_TEXT_BYTES = 5
"""Length and level of a text."""


def bound_bytes(schema: pa.Schema, rows: int, text_bytes: int) -> int:
    """A generous bound: nothing compresses, every value is as wide as its type.

    Args:
        schema: Of the file.
        rows: In the file.
        text_bytes: Of all values, written as text.
    """
    width = sum(_value_bytes(field.type) for field in schema)
    values = rows * width + text_bytes
    row_groups = 1 + values // _ROW_GROUP_TEXT_BYTES
    names = sum(len(name.encode()) for name in schema.names)
    chunks = row_groups * (len(schema) * _CHUNK_BYTES + 2 * names)
    decisions = len(schema) * _DECISION_BYTES + 4 * names
    return int(values * 1.02) + chunks + decisions + _FOOTER_BYTES


def _value_bytes(arrow_type: pa.DataType) -> int:
    try:
        return int(arrow_type.bit_width) // 8 + 1
    except ValueError:
        return _TEXT_BYTES
