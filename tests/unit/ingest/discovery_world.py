"""A bucket in memory, a catalog and a feed, at a time that only tests move."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from stocktake.catalog import Catalog, Feed, open_feed
from stocktake.clock import FixedClock
from stocktake.events import EventKind, ObjectEvent, hold_events
from stocktake.ingest import DiscoveryReport, IngestionSpec, discover
from stocktake.listing import StrategyName
from stocktake.model import S3Url
from stocktake.store import Store
from stocktake.testing import MemoryStore

SOURCE = S3Url("photos", "in/")


class DiscoveryWorld:
    """What a test needs to put objects somewhere and to discover them."""

    def __init__(self, catalog: Catalog) -> None:
        assert isinstance(catalog.clock, FixedClock)
        self.catalog = catalog
        self.clock: FixedClock = catalog.clock
        self.memory = MemoryStore(clock=self.clock)
        self.memory.describe("CreateBucket", "photos")
        self.store: Store = self.memory
        self._sequence = 0

    @property
    def feed(self) -> Feed:
        return open_feed(self.catalog, SOURCE)

    def spec(self, strategy: StrategyName = StrategyName.FULL, **more: Any) -> IngestionSpec:
        return IngestionSpec("photos", SOURCE, strategy, **more)

    def put(self, *keys: str, body: bytes = b"x") -> None:
        for key in keys:
            self.memory.put("photos", key, body)

    def delete(self, *keys: str) -> None:
        self.memory.delete("photos", list(keys))

    def discover(
        self, strategy: StrategyName = StrategyName.FULL, *, audit: bool = False, **more: Any
    ) -> DiscoveryReport:
        return discover(self.catalog, self.store, self.spec(strategy, **more), audit=audit)

    def changes(self, after: int = 0) -> list[tuple[str, str]]:
        rows = [r for found in self.feed.read(after, 10**6) for r in found.to_pylist()]
        return [(r["change"], r["key"]) for r in rows]

    def event(self, key: str, kind: EventKind = EventKind.CREATED, **more: Any) -> ObjectEvent:
        """An event of what happened to a key now; not on hold yet."""
        self._sequence += 1
        head = None
        if kind is EventKind.CREATED:
            head = self.memory.head("photos", key)
        values: dict[str, Any] = {
            "version_id": None,
            "size_bytes": head.size_bytes if head else None,
            "etag": head.etag if head else None,
            "sequencer": f"{self._sequence:016X}",
            "occurred_at": self.clock.now(),
            **more,
        }
        return ObjectEvent(kind, kind.value, "photos", key, envelope="s3", **values)

    def hold(self, *events: ObjectEvent) -> None:
        hold_events(self.catalog.state, events, self.clock)

    def wait(self, **much: float) -> None:
        self.clock.advance(timedelta(**much).total_seconds())
