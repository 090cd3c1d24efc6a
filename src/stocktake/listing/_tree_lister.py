"""Folder by folder, for stores that list in an order of their own or from the start only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from stocktake.clock import Clock, SystemClock
from stocktake.listing._lister import (
    ROWS_PER_BATCH,
    WHOLE,
    BatchMaker,
    KeySpan,
    rows_before,
    rows_through,
)
from stocktake.listing._metrics import ListingMetrics
from stocktake.listing._tree_run import Folder, TreeRun
from stocktake.model import S3Url, folder_of, successor
from stocktake.store import Store, listed_schema

WORKERS = 32


class TreeLister:
    """Asks for one folder at a time (delimiter `/`), many folders at once, and sorts each.

    It needs neither order nor StartAfter of the store, only that prefixes ending in `/` and the
    delimiter `/` work. Rows come in key order all the same: a folder's objects are sorted, and the
    rows of a subfolder stand where its name stands, which is after `a-b` and before `a0`.

    Memory: the largest folder's own objects, `buffer_bytes` of folders read ahead, and the names of
    folders that were seen and not listed yet. Calls: at least one for each folder.
    """

    def __init__(
        self,
        *,
        workers: int = WORKERS,
        rows_per_batch: int = ROWS_PER_BATCH,
        buffer_bytes: int = 128 << 20,
        clock: Clock | None = None,
    ) -> None:
        self._workers = workers
        self._rows_per_batch = rows_per_batch
        self._buffer_bytes = buffer_bytes
        self._clock = clock or SystemClock()
        self._metrics = ListingMetrics()

    @property
    def metrics(self) -> ListingMetrics:
        """What listings cost so far; complete once a listing was read to its end."""
        return self._metrics

    def list_objects(
        self, store: Store, source: S3Url, *, versions: bool = False, span: KeySpan = WHOLE
    ) -> Iterator[pa.RecordBatch]:
        """Everything below an address; see `Lister`. Close the iterator to stop early."""
        batches = BatchMaker(listed_schema(versions=versions), self._rows_per_batch)
        filter_ = _Wanted(source.key, span)
        run = TreeRun(
            store,
            source.bucket,
            versions=versions,
            workers=self._workers,
            buffer_bytes=self._buffer_bytes,
            clock=self._clock,
            wanted=filter_.folder,
        )
        metrics = replace(self._metrics, calls=dict(self._metrics.calls))
        try:
            for rows in self._in_order(run, filter_, folder_of(source.key)):
                metrics.objects += rows.num_rows
                batches.add(rows)
                yield from batches.full()
            yield from batches.rest()
        finally:
            run.stop()
            self._metrics = run.add_to(metrics)

    def _in_order(self, run: TreeRun, wanted: _Wanted, root: str) -> Iterator[pa.RecordBatch]:
        """Depth first: what a folder holds before each subfolder, then the subfolder."""
        run.want(root)
        stack: list[_Position] = [_Position(run.folder(root))]
        while stack:
            top = stack[-1]
            if top.subfolder < len(top.folder.subfolders):
                name = top.folder.subfolders[top.subfolder]
                top.subfolder += 1
                rows = wanted.rows(top.rows_until(name))
                yield rows
                stack.append(_Position(run.folder(name)))
                continue
            yield wanted.rows(top.rows_until(None))
            stack.pop()


class _Position:
    """How far a folder has been given out."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.subfolder = 0
        self._row = 0

    def rows_until(self, name: str | None) -> pa.RecordBatch:
        """The rows not given out yet that come before a subfolder; all for None."""
        rows = self.folder.rows
        stop = rows.num_rows if name is None else rows_before(rows.column("key"), name)
        piece = rows.slice(self._row, stop - self._row)
        self._row = stop
        return piece


class _Wanted:
    """Which folders and rows of a folder are asked for: the prefix may end inside of a name."""

    def __init__(self, prefix: str, span: KeySpan) -> None:
        self._prefix = prefix
        self._span = span

    def folder(self, name: str) -> bool:
        """May keys below this folder be wanted?"""
        if not (name.startswith(self._prefix) or self._prefix.startswith(name)):
            return False
        beyond = successor(name)
        if beyond is not None and beyond <= self._span.after:
            return False
        return self._span.before is None or name < self._span.before

    def rows(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """The wanted ones of some rows in key order."""
        if rows.num_rows == 0:
            return rows
        keys = rows.column("key")
        if not (
            keys[0].as_py().startswith(self._prefix) and keys[-1].as_py().startswith(self._prefix)
        ):
            rows = rows.filter(pc.starts_with(keys, self._prefix))
            keys = rows.column("key")
        start = rows_through(keys, self._span.after) if self._span.after else 0
        before = self._span.before
        stop = rows.num_rows if before is None else rows_before(keys, before)
        return rows.slice(start, max(stop - start, 0))
