"""The control database: what runs, what is published, who holds what. SQLite or PostgreSQL.

In: a database address. Out: short transactions over the tables of `_*tables.py`, typed errors.
Never: rows per listed object (they live in Parquet files; what we uploaded ourselves is state),
business rules, threads.

>>> with open_state("sqlite:///state.db", clock=SystemClock()) as state:
...     with state.write() as connection:
...         connection.execute(insert(sources).values(...))
"""

from stocktake.state._dataset_tables import (
    dataset_entries,
    dataset_runs,
    dataset_uploads,
    dataset_versions,
    datasets,
    file_digests,
)
from stocktake.state._feed_tables import (
    event_quarantine,
    feed_cursors,
    feed_segments,
    feeds,
    held_events,
    listing_runs,
    store_profiles,
)
from stocktake.state._ingest_tables import (
    ingest_claims,
    ingest_commits,
    ingest_items,
    ingestions,
)
from stocktake.state._open import open_state
from stocktake.state._state import State
from stocktake.state._tables import (
    change_segments,
    import_parts,
    imports,
    metadata,
    properties,
    snapshot_uses,
    snapshots,
    sources,
)

__all__ = [
    "State",
    "change_segments",
    "dataset_entries",
    "dataset_runs",
    "dataset_uploads",
    "dataset_versions",
    "datasets",
    "event_quarantine",
    "feed_cursors",
    "feed_segments",
    "feeds",
    "file_digests",
    "held_events",
    "import_parts",
    "imports",
    "ingest_claims",
    "ingest_commits",
    "ingest_items",
    "ingestions",
    "listing_runs",
    "metadata",
    "open_state",
    "properties",
    "snapshot_uses",
    "snapshots",
    "sources",
    "store_profiles",
]
