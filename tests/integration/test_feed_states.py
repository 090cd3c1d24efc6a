"""Feeds on SQLite and on a real PostgreSQL: one discovery at a time, and fences that hold."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from feed_world import EVENTS, FULL, LEXICAL, FeedWorld, batch
from stocktake.catalog import Catalog, delete_snapshot, open_catalog, open_feed
from stocktake.clock import FixedClock
from stocktake.errors import DiscoveryRunningError, SnapshotInUseError
from stocktake.events import held_events, hold_events
from stocktake.listing import ListingMetrics
from stocktake.model import S3Url
from stocktake.state import feeds

pytestmark = pytest.mark.servers
NOW = datetime(2026, 1, 10, 12, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
def catalog(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Catalog]:
    address = None
    if request.param == "postgresql":
        address = request.getfixturevalue("postgres").new_database()
    where = str(tmp_path / "catalog")
    with open_catalog(
        where, state_url=address, create=True, clock=FixedClock(NOW), threads=1
    ) as catalog:
        yield catalog


@pytest.fixture
def world(catalog: Catalog) -> FeedWorld:
    return FeedWorld(catalog, "photos")


def elsewhere(world: FeedWorld) -> None:
    """Let the lease be that of another machine, where nobody can be looked for."""
    with world.catalog.state.write() as connection:
        connection.execute(update(feeds).values(owner_host="elsewhere"))


def test_a_feed_that_many_open_at_once_is_one(catalog: Catalog) -> None:
    source = S3Url("photos", "a%\x00b/")
    with ThreadPoolExecutor(8) as pool:
        ids = {feed.id for feed in pool.map(lambda _: open_feed(catalog, source), range(16))}
    assert len(ids) == 1
    assert open_feed(catalog, source).prefix == "a%\x00b/"


def test_of_many_that_begin_at_once_one_discovers(world: FeedWorld) -> None:
    ready = threading.Barrier(6)
    losers = threading.Semaphore(0)
    done = threading.Event()

    def begin(_: int) -> bool:
        ready.wait()
        try:
            with world.feed.discovering(LEXICAL):
                return done.wait(30)
        except DiscoveryRunningError:
            losers.release()
            return False

    with ThreadPoolExecutor(6) as pool:
        results = [pool.submit(begin, n) for n in range(6)]
        assert all(losers.acquire(timeout=30) for _ in range(5))
        done.set()
        assert sum(result.result() for result in results) == 1


def test_a_run_that_was_silent_too_long_cannot_append(world: FeedWorld) -> None:
    """The fence: what the old holder found is not in the feed, numbers stay dense."""
    world.put("a")
    world.put("b")
    rows = [world.objects[key].row() for key in "ab"]
    with world.feed.discovering(LEXICAL) as old:
        elsewhere(world)
        with pytest.raises(DiscoveryRunningError):
            world.see("a")
        world.clock.advance(61)
        world.see("a")
        with pytest.raises(DiscoveryRunningError, match="taken over"):
            old.absorb([batch(rows)], cursor={"old": 1}, metrics=ListingMetrics())
    assert [(r["seq"], r["key"]) for r in world.rows()] == [(1, "a")]
    assert world.feed.cursor(LEXICAL) == {}
    world.see("ab")
    assert [(r["seq"], r["key"]) for r in world.rows()] == [(1, "a"), (2, "b")]
    assert sorted(run.state for run in world.feed.runs()) == ["failed", "finished", "finished"]


def test_events_leave_hold_with_the_transaction_that_absorbs_them(world: FeedWorld) -> None:
    """EVT-2: not before, and not those that came meanwhile."""
    state = world.catalog.state
    world.put("a")
    world.put("k\x00%")
    hold_events(state, world.pending, world.clock)
    taken = held_events(state, "photos", "", 10)
    world.clock.advance(1)
    world.put("a")
    hold_events(state, world.pending[-1:], world.clock)
    world.hear(taken)
    left = held_events(state, "photos", "", 10)
    assert [(e.key, e.etag) for e in left] == [("a", "e2")]
    world.hear(left)
    assert held_events(state, "photos", "", 10) == []
    assert [r["etag"] for r in world.feed.history("a")] == ["e0", "e2"]
    assert len(world.feed.history("k\x00%")) == 1
    assert world.feed.claim().fresh_by == EVENTS


def test_bases_are_protected_by_the_database_itself(world: FeedWorld) -> None:
    world.put("a")
    base = world.listed(list(world.objects.values()), world.clock.now())
    world.absorb(base)
    with pytest.raises(SnapshotInUseError):
        delete_snapshot(world.catalog, base, force=True)
    world.clock.advance(timedelta(minutes=1).total_seconds())
    world.put("b")
    report = world.scan()
    assert (report.new, world.feed.claim().scan) == (1, 2)
    delete_snapshot(world.catalog, base)
    with world.feed.discovering(FULL) as writer:
        assert writer.cursor == {}
