"""A worker that was thought dead goes on: no double effect in a sink that keeps tokens (ING-2)."""

from __future__ import annotations

import pytest

from ingest_world import TokenSink, World
from stocktake.errors import LeaseLostError
from stocktake.ingest import Batch, Ingestion


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
