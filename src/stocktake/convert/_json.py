"""JSON and JSON lines to Parquet: the two passes.

Pass 1 looks at every value and decides on types; blocks that fit what is known already are checked
by pyarrow, all others value by value. Pass 2 reads the same blocks again with the final types.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import pyarrow as pa

from stocktake.convert._csv_names import column_names
from stocktake.convert._json_blocks import Block
from stocktake.convert._json_forms import Beside, Form, OtherFormError, blocks, first_form
from stocktake.convert._json_parse import (
    CELLS_MAX,
    batch_of,
    is_fast,
    leaves,
    parse_fast,
    values_again,
    values_of,
)
from stocktake.convert._json_shape import Shape
from stocktake.convert._json_text import JsonText
from stocktake.convert._parquet_out import ParquetOut
from stocktake.convert._plan import (
    ByteStream,
    ColumnDecision,
    ConversionPlan,
    ConvertOptions,
    TableKind,
)
from stocktake.convert._plan_json import SCHEMA, schema_from_text, schema_of, schema_to_text
from stocktake.convert._records_again import as_asked, as_planned, asked_types, with_types
from stocktake.errors import ConvertLimitError

_COLUMNS_SURE = 1_000
_CELLS_PER_BYTE_MAX = 20
VALUE = "value"
"""Name of the one column of records that are not objects of one shape."""


class _Survey:
    """Pass 1: the shape of all records so far."""

    def __init__(self, options: ConvertOptions) -> None:
        self._options = options
        self.root = Shape(options.depth_max, options.columns_max)
        self.rows = 0
        self._fast: pa.Schema | None = None

    def take(self, block: Block) -> None:
        """Look at every value of the block."""
        if self._fast is not None and self._confirms(block, self._fast):
            return
        for row, value in values_of(block):
            self.root.observe(value, row)
            self.rows = row
        self._fast = None
        if not self.is_value:
            schema = pa.schema([s.to_field(name) for name, s in self.root.fields.items()])
            self._fast = schema if is_fast(schema) else None

    def _confirms(self, block: Block, schema: pa.Schema) -> bool:
        batch = parse_fast(block, schema)
        if batch is None:
            return False
        shapes = list(zip(self.root.fields.values(), batch.columns, strict=True))
        if not all(shape.fits(values) for shape, values in shapes):
            return False
        for shape, values in shapes:
            shape.absorb(values)
        self.rows = block.row + batch.num_rows
        return True

    @property
    def is_value(self) -> bool:
        """True if the records are one column, not one column per member."""
        root = self.root
        return (
            root.kinds() != {"object"}
            or root.text_because is not None
            or not root.fields
            or root.leaves() > self._options.columns_max
        )

    def fold_if_sparse(self, source_bytes: int) -> None:
        """Make the records one column if nearly all cells of their table would be empty."""
        columns = self.root.leaves()
        if columns > _COLUMNS_SURE and columns * self.rows > _CELLS_PER_BYTE_MAX * source_bytes:
            self.root.collapse(f"{columns:,} columns, of which a row has hardly any")

    def columns(self) -> tuple[pa.Schema, tuple[ColumnDecision, ...], list[str]]:
        """The schema, the decisions, and the members' names in the source."""
        if self.is_value:
            if self.root.leaves() > self._options.columns_max:
                self.root.collapse(f"more than {self._options.columns_max:,} columns")
            shapes, sources = [self.root], [VALUE]
        else:
            shapes, sources = list(self.root.fields.values()), list(self.root.fields)
        names = column_names(sources)
        fields = [shape.to_field(name) for shape, name in zip(shapes, names, strict=True)]
        decisions = []
        for shape, one, source in zip(shapes, fields, sources, strict=True):
            kind, why = shape.type_and_reason()
            decisions.append(
                ColumnDecision(
                    name=one.name,
                    source_name=None if source == one.name else source,
                    type=str(one.type) if kind is not None else "string (JSON text)",
                    why=why,
                )
            )
        return pa.schema(fields), tuple(decisions), sources


def plan(
    stream: ByteStream, kind: TableKind, options: ConvertOptions, *, name: str
) -> ConversionPlan:
    """Pass 1 over a JSON document or JSON lines; see `plan_conversion`."""
    types = asked_types(options)
    text = JsonText(stream, options)
    form = first_form(text, kind, options)
    if form is None:
        return ConversionPlan(kind, "", 0, None, (), {}, (), 0)
    survey, beside, form = _surveyed(text, form, options)
    if not survey.rows:
        return ConversionPlan(kind, "", 0, None, (), {}, (f"{name} has no records",), 0)
    survey.fold_if_sparse(text.read_bytes)
    found, decisions, sources = survey.columns()
    read = [one.with_name(source) for one, source in zip(found, sources, strict=True)]
    schema, decisions = as_asked(found, decisions, types)
    form = Form(form.name, beside.path or form.path)
    metadata: dict[str, Any] = {"form": form.name}
    if form.path is not None:
        metadata["records_path"] = "/".join(form.path)
    if beside.members:
        metadata["beside"] = beside.members
    warnings = tuple(
        f"{path}: {length:,} bytes beside the records are left out"
        for path, length in beside.left_out.items()
    )
    details = {
        SCHEMA: schema_to_text(schema),
        "metadata": metadata,
        "form": form.name,
        "path": form.path,
        "is_value": survey.is_value,
        "read": schema_to_text(pa.schema(read)),
    }
    bound = _bound_bytes(text.read_bytes, schema)
    return ConversionPlan(kind, "", 0, survey.rows, decisions, details, warnings, bound)


def _bound_bytes(source_bytes: int, schema: pa.Schema) -> int:
    """More than the Parquet file can have: `1,` becomes eight bytes and a level."""
    groups = 1 + source_bytes // (4 << 20)
    return 10 * source_bytes + len(schema.serialize()) * 4 + groups * leaves(schema) * 1024 + 65_536


def _surveyed(text: JsonText, form: Form, options: ConvertOptions) -> tuple[_Survey, Beside, Form]:
    while True:
        survey, beside = _Survey(options), Beside()
        try:
            for block in blocks(text, form, options, beside):
                survey.take(block)
        except OtherFormError as other:
            if not text.rewind():
                raise ConvertLimitError(
                    f"it is one object of more than {options.field_bytes_max:,} bytes: {other.why}",
                    hint="name where the records are: --records-path",
                ) from None
            form = other.form
        else:
            return survey, beside, form


def write(
    plan: ConversionPlan, stream: ByteStream, out: ParquetOut, options: ConvertOptions
) -> tuple[Mapping[str, Any], ...]:
    """Pass 2; see `write_parquet`. No row is ever rejected."""
    details = plan.details
    path = details["path"]
    form = Form(details["form"], None if path is None else tuple(path))
    read = schema_from_text(details["read"])
    is_value = bool(details["is_value"])

    def batches() -> Iterator[pa.RecordBatch]:
        text = JsonText(stream, options)
        text.next_byte()
        for block in blocks(text, form, options, Beside()):
            yield from _batches(block, read, is_value=is_value)

    for batch in with_types(as_planned(batches()), schema_of(plan)):
        out.write(batch)
    return ()


def _batches(block: Block, schema: pa.Schema, *, is_value: bool) -> Iterator[pa.RecordBatch]:
    if not is_value and is_fast(schema):
        batch = parse_fast(block, schema)
        if batch is not None:
            yield batch
            return
    rows = max(1, CELLS_MAX // 4 // leaves(schema))
    values = values_again(block)
    while some := list(islice(values, rows)):
        yield batch_of(some, schema, is_value=is_value)
