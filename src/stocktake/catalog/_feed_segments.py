"""Writing the files of a feed: segments of numbered changes, and rows carried to a new base.

Row `r` (from 0) of a segment has number `first_seq + r`, so the file does not hold it: it is
written before numbers are given out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stocktake.catalog._catalog import Catalog
from stocktake.catalog._feed_times import naive, rounded_up
from stocktake.catalog._parquet import parquet_writer
from stocktake.catalog.engines._protocol import KNOWN, QueryLimits
from stocktake.model import FEED_CHANGE

FEEDS_FOLDER = "feeds"
SEGMENT: pa.Schema = pa.schema(
    [*list(FEED_CHANGE)[1:], pa.field("seen_to", pa.timestamp("ms"), nullable=False)]
)
"""FEED_CHANGE without `seq`; and when the row was written, as it was not seen later than that."""

_ROW_GROUP_ROWS = 50_000
_FILE = "read_parquet(?, hive_partitioning=false, union_by_name=false, file_row_number=true)"
_LIMITS = QueryLimits(rows_max=2**62, timeout_s=600.0)


class RowFile:
    """A Parquet file that appears when its block ends normally, and only if it has rows."""

    def __init__(self, catalog: Catalog, path: str, schema: pa.Schema) -> None:
        self._catalog = catalog
        self._path = path
        self._schema = schema
        self._stack = ExitStack()
        self._writer: pq.ParquetWriter | None = None
        self.rows = 0

    @property
    def path(self) -> str | None:
        """The file; None if it has no rows."""
        return self._path if self.rows else None

    def add(self, rows: pa.RecordBatch | pa.Table) -> None:
        """Append rows of the schema."""
        if not rows.num_rows:
            return
        if self._writer is None:
            sink = self._stack.enter_context(self._catalog.files.create(self._path))
            self._writer = self._stack.enter_context(
                parquet_writer(sink, self._schema, compression="zstd", compression_level=1)
            )
        table = pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows
        self._writer.write_table(table, row_group_size=_ROW_GROUP_ROWS)
        self.rows += rows.num_rows

    def __enter__(self) -> RowFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)


def segment_rows(
    net: pa.RecordBatch,
    *,
    origin: str,
    run_id: str,
    observed_at: datetime,
    seen_to: datetime,
    late: pa.BooleanArray,
) -> pa.RecordBatch:
    """Rows of SEGMENT from rows of NET_CHANGE whose verdict is new, modified or deleted."""
    count = net.num_rows
    values: dict[str, Any] = {
        "change": net.column("verdict"),
        "sequencer": pa.nulls(count, pa.string()),
        "observed_at": pa.repeat(pa.scalar(naive(observed_at), pa.timestamp("ms")), count),
        "origin": pa.repeat(origin, count),
        "run_id": pa.repeat(run_id, count),
        "late": late,
        "seen_to": pa.repeat(pa.scalar(rounded_up(seen_to), pa.timestamp("ms")), count),
    }
    arrays = [values.get(name) for name in SEGMENT.names]
    arrays = [
        net.column(name) if array is None else array
        for name, array in zip(SEGMENT.names, arrays, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=SEGMENT)


def carried_rows(net: pa.RecordBatch, base_seen: tuple[datetime, datetime] | None) -> pa.Table:
    """Rows of KNOWN: what was known according to rows of NET_CHANGE. Unknown keys are gone ones."""
    rows = []
    for row in net.to_pylist():
        known = {name: row[f"old_{name}"] for name in KNOWN.names[1:]}
        if known["gone"] is None:
            seen_from, seen_to = base_seen or (None, None)
            known |= {"gone": True, "seen_from": naive(seen_from), "seen_to": naive(seen_to)}
        rows.append({"key": row["key"], **known})
    return pa.Table.from_pylist(rows, KNOWN)


def batches_of(catalog: Catalog, paths: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The rows of segments, file after file in their own order."""
    for path in paths:
        statement = f"SELECT {', '.join(SEGMENT.names)} FROM {_FILE} ORDER BY file_row_number"
        values = [[catalog.files.engine_path(path)]]
        for batch in catalog.engine.query(statement, values, _LIMITS):
            yield pa.RecordBatch.from_arrays(batch.columns, schema=SEGMENT)
