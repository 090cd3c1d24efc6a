"""ORC and Parquet parts: AWS's column names and types, keys as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.orc as orc
import pyarrow.parquet as pq

from stocktake.errors import ReportWriteError
from stocktake.inventory._write_columns import ReportColumn

# a row group is gathered in memory; 64 MB is half of what AWS parts have
_GROUP_BYTES = 64 * 1024 * 1024
_STRIPE_BYTES = 16 * 1024 * 1024
_MANY_VALUES = frozenset({"key", "version_id", "etag", "extra_object_access_control_list"})


class ParquetPart:
    """Encodes object-record batches into one Parquet part: snappy, row groups of about 64 MB."""

    def __init__(self, sink: Any, columns: Sequence[ReportColumn], bucket: str) -> None:
        self._columns = columns
        self._bucket = bucket
        self._schema = pa.schema(
            [
                pa.field(column.snake_name, column.type, nullable=not column.required)
                for column in columns
            ]
        )
        self._held: list[pa.RecordBatch] = []
        self._held_bytes = 0
        repeated = [column.snake_name for column in columns if _repeats(column)]
        self._writer = pq.ParquetWriter(
            sink,
            self._schema,
            version="1.0",
            compression="snappy",
            use_dictionary=repeated,
            write_statistics=True,
            store_schema=False,
        )

    def write(self, batch: pa.RecordBatch) -> None:
        """Append the rows, in their order."""
        rows = columnar_rows(batch, self._columns, self._bucket, self._schema)
        self._held.append(rows)
        self._held_bytes += rows.nbytes
        if self._held_bytes >= _GROUP_BYTES:
            self._flush()

    def finish(self) -> None:
        """Write the last row group and the footer."""
        if self._held:
            self._flush()
        self._writer.close()

    def abandon(self) -> None:
        """Free the encoder; its sink takes the rest and forgets it."""
        self._writer.close()

    def _flush(self) -> None:
        table = pa.Table.from_batches(self._held, self._schema)
        self._held, self._held_bytes = [], 0
        self._writer.write_table(table, row_group_size=max(table.num_rows, 1))


class OrcPart:
    """Encodes object-record batches into one ORC part: zlib, naive UTC timestamps."""

    def __init__(self, sink: Any, columns: Sequence[ReportColumn], bucket: str) -> None:
        self._columns = columns
        self._bucket = bucket
        self._schema = pa.schema(
            [pa.field(column.snake_name, _orc_type(column.type)) for column in columns]
        )
        self._writer = orc.ORCWriter(
            sink, file_version="0.12", compression="zlib", stripe_size=_STRIPE_BYTES
        )
        # the schema reaches the file with the first table, so that no rows is a legal part too
        self._writer.write(self._schema.empty_table())

    def write(self, batch: pa.RecordBatch) -> None:
        """Append the rows, in their order."""
        rows = columnar_rows(batch, self._columns, self._bucket, self._schema)
        self._writer.write(pa.Table.from_batches([rows], self._schema))

    def finish(self) -> None:
        """Write the last stripe and the footer."""
        self._writer.close()

    def abandon(self) -> None:
        """Free the encoder; its sink takes the rest and forgets it."""
        self._writer.close()


def columnar_rows(
    batch: pa.RecordBatch, columns: Sequence[ReportColumn], bucket: str, schema: pa.Schema
) -> pa.RecordBatch:
    """The batch with the report's columns, names and types; the null version is a null."""
    arrays = [
        _column_values(batch, column, bucket, field.type)
        for column, field in zip(columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _column_values(
    batch: pa.RecordBatch, column: ReportColumn, bucket: str, wanted: pa.DataType
) -> pa.Array:
    if column.name == "bucket":
        return pa.repeat(pa.scalar(bucket, pa.string()), batch.num_rows)
    values = batch.column(column.name)
    if column.name == "version_id":
        text = pc.cast(values, pa.string())
        return pc.if_else(pc.equal(text, "null"), pa.scalar(None, pa.string()), text)
    if column.name.startswith("extra_") and not pa.types.is_string(wanted):
        return _typed(pc.cast(values, pa.string()), column, wanted)
    if pa.types.is_timestamp(wanted) and values.type.tz is None:
        values = pc.cast(values, pa.timestamp(wanted.unit, tz=wanted.tz))
    return pc.cast(values, wanted)


def _typed(text: pa.Array, column: ReportColumn, wanted: pa.DataType) -> pa.Array:
    """An extra column, which we hold as text, in the type that AWS gives it; '' is a null."""
    filled = pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)
    try:
        if pa.types.is_timestamp(wanted):
            return pc.cast(pc.cast(filled, pa.timestamp("ms", tz="UTC")), wanted)
        return pc.cast(filled, wanted)
    except pa.ArrowInvalid as error:
        raise ReportWriteError(
            f"column `{column.csv_name}` has a value that is not a {wanted}: {error}",
            column=column.name,
        ) from error


def _orc_type(wanted: pa.DataType) -> pa.DataType:
    # AWS writes no zone in ORC; nanoseconds are what every ORC reader gives
    return pa.timestamp("ns") if pa.types.is_timestamp(wanted) else wanted


def _repeats(column: ReportColumn) -> bool:
    return pa.types.is_string(column.type) and column.name not in _MANY_VALUES
