"""Discovery end to end on a store in memory: what is new gets a number, once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stocktake.catalog import Catalog, open_catalog, open_feed
from stocktake.clock import FixedClock
from stocktake.errors import DiscoveryRunningError, StrategyRefusedError
from stocktake.ingest import IngestionSpec, discover
from stocktake.listing import StrategyName
from stocktake.model import S3Url
from stocktake.testing import MemoryStore

NOW = datetime(2026, 11, 20, 18, 0, 3, tzinfo=UTC)
SOURCE = S3Url("photos", "in/")


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture
def store(clock: FixedClock) -> MemoryStore:
    store = MemoryStore(clock=clock)
    store.describe("CreateBucket", "photos")
    return store


@pytest.fixture
def catalog(tmp_path: Path, clock: FixedClock) -> Iterator[Catalog]:
    with open_catalog(str(tmp_path / "catalog"), create=True, clock=clock, threads=1) as catalog:
        yield catalog


def spec(strategy: StrategyName = StrategyName.FULL, **more: object) -> IngestionSpec:
    return IngestionSpec("photos", SOURCE, strategy, **more)  # type: ignore[arg-type]


def put(store: MemoryStore, *keys: str, body: bytes = b"x") -> None:
    for key in keys:
        store.put("photos", key, body)


def changes(catalog: Catalog, after: int = 0) -> list[tuple[str, str]]:
    feed = open_feed(catalog, SOURCE)
    return [
        (r["change"], r["key"]) for batch in feed.read(after, 10**6) for r in batch.to_pylist()
    ]


def test_a_full_scan_numbers_what_is_new_modified_and_gone(
    catalog: Catalog, store: MemoryStore, clock: FixedClock
) -> None:
    """STR-1, STR-9, STR-10."""
    put(store, "in/a", "in/b", "other")
    report = discover(catalog, store, spec())
    assert (report.first_seq, report.last_seq, report.metrics.objects) == (1, 2, 2)
    assert report.claim.sentence() == "complete through 2026-11-20T18:00:03Z (scan #1)"
    clock.advance(60)
    put(store, "in/b", "in/c", body=b"other")
    store.delete("photos", ["in/a"])
    report = discover(catalog, store, spec())
    assert changes(catalog, 2) == [("deleted", "in/a"), ("modified", "in/b"), ("new", "in/c")]
    assert (report.metrics.new, report.metrics.changed, report.metrics.deleted) == (1, 1, 1)
    assert discover(catalog, store, spec()).first_seq is None


def test_a_sample_cannot_feed_an_ingestion(catalog: Catalog, store: MemoryStore) -> None:
    with pytest.raises(StrategyRefusedError):
        discover(catalog, store, spec(StrategyName.SAMPLE))


def test_a_prefix_is_discovered_by_one_process_at_a_time(
    catalog: Catalog, store: MemoryStore
) -> None:
    held = open_feed(catalog, SOURCE).discovering(StrategyName.FULL)
    with held, pytest.raises(DiscoveryRunningError, match="s3://photos/in/ is being discovered"):
        discover(catalog, store, spec())
