"""The feed of a prefix: what discovery learnt, as numbered net changes, and what is known now.

>>> feed = open_feed(catalog, S3Url.parse("s3://photos/2026/"))
>>> with feed.discovering(StrategyName.FULL) as writer:
...     writer.absorb_snapshot(snapshot, started_at=snapshot.as_of, proves_complete=True, ...)
>>> for batch in feed.read(after_seq=0, limit=10_000): ...
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa
from sqlalchemy import Row, insert, select
from sqlalchemy.exc import IntegrityError

from stocktake.catalog._catalog import Catalog
from stocktake.catalog._feed_audits import AuditRecord, audit_record
from stocktake.catalog._feed_claim import Claim
from stocktake.catalog._feed_known import read_cursor
from stocktake.catalog._feed_lease import end_run, heartbeat, keep_reused, take_lease
from stocktake.catalog._feed_merge import merge_tail
from stocktake.catalog._feed_reading import pick_rows, read_rows, rows_of_key
from stocktake.catalog._feed_writer import FeedWriter
from stocktake.clock import format_utc, parse_utc
from stocktake.errors import CatalogCorruptError, DiskFullError, StateError
from stocktake.listing import ListingMetrics, StrategyName
from stocktake.model import FEED_CHANGE, S3Url, escape_key, new_id, unescape_key
from stocktake.state import feeds, listing_runs


@dataclass(frozen=True, slots=True)
class ListingRun:
    """One run of a strategy over a feed's prefix.

    Attributes:
        id: Its id; rows of the feed carry it.
        strategy: What ran.
        started_at: When it began.
        finished_at: When it ended; None while it runs.
        state: running, finished, failed, or reused (no listing: another run was young enough).
        metrics: What it did and cost; None if it did not get that far.
        audit_missed: Of a full scan: strategy -> objects that it should have seen and had not.
        error: Why it failed.
    """

    id: str
    strategy: StrategyName
    started_at: datetime
    finished_at: datetime | None
    state: str
    metrics: ListingMetrics | None = None
    audit_missed: dict[str, int] = field(default_factory=dict)
    error: dict[str, Any] | None = None


class Feed:
    """One prefix that is discovered. Reading needs no lease and sees whole runs only.

    Attributes:
        id: Its id.
        bucket: The bucket.
        prefix: Keys below it; '' is the whole bucket.
    """

    def __init__(self, catalog: Catalog, feed_id: str, bucket: str, prefix: str) -> None:
        self._catalog = catalog
        self.id = feed_id
        self.bucket = bucket
        self.prefix = prefix

    @property
    def source(self) -> S3Url:
        """Bucket and prefix."""
        return S3Url(self.bucket, self.prefix)

    def last_seq(self) -> int:
        """The newest number given out; 0 if there were no changes yet."""
        return int(self._row().last_seq)

    def claim(self) -> Claim:
        """How complete and how fresh what is known is."""
        row = self._row()
        return Claim(
            _instant(row.complete_through), row.complete_scan, _instant(row.fresh_to), row.fresh_by
        )

    def base_snapshot_id(self) -> str | None:
        """The snapshot that what is known stands on; None before the first."""
        base: str | None = self._row().base_snapshot_id
        return base

    def read(self, after_seq: int, limit: int) -> Iterator[pa.RecordBatch]:
        """The changes numbered `after_seq + 1` and on, at most `limit`: FEED_CHANGE, in order.

        Raises:
            CatalogCorruptError: A segment's file is missing or has another number of rows.
        """
        return read_rows(self._catalog, self.id, after_seq + 1, after_seq + limit)

    def rows_at(self, seqs: Iterable[int]) -> pa.Table:
        """The rows of these numbers: FEED_CHANGE, in order.

        Raises:
            CatalogCorruptError: One of them is not there.
        """
        wanted = sorted(set(seqs))
        found = list(pick_rows(self._catalog, self.id, wanted)) if wanted else []
        table = pa.Table.from_batches(found, FEED_CHANGE)
        if table.num_rows != len(wanted):
            raise CatalogCorruptError(
                f"{len(wanted) - table.num_rows} of {len(wanted)} changes are not in the feed of "
                f"{self.source}",
                feed_id=self.id,
            )
        return table

    def history(self, key: str) -> list[dict[str, Any]]:
        """Every row of one key, oldest first, as FEED_CHANGE has them."""
        rows: list[dict[str, Any]] = []
        for batch in rows_of_key(self._catalog, self.id, key):
            rows.extend(batch.to_pylist())
        return rows

    def runs(self, limit: int = 20) -> list[ListingRun]:
        """The newest runs, newest first."""
        statement = (
            select(listing_runs)
            .where(listing_runs.c.feed_id == self.id)
            .order_by(listing_runs.c.id.desc())
            .limit(limit)
        )
        with self._catalog.state.read() as connection:
            return [_run(row) for row in connection.execute(statement)]

    def cursor(self, strategy: StrategyName) -> dict[str, Any]:
        """What the last committed run of a strategy left; empty at first."""
        return read_cursor(self._catalog, self.id, strategy)

    def note_reuse(self, strategy: StrategyName, metrics: ListingMetrics) -> str:
        """Keep a run that listed nothing, as another one was young enough; its id."""
        return keep_reused(self._catalog, self.id, strategy, metrics)

    def audit_record(self) -> dict[str, AuditRecord]:
        """Partial strategy -> how its audits came out, over all full scans of the feed."""
        return audit_record(self._catalog, self.id)

    @contextmanager
    def discovering(self, strategy: StrategyName) -> Iterator[FeedWriter]:
        """Begin a run of a strategy and hold the feed for the length of the block.

        What is absorbed inside is durable at once; an error afterwards marks the run failed.

        Raises:
            DiscoveryRunningError: Another process is at it.
        """
        lease = take_lease(self._catalog, self.id, strategy)
        try:
            with heartbeat(self._catalog, lease) as lost:
                yield FeedWriter(self._catalog, self.source, lease, lost)
                merge_tail(self._catalog, lease)
        except BaseException as error:
            # a database that fails too must not hide what happened first; the lease runs out
            with suppress(StateError, DiskFullError):
                end_run(self._catalog, lease, error)
            raise
        end_run(self._catalog, lease, None)

    def _row(self) -> Row[Any]:
        with self._catalog.state.read() as connection:
            return connection.execute(select(feeds).where(feeds.c.id == self.id)).one()


def open_feed(catalog: Catalog, source: S3Url) -> Feed:
    """The feed of a prefix, made if it is not there."""
    known = find_feed(catalog, source)
    if known is not None:
        return known
    feed_id = new_id("fed", catalog.clock)
    try:
        with catalog.state.write() as connection:
            connection.execute(
                insert(feeds).values(
                    id=feed_id,
                    bucket=source.bucket,
                    prefix=escape_key(source.key),
                    created_at=format_utc(catalog.clock.now()),
                )
            )
    except IntegrityError:  # two made it at the same instant
        return open_feed(catalog, source)
    return Feed(catalog, feed_id, source.bucket, source.key)


def find_feed(catalog: Catalog, source: S3Url) -> Feed | None:
    """The feed of exactly this prefix, if there is one."""
    statement = select(feeds).where(
        feeds.c.bucket == source.bucket, feeds.c.prefix == escape_key(source.key)
    )
    with catalog.state.read() as connection:
        row = connection.execute(statement).one_or_none()
    return None if row is None else Feed(catalog, row.id, source.bucket, source.key)


def list_feeds(catalog: Catalog) -> list[Feed]:
    """Every feed, by bucket and prefix."""
    with catalog.state.read() as connection:
        rows = connection.execute(select(feeds)).all()
    found = [Feed(catalog, row.id, row.bucket, unescape_key(row.prefix)) for row in rows]
    return sorted(found, key=lambda feed: (feed.bucket, feed.prefix))


def _run(row: Row[Any]) -> ListingRun:
    return ListingRun(
        row.id,
        StrategyName(row.strategy),
        parse_utc(row.started_at),
        _instant(row.finished_at),
        row.state,
        ListingMetrics.from_dict(row.metrics) if row.metrics else None,
        row.audit_missed or {},
        row.error,
    )


def _instant(text: str | None) -> datetime | None:
    return parse_utc(text) if text else None
