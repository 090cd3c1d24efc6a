"""The embedded engine: DuckDB over a snapshot's Parquet files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO

import pyarrow as pa

from stocktake.catalog._format import RowGroup
from stocktake.catalog.engines._duckdb_connection import DuckDbConnections
from stocktake.catalog.engines._duckdb_console import run_console
from stocktake.catalog.engines._duckdb_diff import diff
from stocktake.catalog.engines._duckdb_duplicates import find_surplus
from stocktake.catalog.engines._duckdb_feed import observe, rescan
from stocktake.catalog.engines._duckdb_query import stream_query
from stocktake.catalog.engines._duckdb_rollup import roll_up
from stocktake.catalog.engines._protocol import (
    DiffRules,
    KnownObjects,
    QueryLimits,
    RollUp,
    Sandbox,
    SnapshotView,
    Witness,
)


class DuckDbEngine:
    """DuckDB in this process. Implements `Engine`; safe to share between threads."""

    def __init__(self, connections: DuckDbConnections) -> None:
        self._connections = connections

    def find_surplus(self, view: SnapshotView, repeats: Iterable[RowGroup]) -> Iterator[pa.Table]:
        """Rows that stand twice, or claim to be the latest beside a newer one."""
        return find_surplus(self._connections, view, repeats)

    def roll_up(self, view: SnapshotView, sink: BinaryIO) -> RollUp:
        """Write `folders.parquet` and return the totals."""
        return roll_up(self._connections, view, sink)

    def diff(
        self, old: SnapshotView, new: SnapshotView, rules: DiffRules
    ) -> Iterator[pa.RecordBatch]:
        """Every key that differs between two snapshots' current objects, in key order."""
        return diff(self._connections, old, new, rules)

    def observe(
        self, known: KnownObjects, batches: Iterable[pa.RecordBatch], *, unchanged: bool = False
    ) -> Iterator[pa.RecordBatch]:
        """Which of some objects that were seen are new or modified, in key order."""
        return observe(self._connections, known, batches, unchanged=unchanged)

    def rescan(
        self, known: KnownObjects, now: SnapshotView, witness: Witness
    ) -> Iterator[pa.RecordBatch]:
        """All that a snapshot of the whole prefix says otherwise, in key order."""
        return rescan(self._connections, known, now, witness)

    def query(
        self, statement: str, parameters: Sequence[Any], limits: QueryLimits
    ) -> pa.RecordBatchReader:
        """Run the catalog's own SQL, as a stream of batches."""
        return stream_query(self._connections, statement, parameters, limits)

    def console(
        self, statement: str, sandbox: Sandbox, limits: QueryLimits
    ) -> tuple[pa.Table, bool]:
        """Run a user's SELECT in a sandbox: its first rows, and whether there were more."""
        return run_console(self._connections, statement, sandbox, limits)

    def close(self) -> None:
        """Give back memory and temporary files."""
        self._connections.close()
