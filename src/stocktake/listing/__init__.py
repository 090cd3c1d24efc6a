"""Listings as object records: what a bucket holds, asked of the store itself.

In: a store and an address. Out: Arrow batches of the object record in key order, or a source that
becomes a snapshot. Never: reports, state, or a listing that is silently short or out of order.
"""

from stocktake.listing._lister import ROWS_PER_BATCH, Lister, PagedLister, list_objects
from stocktake.listing._source import ListSource

__all__ = ["ROWS_PER_BATCH", "ListSource", "Lister", "PagedLister", "list_objects"]
