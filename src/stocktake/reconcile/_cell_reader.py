"""HAVE in one cell: just the pages of that range of keys, several cells at a time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import pyarrow as pa

from stocktake.clock import Clock
from stocktake.listing import KeySpan, PagedLister
from stocktake.model import S3Url
from stocktake.reconcile._cells import Cell
from stocktake.reconcile._side import SIDE_ROW, Pair, Proof, SideFacts, SideKind
from stocktake.reconcile._side_rows import RowCount, nothing_proven, side_rows
from stocktake.store import Store

PAGES_MAX = 20
"""Of one cell: more is a cell full of what SHOULD does not know, and is read no further."""

_PAGE_ROWS = 1_000
_WORKERS_MAX = 16


@dataclass(frozen=True, slots=True)
class ReadCell:
    """A cell with what HAVE has there.

    Attributes:
        cell: The cell.
        rows: Of HAVE, in key order.
        read_through: Read up to this name; None is all of it.
    """

    cell: Cell
    rows: pa.RecordBatch
    read_through: str | None


class CellReader:
    """A side that only answers for cells. Its facts count what was read."""

    def __init__(self, store: Store, source: S3Url, clock: Clock, workers: int) -> None:
        self._store = store
        self._source = source
        self._workers = max(1, min(workers, _WORKERS_MAX))
        self._calls = 0
        self._count = RowCount()
        self._lock = threading.Lock()
        self._facts = SideFacts(SideKind.SAMPLE, str(source), clock.now(), objects_at=source)

    @property
    def calls(self) -> int:
        """LIST requests sent."""
        return self._calls

    @property
    def facts(self) -> SideFacts:
        """As of the beginning; objects and bytes are those that were read."""
        return replace(
            self._facts,
            objects=self._count.objects,
            size_bytes=self._count.size_bytes,
            requests={"LIST": self._calls},
        )

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Nothing: a sample is read by cells."""
        return iter(())

    def prove(self, pairs: Sequence[Pair]) -> list[Proof]:
        """A listing has nothing but its rows."""
        return nothing_proven(pairs)

    def read(self, cells: Iterable[Cell]) -> Iterator[ReadCell]:
        """Each cell, in the order given; at most twice as many in memory as requests at once."""
        waiting: deque[Future[ReadCell]] = deque()
        with ThreadPoolExecutor(self._workers, "stocktake-sample") as pool:
            try:
                for cell in cells:
                    waiting.append(pool.submit(self._read, cell))
                    if len(waiting) >= 2 * self._workers:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for one in waiting:
                    one.cancel()

    def _read(self, cell: Cell) -> ReadCell:
        prefix = self._source.key
        # the smallest key after the last one of the cell
        before = None if cell.high is None else f"{prefix}{cell.high}\0"
        after = prefix + cell.low if cell.low else ""
        lister = PagedLister(rows_per_batch=_PAGE_ROWS)
        found: list[pa.RecordBatch] = []
        count, through = RowCount(), None
        listed = lister.list_objects(self._store, self._source, span=KeySpan(after, before))
        for rows in side_rows(listed, prefix, count):
            found.append(rows)
            if len(found) == PAGES_MAX:
                through = str(rows.column("key")[-1].as_py())
                break
        table = pa.Table.from_batches(found, SIDE_ROW).combine_chunks()
        batches = table.to_batches()
        rows = batches[0] if batches else pa.RecordBatch.from_pylist([], SIDE_ROW)
        with self._lock:
            self._calls += lister.metrics.requests
            self._count.objects += count.objects
            self._count.size_bytes += count.size_bytes
        return ReadCell(cell, rows, through)
