"""The control database: what runs, what is published, who holds what. SQLite or PostgreSQL.

In: a database address. Out: short transactions over the tables of `_tables.py`, typed errors.
Never: rows per object (they live in Parquet files), business rules, threads.

>>> with open_state("sqlite:///state.db", clock=SystemClock()) as state:
...     with state.write() as connection:
...         connection.execute(insert(sources).values(...))
"""

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
    "import_parts",
    "imports",
    "metadata",
    "open_state",
    "properties",
    "snapshot_uses",
    "snapshots",
    "sources",
]
