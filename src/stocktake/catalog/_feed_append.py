"""The one transaction that a run appends with: numbers, cursor, base, claim and the run's row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from stocktake.catalog._catalog import Catalog
from stocktake.catalog._feed_lease import FINISHED, FeedLease, hold
from stocktake.catalog._snapshots import PUBLISHED, Snapshot
from stocktake.clock import format_utc, parse_utc
from stocktake.errors import SnapshotNotFoundError
from stocktake.faults import reached
from stocktake.listing import ListingMetrics
from stocktake.state import feed_cursors, feed_segments, feeds, listing_runs, snapshots


@dataclass(frozen=True, slots=True)
class NewBase:
    """The snapshot that what is known stands on from now on.

    Attributes:
        snapshot: Which one.
        carried: Catalog path of the rows that were newer than it; None without any.
        complete_through: Start of the full scan that it is; None if it proves nothing.
    """

    snapshot: Snapshot
    carried: str | None
    complete_through: datetime | None


@dataclass(frozen=True, slots=True)
class Append:
    """What one absorption changes.

    Attributes:
        path: The segment's file; None without changes.
        rows: Its rows.
        metrics: Of the run so far.
        cursor: Where the strategy goes on from; None leaves it.
        fresh_to: The newest instant that the observations speak of.
        base: A new base; None leaves it.
        missed: Strategy -> objects that this full scan found although it should have.
        settle: Further changes in the same transaction (events that are dealt with).
    """

    path: str | None
    rows: int
    metrics: ListingMetrics
    cursor: dict[str, Any] | None = None
    fresh_to: datetime | None = None
    base: NewBase | None = None
    missed: dict[str, int] = field(default_factory=dict)
    settle: Callable[[Connection], object] | None = None


def append(catalog: Catalog, lease: FeedLease, change: Append) -> tuple[int, int] | None:
    """Make it durable and visible: all or nothing.

    Returns:
        The first and last number given out; None without rows.

    Raises:
        DiscoveryRunningError: Another process has taken the feed over; nothing is changed.
        SnapshotNotFoundError: The new base was deleted meanwhile; nothing is changed.
    """
    now = format_utc(catalog.clock.now())
    with catalog.state.write() as connection:
        row = hold(connection, catalog, lease)
        first, last = row.last_seq + 1, row.last_seq + change.rows
        values = {"last_seq": last, **_freshness(row, lease, change)}
        if change.base is not None:
            values |= _based(connection, row, change.base, last)
        connection.execute(update(feeds).where(feeds.c.id == lease.feed_id).values(**values))
        if change.rows:
            connection.execute(
                insert(feed_segments).values(
                    feed_id=lease.feed_id,
                    first_seq=first,
                    last_seq=last,
                    origin=lease.strategy.value,
                    run_id=lease.run_id,
                    path=change.path,
                    created_at=now,
                )
            )
        if change.cursor is not None:
            _keep_cursor(connection, lease, change.cursor, now)
        if change.settle is not None:
            change.settle(connection)
        connection.execute(
            update(listing_runs)
            .where(listing_runs.c.id == lease.run_id)
            .values(
                state=FINISHED,
                finished_at=now,
                metrics=change.metrics.to_dict(),
                audit_missed=change.missed or None,
            )
        )
        reached("feed.appending")
    reached("feed.appended")
    return (first, last) if change.rows else None


def _freshness(row: Row[Any], lease: FeedLease, change: Append) -> dict[str, Any]:
    proven = change.base.complete_through if change.base is not None else None
    if proven is not None and (row.fresh_to is None or proven >= parse_utc(row.fresh_to)):
        return {"fresh_to": format_utc(proven), "fresh_by": None}
    newest = change.fresh_to
    if newest is None or (row.fresh_to is not None and newest <= parse_utc(row.fresh_to)):
        return {}
    return {"fresh_to": format_utc(newest), "fresh_by": lease.strategy.value}


def _based(connection: Connection, row: Row[Any], base: NewBase, last_seq: int) -> dict[str, Any]:
    # the row lock makes a deletion that began before either be seen here or see this base
    state = connection.execute(
        select(snapshots.c.state).where(snapshots.c.id == base.snapshot.id).with_for_update()
    ).scalar()
    if state != PUBLISHED:
        raise SnapshotNotFoundError(f"the snapshot `{base.snapshot.id}` is gone")
    values = {
        "base_snapshot_id": base.snapshot.id,
        "base_seq": last_seq,
        "base_carried": base.carried,
    }
    through = base.complete_through
    if through is not None:
        values["complete_scan"] = row.complete_scan + 1
        if row.complete_through is None or through > parse_utc(row.complete_through):
            values["complete_through"] = format_utc(through)
    return values


def _keep_cursor(
    connection: Connection, lease: FeedLease, cursor: dict[str, Any], now: str
) -> None:
    own = (feed_cursors.c.feed_id == lease.feed_id) & (
        feed_cursors.c.strategy == lease.strategy.value
    )
    connection.execute(delete(feed_cursors).where(own))
    connection.execute(
        insert(feed_cursors).values(
            feed_id=lease.feed_id, strategy=lease.strategy.value, cursor=cursor, updated_at=now
        )
    )
