"""Lists folders with threads, in key order as far as they are known, within a memory limit."""

from __future__ import annotations

import heapq
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stocktake.clock import Clock
from stocktake.errors import ThrottledError
from stocktake.listing._metrics import ListingMetrics
from stocktake.store import KeyPage, ListQuery, Store, listed_schema, read_key_page

_THROTTLES_MAX = 8
_WAIT_S = 0.5
_WAIT_MAX_S = 20.0


@dataclass(frozen=True, slots=True)
class Folder:
    """What lies directly in a folder: its objects by key, its subfolders by name, both sorted."""

    rows: pa.RecordBatch
    subfolders: tuple[str, ...]


class TreeRun:
    """One listing under way: folders are listed by threads and taken by one reader in order."""

    def __init__(
        self,
        store: Store,
        bucket: str,
        *,
        versions: bool,
        workers: int,
        buffer_bytes: int,
        clock: Clock,
        wanted: Callable[[str], bool],
        dice: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._bucket = bucket
        self._versions = versions
        self._workers = workers
        self._buffer_bytes = buffer_bytes
        self._clock = clock
        self._wanted = wanted
        self._dice = dice
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._ready = threading.Condition(self._lock)
        self._todo: list[str] = []  # a heap: the smallest name is needed first
        self._done: dict[str, Folder] = {}
        self._done_bytes = 0
        self._awaited: str | None = None
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._busy = 0
        self._busy_max = 0
        self._stopped = False
        self._error: BaseException | None = None
        self._latencies_s: list[float] = []
        self._throttles = 0
        self._empty = 0
        self._started_s = clock.monotonic_s()
        self._wall_s = 0.0

    def want(self, name: str) -> None:
        """Queue a folder."""
        with self._lock:
            self._queue((name,))

    def folder(self, name: str) -> Folder:
        """Wait for a folder that was queued, and take it. Raises what listing it met."""
        with self._lock:
            self._awaited = name
            self._work.notify_all()
            while name not in self._done:
                if self._error is not None:
                    raise self._error
                self._ready.wait()
            found = self._done.pop(name)
            self._done_bytes -= found.rows.nbytes
            self._awaited = None
            self._work.notify_all()
            return found

    def stop(self) -> None:
        """Send nothing more and wait for what is under way."""
        with self._lock:
            self._stopped = True
            self._work.notify_all()
        for thread in self._threads:
            thread.join()
        self._wall_s = self._clock.monotonic_s() - self._started_s

    def add_to(self, metrics: ListingMetrics) -> ListingMetrics:
        """Add what this listing cost; every request is a page of some folder."""
        pages = len(self._latencies_s) - self._empty
        for kind, count in (("page", pages), ("empty", self._empty)):
            if count:
                metrics.calls[kind] = metrics.calls.get(kind, 0) + count
        metrics.throttles += self._throttles
        metrics.store_s += sum(self._latencies_s)
        metrics.wall_s += self._wall_s
        metrics.concurrency_max = max(metrics.concurrency_max, self._busy_max)
        if self._latencies_s:
            p50_s, p99_s = np.percentile(self._latencies_s, [50, 99])
            metrics.p50_s, metrics.p99_s = float(p50_s), float(p99_s)
        return metrics

    # --- under the lock ----------------------------------------------------------------------

    def _queue(self, names: tuple[str, ...]) -> None:
        for name in names:
            heapq.heappush(self._todo, name)
        for _ in names:
            if self._idle:
                self._work.notify()
            elif len(self._threads) < self._workers:
                label = f"list-{len(self._threads)}"
                thread = threading.Thread(target=self._list_all, name=label, daemon=True)
                self._threads.append(thread)
                thread.start()

    def _may_start(self) -> bool:
        if not self._todo:
            return False
        # what the reader waits for is the smallest of all that is left
        return self._todo[0] == self._awaited or self._done_bytes < self._buffer_bytes

    # --- in the threads ----------------------------------------------------------------------

    def _list_all(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
                while not self._stopped and self._error is None and not self._may_start():
                    self._work.wait()
                self._idle -= 1
                if self._stopped or self._error is not None:
                    return
                name = heapq.heappop(self._todo)
                self._busy += 1
                self._busy_max = max(self._busy_max, self._busy)
            try:
                found = self._list(name)
            except BaseException as error:  # noqa: BLE001
                # boundary: `folder` raises it again, in the reader's thread
                with self._lock:
                    self._error = self._error or error
                    self._ready.notify_all()
                    self._work.notify_all()
                return
            with self._lock:
                self._busy -= 1
                self._done[name] = found
                self._done_bytes += found.rows.nbytes
                self._queue(found.subfolders)
                self._ready.notify_all()

    def _list(self, name: str) -> Folder:
        query = ListQuery(self._bucket, name, delimiter="/", versions=self._versions)
        schema = listed_schema(versions=self._versions)
        pieces: list[pa.RecordBatch] = []
        subfolders: set[str] = set()
        while True:
            page = self._ask(query)
            pieces.append(page.rows)
            subfolders.update(one for one in page.prefixes if one != name and self._wanted(one))
            if page.next_token is None:
                break
            query = replace(query, token=page.next_token)
        table = pa.Table.from_batches(pieces, schema).combine_chunks()
        rows = table.to_batches()[0] if table.num_rows else _no_rows(schema)
        return Folder(_sorted(rows, versions=self._versions), tuple(sorted(subfolders)))

    def _ask(self, query: ListQuery) -> KeyPage:
        failures = 0
        while not self._stopped:
            started_s = self._clock.monotonic_s()
            try:
                page = read_key_page(self._store, query)
            except ThrottledError:
                failures += 1
                with self._lock:
                    self._throttles += 1
                if failures > _THROTTLES_MAX:
                    raise
                wait_s: float = min(_WAIT_MAX_S, _WAIT_S * 2 ** (failures - 1))
                self._clock.sleep(wait_s * self._dice())
                continue
            with self._lock:
                self._latencies_s.append(self._clock.monotonic_s() - started_s)
                self._empty += not (page.rows.num_rows or page.prefixes)
            return page
        return KeyPage(_no_rows(listed_schema(versions=query.versions)))


def _sorted(rows: pa.RecordBatch, *, versions: bool) -> pa.RecordBatch:
    """Rows by key, each key once (the last one said); versions of a key stay in their order."""
    count = rows.num_rows
    if count < 2:
        return rows
    keys = rows.column("key")
    if pc.less(keys.slice(0, count - 1), keys.slice(1)).true_count == count - 1:
        return rows
    rows = rows.take(pc.sort_indices(keys))  # stable
    if versions:
        return rows
    keys = rows.column("key")
    last = pc.not_equal(keys.slice(0, count - 1), keys.slice(1))
    if last.true_count == count - 1:
        return rows
    return rows.filter(pa.array([*last.to_pylist(), True]))


def _no_rows(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array([], one.type) for one in schema], schema=schema)
