"""The lister that fits a bucket: ranges where the store lists in order, else folder by folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pyarrow as pa

from stocktake.clock import Clock
from stocktake.errors import UnorderedListingError
from stocktake.listing._lister import WHOLE, KeySpan, Lister
from stocktake.listing._metrics import ListingMetrics
from stocktake.listing._profiles import (
    UNORDERED,
    ListingProfile,
    is_directory_bucket,
    keep_profile,
    known_profile,
)
from stocktake.listing._range_lister import RangeLister, RangeOptions
from stocktake.listing._tree_lister import TreeLister
from stocktake.model import S3Url
from stocktake.state import State
from stocktake.store import Store
from stocktake.telemetry import Meter


def choose_lister(
    store: Store,
    bucket: str,
    options: RangeOptions = RangeOptions(),
    *,
    state: State | None = None,
    clock: Clock | None = None,
    meter: Meter | None = None,
) -> Lister:
    """A lister for a bucket, by its name and what is kept of it; sends no request.

    Args:
        store: Where the bucket is.
        bucket: Its name.
        options: Limits and hints.
        state: Where profiles are kept; what a listing shows to be otherwise is kept there too.
        clock: For latencies and waits.
        meter: That of the store.
    """
    profile = known_profile(state, store, bucket) if state is not None else None
    tree = TreeLister(
        workers=options.workers,
        rows_per_batch=options.rows_per_batch,
        buffer_bytes=options.buffer_bytes,
        clock=clock,
    )
    if is_directory_bucket(bucket) or (profile is not None and profile.needs_tree):
        return tree

    def note(found: ListingProfile) -> None:
        if state is not None:
            keep_profile(state, store, bucket, found)

    return OrderedLister(RangeLister(options, clock=clock, meter=meter), tree, note)


class OrderedLister:
    """Ranges of keys, as long as the store keeps to key order; else folder by folder.

    If the order is violated before any row was given out, the listing begins anew, folder by
    folder. Later that is no longer possible: the error goes to the caller; what was learned is
    kept, so that the next listing goes folder by folder at once.
    """

    def __init__(
        self, ranges: RangeLister, tree: TreeLister, note: Callable[[ListingProfile], None]
    ) -> None:
        self._ranges = ranges
        self._tree = tree
        self._note = note
        self._unordered = False

    @property
    def metrics(self) -> ListingMetrics:
        """What both cost so far."""
        ranges, tree = self._ranges.metrics, self._tree.metrics
        if not tree.calls:
            return ranges
        kinds = ranges.calls.keys() | tree.calls.keys()
        return replace(
            tree,  # whose latencies are those of the listing that was given out
            calls={kind: ranges.calls.get(kind, 0) + tree.calls.get(kind, 0) for kind in kinds},
            throttles=ranges.throttles + tree.throttles,
            store_s=ranges.store_s + tree.store_s,
            wall_s=ranges.wall_s + tree.wall_s,
            concurrency_max=max(ranges.concurrency_max, tree.concurrency_max),
        )

    def list_objects(
        self, store: Store, source: S3Url, *, versions: bool = False, span: KeySpan = WHOLE
    ) -> Iterator[pa.RecordBatch]:
        """Everything below an address; see `Lister`."""
        if not self._unordered:
            given = False
            try:
                for batch in self._ranges.list_objects(store, source, versions=versions, span=span):
                    given = True
                    yield batch
            except UnorderedListingError:
                self._unordered = True
                self._note(UNORDERED)
                if given:
                    raise
            else:
                return
        yield from self._tree.list_objects(store, source, versions=versions, span=span)
