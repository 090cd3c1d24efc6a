"""Object files: batches in any order go in, sorted runs in one Parquet file come out.

Sorting everything once costs more than it gives: runs of about 100,000 rows, each sorted, with the
bounds of every row group known, are enough for exact diffs and quick range queries. Input that is
already sorted (as reports often are) is only checked, and a run ends where its order breaks, so
that the bounds stay tight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stocktake.catalog._format import ObjectFile, RowGroup
from stocktake.catalog._parquet import give_up
from stocktake.model import EXTRA_PREFIX

ROW_GROUP_ROWS = 16_384
RUN_ROWS = 6 * ROW_GROUP_ROWS
SAMPLE_EVERY = 900  # a listing that starts from these asks for one page of 1,000 between two
_BREAK_ROWS_MIN = 1_024
_BREAKS_MAX = 3

Ints: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"
_NO_REPEATS: Ints = np.empty(0, dtype=np.int64)

_DICTIONARY_COLUMNS = ("storage_class", "checksum_algorithm", "is_latest", "is_delete_marker")


@dataclass(slots=True)
class WrittenRows:
    """What is known of an object file once it is written, besides its bytes.

    Attributes:
        row_groups: Bounds and rows, in file order.
        repeats: Indexes of row groups that hold some key twice.
        samples: Every 900th key of each run: quantiles of the whole are made of these.
    """

    row_groups: list[RowGroup] = field(default_factory=list)
    repeats: list[int] = field(default_factory=list)
    samples: list[str] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Rows written."""
        return sum(group.rows for group in self.row_groups)

    def to_file(self, name: str, size_bytes: int) -> ObjectFile:
        """The manifest entry of this file."""
        return ObjectFile(
            name=name,
            rows=self.rows,
            size_bytes=size_bytes,
            min_key=min(group.min_key for group in self.row_groups),
            max_key=max(group.max_key for group in self.row_groups),
            row_groups=tuple(self.row_groups),
        )


class RunWriter:
    """Writes batches as sorted runs into one Parquet file.

    As a context manager it gives the file up if the block ends without `close`.
    Memory: about three runs (15 MB each for ordinary keys) and the Parquet writer's row group.
    """

    def __init__(self, sink: BinaryIO, schema: pa.Schema, *, run_rows: int = RUN_ROWS) -> None:
        self._schema = schema
        self._run_rows = run_rows
        self._pending: list[pa.RecordBatch] = []
        self._pending_rows = 0
        self._sorted = True
        self._distinct = True  # no key stands twice among the sorted pending ones
        self._last_key: str | None = None
        self._written = WrittenRows()
        self._writer = pq.ParquetWriter(sink, schema, **parquet_options(schema))

    def __enter__(self) -> RunWriter:
        return self

    def __exit__(self, *_: object) -> None:
        """Give the file up, unless it was closed."""
        give_up(self._writer)

    def add(self, batch: pa.RecordBatch) -> None:
        """Take over a batch of the writer's schema."""
        if batch.num_rows == 0:
            return
        breaks, distinct = _order_breaks(batch.column("key"))
        if len(breaks) > _BREAKS_MAX:
            self._sorted = False
            self._append(batch)
            return
        start = 0
        for stop in [*breaks, batch.num_rows]:
            self._add_sorted(batch.slice(start, stop - start), distinct=distinct)
            start = stop

    def close(self) -> WrittenRows:
        """Write what is left and the footer. The sink stays open."""
        self._flush()
        self._writer.close()
        return self._written

    def _add_sorted(self, batch: pa.RecordBatch, *, distinct: bool) -> None:
        first = batch.column("key")[0].as_py()
        if self._last_key is not None and self._sorted and first < self._last_key:
            if self._pending_rows >= _BREAK_ROWS_MIN:
                self._flush()
            else:
                self._sorted = False
        self._distinct = self._distinct and distinct and first != self._last_key
        self._append(batch)

    def _append(self, batch: pa.RecordBatch) -> None:
        self._pending.append(batch)
        self._pending_rows += batch.num_rows
        self._last_key = batch.column("key")[-1].as_py() if self._sorted else None
        if self._pending_rows >= self._run_rows:
            self._flush()

    def _flush(self) -> None:
        if self._pending_rows:
            run = pa.Table.from_batches(self._pending, self._schema)
            self._pending = []
            if not self._sorted:
                run = run.combine_chunks()
                run = run.take(pc.sort_indices(run.column("key")))
            self._write(run, distinct=self._sorted and self._distinct)
        self._pending_rows = 0
        self._sorted = True
        self._distinct = True
        self._last_key = None

    def _write(self, run: pa.Table, *, distinct: bool) -> None:
        self._writer.write_table(run, row_group_size=ROW_GROUP_ROWS)
        keys, written = run.column("key"), self._written
        written.samples.extend(_at(keys, range(SAMPLE_EVERY // 2, len(keys), SAMPLE_EVERY)))
        repeats = _NO_REPEATS if distinct else _repeat_positions(keys.combine_chunks())
        starts = range(0, len(keys), ROW_GROUP_ROWS)
        stops = [min(start + ROW_GROUP_ROWS, len(keys)) for start in starts]
        firsts, lasts = _at(keys, starts), _at(keys, [stop - 1 for stop in stops])
        for start, stop, first, last in zip(starts, stops, firsts, lasts, strict=True):
            if np.searchsorted(repeats, start) < np.searchsorted(repeats, stop):
                written.repeats.append(len(written.row_groups))
            written.row_groups.append(RowGroup(first, last, stop - start))


def parquet_options(schema: pa.Schema) -> dict[str, Any]:
    """How object files are written: quick zstd, and dictionaries only where values repeat.

    Source: `bench/storage_forms.py`; dictionaries tried on columns of unique values cost more time
    than everything else together saves, and space besides.
    """
    dictionary = [
        name
        for name in schema.names
        if name in _DICTIONARY_COLUMNS and not pa.types.is_boolean(schema.field(name).type)
    ]
    dictionary += [name for name in schema.names if name.startswith(EXTRA_PREFIX)]
    return {
        "compression": "zstd",
        "compression_level": 1,
        "use_dictionary": dictionary or False,
        "write_statistics": True,
        "version": "2.6",
    }


def _at(keys: pa.ChunkedArray, positions: Sequence[int]) -> list[str]:
    chosen: list[str] = keys.take(pa.array(positions, pa.int64())).to_pylist()
    return chosen


def _order_breaks(keys: pa.StringArray) -> tuple[list[int], bool]:
    """Positions whose key is smaller than the one before, and whether no two neighbours are equal.

    Of the positions at most a few more than allowed.
    """
    if len(keys) < 2:
        return [], True
    before, after = keys.slice(0, len(keys) - 1), keys.slice(1)
    rising = pc.less(before, after).true_count
    if rising == len(before):
        return [], True
    ordered = pc.less_equal(before, after)
    breaks = np.flatnonzero(~ordered.to_numpy(zero_copy_only=False)) + 1
    return [int(at) for at in breaks[: _BREAKS_MAX + 1]], rising == len(before) - len(breaks)


def _repeat_positions(keys: pa.StringArray) -> Ints:
    """Positions of keys that equal the one before them (sorted input), as a sorted int array."""
    equal = pc.equal(keys.slice(0, len(keys) - 1), keys.slice(1))
    if not equal.true_count:
        return _NO_REPEATS
    return np.flatnonzero(equal.to_numpy(zero_copy_only=False)) + 1
