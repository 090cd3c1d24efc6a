"""What a feed knows at this moment, as the engine needs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, select

from stocktake.catalog._catalog import Catalog
from stocktake.catalog._feed_lease import FINISHED
from stocktake.catalog._feed_passed import WATCHED, Passed, unpack_cursor, unpack_passed
from stocktake.catalog._snapshot_uses import use_snapshot
from stocktake.catalog._snapshots import Snapshot, find_snapshot
from stocktake.catalog.engines._protocol import FeedFile, KnownObjects
from stocktake.clock import parse_utc
from stocktake.listing import StrategyName
from stocktake.model import SourceKind, unescape_key
from stocktake.state import feed_cursors, feed_segments, feeds, listing_runs

CLOCK_SKEW = timedelta(minutes=15)
"""By how much a store's clock and ours may differ: S3 refuses requests that are further off."""

REPORT_MARGIN = timedelta(hours=48)
"""So old must an object be for a report to be a witness of its absence."""


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What is known, and what it was put together from.

    Attributes:
        objects: For the engine.
        base: The base snapshot; None before the first.
        last_seq: The newest number.
        passed: Partial strategy -> how far it has come.
    """

    objects: KnownObjects
    base: Snapshot | None
    last_seq: int
    passed: dict[str, Passed]


@contextmanager
def use_knowledge(catalog: Catalog, feed_id: str) -> Iterator[Knowledge]:
    """What is known now; its base stays there for the length of the block."""
    knowledge = read_knowledge(catalog, feed_id)
    if knowledge.base is None:
        yield knowledge
        return
    with use_snapshot(catalog, knowledge.base):
        yield knowledge


def read_knowledge(catalog: Catalog, feed_id: str) -> Knowledge:
    """What is known now."""
    with catalog.state.read() as connection:
        row = connection.execute(select(feeds).where(feeds.c.id == feed_id)).one()
        segments = connection.execute(
            select(feed_segments)
            .where(feed_segments.c.feed_id == feed_id, feed_segments.c.last_seq > row.base_seq)
            .order_by(feed_segments.c.first_seq)
        ).all()
        passed = _passed(connection, feed_id)
    base = find_snapshot(catalog, row.base_snapshot_id) if row.base_snapshot_id else None
    files = tuple(_file(catalog, segment) for segment in segments)
    objects = KnownObjects(
        prefix=unescape_key(row.prefix),
        base=base.view if base is not None else None,
        base_seen=seen_between(base) if base is not None else None,
        carried=catalog.files.engine_path(row.base_carried) if row.base_carried else None,
        files=files,
    )
    return Knowledge(objects, base, row.last_seq, passed)


def read_cursor(catalog: Catalog, feed_id: str, strategy: StrategyName) -> dict[str, Any]:
    """Where a strategy goes on in a feed; empty at first."""
    statement = select(feed_cursors.c.cursor).where(
        feed_cursors.c.feed_id == feed_id, feed_cursors.c.strategy == strategy.value
    )
    with catalog.state.read() as connection:
        return unpack_cursor(connection.execute(statement).scalar())


def seen_between(snapshot: Snapshot) -> tuple[datetime, datetime]:
    """Between which instants a snapshot's source looked at the bucket."""
    start = snapshot.as_of
    if snapshot.kind == SourceKind.AWS_INVENTORY:
        start -= REPORT_MARGIN
    return start, max(snapshot.published_at, snapshot.as_of)


def _file(catalog: Catalog, segment: Row[Any]) -> FeedFile:
    return FeedFile(catalog.files.engine_path(segment.path), segment.first_seq)


def _passed(connection: Connection, feed_id: str) -> dict[str, Passed]:
    """How far every partial strategy has come that ever ran here."""
    cursors = connection.execute(
        select(feed_cursors.c.strategy, feed_cursors.c.cursor)
        .where(feed_cursors.c.feed_id == feed_id)
        .where(feed_cursors.c.strategy.in_(WATCHED))
    ).all()
    passed: dict[str, Passed] = {}
    for row in cursors:
        started_at = connection.execute(
            select(listing_runs.c.started_at)
            .where(listing_runs.c.feed_id == feed_id, listing_runs.c.strategy == row.strategy)
            .where(listing_runs.c.state == FINISHED)
            .order_by(listing_runs.c.id.desc())
            .limit(1)
        ).scalar()
        if started_at is not None:
            passed[row.strategy] = unpack_passed(row.cursor, row.strategy, parse_utc(started_at))
    return passed
