"""What a catalog engine must do. DuckDB is the embedded one; others read the same files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
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


@dataclass(frozen=True, slots=True)
class FeedFile:
    """A segment on top of a feed's base.

    Attributes:
        path: Under which the engine opens it.
        first_seq: Number of its first row.
    """

    path: str
    first_seq: int


@dataclass(frozen=True, slots=True)
class KnownObjects:
    """What a feed knows: of each key the newest row of `files`, else of `carried`, else the base.

    Attributes:
        prefix: Only keys below it.
        base: A snapshot; None before the first.
        base_seen: Between which two instants the base was read.
        carried: Parquet file of schema KNOWN: rows that were newer than the base.
        files: Segments after the base, in order.
    """

    prefix: str
    base: SnapshotView | None = None
    base_seen: tuple[datetime, datetime] | None = None
    carried: str | None = None
    files: tuple[FeedFile, ...] = ()


KNOWN: pa.Schema = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("version_id", pa.string()),
        pa.field("size_bytes", pa.int64()),
        pa.field("last_modified", pa.timestamp("ms")),
        pa.field("etag", pa.string()),
        pa.field("storage_class", pa.string()),
        pa.field("sequencer", pa.string()),
        pa.field("gone", pa.bool_(), nullable=False),
        pa.field("seen_from", pa.timestamp("ms"), nullable=False),
        pa.field("seen_to", pa.timestamp("ms"), nullable=False),
    ]
)
"""What is known of a key: an object, or (`gone`) that there is none. It was so at some instant from
`seen_from` (for an event: its own time) to `seen_to`."""

NET_CHANGE: pa.Schema = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("verdict", pa.string(), nullable=False),
        *(KNOWN.field(name) for name in ("version_id", "size_bytes", "last_modified", "etag")),
        KNOWN.field("storage_class"),
        *(pa.field(f"old_{field.name}", field.type) for field in list(KNOWN)[1:]),
    ]
)
"""A key, what is seen of it now and what was known (`old_`, NULL if nothing). `verdict`: new,
modified, deleted, or same; of a snapshot also carried (what was known is newer and stays) and
doubtful (only the store can tell)."""


@dataclass(frozen=True, slots=True)
class Witness:
    """How far a snapshot can be believed against what was known.

    Attributes:
        started_at: Of a listing: everything written before is in it. Of a report: its stamp.
        finished_at: When it was complete.
        skew: By how much clocks may differ.
        report_margin: None for a listing, which is exact. Of a report: so much before its stamp an
            object must have been there for its absence to mean anything.
    """

    started_at: datetime
    finished_at: datetime
    skew: timedelta
    report_margin: timedelta | None = None


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

    def observe(
        self, known: KnownObjects, batches: Iterable[pa.RecordBatch], *, unchanged: bool = False
    ) -> Iterator[pa.RecordBatch]:
        """Which of some objects that were seen are new or modified: NET_CHANGE in key order.

        Of a key that comes twice the last one counts. `unchanged`: also those that are the same.
        """

    def rescan(
        self, known: KnownObjects, now: SnapshotView, witness: Witness
    ) -> Iterator[pa.RecordBatch]:
        """All that a snapshot of the whole prefix says otherwise: NET_CHANGE, key order."""

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
