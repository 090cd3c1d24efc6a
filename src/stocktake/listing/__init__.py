"""Listings as object records: what a bucket holds, asked of the store itself.

In: a store and an address. Out: Arrow batches of the object record in key order, or a source that
becomes a snapshot. Never: reports, state, or a listing that is silently short or out of order.
"""

from stocktake.listing._lister import (
    ROWS_PER_BATCH,
    KeySpan,
    Lister,
    PagedLister,
    list_objects,
)
from stocktake.listing._metrics import ListingMetrics
from stocktake.listing._range_lister import RangeLister, RangeOptions
from stocktake.listing._source import ListSource
from stocktake.listing._strategy import (
    GUARANTEES,
    Guarantees,
    ListingJob,
    Promise,
    StrategyName,
    StrategyRun,
)

__all__ = [
    "GUARANTEES",
    "ROWS_PER_BATCH",
    "Guarantees",
    "KeySpan",
    "ListSource",
    "Lister",
    "ListingJob",
    "ListingMetrics",
    "PagedLister",
    "Promise",
    "RangeLister",
    "RangeOptions",
    "StrategyName",
    "StrategyRun",
    "list_objects",
]
