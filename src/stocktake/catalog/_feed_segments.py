"""The files of a feed: segments of numbered changes, and rows carried over to a new base.

Row `r` (from 0) of a segment has number `first_seq + r`, so the file does not hold it: it is
written before numbers are given out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stocktake.catalog._catalog import Catalog
from stocktake.catalog._parquet import parquet_writer
from stocktake.catalog.engines._protocol import KNOWN, QueryLimits
from stocktake.errors import CatalogCorruptError
from stocktake.model import FEED_CHANGE

FEEDS_FOLDER = "feeds"
SEGMENT: pa.Schema = pa.schema(list(FEED_CHANGE)[1:])
"""FEED_CHANGE without `seq`."""

_ROW_GROUP_ROWS = 50_000
_SEGMENT_TABLE = (
    "read_parquet(?, hive_partitioning=false, union_by_name=false, file_row_number=true)"
)


@dataclass(frozen=True, slots=True)
class Segment:
    """Numbers `first_seq..last_seq` are the rows of the file `path`."""

    first_seq: int
    last_seq: int
    path: str
    created_at: datetime


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
    late: pa.BooleanArray | None = None,
) -> pa.RecordBatch:
    """Rows of SEGMENT from rows of NET_CHANGE whose verdict is new, modified or deleted."""
    count = net.num_rows
    naive = pa.scalar(observed_at.astimezone(UTC).replace(tzinfo=None), pa.timestamp("us"))
    values: dict[str, Any] = {
        "change": net.column("verdict"),
        "sequencer": pa.nulls(count, pa.string()),
        "observed_at": pa.repeat(naive, count).cast(pa.timestamp("ms"), safe=False),
        "origin": pa.repeat(origin, count),
        "run_id": pa.repeat(run_id, count),
        "late": late if late is not None else pa.repeat(pa.scalar(value=False), count),
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
            seen = [at.astimezone(UTC).replace(tzinfo=None) for at in base_seen or ()]
            known |= {"gone": True, "seen_from": seen[0], "seen_to": seen[1]}
        rows.append({"key": row["key"], **known})
    return pa.Table.from_pylist(rows, KNOWN)


def read_segment(
    catalog: Catalog, segment: Segment, first: int, last: int
) -> Iterator[pa.RecordBatch]:
    """Rows numbered `first..last` of a segment, as batches of FEED_CHANGE, in order.

    Raises:
        CatalogCorruptError: The file is missing or has another number of rows.
    """
    start = segment.first_seq
    where = "file_row_number BETWEEN ? AND ?"
    found = 0
    for batch in _select(catalog, segment, where, [first - start, last - start]):
        found += batch.num_rows
        yield batch
    if found != last - first + 1:
        raise CatalogCorruptError(
            f"the changes {first} to {last} are not all in `{segment.path}`: {found} rows",
            path=segment.path,
        )


def pick_rows(catalog: Catalog, segment: Segment, seqs: Iterable[int]) -> Iterator[pa.RecordBatch]:
    """The rows of these numbers, as batches of FEED_CHANGE, in order."""
    numbers = [seq - segment.first_seq for seq in seqs]
    where = "file_row_number BETWEEN ? AND ? AND file_row_number IN (SELECT unnest(?::BIGINT[]))"
    yield from _select(catalog, segment, where, [min(numbers), max(numbers), numbers])


def rows_of_key(catalog: Catalog, segment: Segment, key: str) -> Iterator[pa.RecordBatch]:
    """Every row of one key, as batches of FEED_CHANGE, in order."""
    yield from _select(catalog, segment, "key = ?", [key])


def _select(
    catalog: Catalog, segment: Segment, where: str, values: list[Any]
) -> Iterator[pa.RecordBatch]:
    statement = (
        f"SELECT file_row_number + ? AS seq, {', '.join(SEGMENT.names)} FROM {_SEGMENT_TABLE} "
        f"WHERE {where} ORDER BY seq"
    )
    parameters = [segment.first_seq, [catalog.files.engine_path(segment.path)], *values]
    limits = QueryLimits(rows_max=2**62, timeout_s=600.0)
    for batch in catalog.engine.query(statement, parameters, limits):
        if batch.num_rows:
            yield pa.RecordBatch.from_arrays(batch.columns, schema=FEED_CHANGE)
