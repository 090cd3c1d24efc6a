"""Ingest: consumers of what discovery finds, each object version exactly once.

In: numbered changes of a feed. Out: batches under a lease, committed with a token that the sink
keeps; a state per consumer that does not grow with the number of files.
Never: a cursor past an unfinished item, bytes of another version than the one discovered.
"""

from stocktake.ingest._discover import discover
from stocktake.ingest._discover_job import DiscoveryReport
from stocktake.ingest._sink import Item, Landed, OpenItems, Sink
from stocktake.ingest._spec import Filters, IngestionSpec, ItemState, OverwritePolicy

__all__ = [
    "DiscoveryReport",
    "Filters",
    "IngestionSpec",
    "Item",
    "ItemState",
    "Landed",
    "OpenItems",
    "OverwritePolicy",
    "Sink",
    "discover",
]
