"""Many requests at once over ranges of keys, their rows in key order: the fast lister."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pyarrow as pa

from stocktake.clock import Clock, SystemClock
from stocktake.listing._lister import ROWS_PER_BATCH, WHOLE, BatchMaker, KeySpan
from stocktake.listing._metrics import ListingMetrics
from stocktake.listing._range_run import RangeRun
from stocktake.listing._range_scheduler import RangeScheduler, ScanPlan
from stocktake.model import S3Url
from stocktake.store import Store, listed_schema
from stocktake.telemetry import Meter

WORKERS = 64


@dataclass(frozen=True, slots=True)
class RangeOptions:
    """How to list in parallel.

    Attributes:
        workers: Most requests at once; fewer are used while they would not help.
        split_keys: Keys that cut what was last known into about equal pieces (the quantiles of a
            snapshot): a warm start. Old or wrong ones cost calls, never objects.
        rows_expected: How many rows were last known; goes with `split_keys`.
        speculation: Calls that may turn out useless, for each page that does not, when nothing is
            known: 0.25 is thrifty, 0.5 quicker.
        buffer_bytes: About how much may wait for its turn in the order.
        rows_per_batch: Most rows of a batch.
        page_rows: Keys asked for with one request.
    """

    workers: int = WORKERS
    split_keys: tuple[str, ...] = ()
    rows_expected: int | None = None
    speculation: float = 0.5
    buffer_bytes: int = 128 << 20
    rows_per_batch: int = ROWS_PER_BATCH
    page_rows: int = 1000


class RangeLister:
    """Lists ranges of keys side by side; needs a store that lists in order and from any key.

    Memory: `buffer_bytes`, and a page for each request under way. A bucket of one page costs one
    call, one of 10,000 objects at most one more than a serial listing.
    """

    def __init__(
        self,
        options: RangeOptions = RangeOptions(),
        *,
        clock: Clock | None = None,
        meter: Meter | None = None,
    ) -> None:
        """Set up; lists nothing yet.

        Args:
            options: How.
            clock: For latencies and waits.
            meter: That of the store: throttles that it sat out by itself count too.
        """
        self._options = options
        self._clock = clock or SystemClock()
        self._meter = meter
        self._metrics = ListingMetrics()

    @property
    def metrics(self) -> ListingMetrics:
        """What listings cost so far; complete once a listing was read to its end."""
        return self._metrics

    def list_objects(
        self, store: Store, source: S3Url, *, versions: bool = False, span: KeySpan = WHOLE
    ) -> Iterator[pa.RecordBatch]:
        """Everything below an address; see `Lister`. Close the iterator to stop early."""
        options = self._options
        plan = ScanPlan(
            prefix=source.key,
            after=span.after,
            before=span.before,
            versions=versions,
            split_keys=options.split_keys,
            rows_expected=options.rows_expected,
            workers=options.workers,
            page_rows=options.page_rows,
            speculation=options.speculation,
            buffer_bytes=options.buffer_bytes,
        )
        run = RangeRun(store, source, RangeScheduler(plan), self._clock, self._meter)
        batches = BatchMaker(listed_schema(versions=versions), options.rows_per_batch)
        try:
            for rows in run.rows():
                batches.add(rows)
                yield from batches.full()
            yield from batches.rest()
        finally:
            run.stop()
            self._metrics = run.add_to(replace(self._metrics))
