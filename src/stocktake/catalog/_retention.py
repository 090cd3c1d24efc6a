"""Which snapshots to keep, and how the others go.

Deleting is two steps, so that a kill between them leaves no half snapshot to be found: the row
leaves state `published`, then the files go, then the row. `sweep` finishes what was interrupted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, select, update

from stocktake.catalog._catalog import Catalog
from stocktake.catalog._feed_uses import feeds_on
from stocktake.catalog._format import MANIFEST_NAME
from stocktake.catalog._snapshot_uses import live_uses
from stocktake.catalog._snapshots import (
    DELETING,
    PUBLISHED,
    Snapshot,
    describe_snapshot,
    list_snapshots,
)
from stocktake.errors import InvalidSettingError, SnapshotInUseError, SnapshotNotFoundError
from stocktake.state import snapshot_uses, snapshots


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """How many to keep of each source. A snapshot stays if any rule keeps it.

    Attributes:
        last: The newest ones.
        daily: The newest of each of that many latest days that have one (UTC).
        weekly: The same by ISO week.
        monthly: The same by month.
    """

    last: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0

    def __post_init__(self) -> None:
        counts = (self.last, self.daily, self.weekly, self.monthly)
        if min(counts) < 0 or max(counts) == 0:
            raise InvalidSettingError(
                "a retention policy must keep something",
                hint="for example --keep-last 7 --keep-monthly 12",
            )


@dataclass(frozen=True, slots=True)
class RetentionPlan:
    """What a policy does: the snapshots that stay, why, and those that go (newest first)."""

    kept: tuple[tuple[Snapshot, tuple[str, ...]], ...]
    deleted: tuple[Snapshot, ...]
    dry_run: bool


def retain(
    catalog: Catalog, policy: RetentionPolicy, *, source: str | None = None, dry_run: bool = True
) -> RetentionPlan:
    """Apply a policy to each source; with `dry_run` only say what would happen.

    The newest of a source, pinned ones, those being read and bases of feeds always stay.
    """
    by_source: dict[str, list[Snapshot]] = {}
    for snapshot in list_snapshots(catalog, source=source):
        by_source.setdefault(snapshot.source_id, []).append(snapshot)
    kept: list[tuple[Snapshot, tuple[str, ...]]] = []
    deleted: list[Snapshot] = []
    for snapshots_of_source in by_source.values():
        reasons = _reasons(snapshots_of_source, policy)
        for snapshot in snapshots_of_source:
            why = reasons.get(snapshot.id, []) or _held(catalog, snapshot)
            if why or not (dry_run or _deleted_now(catalog, snapshot)):
                kept.append((snapshot, tuple(why or ["in use"])))
            else:
                deleted.append(snapshot)
    return RetentionPlan(tuple(kept), tuple(deleted), dry_run)


def delete_snapshot(catalog: Catalog, snapshot: Snapshot, *, force: bool = False) -> None:
    """Delete a snapshot and its files.

    Args:
        catalog: The catalog.
        snapshot: Which one.
        force: Also if it is pinned or the newest of its source; never while it is being read or
            the base of a feed.

    Raises:
        SnapshotInUseError: Pinned, the newest, being read, or the base of a feed.
        SnapshotNotFoundError: It is gone already.
    """
    with catalog.state.write() as connection:
        row = connection.execute(
            select(snapshots).where(snapshots.c.id == snapshot.id).with_for_update()
        ).one_or_none()
        if row is None or row.state != PUBLISHED:
            raise SnapshotNotFoundError(f"the snapshot `{snapshot.id}` is gone", id=snapshot.id)
        _check_no_base(connection, snapshot)
        if not force:
            _check_unneeded(connection, snapshot, pinned=bool(row.pinned))
        users = live_uses(connection, snapshot.id, catalog.clock)
        if users:
            raise SnapshotInUseError(
                f"{describe_snapshot(snapshot)} is being read by {', '.join(users)}",
                hint="wait until it has finished",
                retryable=True,
                id=snapshot.id,
            )
        connection.execute(
            update(snapshots).where(snapshots.c.id == snapshot.id).values(state=DELETING)
        )
    finish_deletion(catalog, snapshot.id, snapshot.path)


def finish_deletion(catalog: Catalog, snapshot_id: str, path: str) -> None:
    """The second half, for a snapshot in state `deleting`: its files, then its row."""
    manifest = f"{path}/{MANIFEST_NAME}"
    catalog.files.remove(manifest)
    for name in list(catalog.files.listing(path)):
        catalog.files.remove(name)
    with catalog.state.write() as connection:
        connection.execute(delete(snapshot_uses).where(snapshot_uses.c.snapshot_id == snapshot_id))
        connection.execute(
            delete(snapshots).where(snapshots.c.id == snapshot_id, snapshots.c.state == DELETING)
        )


def _check_no_base(connection: Connection, snapshot: Snapshot) -> None:
    """Without its base a feed would take everything for new."""
    needing = feeds_on(connection, snapshot.id)
    if needing:
        raise SnapshotInUseError(
            f"the feed of {needing[0]} stands on {describe_snapshot(snapshot)}",
            hint=f"the next full scan lets it go: stocktake scan {needing[0]}, then discover",
            id=snapshot.id,
            feeds=needing,
        )


def _check_unneeded(connection: Connection, snapshot: Snapshot, *, pinned: bool) -> None:
    if pinned:
        raise SnapshotInUseError(
            f"{describe_snapshot(snapshot)} is pinned",
            hint="unpin it first, or pass --force",
            id=snapshot.id,
        )
    newest = connection.execute(
        select(snapshots.c.id)
        .where(snapshots.c.source_id == snapshot.source_id, snapshots.c.state == PUBLISHED)
        .order_by(snapshots.c.as_of.desc(), snapshots.c.id.desc())
        .limit(1)
    ).scalar()
    if newest == snapshot.id:
        raise SnapshotInUseError(
            f"{describe_snapshot(snapshot)} is the newest of its source",
            hint="pass --force to delete it all the same",
            id=snapshot.id,
        )


def _deleted_now(catalog: Catalog, snapshot: Snapshot) -> bool:
    try:
        delete_snapshot(catalog, snapshot)
    except SnapshotInUseError:  # somebody began to read or pinned it since the plan was made
        return False
    except SnapshotNotFoundError:  # somebody else deleted it
        return True
    return True


def _held(catalog: Catalog, snapshot: Snapshot) -> list[str]:
    if snapshot.pinned:
        return ["pinned"]
    with catalog.state.read() as connection:
        if feeds_on(connection, snapshot.id):
            return ["base of a feed"]
        return ["in use"] if live_uses(connection, snapshot.id, catalog.clock) else []


def _reasons(newest_first: list[Snapshot], policy: RetentionPolicy) -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = {newest_first[0].id: ["newest"]}
    for snapshot in newest_first[: policy.last]:
        reasons.setdefault(snapshot.id, []).append("last")
    periods: list[tuple[str, int, Callable[[datetime], tuple[int, ...]]]] = [
        ("daily", policy.daily, lambda at: (at.year, at.month, at.day)),
        ("weekly", policy.weekly, lambda at: tuple(at.isocalendar()[:2])),
        ("monthly", policy.monthly, lambda at: (at.year, at.month)),
    ]
    for name, count, period_of in periods:
        newest_of: dict[tuple[int, ...], Snapshot] = {}
        for snapshot in newest_first:
            newest_of.setdefault(period_of(snapshot.as_of), snapshot)
        for snapshot in list(newest_of.values())[:count]:
            reasons.setdefault(snapshot.id, []).append(name)
    return reasons
