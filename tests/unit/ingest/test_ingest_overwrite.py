"""Other content under a known key: three declared policies (ING-1)."""

from __future__ import annotations

from ingest_world import World, seqs
from stocktake.clock import FixedClock
from stocktake.ingest import Ingestion, OverwritePolicy
from stocktake.ingest._registry import begin_after


def drain(ingestion: Ingestion) -> list[int]:
    got = []
    for batch in ingestion.batches():
        got += seqs(batch)
        batch.commit()
    return got


def test_once_per_version_loads_every_version(world: World) -> None:
    for change in ("new", "modified", "modified"):
        world.feed.add("k", change)
    assert drain(world.ingestion()) == [1, 2, 3]


def test_once_per_key_loads_the_first_and_skips_later_ones(world: World) -> None:
    ingestion = world.ingestion(overwrite=OverwritePolicy.ONCE_PER_KEY)
    world.feed.add("k")
    world.feed.add("k", "modified")
    world.feed.add("other")
    # whether the first version will be loaded is not known yet: the second waits
    batch = ingestion.next_batch()
    assert seqs(batch) == [1, 3]
    assert ingestion.next_batch() is None
    assert batch is not None
    batch.commit()
    assert drain(ingestion) == []
    world.feed.add("k", "modified")
    assert drain(ingestion) == []
    assert ingestion.status().low_seq == 4
    change = ingestion.explain("k").changes[1]
    assert (change.state, "policy is once per key" in change.why) == ("skipped", True)


def test_once_per_key_loads_a_later_version_if_the_first_was_not_loaded(world: World) -> None:
    ingestion = world.ingestion(overwrite=OverwritePolicy.ONCE_PER_KEY, attempts_max=1)
    world.feed.add("k")
    world.feed.add("k", "modified")
    batch = ingestion.next_batch()
    assert batch is not None
    batch.fail(batch.items[0], ValueError("unreadable"))
    batch.commit()
    assert drain(ingestion) == [2]


def test_once_per_key_and_what_was_there_before(world: World) -> None:
    ingestion = world.ingestion(overwrite=OverwritePolicy.ONCE_PER_KEY, include_existing=False)
    world.feed.add("k")
    begin_after(ingestion._consumer, world.feed)
    world.feed.add("k", "modified")
    assert drain(ingestion) == [2]
    assert "before the ingestion began" in ingestion.explain("k").changes[0].why


def test_latest_only_gives_up_older_versions(world: World) -> None:
    world.feed.add("k")
    world.feed.add("gone")
    world.feed.add("k", "modified")
    world.feed.add("gone", "deleted")
    world.feed.add("still")
    ingestion = world.ingestion(overwrite=OverwritePolicy.LATEST_ONLY)
    assert drain(ingestion) == [3, 5]
    assert ingestion.status().low_seq == 5
    change = ingestion.explain("k").changes[0]
    assert (change.state, change.rule) == ("skipped", "latest-only")
    assert "newer change of this key is known: 3" in change.sentence()


def test_latest_only_knows_of_newer_versions_beyond_its_window(world: World) -> None:
    for n in range(50):
        world.feed.add(f"k{n}")
    for n in range(0, 50, 2):
        world.feed.add(f"k{n}", "modified")
    ingestion = world.ingestion(overwrite=OverwritePolicy.LATEST_ONLY, look_ahead=5, files_max=5)
    assert drain(ingestion) == [*range(2, 51, 2), *range(51, 76)]


def test_latest_only_gives_up_a_retry_when_a_newer_version_is_known(
    world: World, clock: FixedClock
) -> None:
    world.feed.add("k")
    ingestion = world.ingestion(overwrite=OverwritePolicy.LATEST_ONLY)
    batch = ingestion.next_batch()
    assert batch is not None
    batch.fail(batch.items[0], ValueError("no"))
    batch.commit()
    world.feed.add("k", "modified")
    clock.advance(60)
    assert drain(ingestion) == [2]
    assert ingestion.explain("k").changes[0].state == "superseded"
    assert ingestion.status().low_seq == 2


def test_latest_only_after_a_rewind_to_before_what_it_read(world: World) -> None:
    world.feed.add("k")
    world.feed.add("k", "modified")
    world.feed.add("x")
    ingestion = world.ingestion(overwrite=OverwritePolicy.LATEST_ONLY)
    assert drain(ingestion) == [2, 3]
    ingestion.rewind(seq=3)
    assert drain(ingestion) == [3]
    ingestion.rewind(seq=1)
    assert drain(ingestion) == [2, 3]
