"""A worker that was thought dead goes on: no double effect in a sink that keeps tokens (ING-2)."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from ingest_world import TokenSink, World
from stocktake.errors import LeaseLostError
from stocktake.ingest import Batch, Ingestion
from stocktake.ingest._heartbeat import Heartbeat


def two_holders(world: World) -> tuple[Ingestion, Batch, Batch]:
    """The same batch of changes 1 and 2, held by a zombie and by its follower."""
    world.feed.add("a")
    world.feed.add("b")
    ingestion = world.ingestion()
    zombie = ingestion.next_batch("zombie")
    world.clock.advance(301)
    follower = ingestion.next_batch("follower")
    assert zombie is not None
    assert follower is not None
    return ingestion, zombie, follower


def rest(world: World, ingestion: Ingestion, sink: TokenSink) -> None:
    world.clock.advance(5000)
    ingestion.run(sink, discover_first=False)
    assert ingestion.status().low_seq == 2


def test_zombie_that_loads_after_its_follower_changes_nothing(world: World) -> None:
    sink = TokenSink()
    ingestion, zombie, follower = two_holders(world)
    sink.load(follower)
    follower.commit()
    sink.load(zombie)
    with pytest.raises(LeaseLostError):
        zombie.commit()
    rest(world, ingestion, sink)
    assert sink.effects == {1: 1, 2: 1}


def test_zombie_that_loads_in_the_moment_of_its_follower(world: World) -> None:
    """What failed for the zombie was not loaded, though the token has landed: it comes again."""
    sink = TokenSink()
    ingestion, zombie, follower = two_holders(world)
    follower.release()
    zombie.fail(zombie.items[0], ValueError("only here"))
    load = sink.load

    def late(batch: Batch) -> None:
        load(zombie)
        load(batch)

    sink.load = late  # type: ignore[method-assign, assignment]
    result = ingestion.run(sink, discover_first=False)
    sink.load = load  # type: ignore[method-assign]
    assert result.files >= 1
    rest(world, ingestion, sink)
    assert sink.effects == {1: 1, 2: 1}


def test_item_that_failed_for_the_follower_stays_in_a_batch_that_is_given_back(
    world: World,
) -> None:
    """Else it would come in another batch while the zombie still may load it in this one."""
    sink = TokenSink()
    ingestion, zombie, follower = two_holders(world)
    follower.fail(follower.items[0], ValueError("a bad moment"))
    follower.release()
    sink.load(zombie)
    rest(world, ingestion, sink)
    assert sink.effects == {1: 1, 2: 1}


def test_follower_for_whom_everything_failed_still_lands_the_token(world: World) -> None:
    sink = TokenSink()
    ingestion, zombie, follower = two_holders(world)
    for item in list(follower.items):
        follower.fail(item, ValueError("a bad moment"))
    sink.load(follower)
    follower.commit(sink.tokens[follower.token])
    sink.load(zombie)
    rest(world, ingestion, sink)
    assert sink.effects == {1: 1, 2: 1}


def test_token_that_nobody_landed_keeps_what_failed(world: World) -> None:
    """Sinks do not note a batch of which nothing was left; the zombie may still load it."""
    sink = TokenSink(bad={1, 2})
    sink.forgets_empty = True
    ingestion, zombie, follower = two_holders(world)
    follower.release()
    result = ingestion.run(sink, discover_first=False)
    assert (result.files, len(result.errors)) == (0, 1)
    sink.bad.clear()
    sink.load(zombie)
    rest(world, ingestion, sink)
    assert sink.effects == {1: 1, 2: 1}


def test_batch_that_kills_its_workers_dies_itself(world: World) -> None:
    world.feed.add("a")
    ingestion, sink = world.ingestion(attempts_max=2), TokenSink()
    for _ in range(10):
        assert ingestion.next_batch() is not None
        world.clock.advance(400)
    result = ingestion.run(sink, discover_first=False)
    assert (result.files, result.dead) == (0, 1)
    assert "10 workers fell silent" in ingestion.dead()[0].reason


def test_worker_that_dies_is_no_failure_of_its_objects(world: World) -> None:
    """Not even with a single attempt: machines go away for reasons of their own."""
    world.feed.add("a")
    ingestion, sink = world.ingestion(attempts_max=1), TokenSink()
    for _ in range(3):
        assert ingestion.next_batch() is not None
        world.clock.advance(400)
    assert ingestion.run(sink, discover_first=False).files == 1


def test_long_processing_is_not_handed_out_again(world: World) -> None:
    """Facts 4.1 (events, long processing vs visibility): whoever renews keeps its batch."""
    world.feed.add("a")
    ingestion, sink = world.ingestion(), TokenSink()
    load = sink.load

    def slowly(batch: Batch) -> None:
        for _ in range(20):
            world.clock.advance(200)
            batch.renew()
            assert ingestion.next_batch("other") is None
        load(batch)

    sink.load = slowly  # type: ignore[method-assign, assignment]
    assert ingestion.run(sink, discover_first=False).files == 1


def test_heartbeat_renews_until_the_lease_is_lost() -> None:
    """Facts 2.9: consumers without a heartbeat work on what others have too."""
    beats, refused = threading.Semaphore(0), threading.Semaphore(0)

    class Counted:
        token = "t"
        lost = False

        def renew(self) -> None:
            if self.lost:
                refused.release()
                raise LeaseLostError("gone")
            beats.release()

    batch = Counted()
    heartbeat = Heartbeat(timedelta(seconds=0.02))
    heartbeat.add(batch)  # type: ignore[arg-type]
    assert all(beats.acquire(timeout=10) for _ in range(3))
    batch.lost = True
    assert refused.acquire(timeout=10)
    heartbeat.stop()
    assert heartbeat._batches == {}
