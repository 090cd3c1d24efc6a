"""The loop that feeds a sink: recovery, failures, several workers, stopping (ING-2, ING-3)."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import select

from ingest_world import BUCKET, TokenSink, World, seqs
from stocktake.catalog import open_feed
from stocktake.clock import FixedClock
from stocktake.errors import DiscoveryRunningError, InvalidSettingError, SinkError
from stocktake.ingest import Ingestion, IngestionSpec, OpenItems, create_ingestion
from stocktake.listing import StrategyName
from stocktake.model import S3Url
from stocktake.state import ingest_commits


def filled(world: World, count: int = 10, **settings: object) -> Ingestion:
    for n in range(count):
        world.feed.add(f"k{n:05}")
    return world.ingestion(files_max=3, **settings)


def run(ingestion: Ingestion, sink: TokenSink, **more: object):
    return ingestion.run(sink, discover_first=False, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("workers", [1, 4])
def test_everything_lands_once(world: World, workers: int) -> None:
    ingestion, sink = filled(world, 100), TokenSink()
    result = run(ingestion, sink, workers=workers)
    assert (result.files, result.size_bytes, result.batches) == (100, 1000, 34)
    assert sink.effects == dict.fromkeys(range(1, 101), 1)
    assert sink.asked == []
    assert run(ingestion, sink).files == 0


def test_batch_that_landed_before_a_crash_is_settled_without_loading(world: World) -> None:
    ingestion, sink = filled(world, 3), TokenSink()
    dead = ingestion.next_batch("dead")
    assert dead is not None
    sink.load(dead)
    world.clock.advance(400)
    result = run(ingestion, sink)
    assert (result.recovered, result.files, result.batches) == (3, 0, 1)
    assert sink.effects == {1: 1, 2: 1, 3: 1}
    with world.catalog.state.read() as connection:
        row = connection.execute(select(ingest_commits)).one()
    assert (row.recovered, row.attempt, row.token) == (1, 2, dead.token)
    assert "found in the sink after a crash" in ingestion.explain("k00000").sentence()


def test_what_had_failed_in_a_batch_that_landed_comes_again(world: World) -> None:
    ingestion, sink = filled(world, 3), TokenSink()
    dead = ingestion.next_batch("dead")
    assert dead is not None
    dead.fail(dead.items[1], ValueError("lost with the worker"))
    sink.load(dead)
    world.clock.advance(400)
    result = run(ingestion, sink)
    assert (result.recovered, result.files) == (2, 1)
    assert sink.effects == {1: 1, 2: 1, 3: 1}


def test_sink_without_tokens_is_at_least_once(world: World) -> None:
    ingestion, sink = filled(world, 3), TokenSink(keeps_tokens=False)
    dead = ingestion.next_batch("dead")
    assert dead is not None
    sink.load(dead)
    world.clock.advance(400)
    run(ingestion, sink)
    assert sink.effects == {1: 2, 2: 2, 3: 2}
    assert sink.asked == []


def test_sink_that_is_away_ends_the_run_and_costs_no_attempt(world: World) -> None:
    ingestion, sink = filled(world), TokenSink(broken=SinkError("the warehouse is closed"))
    for _ in range(10):
        with pytest.raises(SinkError):
            run(ingestion, sink)
    status = ingestion.status()
    assert (status.dead, [c.attempt for c in status.in_flight]) == (0, [0])
    sink.broken = None
    assert run(ingestion, sink).files == 10


def test_sink_that_took_the_batch_and_complained_is_asked(world: World) -> None:
    """The answer of a commit was lost: the token says it landed."""
    ingestion = filled(world, 3)
    sink = TokenSink(broken=SinkError("time-out of the commit"), late=True)
    with pytest.raises(SinkError):
        run(ingestion, sink)
    sink.broken = None
    assert run(ingestion, sink).recovered == 3
    sink.broken, ingestion2 = ValueError("after the commit"), filled(world, 3, name="second")
    result = run(ingestion2, sink)
    assert (result.errors, ingestion2.status().low_seq) == ([], 6)
    assert set(sink.effects.values()) == {1, 2}


def test_poison_batch_does_not_stop_the_others_and_dies(world: World, clock: FixedClock) -> None:
    ingestion, sink = filled(world, 9, attempts_max=2), TokenSink()
    load = sink.load

    def poisoned(batch: OpenItems) -> None:
        if 5 in seqs(batch):
            raise ValueError("change 5 is poison")
        load(batch)

    sink.load = poisoned  # type: ignore[method-assign]
    result = run(ingestion, sink)
    assert (result.files, len(result.errors)) == (6, 1)
    assert "poison" in ingestion.explain("k00003").sentence()
    assert ingestion.status().low_seq == 3
    clock.advance(3600)
    result = run(ingestion, sink)
    assert (result.dead, ingestion.status().low_seq) == (3, 9)
    assert [item.seq for item in ingestion.dead()] == [4, 5, 6]
    sink.load = load  # type: ignore[method-assign]
    assert ingestion.replay(dead=True) == 3
    assert run(ingestion, sink).files == 3


def test_single_items_that_fail_are_left_out(world: World, clock: FixedClock) -> None:
    ingestion, sink = filled(world, 6), TokenSink(bad={2})
    result = run(ingestion, sink)
    assert (result.files, result.failed) == (5, 1)
    sink.bad.clear()
    clock.advance(60)
    assert run(ingestion, sink).files == 1
    assert sink.effects == dict.fromkeys(range(1, 7), 1)


def test_stop_finishes_the_batch_under_way(world: World) -> None:
    ingestion, sink, stop = filled(world), TokenSink(), threading.Event()
    load = sink.load

    def stopping(batch: OpenItems) -> None:
        load(batch)
        stop.set()

    sink.load = stopping  # type: ignore[method-assign]
    result = run(ingestion, sink, stop=stop)
    assert (result.files, result.stopped) == (3, True)
    assert ingestion.status().in_flight == ()


def test_interrupt_gives_the_batch_back(world: World) -> None:
    ingestion, sink = filled(world, 3), TokenSink(broken=KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        run(ingestion, sink)
    assert [claim.is_abandoned for claim in ingestion.status().in_flight] == [True]


def test_following_goes_on_until_told_to_stop(world: World) -> None:
    """Also over a sink that is away for a while, and retries that become due."""
    ingestion, sink, stop = filled(world, 4), TokenSink(bad={2}), threading.Event()
    load, calls = sink.load, []

    def watched(batch: OpenItems) -> None:
        calls.append(batch.token)
        if len(calls) == 2:
            raise SinkError("away")
        if len(calls) == 3:
            sink.bad.clear()
            world.feed.add("late")
        load(batch)
        if len(sink.effects) == 5:
            stop.set()

    sink.load = watched  # type: ignore[method-assign]
    result = run(ingestion, sink, follow=True, stop=stop, poll_s=5.0)
    assert (result.files, result.errors) == (5, ["away"])
    assert sink.effects == dict.fromkeys(range(1, 6), 1)


def test_batches_follow_until_told_to_stop(world: World) -> None:
    ingestion, stop = filled(world, 2), threading.Event()
    got = []
    for batch in ingestion.batches(follow=True, stop=stop, poll_s=1):
        got += seqs(batch)
        batch.commit()
        if len(got) == 2:
            world.feed.add("more")
        else:
            stop.set()
    assert got == [1, 2, 3]


def test_no_workers_cannot_load(world: World) -> None:
    with pytest.raises(InvalidSettingError):
        run(filled(world), TokenSink(), workers=0)


def real(world: World, **settings: object) -> Ingestion:
    spec = IngestionSpec(name="real", source=S3Url(BUCKET, "in/"), **settings)  # type: ignore[arg-type]
    return create_ingestion(world.catalog, spec, world.store)


def test_run_discovers_and_reads_what_is_new(world: World, clock: FixedClock) -> None:
    """The real feed: two runs of discovery, one object overwritten between them."""
    for name in ("a", "b"):
        world.store.put(BUCKET, f"in/{name}", name.encode())
    world.store.put(BUCKET, "out/x", b"x")
    ingestion, sink = real(world), TokenSink()
    result = ingestion.run(sink)
    assert (result.files, result.size_bytes) == (2, 2)
    assert result.report is not None
    clock.advance(60)
    world.store.put(BUCKET, "in/b", b"other")
    world.store.put(BUCKET, "in/c", b"c")
    got = {}
    ingestion.discover()
    for batch in ingestion.batches():
        with batch:
            for item in batch.items:
                with batch.open(item) as body:
                    got[item.key] = None if body is None else body.read()
    assert got == {"in/b": b"other", "in/c": b"c"}
    assert ingestion.run(sink).files == 0
    assert ingestion.status().claim.startswith("complete through 2026-01-10T12:01:00Z (scan #")
    assert "by full" in ingestion.explain("in/b").sentence()


def test_without_existing_it_begins_when_its_first_discovery_has_ended(
    world: World, clock: FixedClock
) -> None:
    world.store.put(BUCKET, "in/old", b"old")
    ingestion, sink = real(world, include_existing=False), TokenSink()
    assert ingestion.status().state == "starting"
    assert ingestion.next_batch() is None
    result = ingestion.run(sink)
    assert (result.files, ingestion.status().state) == (0, "active")
    assert "was there before the ingestion began" in ingestion.explain("in/old").sentence()
    clock.advance(60)
    world.store.put(BUCKET, "in/new", b"new")
    assert ingestion.run(sink).files == 1
    assert ingestion.replay(keys=["in/old"]) == 1
    assert ingestion.run(sink).files == 1


def test_discovery_of_somebody_else_is_not_waited_for(world: World) -> None:
    world.store.put(BUCKET, "in/a", b"a")
    ingestion, sink = real(world), TokenSink()
    ingestion.discover()
    feed = open_feed(world.catalog, S3Url(BUCKET, "in/"))
    with feed.discovering(StrategyName.FULL):
        with pytest.raises(DiscoveryRunningError):
            ingestion.discover()
        result = ingestion.run(sink)
    assert (result.files, result.report) == (1, None)
