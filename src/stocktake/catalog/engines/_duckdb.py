"""The embedded engine: DuckDB over a snapshot's Parquet files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from stocktake.catalog.engines._duckdb_connection import DuckDbConnections
from stocktake.catalog.engines._duckdb_query import fetch_table, stream_query
from stocktake.catalog.engines._protocol import QueryLimits


class DuckDbEngine:
    """DuckDB in this process. Implements `Engine`; safe to share between threads."""

    def __init__(self, connections: DuckDbConnections) -> None:
        self._connections = connections

    def query(
        self, statement: str, parameters: Sequence[Any], limits: QueryLimits
    ) -> pa.RecordBatchReader:
        """Run the catalog's own SQL, as a stream of batches."""
        return stream_query(self._connections, statement, parameters, limits)

    def page(self, statement: str, parameters: Sequence[Any], limits: QueryLimits) -> pa.Table:
        """Run the catalog's own SQL and take the whole, small result: the fast way."""
        return fetch_table(self._connections, statement, parameters, limits.timeout_s)

    def close(self) -> None:
        """Give back memory and temporary files."""
        self._connections.close()
