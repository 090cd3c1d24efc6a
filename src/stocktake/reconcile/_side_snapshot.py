"""A snapshot of the catalog as a side; a report becomes one first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pyarrow as pa

from stocktake.catalog import (
    Catalog,
    Snapshot,
    describe_snapshot,
    find_snapshot,
    list_snapshots,
    object_batches,
    use_snapshot,
)
from stocktake.errors import SideUnavailableError
from stocktake.model import S3Url, SourceKind
from stocktake.reconcile._side import Pair, Proof, SideFacts, SideKind
from stocktake.reconcile._side_rows import RowCount, nothing_proven, side_rows


class SnapshotSide:
    """The current objects of a snapshot below a prefix; the snapshot is kept while it is read."""

    def __init__(self, catalog: Catalog, snapshot: Snapshot, prefix: str) -> None:
        inventory = snapshot.kind == SourceKind.AWS_INVENTORY
        self._catalog = catalog
        self._snapshot = snapshot
        self._prefix = prefix
        self._facts = SideFacts(
            SideKind.AWS_INVENTORY if inventory else SideKind.CATALOG,
            describe_snapshot(snapshot),
            snapshot.as_of,
            complete=not _unreadable(snapshot),
            objects_at=S3Url(snapshot.bucket, prefix),
            notes=_notes(snapshot, prefix),
        )

    @property
    def facts(self) -> SideFacts:
        """As of the instant the snapshot speaks of."""
        return self._facts

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Read it, half a million rows at a time."""
        count = RowCount()
        with use_snapshot(self._catalog, self._snapshot):
            found = object_batches(self._catalog, self._snapshot, self._prefix)
            for rows in side_rows(found, self._prefix, count):
                self._facts = replace(
                    self._facts, objects=count.objects, size_bytes=count.size_bytes
                )
                yield rows

    def prove(self, pairs: Sequence[Pair]) -> list[Proof]:
        """A snapshot has nothing but its rows."""
        return nothing_proven(pairs)


def covering_snapshot(catalog: Catalog, source: S3Url, reference: str | None) -> Snapshot:
    """The snapshot that a reference means, or the newest that covers all of an address.

    Raises:
        SnapshotNotFoundError: The reference means none.
        SideUnavailableError: None covers the address.
    """
    if reference is not None:
        found = find_snapshot(catalog, reference, source=source.bucket)
        check_covers(found, source)
        return found
    for one in list_snapshots(catalog, source=source.bucket):
        if _covers(one, source.key):
            return one
    raise SideUnavailableError(
        f"the catalog has no snapshot that covers {source}",
        hint=f"make one: stocktake scan {source}",
        source=str(source),
    )


def check_covers(snapshot: Snapshot, source: S3Url) -> None:
    """Refuse a snapshot that does not speak of all of an address.

    Raises:
        SideUnavailableError: It is of another bucket, or of another prefix.
    """
    if snapshot.bucket != source.bucket or not _covers(snapshot, source.key):
        raise SideUnavailableError(
            f"the snapshot {describe_snapshot(snapshot)} does not cover {source}",
            hint=f"make one that does: stocktake scan {source}",
            snapshot=snapshot.id,
        )


def _covers(snapshot: Snapshot, prefix: str) -> bool:
    covered = snapshot.coverage.prefix
    return covered is None or prefix.startswith(covered)


def _unreadable(snapshot: Snapshot) -> int:
    stats = snapshot.manifest.stats
    return stats.bad_rows + stats.undecodable_keys


def _notes(snapshot: Snapshot, prefix: str) -> tuple[str, ...]:
    notes = list(snapshot.manifest.warnings)
    if snapshot.coverage.prefix is None:
        notes.append(
            "a report does not say which prefix it is filtered by: if it is, objects outside of "
            "the filter look missing"
        )
    if _unreadable(snapshot):
        notes.append(f"{_unreadable(snapshot)} rows of the report could not be read")
    if prefix and not prefix.endswith("/"):
        notes.append(f"`{prefix}` is a beginning of keys, not a folder")
    return tuple(notes)
