"""What pass 2 does to batches of JSON and XML: errors get names, columns the types asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from stocktake.convert._arrow_types import arrow_type
from stocktake.convert._plan import ColumnDecision, ConvertOptions
from stocktake.convert._typed_text import to_typed
from stocktake.errors import BadRowError, ConvertError

_UNPLANNED = (
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    RecursionError,
    pa.ArrowNotImplementedError,
)


def as_planned(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same batches.

    Raises:
        ConvertError: A value does not have the type that was decided. Who compares the checksum of
            the source then says that it changed.
    """
    while True:
        try:
            batch = next(batches, None)
        except _UNPLANNED as error:
            raise ConvertError(f"a value is not as it was planned: {str(error)[:200]}") from error
        if batch is None:
            return
        yield batch


def asked_types(options: ConvertOptions) -> dict[str, pa.DataType]:
    """The types that a user wants, by column."""
    return {name: arrow_type(text) for name, text in options.schema.items()}


def as_asked(
    schema: pa.Schema, decisions: Sequence[ColumnDecision], types: Mapping[str, pa.DataType]
) -> tuple[pa.Schema, tuple[ColumnDecision, ...]]:
    """The schema and the decisions with the types that a user wants in place of those found."""
    fields = [pa.field(one.name, types[one.name]) if one.name in types else one for one in schema]
    changed = [
        dataclasses.replace(one, type=str(types[one.name]), why="as the schema says")
        if one.name in types
        else one
        for one in decisions
    ]
    return pa.schema(fields), tuple(changed)


def with_types(batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The batches with the names and types of this schema.

    Raises:
        BadRowError: A value does not fit; with its row.
    """
    row = 0
    for batch in batches:
        columns = [
            values if values.type == field.type else _cast(values, field, row)
            for values, field in zip(batch.columns, schema, strict=True)
        ]
        row += batch.num_rows
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _cast(values: pa.Array, field: pa.Field, row: int) -> pa.Array:
    try:
        return _as_type(values, field.type)
    except _UNPLANNED:
        for place in range(len(values)):
            try:
                _as_type(values.slice(place, 1), field.type)
            except _UNPLANNED as error:
                number = row + place + 1
                raise BadRowError(
                    f"row {number}: a value of {field.name!r} is no {field.type}", row=number
                ) from error
        raise


def _as_type(values: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_string(values.type):
        return to_typed(values, kind)
    if pa.types.is_decimal(kind):  # of a few digits: Arrow asks for room for all of an int64
        return pc.cast(pc.cast(values, pa.string()), kind)
    made = pc.cast(values, kind)
    if pa.types.is_floating(kind) and pc.any(pc.not_equal(values, made.cast(values.type))).as_py():
        raise ValueError("a digit would be lost")
    return made
