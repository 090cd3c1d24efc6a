"""Pages of a listing, counted, timed and checked: what every partial strategy reads through."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import pyarrow.compute as pc

from stocktake.clock import Clock
from stocktake.errors import StrategyRefusedError
from stocktake.listing._metrics import ListingMetrics
from stocktake.model import S3Url, display_key
from stocktake.store import KeyPage, ListQuery, Store, read_key_page

_LATENCIES_MAX = 10_000


class CountedPages:
    """Reads pages below one address and fills a run's metrics. Safe to share between threads.

    Each page is checked: its keys ascend, follow `start_after` and begin with the prefix. A store
    whose pages do not would lose objects to any cursor, so the strategy is refused at once.
    """

    def __init__(self, store: Store, source: S3Url, clock: Clock, metrics: ListingMetrics) -> None:
        self._store = store
        self._source = source
        self._clock = clock
        self._metrics = metrics
        self._latencies_s: list[float] = []
        self._lock = threading.Lock()

    def read(
        self,
        prefix: str,
        *,
        start_after: str = "",
        delimiter: str = "",
        keys_max: int = 1000,
        kind: str = "page",
    ) -> Iterator[KeyPage]:
        """All pages below a prefix after a key; `kind` is what the requests are counted as."""
        query = ListQuery(self._source.bucket, prefix, delimiter, start_after, keys_max=keys_max)
        last = start_after
        while True:
            page = self._one(query, kind)
            last = _check_page(page, prefix, last, self._source)
            yield page
            if page.next_token is None:
                return
            query = replace(query, token=page.next_token)

    def finish(self, started_s: float) -> None:
        """Fill in what is known at the end: latencies and the wall time since `started_s`."""
        metrics = self._metrics
        metrics.wall_s = self._clock.monotonic_s() - started_s
        ordered = sorted(self._latencies_s)
        if ordered:
            metrics.p50_s = ordered[len(ordered) // 2]
            metrics.p99_s = ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]

    def _one(self, query: ListQuery, kind: str) -> KeyPage:
        began_s = self._clock.monotonic_s()
        page = read_key_page(self._store, query)
        took_s = self._clock.monotonic_s() - began_s
        is_empty = not page.rows.num_rows and not page.prefixes
        counted = "empty" if kind == "page" and is_empty else kind
        with self._lock:
            calls = self._metrics.calls
            calls[counted] = calls.get(counted, 0) + 1
            self._metrics.store_s += took_s
            self._metrics.concurrency_max = max(self._metrics.concurrency_max, 1)
            if len(self._latencies_s) < _LATENCIES_MAX:
                self._latencies_s.append(took_s)
        return page


def _check_page(page: KeyPage, prefix: str, last: str, source: S3Url) -> str:
    """The last key of the page, after making sure that it is where it belongs."""
    keys = page.rows.column("key")
    if not len(keys):
        return last
    first, final = keys[0].as_py(), keys[-1].as_py()
    follows = first > last and pc.all(pc.less(keys[:-1], keys[1:]), min_count=0).as_py()
    # ascending keys all begin with the prefix if the first and the last do
    if follows and first.startswith(prefix) and final.startswith(prefix):
        return str(final)
    raise StrategyRefusedError(
        f"cannot list {source} by key order: this store answered `{display_key(first)}` to "
        f"`{display_key(final)}` when asked for keys after `{display_key(last)}`",
        hint="its listings have an order of their own: use the strategy full, or event_driven",
        bucket=source.bucket,
        prefix=prefix,
    )
