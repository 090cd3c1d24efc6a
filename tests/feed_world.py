"""A bucket that changes while a feed watches it: what is true, and what the feed was told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from snapshot_world import PLAIN, publish
from stocktake.catalog import Absorbed, Catalog, Feed, Snapshot, open_feed
from stocktake.catalog._feed_event_rows import known_facts
from stocktake.catalog._feed_events import Fact
from stocktake.catalog._feed_known import read_knowledge
from stocktake.catalog._feed_sight import Sight
from stocktake.clock import FixedClock
from stocktake.events import EventKind, ObjectEvent
from stocktake.listing import ListingMetrics, StrategyName
from stocktake.model import S3Url, object_schema
from stocktake.store import ObjectHead

LEXICAL, FULL, EVENTS, INVENTORY = (
    StrategyName.INCREMENTAL_LEXICAL,
    StrategyName.FULL,
    StrategyName.EVENT_DRIVEN,
    StrategyName.INVENTORY,
)


@dataclass(frozen=True)
class Version:
    """One write. `written_at` is our clock, `last_modified` the store's."""

    key: str
    etag: str
    size_bytes: int
    last_modified: datetime
    written_at: datetime

    def row(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "etag": self.etag,
            "size_bytes": self.size_bytes,
            "last_modified": self.last_modified.replace(tzinfo=None),
            "storage_class": "STANDARD",
        }


class FeedWorld:
    """A bucket, the events it sends, and a feed."""

    def __init__(
        self,
        catalog: Catalog,
        bucket: str,
        *,
        skew: timedelta = timedelta(),
        sequencers: bool = True,
        prefix: str = "",
    ) -> None:
        assert isinstance(catalog.clock, FixedClock)
        self.catalog = catalog
        self.clock: FixedClock = catalog.clock
        self.bucket = bucket
        self.feed: Feed = open_feed(catalog, S3Url(bucket, prefix))
        self.skew = skew
        self.sequencers = sequencers
        self.objects: dict[str, Version] = {}
        self.uploads: dict[str, datetime] = {}
        self.pending: list[ObjectEvent] = []
        self.writes: list[Version] = []
        self.looks = 0
        self._number = 0

    # what happens in the bucket

    def put(self, key: str, *, same: bool = False) -> None:
        """Write a key; `same`: the bytes that are there already."""
        self._write(key, self._store_now(), same=same)

    def begin(self, key: str) -> None:
        """Begin a multipart upload: its object will have this date."""
        self.uploads[key] = self._store_now()

    def complete(self, key: str) -> None:
        """Complete it."""
        begun = self.uploads.pop(key, None)
        if begun is not None:
            self._write(key, begun, same=False)

    def delete(self, key: str) -> None:
        """Delete a key."""
        if self.objects.pop(key, None) is not None:
            self._tell(EventKind.DELETED, key, None)

    # what the feed is told

    def see(self, keys: Iterable[str]) -> Absorbed:
        """A partial listing of some keys."""
        rows = [self.objects[key].row() for key in keys if key in self.objects]
        with self.feed.discovering(LEXICAL) as writer:
            return writer.absorb([batch(rows)], cursor={}, metrics=ListingMetrics())

    def listed(self, rows: Sequence[Version], started_at: datetime) -> Snapshot:
        """A listing that is finished now."""
        return publish(
            self.catalog,
            [version.row() for version in rows],
            bucket=self.bucket,
            config_id="list",
            kind="list",
            as_of=started_at,
        )

    def scan(self) -> Absorbed:
        """A listing of everything at one instant, absorbed."""
        return self.absorb(self.listed(list(self.objects.values()), self.clock.now()))

    def absorb(self, snapshot: Snapshot, *, proves: bool = True) -> Absorbed:
        with self.feed.discovering(FULL if proves else INVENTORY) as writer:
            return writer.absorb_snapshot(
                snapshot,
                started_at=snapshot.as_of,
                proves_complete=proves,
                metrics=ListingMetrics(),
                look=self.look,
                accept_deletions=True,
            )

    def hear(self, events: Sequence[ObjectEvent]) -> Absorbed:
        with self.feed.discovering(EVENTS) as writer:
            return writer.absorb_events(events, metrics=ListingMetrics(), look=self.look)

    def look(self, keys: Sequence[str]) -> list[Sight]:
        """HEAD, as rough as the real one: whole seconds."""
        self.looks += len(keys)
        return [Sight(key, self._head(key)) for key in keys]

    # what it made of it

    def rows(self) -> list[dict[str, Any]]:
        return [row for found in self.feed.read(0, 10**6) for row in found.to_pylist()]

    def known(self, keys: Iterable[str]) -> dict[str, Fact]:
        """What the feed knows of each key."""
        return known_facts(self.catalog, read_knowledge(self.catalog, self.feed.id), keys)

    def knows(self, version: Version, fact: Fact) -> bool:
        return (fact.present, fact.etag, fact.size_bytes) == (
            True,
            version.etag,
            version.size_bytes,
        )

    def _head(self, key: str) -> ObjectHead | None:
        found = self.objects.get(key)
        if found is None:
            return None
        rough = found.last_modified.replace(microsecond=0)
        return ObjectHead(self.bucket, key, found.size_bytes, found.etag, rough)

    def _store_now(self) -> datetime:
        return (self.clock.now() + self.skew).astimezone(UTC)

    def _write(self, key: str, last_modified: datetime, *, same: bool) -> None:
        before = self.objects.get(key)
        number = len(self.writes)
        version = Version(key, f"e{number}", number, last_modified, self.clock.now())
        if same and before is not None:
            version = replace(version, etag=before.etag, size_bytes=before.size_bytes)
        self.objects[key] = version
        self.writes.append(version)
        self._tell(EventKind.CREATED, key, version)

    def _tell(self, kind: EventKind, key: str, version: Version | None) -> None:
        self._number += 1
        self.pending.append(
            ObjectEvent(
                kind,
                kind.value,
                self.bucket,
                key,
                None,
                version.size_bytes if version else None,
                version.etag if version else None,
                f"{self._number:08x}" if self.sequencers else None,
                self._store_now(),
                "s3",
            )
        )


def batch(rows: Sequence[dict[str, Any]], columns: Sequence[str] = PLAIN) -> pa.RecordBatch:
    """Rows of the object record."""
    schema = object_schema(columns)
    return pa.RecordBatch.from_pylist([{n: r.get(n) for n in schema.names} for r in rows], schema)
