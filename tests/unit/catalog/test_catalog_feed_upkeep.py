"""What a feed stands on stays; what killed runs left goes."""

from __future__ import annotations

import pytest

from feed_world import FeedWorld
from stocktake.catalog import (
    Catalog,
    RetentionPolicy,
    delete_snapshot,
    list_snapshots,
    retain,
    sweep,
)
from stocktake.clock import FixedClock
from stocktake.errors import SnapshotInUseError, SnapshotNotFoundError
from stocktake.listing import ListingMetrics


@pytest.fixture
def world(catalog: Catalog) -> FeedWorld:
    return FeedWorld(catalog, "photos")


def test_the_base_of_a_feed_cannot_be_deleted(world: FeedWorld, clock: FixedClock) -> None:
    world.put("a")
    world.scan()
    base = list_snapshots(world.catalog)[0]
    with pytest.raises(SnapshotInUseError, match="the feed of s3://photos/ stands on"):
        delete_snapshot(world.catalog, base, force=True)
    clock.advance(60)
    world.scan()
    delete_snapshot(world.catalog, base)
    assert len(list_snapshots(world.catalog)) == 1


def test_retention_keeps_the_base_of_a_feed(world: FeedWorld, clock: FixedClock) -> None:
    world.put("a")
    world.scan()
    base = list_snapshots(world.catalog)[0]
    clock.advance(60)
    world.listed([], clock.now())
    plan = retain(world.catalog, RetentionPolicy(last=1), dry_run=False)
    assert {s.id: why for s, why in plan.kept}[base.id] == ("base of a feed",)
    assert plan.deleted == ()


def test_a_snapshot_that_was_deleted_meanwhile_does_not_become_the_base(
    world: FeedWorld, clock: FixedClock
) -> None:
    world.put("a")
    world.scan()
    clock.advance(60)
    gone = world.listed([], clock.now())
    delete_snapshot(world.catalog, gone, force=True)
    with pytest.raises(SnapshotNotFoundError):
        world.absorb(gone)
    assert world.known("a")["a"].present


def test_files_that_no_row_names_are_swept_once_their_run_has_ended(world: FeedWorld) -> None:
    world.put("a")
    world.see("a")
    files = world.catalog.files
    with world.feed.discovering(world.feed.runs()[0].strategy) as writer:
        for name in (f"{writer.run_id}-1.parquet", "run_dead-1.parquet"):
            with files.create(f"feeds/{world.feed.id}/{name}") as sink:
                sink.write(b"x")
        assert [p.rpartition("/")[2] for p in sweep(world.catalog).orphans] == [
            "run_dead-1.parquet"
        ]
        writer.absorb([], cursor={}, metrics=ListingMetrics())
        assert sweep(world.catalog).orphans == ()
    assert len(sweep(world.catalog).orphans) == 1
    assert [row["key"] for row in world.rows()] == ["a"]
