"""Drives a range scheduler with threads: sends what it asks for, checks and hands over pages."""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa

from stocktake.clock import Clock
from stocktake.errors import StoreError, ThrottledError
from stocktake.listing._lister import rows_before, rows_through
from stocktake.listing._metrics import ListingMetrics
from stocktake.listing._page_check import PageChecker, unordered_error
from stocktake.listing._range_scheduler import RangeScheduler, Suspect
from stocktake.listing._range_state import CallKind, ListRequest, PageAnswer, Piece
from stocktake.model import S3Url
from stocktake.store import ListQuery, Store, read_key_page, read_key_page_once
from stocktake.telemetry import Meter

_THROTTLES_MAX = 10
_FAILURES_MAX = 6
_WAIT_S = 0.2
_WAIT_MAX_S = 20.0


class PageRows:
    """The rows of a page, as the scheduler's view of its keys."""

    def __init__(self, rows: pa.RecordBatch) -> None:
        self.rows = rows
        self._keys = rows.column("key")

    def __len__(self) -> int:
        return int(self.rows.num_rows)

    def key(self, row: int) -> str:
        """The key of a row."""
        key: str = self._keys[row].as_py()
        return key

    def rows_through(self, key: str) -> int:
        """How many keys are not greater than `key`."""
        return rows_through(self._keys, key)


class RangeRun:
    """One listing under way. `rows` is read by one thread; requests are sent by others."""

    def __init__(
        self,
        store: Store,
        source: S3Url,
        scheduler: RangeScheduler,
        clock: Clock,
        meter: Meter | None = None,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._source = source
        self._scheduler = scheduler
        self._clock = clock
        self._meter = meter
        self._dice = dice
        self._checker = PageChecker(source, versions=scheduler.plan.versions)
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._ready = threading.Condition(self._lock)
        self._queue: deque[ListRequest] = deque()
        self._threads: list[threading.Thread] = []
        self._idle = 0  # threads that wait for a request
        self._woken = 0  # of these, told that there is one
        self._stopped = False
        self._error: BaseException | None = None
        self._clearing = 0
        self._retries = 0
        self._latencies_s: list[float] = []
        self._throttles_seen = self._store_throttles()
        self._started_s = clock.monotonic_s()
        self._wall_s = 0.0

    def rows(self) -> Iterator[pa.RecordBatch]:
        """Rows in key order, in pieces of pages. Raises what a request met."""
        while True:
            with self._lock:
                self._dispatch()
                pieces = self._take()
                while not pieces:
                    if self._error is not None:
                        raise self._error
                    if self._scheduler.done and not (self._scheduler.under_way or self._clearing):
                        return
                    self._ready.wait()
                    pieces = self._take()
            for piece in pieces:
                yield self._rows_of(piece)

    def stop(self) -> None:
        """Send nothing more and wait for what is under way."""
        with self._lock:
            self._stopped = True
            self._queue.clear()
            self._work.notify_all()
        for thread in self._threads:
            thread.join()
        self._wall_s = self._clock.monotonic_s() - self._started_s

    def add_to(self, metrics: ListingMetrics) -> ListingMetrics:
        """Add what this listing cost."""
        scheduler = self._scheduler
        metrics.objects += scheduler.rows
        for kind, count in scheduler.calls.items():
            if count:
                metrics.calls[kind] = metrics.calls.get(kind, 0) + count
        metrics.throttles += scheduler.concurrency.throttles
        metrics.retries += self._retries
        metrics.store_s += sum(self._latencies_s)
        metrics.wall_s += self._wall_s
        metrics.concurrency_max = max(metrics.concurrency_max, scheduler.under_way_max)
        if self._latencies_s:
            p50_s, p99_s = np.percentile(self._latencies_s, [50, 99])
            metrics.p50_s, metrics.p99_s = float(p50_s), float(p99_s)
        return metrics

    # --- under the lock ----------------------------------------------------------------------

    def _dispatch(self, *, spare: int = 0) -> None:
        """Queue every request that may be sent now; wake or start threads for all but `spare`.

        A thread that has just been answered sends the next request itself: handing it to another
        one would cost a switch between threads for each page.
        """
        if self._stopped or self._error is not None:
            return
        while (request := self._scheduler.next_request()) is not None:
            self._queue.append(request)
        for _ in range(len(self._queue) - self._woken - spare):
            if self._idle > self._woken:
                self._work.notify()
            elif len(self._threads) < self._scheduler.plan.workers:
                name = f"list-{len(self._threads)}"
                thread = threading.Thread(target=self._send_all, name=name, daemon=True)
                self._threads.append(thread)
                self._idle += 1
                thread.start()
            else:
                return
            self._woken += 1

    def _take(self) -> list[Piece]:
        pieces: list[Piece] = []
        while (piece := self._scheduler.take()) is not None:
            pieces.append(piece)
        return pieces

    def _store_throttles(self) -> int:
        if self._meter is None:
            return 0
        return self._meter.retries.get(ThrottledError.code, 0)

    # --- in the threads ----------------------------------------------------------------------

    def _send_all(self) -> None:
        with self._lock:
            self._woken -= 1
            self._idle -= 1
        while True:
            with self._lock:
                self._idle += 1
                while not self._queue and not self._stopped:
                    self._work.wait()
                    self._woken = max(0, self._woken - 1)
                self._idle -= 1
                if self._stopped:
                    return
                request = self._queue.popleft()
            try:
                self._send(request)
            except BaseException as error:  # noqa: BLE001
                # boundary: `rows` raises it again, in its own thread
                with self._lock:
                    self._error = self._error or error
                    self._ready.notify()
                    self._work.notify_all()
                return

    def _send(self, request: ListRequest) -> None:
        started_s = self._clock.monotonic_s()
        try:
            answer = self._ask(request)
        except StoreError as error:
            if not error.retryable:
                raise
            self._back_off(request, error)
            return
        latency_s = self._clock.monotonic_s() - started_s
        throttles = self._store_throttles()
        with self._lock:
            if throttles > self._throttles_seen:
                self._throttles_seen = throttles
                self._scheduler.concurrency.throttled()
            self._latencies_s.append(latency_s)
            self._scheduler.answered(request, answer, latency_s)
            suspects, self._scheduler.suspects = self._scheduler.suspects, []
            self._clearing += bool(suspects)  # the listing has not ended before that is done
            if not suspects:
                self._dispatch(spare=1)
            if self._scheduler.worth_taking:
                self._ready.notify()
        for suspect in suspects:
            self._clear_up(suspect)
        if suspects:
            with self._lock:
                self._clearing -= 1
                self._dispatch(spare=1)
                self._ready.notify()

    def _ask(self, request: ListRequest) -> PageAnswer:
        plan = self._scheduler.plan
        query = ListQuery(
            self._source.bucket,
            request.prefix,
            delimiter=request.delimiter,
            start_after=request.start_after,
            token=request.token,
            keys_max=plan.page_rows,
            versions=plan.versions and not request.delimiter,
        )
        page = read_key_page_once(self._store, query)
        rows = page.rows
        if not request.delimiter:
            inside_key = request.token is not None
            self._checker.check(rows, after=request.start_after, inside_key=inside_key)
            if plan.before is not None and rows.num_rows:
                kept = rows_before(rows.column("key"), plan.before)
                if kept < rows.num_rows:  # everything behind it is somebody else's
                    rows = rows.slice(0, kept)
                    return PageAnswer(PageRows(rows), truncated=False, size_bytes=rows.nbytes)
        return PageAnswer(
            PageRows(rows),
            truncated=page.next_token is not None,
            token=page.next_token,
            size_bytes=rows.nbytes,
            prefixes=page.prefixes,
        )

    def _clear_up(self, suspect: Suspect) -> None:
        """Refuse a store that has a key, but not behind a smaller one."""
        named = ListQuery(self._source.bucket, suspect.key, keys_max=1)
        behind = replace(named, start_after=suspect.cut)
        for query, expected in ((behind, False), (named, True), (behind, False)):
            keys = read_key_page(self._store, query).rows.column("key")
            with self._lock:
                self._scheduler.calls[CallKind.PROBE] += 1
            if (len(keys) > 0 and keys[0].as_py() == suspect.key) is not expected:
                return  # it is where it must be, or it is gone
        raise unordered_error(self._source, suspect.cut, suspect.key)

    def _back_off(self, request: ListRequest, error: StoreError) -> None:
        """The store said no, or nothing: wait, then let it be asked again, if not too often."""
        slow_down = isinstance(error, ThrottledError)
        with self._lock:
            failures = self._scheduler.failed(request, slow_down=slow_down)
        if failures >= (_THROTTLES_MAX if slow_down else _FAILURES_MAX):
            raise error
        with self._lock:
            self._retries += not slow_down
        asked_s = float(error.attrs.get("retry_after_s", 0.0))
        wait_s = min(_WAIT_MAX_S, _WAIT_S * 2 ** (failures - 1)) * self._dice()
        self._clock.sleep(min(_WAIT_MAX_S, max(asked_s, wait_s)))
        with self._lock:
            self._scheduler.ask_again(request)
            self._dispatch(spare=1)

    def _rows_of(self, piece: Piece) -> pa.RecordBatch:
        rows: pa.RecordBatch = piece.page.keys.rows
        return rows.slice(piece.start, piece.stop - piece.start)
