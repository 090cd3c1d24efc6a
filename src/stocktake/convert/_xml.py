"""XML to Parquet: the two passes. A record is what is repeated, a column what is in a record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

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
from stocktake.convert._xml_columns import XmlColumn
from stocktake.convert._xml_document import (
    Names,
    XmlRecords,
    XmlText,
    find_records,
    local_name,
    xml_library,
)
from stocktake.convert._xml_shape import XmlShape
from stocktake.errors import BadDocumentError, ConvertLimitError

_VALUE = "value"
_BATCH_BYTES = 1 << 20
_CELLS_MAX = 1_000_000


def plan(
    stream: ByteStream, kind: TableKind, options: ConvertOptions, *, name: str
) -> ConversionPlan:
    """Pass 1 over an XML document; see `plan_conversion`."""
    types = asked_types(options)
    etree = xml_library()
    text = XmlText(stream)
    head = text.head()
    if not head:
        return ConversionPlan(kind, "", 0, None, (), {}, (), 0)
    found = find_records(etree, head)
    path = _path(options.records_path, found)
    names = Names()
    records = XmlRecords(text, path, options, names)
    root, rows = _survey(records, text, options, names)
    if not rows:
        return _without_records(kind, name, options)
    if records.beside.left_out_bytes and options.records_path is None:
        raise BadDocumentError(
            f"too much stands beside the records ({'/'.join(map(local_name, path))})",
            hint="name the records: --records-path, parts by /, without the root",
        )
    is_value = root.xml_because is not None or not root.members
    found_schema, decisions = _columns(root, is_value=is_value)
    read = [_read_field(one, types) for one in found_schema]
    schema, decisions = as_asked(found_schema, decisions, types)
    metadata: dict[str, Any] = {"records_path": "/".join(map(local_name, path))}
    if names.prefixes:
        metadata["namespaces"] = dict(names.prefixes)
    if records.beside.members:
        metadata["beside"] = records.beside.members
    warnings: tuple[str, ...] = ()
    if records.beside.left_out_bytes:
        warnings = (f"{records.beside.left_out_bytes:,} bytes beside the records are left out",)
    details = {
        SCHEMA: schema_to_text(schema),
        "read": schema_to_text(pa.schema(read)),
        "metadata": metadata,
        "path": list(path),
        "namespaces": dict(names.prefixes),
        "is_value": is_value,
    }
    bound = _bound_bytes(text.read_bytes, root.leaves(), schema)
    return ConversionPlan(kind, "", 0, rows, decisions, details, warnings, bound)


def _path(asked: str | None, found: tuple[str, ...]) -> tuple[str, ...]:
    if asked is None:
        return found
    return tuple(part.rpartition(":")[2] for part in asked.split("/") if part)


def _survey(
    records: XmlRecords, text: XmlText, options: ConvertOptions, names: Names
) -> tuple[XmlShape, int]:
    root, rows, settled_bytes = XmlShape(), 0, 0
    for record in records:
        rows += 1
        root.observe(record, rows, names, options.depth_max)
        if text.read_bytes - settled_bytes > _BATCH_BYTES:
            settled_bytes = text.read_bytes
            _settle(root, options)
    _settle(root, options)
    return root, rows


def _settle(root: XmlShape, options: ConvertOptions) -> None:
    root.settle()
    if root.leaves() > options.columns_max:
        raise ConvertLimitError(f"more than {options.columns_max:,} columns")


def _without_records(kind: TableKind, name: str, options: ConvertOptions) -> ConversionPlan:
    if options.records_path is not None:
        raise BadDocumentError(f"there is no {options.records_path!r} below its root")
    return ConversionPlan(kind, "", 0, None, (), {}, (f"{name} has no records",), 0)


def _columns(root: XmlShape, *, is_value: bool) -> tuple[pa.Schema, tuple[ColumnDecision, ...]]:
    found = {_VALUE: root.to_field(_VALUE)} if is_value else root.fields()
    decisions = [ColumnDecision(name, None, str(f.type), why) for name, (f, why) in found.items()]
    return pa.schema([one for one, _ in found.values()]), tuple(decisions)


def _read_field(one: pa.Field, types: Mapping[str, pa.DataType]) -> pa.Field:
    """What pass 2 makes first of a column: texts, if they are to have a type that was asked for."""
    if one.name not in types or pa.types.is_nested(one.type):
        return one
    return pa.field(one.name, pa.string(), metadata=one.metadata)


def _bound_bytes(source_bytes: int, leaves: int, schema: pa.Schema) -> int:
    groups = 1 + source_bytes // (4 << 20)
    return 10 * source_bytes + len(schema.serialize()) * 4 + groups * leaves * 1024 + 131_072


def write(
    plan: ConversionPlan, stream: ByteStream, out: ParquetOut, options: ConvertOptions
) -> tuple[Mapping[str, Any], ...]:
    """Pass 2; see `write_parquet`. No row is ever rejected."""
    schema = schema_from_text(plan.details["read"])
    names = Names(dict(plan.details["namespaces"]))
    text = XmlText(stream)
    records = XmlRecords(text, tuple(plan.details["path"]), options, names)
    is_value = bool(plan.details["is_value"])
    record_field = schema.field(0) if is_value else pa.field("record", pa.struct(list(schema)))
    column = XmlColumn(record_field, names)
    rows_max = max(1, _CELLS_MAX // len(schema))

    def batch() -> pa.RecordBatch:
        values = column.take()
        arrays = [values] if is_value else values.flatten()
        return pa.RecordBatch.from_arrays(arrays, schema=schema)

    def batches() -> Iterator[pa.RecordBatch]:
        rows, taken_bytes = 0, 0
        for record in records:
            column.append([record])
            rows += 1
            if rows >= rows_max or text.read_bytes - taken_bytes > _BATCH_BYTES:
                rows, taken_bytes = 0, text.read_bytes
                yield batch()
        yield batch()

    for one in with_types(as_planned(batches()), schema_of(plan)):
        out.write(one)
    return ()
