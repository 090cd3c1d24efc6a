"""A bucket in memory and the runs of partial strategies over it, for tests of their promises."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from stocktake.clock import FixedClock
from stocktake.listing import ListingJob, ListingMetrics, parse_settings, start_strategy
from stocktake.model import S3Url
from stocktake.telemetry import Meter
from stocktake.testing import MemoryStore

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


class StrategyWorld:
    """A bucket `b`, a clock, and one strategy with its committed cursor."""

    def __init__(self, name: str, *, prefix: str = "", start: datetime = NOW, **settings: Any):
        self.name = name
        self.clock = FixedClock(start)
        self.meter = Meter()
        self.store = MemoryStore(clock=self.clock, meter=self.meter)
        self.store.describe("CreateBucket", "b")
        self.source = S3Url("b", prefix)
        self.settings = parse_settings(name, settings)
        self.cursor: dict[str, Any] = {}
        self.metrics = ListingMetrics()
        self.warnings: tuple[str, ...] = ()
        self.passed: list[tuple[str, datetime]] = []

    def put(self, *keys: str, body: bytes = b"x") -> None:
        for key in keys:
            self.store.put("b", key, body)

    def delete(self, *keys: str) -> None:
        self.store.delete("b", list(keys))

    def wait(self, **amount: float) -> None:
        self.clock.advance(timedelta(**amount).total_seconds())

    def present(self) -> set[str]:
        return set(self.store.buckets["b"]._versions)

    def run(self, *, commit: bool = True) -> list[str]:
        """The keys that one run gives, in its order; without commit the cursor stays."""
        job = ListingJob(
            self.store, self.source, self.clock, cursor=self.cursor, settings=self.settings
        )
        run = start_strategy(self.name, job)
        found = [key for batch in run.batches() for key in batch.column("key").to_pylist()]
        assert len(found) == len(set(found)), "a key at most once"
        if commit:
            self.cursor = run.cursor()
        self.metrics, self.warnings, self.passed = run.metrics, run.warnings, run.passed()
        return found
