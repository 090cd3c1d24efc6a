"""Batches: who gets which numbers, under which lease, and what a commit settles (ING-2, ING-3)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from ingest_world import World, seqs
from stocktake.clock import FixedClock
from stocktake.errors import LeaseLostError
from stocktake.ingest import BatchOrder, Ingestion
from stocktake.ingest._seqs import unpack
from stocktake.state import ingest_claims, ingest_commits, ingest_items, ingestions


def low(world: World, ingestion: Ingestion) -> int:
    with world.catalog.state.read() as connection:
        return connection.execute(
            select(ingestions.c.low_seq).where(ingestions.c.id == ingestion.id)
        ).scalar_one()


def test_everything_is_handed_out_once_and_settled(world: World) -> None:
    for n in range(25):
        world.feed.add(f"a/{n:02}")
    ingestion = world.ingestion(files_max=10)
    got = []
    for batch in ingestion.batches():
        got.append(seqs(batch))
        batch.commit()
    assert [len(batch) for batch in got] == [10, 10, 5]
    assert [seq for batch in got for seq in batch] == list(range(1, 26))
    assert low(world, ingestion) == 25
    assert ingestion.next_batch() is None
    with world.catalog.state.read() as connection:
        assert connection.execute(select(ingest_claims)).all() == []
        assert connection.execute(select(ingest_items)).all() == []
        assert len(connection.execute(select(ingest_commits)).all()) == 3


def test_cursor_never_passes_an_in_flight_item(world: World) -> None:
    """Facts 2.2 (a pointer committed past a smaller file in flight lost it) and 4.1, ING-2."""
    for n in range(4):
        world.feed.add(f"k{n}")
    ingestion = world.ingestion(files_max=2)
    first, second = ingestion.next_batch(), ingestion.next_batch()
    assert first is not None
    assert second is not None
    second.commit()
    assert low(world, ingestion) == 0
    # the worker with the smaller numbers dies
    world.clock.advance(3600)
    again = ingestion.next_batch()
    assert seqs(again) == [1, 2]
    assert again is not None
    again.commit()
    assert low(world, ingestion) == 4


def test_expired_batch_comes_again_whole_with_its_token(world: World, clock: FixedClock) -> None:
    for n in range(3):
        world.feed.add(f"k{n}")
    ingestion = world.ingestion()
    first = ingestion.next_batch("one")
    assert first is not None
    assert ingestion.next_batch("two") is None
    clock.advance(301)
    second = ingestion.next_batch("two")
    assert second is not None
    assert (second.token, seqs(second)) == (first.token, [1, 2, 3])
    assert (second.attempt, second.is_repeated) == (2, True)
    assert [item.attempt for item in second.items] == [2, 2, 2]
    with pytest.raises(LeaseLostError):
        first.renew()
    with pytest.raises(LeaseLostError):
        first.commit()
    second.commit()
    assert low(world, ingestion) == 3


def test_a_lease_that_ran_out_unnoticed_may_still_commit(world: World, clock: FixedClock) -> None:
    world.feed.add("k")
    ingestion = world.ingestion()
    batch = ingestion.next_batch()
    assert batch is not None
    clock.advance(10_000)
    batch.commit()
    assert low(world, ingestion) == 1


def test_renewing_keeps_a_batch(world: World, clock: FixedClock) -> None:
    world.feed.add("k")
    ingestion = world.ingestion()
    batch = ingestion.next_batch()
    assert batch is not None
    for _ in range(5):
        clock.advance(200)
        batch.renew()
        assert ingestion.next_batch() is None
    batch.commit()


def test_commit_is_idempotent_for_the_attempt_that_made_it(world: World) -> None:
    """The answer of the database was lost: committing again is no error and changes nothing."""
    world.feed.add("k")
    ingestion = world.ingestion()
    batch = ingestion.next_batch("w")
    assert batch is not None
    batch.commit()
    batch.outcome = None
    batch.commit()
    with world.catalog.state.read() as connection:
        assert len(connection.execute(select(ingest_commits)).all()) == 1


def test_batch_that_is_given_back_keeps_its_token_and_its_attempt(world: World) -> None:
    world.feed.add("k")
    ingestion = world.ingestion()
    batch = ingestion.next_batch()
    assert batch is not None
    batch.release()
    again = ingestion.next_batch()
    assert again is not None
    assert (again.token, again.attempt, again.is_repeated) == (batch.token, 1, True)
    batch.release()
    with pytest.raises(LeaseLostError):
        batch.commit()
    again.commit()


def test_unfinished_batches_are_given_back_when_the_generator_is_closed(world: World) -> None:
    for n in range(4):
        world.feed.add(f"k{n}")
    ingestion = world.ingestion(files_max=2)
    batches = ingestion.batches()
    tokens = {next(batches).token, next(batches).token}
    batches.close()
    assert {batch.token for batch in (ingestion.next_batch(), ingestion.next_batch()) if batch} == (
        tokens
    )


def test_batch_as_a_context_commits_or_comes_again(world: World, clock: FixedClock) -> None:
    for n in range(2):
        world.feed.add(f"k{n}")
    ingestion = world.ingestion(files_max=1, attempts_max=2)
    for batch in ingestion.batches():
        with batch:
            pass
        break
    assert low(world, ingestion) == 1
    for attempt in (1, 2):
        batch = ingestion.next_batch()
        assert batch is not None
        assert (seqs(batch), batch.attempt) == ([2], attempt)
        with pytest.raises(ValueError, match="bad"), batch:
            raise ValueError("bad")
        assert ingestion.next_batch() is None
        clock.advance(100)
    with world.catalog.state.read() as connection:
        row = connection.execute(select(ingest_items)).one()
    assert (row.seq, row.state, row.reason) == (2, "dead", "ValueError: bad")
    assert low(world, ingestion) == 2


def test_failed_item_waits_then_comes_as_a_new_batch(world: World, clock: FixedClock) -> None:
    for n in range(3):
        world.feed.add(f"k{n}")
    ingestion = world.ingestion(attempts_max=3)
    batch = ingestion.next_batch()
    assert batch is not None
    batch.fail(batch.items[1], ValueError("not today"))
    assert seqs(batch) == [1, 3]
    batch.commit()
    assert low(world, ingestion) == 1
    assert ingestion.next_batch() is None
    clock.advance(40)
    again = ingestion.next_batch()
    assert again is not None
    assert seqs(again) == [2]
    assert again.token != batch.token
    assert (again.items[0].attempt, again.is_repeated) == (2, False)
    again.commit()
    assert low(world, ingestion) == 3
    with world.catalog.state.read() as connection:
        row = connection.execute(select(ingest_items)).one()
    assert (row.state, row.attempts) == ("done", 2)
    assert [entry["code"] for entry in row.history] == ["ValueError", "loaded"]


def test_item_is_dead_after_its_last_attempt(world: World, clock: FixedClock) -> None:
    world.feed.add("k")
    ingestion = world.ingestion(attempts_max=3, backoff=timedelta(seconds=10))
    waits = []
    for _ in range(3):
        batch = ingestion.next_batch()
        assert batch is not None
        batch.fail(batch.items[0], ValueError("never"))
        batch.commit()
        began = clock.now()
        while ingestion.next_batch() is None and (clock.now() - began).total_seconds() < 100:
            clock.advance(1)
            if (found := ingestion.next_batch()) is not None:
                found.release()
                break
        waits.append((clock.now() - began).total_seconds())
    assert 7 <= waits[0] <= 14 < waits[1] <= 27
    assert ingestion.next_batch() is None
    assert low(world, ingestion) == 1
    with world.catalog.state.read() as connection:
        row = connection.execute(select(ingest_items)).one()
    assert (row.state, row.attempts, len(row.history)) == ("dead", 3, 3)


def test_bytes_of_a_batch_are_limited(world: World) -> None:
    """ING-3: one file that is larger than the limit is a batch of its own."""
    for size_bytes in (40, 40, 40, 500, 10, 10):
        world.feed.add(f"k{world.feed.last_seq()}", size_bytes=size_bytes)
    ingestion = world.ingestion(batch_bytes_max=100)
    got = []
    for batch in ingestion.batches():
        got.append(seqs(batch))
        batch.commit()
    assert got == [[1, 2], [3], [4], [5, 6]]


def test_folders_take_turns(world: World) -> None:
    """ING-3, facts 1.6 (11): a folder with very many files does not hold up the others."""
    for n in range(100):
        world.feed.add(f"in/big/{n:03}")
    for n in range(5):
        world.feed.add(f"in/small/{n}")
    ingestion = world.ingestion(prefix="in/", files_max=8)
    batch = ingestion.next_batch()
    assert batch is not None
    assert seqs(batch) == [1, 2, 3, 4, 101, 102, 103, 104]


@pytest.mark.parametrize(
    ("order", "first"), [("seq", [1, 2]), ("oldest", [2, 3]), ("newest", [1, 4])]
)
def test_order_of_objects(world: World, order: str, first: list[int]) -> None:
    for day in (9, 2, 3, 8):
        world.feed.add(f"k{day}", last_modified=world.clock.now().replace(day=day, tzinfo=None))
    ingestion = world.ingestion(files_max=2, order=BatchOrder(order))
    assert seqs(ingestion.next_batch()) == first


def test_paused_ingestion_hands_out_nothing(world: World) -> None:
    for n in range(2):
        world.feed.add(f"k{n}")
    ingestion = world.ingestion(files_max=1)
    batch = ingestion.next_batch()
    assert batch is not None
    ingestion.pause()
    assert ingestion.next_batch() is None
    batch.commit()
    ingestion.resume()
    assert seqs(ingestion.next_batch()) == [2]


def test_claimed_numbers_are_a_bitmap_not_rows(world: World) -> None:
    """ING-1: never a row per file."""
    for n in range(1000):
        world.feed.add(f"k{n}")
    ingestion = world.ingestion()
    assert ingestion.next_batch() is not None
    with world.catalog.state.read() as connection:
        row = connection.execute(select(ingest_claims)).one()
        assert len(unpack(row.seqs)) == 1000
        assert len(row.seqs) < 100
