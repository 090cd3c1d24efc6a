"""Rows out of the catalog as CSV, NDJSON or Parquet: streamed, a few batches in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from stocktake.catalog._catalog import Catalog
from stocktake.catalog._query_view import all_columns, counted_rows
from stocktake.catalog._ranges import files_in_range, intersect, plan_ranges, prefix_range
from stocktake.catalog._snapshots import Snapshot
from stocktake.catalog.engines._duckdb_connection import PARQUET
from stocktake.catalog.engines._duckdb_fragments import in_range, objects_table, table_parameters
from stocktake.catalog.engines._protocol import QueryLimits
from stocktake.clock import format_utc

_UNLIMITED = QueryLimits(rows_max=1 << 62, timeout_s=float("inf"))
_ROWS_PER_RANGE = 500_000
_PARQUET_GROUP_ROWS = 65_536
# what spreadsheets take for a formula, or strip before they look for one
_FORMULA = r"^[=+\-@\t\r\n]"


class ExportFormat(StrEnum):
    """What a row becomes."""

    CSV = "csv"
    NDJSON = "ndjson"
    PARQUET = "parquet"


def object_batches(
    catalog: Catalog, snapshot: Snapshot, prefix: str = "", *, versions: bool = False
) -> Iterator[pa.RecordBatch]:
    """The objects below a prefix in key order; columns as `list_objects`.

    Sorted range by range: memory is that of half a million rows, or the engine's limit.
    """
    manifest = snapshot.manifest
    where, parameters = counted_rows(manifest, prefix, versions=versions)
    order = "key, last_modified DESC, version_id" if versions else "key"
    rows = sum(file.rows for file in manifest.files)
    given = False
    for piece in plan_ranges(manifest.quantiles, rows, _ROWS_PER_RANGE):
        wanted = intersect(piece, prefix_range(prefix))
        if wanted is None:
            continue
        within, bounds = in_range(wanted)
        paths = [snapshot.view.paths[i] for i in files_in_range(manifest.files, wanted)]
        statement = (
            f"SELECT {all_columns(manifest)} FROM {objects_table(snapshot.view, paths)} "
            f"WHERE {within} AND {where} ORDER BY {order}"
        )
        values = [*table_parameters(snapshot.view, paths), *bounds, *parameters]
        reader = catalog.engine.query(statement, values, _UNLIMITED)
        yield from reader if given else _at_least_one(reader)
        given = True


def _at_least_one(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """The batches, or an empty one: whoever writes them needs the columns."""
    given = False
    for batch in reader:
        yield batch
        given = True
    if not given:
        yield pa.RecordBatch.from_pylist([], reader.schema)


def folder_batches(
    catalog: Catalog, snapshot: Snapshot, prefix: str = ""
) -> Iterator[pa.RecordBatch]:
    """The folders whose path starts with a prefix, in path order, as the folder file has them."""
    low, high = prefix_range(prefix)
    statement = (
        f"SELECT * FROM {PARQUET} WHERE folder >= ? AND (? IS NULL OR folder < ?) ORDER BY folder"
    )
    parameters = [[snapshot.view.folders_path], low or "", high, high]
    yield from _at_least_one(catalog.engine.query(statement, parameters, _UNLIMITED))


def write_rows(
    batches: Iterable[pa.RecordBatch],
    sink: BinaryIO,
    export_format: ExportFormat,
    *,
    spreadsheet_safe: bool = False,
) -> int:
    """Write batches of one schema to a sink; returns the number of rows.

    Args:
        batches: At least one, even if it is empty, or nothing is written (Parquet and CSV need to
            know the columns).
        sink: Stays open.
        export_format: CSV (RFC 4180, every text quoted, unknown values empty, structs as
            `column.field`), NDJSON (one object per line, UTF-8, unknown values null) or Parquet.
        spreadsheet_safe: In CSV put a `'` before texts that spreadsheets would run as a formula.
            The file is then no longer exact.
    """
    if export_format is ExportFormat.NDJSON:
        return _write_lines(batches, sink)
    if export_format is ExportFormat.PARQUET:
        return _write_parquet(batches, sink)
    return _write_csv(batches, sink, _defused if spreadsheet_safe else None)


def _write_csv(
    batches: Iterable[pa.RecordBatch],
    sink: BinaryIO,
    change: Callable[[pa.Table], pa.Table] | None,
) -> int:
    writer: pa_csv.CSVWriter | None = None
    rows = 0
    try:
        for batch in batches:
            table = _as_text(_flat(pa.Table.from_batches([batch])))
            table = change(table) if change else table
            if writer is None:
                writer = pa_csv.CSVWriter(sink, table.schema)
            writer.write_table(table)
            rows += table.num_rows
    finally:
        if writer is not None:
            writer.close()
    return rows


def _write_parquet(batches: Iterable[pa.RecordBatch], sink: BinaryIO) -> int:
    writer: pq.ParquetWriter | None = None
    pending: list[pa.RecordBatch] = []
    rows = waiting = 0
    try:
        for batch in batches:
            if writer is None:
                writer = pq.ParquetWriter(sink, batch.schema, compression="zstd")
            pending.append(batch)
            rows += batch.num_rows
            waiting += batch.num_rows
            if waiting >= _PARQUET_GROUP_ROWS:
                writer.write_table(pa.Table.from_batches(pending))
                pending, waiting = [], 0
        if writer is not None and pending:
            writer.write_table(pa.Table.from_batches(pending))
    finally:
        if writer is not None:
            writer.close()
    return rows


def _write_lines(batches: Iterable[pa.RecordBatch], sink: BinaryIO) -> int:
    rows = 0
    for batch in batches:
        lines = [
            json.dumps(row, ensure_ascii=False, default=_plain, separators=(",", ":"))
            for row in batch.to_pylist()
        ]
        if lines:
            sink.write(("\n".join(lines) + "\n").encode())
        rows += len(lines)
    return rows


def _plain(value: Any) -> Any:
    """What JSON has no word for. Times of the catalog are UTC without saying so."""
    if isinstance(value, datetime):
        return format_utc(value if value.tzinfo else value.replace(tzinfo=UTC))
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, bytes):
        return value.hex()
    return str(value)


def _flat(table: pa.Table) -> pa.Table:
    while any(pa.types.is_struct(field.type) for field in table.schema):
        table = table.flatten()
    return table


def _as_text(table: pa.Table) -> pa.Table:
    """Times as ISO 8601 with Z, to the millisecond, and what CSV cannot hold as JSON."""
    for index, field in enumerate(table.schema):
        column = table.column(index)
        if pa.types.is_timestamp(field.type):
            # the engine widens the catalog's milliseconds to microseconds
            millis = pc.cast(column, pa.timestamp("ms"), safe=False)
            column = pc.strftime(millis, format="%Y-%m-%dT%H:%M:%SZ")
        elif pa.types.is_nested(field.type):
            texts = [
                None if value is None else json.dumps(value, ensure_ascii=False, default=_plain)
                for value in column.to_pylist()
            ]
            column = pa.chunked_array([pa.array(texts, pa.string())])
        else:
            continue
        table = table.set_column(index, field.name, column)
    return table


def _defused(table: pa.Table) -> pa.Table:
    for index, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            column = table.column(index)
            risky = pc.match_substring_regex(column, _FORMULA)
            defused = pc.binary_join_element_wise("'", column, "")
            table = table.set_column(index, field.name, pc.if_else(risky, defused, column))
    return table
