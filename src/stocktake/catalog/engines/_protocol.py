"""What a catalog engine must do. DuckDB is the embedded one; others read the same files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO, Protocol

import pyarrow as pa

from stocktake.catalog._format import RowGroup, SnapshotManifest


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


DIFF: pa.Schema = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("change", pa.string(), nullable=False),
        pa.field("renamed_from", pa.string()),
        pa.field("old_size_bytes", pa.int64()),
        pa.field("new_size_bytes", pa.int64()),
        pa.field("old_etag", pa.string()),
        pa.field("new_etag", pa.string()),
        pa.field("old_last_modified", pa.timestamp("ms")),
        pa.field("new_last_modified", pa.timestamp("ms")),
        pa.field("old_storage_class", pa.string()),
        pa.field("new_storage_class", pa.string()),
    ]
)
"""One row per key that differs. `change` is new, modified, deleted, renamed (the same ETag and size
vanished at `renamed_from` and appeared here: one row for both) or unconfirmed (not in the new
snapshot, but too young for it to be a witness)."""


@dataclass(frozen=True, slots=True)
class DiffRules:
    """How two snapshots are compared.

    Attributes:
        key_prefix: Only keys below it.
        deleted_before: A vanished key counts as deleted only if it was last modified before this
            instant; a younger one is unconfirmed. None: no such doubt.
        pending_path: Parquet file of schema DIFF: keys unconfirmed by the last comparison, which
            belong to the old side.
    """

    key_prefix: str = ""
    deleted_before: datetime | None = None
    pending_path: str | None = None


@dataclass(frozen=True, slots=True)
class Sandbox:
    """What a user's statement finds: no other file, no network, no settings.

    Attributes:
        setup: Statements that make the views and macros, run before access is cut.
        paths: The only files that may be read.
        tables: Small tables by name.
    """

    setup: Sequence[str]
    paths: Sequence[str]
    tables: Mapping[str, pa.Table] = field(default_factory=dict)


class Engine(Protocol):
    """Computes over snapshot files. Methods may be called from several threads."""

    def find_surplus(self, view: SnapshotView, repeats: Iterable[RowGroup]) -> Iterator[pa.Table]:
        """Rows that stand twice, or claim to be the latest beside a newer one. Bounded memory.

        `repeats` are row groups that hold some key twice.
        """

    def roll_up(self, view: SnapshotView, sink: BinaryIO) -> RollUp:
        """Write `folders.parquet` (schema FOLDERS + bytes_by_class) and return the totals."""

    def diff(
        self, old: SnapshotView, new: SnapshotView, rules: DiffRules
    ) -> Iterator[pa.RecordBatch]:
        """Every key that differs between two snapshots' current objects: schema DIFF, key order."""

    def query(
        self, statement: str, parameters: Sequence[Any], limits: QueryLimits
    ) -> pa.RecordBatchReader:
        """Run SQL that the catalog itself wrote over snapshot files, as a stream of batches."""

    def console(
        self, statement: str, sandbox: Sandbox, limits: QueryLimits
    ) -> tuple[pa.Table, bool]:
        """The first rows of a user's SELECT in a sandbox, and whether there were more."""

    def close(self) -> None:
        """Give back memory and temporary files. It may be used again afterwards."""
