"""What a catalog engine must do. DuckDB is the embedded one; others read the same files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Protocol

import pyarrow as pa

from stocktake.catalog._format import SnapshotManifest


@dataclass(frozen=True, slots=True)
class SnapshotView:
    """A snapshot and how the engine opens its files: `paths[i]` is `manifest.files[i]`."""

    manifest: SnapshotManifest
    paths: tuple[str, ...]
    folders_path: str
    undecodable_paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RollUp:
    """What a roll-up counted besides the folders it wrote."""

    folders: int
    totals: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class QueryLimits:
    """Bounds of a query; the engine raises `QueryLimitError` beyond them."""

    rows_max: int = 10_000
    timeout_s: float = 60.0
    memory_mb: int = 400


class Engine(Protocol):
    """Computes over snapshot files. Methods may be called from several threads."""

    def find_duplicates(self, view: SnapshotView) -> pa.Table:
        """(key, version_id) that stand in the files more than once. Bounded memory."""

    def roll_up(self, view: SnapshotView, sink: BinaryIO) -> RollUp:
        """Write `folders.parquet` (schema FOLDERS + bytes_by_class) and return the totals."""

    def diff(
        self, old: SnapshotView, new: SnapshotView, key_prefix: str = ""
    ) -> Iterator[pa.RecordBatch]:
        """Every key that differs between two snapshots' current objects, in key order."""

    def query(
        self, statement: str, parameters: Sequence[Any], limits: QueryLimits
    ) -> pa.RecordBatchReader:
        """Run SQL that the catalog itself wrote over snapshot files, as a stream of batches."""

    def console(self, statement: str, views: dict[str, str], limits: QueryLimits) -> pa.Table:
        """Run a user's SQL over named views in a sandbox: no files, no network, no settings."""

    def close(self) -> None:
        """Give back memory and temporary files. It may be used again afterwards."""
