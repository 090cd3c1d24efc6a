"""Replay, rewind, skip, dead, explain, status (ING-4, ING-5)."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from ingest_world import BUCKET, TokenSink, World, seqs
from stocktake.clock import FixedClock
from stocktake.errors import (
    IngestError,
    IngestionExistsError,
    IngestionNotFoundError,
    InvalidSettingError,
    ItemNotFoundError,
)
from stocktake.ingest import (
    Filters,
    Ingestion,
    delete_ingestion,
    list_ingestions,
    open_ingestion,
)


def drain(ingestion: Ingestion) -> list[int]:
    got = []
    for batch in ingestion.batches():
        got += seqs(batch)
        batch.commit()
    return got


def kill(ingestion: Ingestion, key: str = "k0") -> None:
    batch = ingestion.next_batch()
    assert batch is not None
    for item in list(batch.items):
        if item.key == key:
            batch.fail(item, ValueError("broken"))
    batch.commit()


@pytest.fixture
def loaded(world: World) -> Ingestion:
    for n in range(6):
        world.feed.add(f"k{n}")
        world.clock.advance(60)
    ingestion = world.ingestion(files_max=2)
    drain(ingestion)
    return ingestion


def test_replay_of_what_is_dead(world: World) -> None:
    for n in range(3):
        world.feed.add(f"k{n}")
    ingestion = world.ingestion(attempts_max=1)
    kill(ingestion)
    assert [(item.seq, item.key, item.reason) for item in ingestion.dead()] == [
        (1, "k0", "ValueError: broken")
    ]
    assert ingestion.status().dead == 1
    assert ingestion.replay(dead=True, prefix="other/") == 0
    assert ingestion.replay(dead=True) == 1
    assert ingestion.dead() == []
    assert ingestion.status().low_seq == 0
    assert drain(ingestion) == [1]
    change = ingestion.explain("k0").changes[0]
    assert (change.state, [h["code"] for h in change.history]) == ("done", ["ValueError", "loaded"])


def test_replayed_objects_come_under_new_tokens(world: World) -> None:
    """A sink that keeps tokens must not take a replay for what it holds already."""
    sink = TokenSink()
    for n in range(3):
        world.feed.add(f"k{n}")
    ingestion = world.ingestion()
    ingestion.run(sink, discover_first=False)
    assert ingestion.replay(keys=["k1"], seqs=[3]) == 2
    ingestion.run(sink, discover_first=False)
    assert sink.effects == {1: 1, 2: 2, 3: 2}
    assert len(ingestion.explain("k1").changes[0].commits) == 2


def test_replay_of_what_is_not_there(loaded: Ingestion) -> None:
    for bad in ({"seqs": [0]}, {"seqs": [7]}, {"keys": ["never"]}):
        with pytest.raises(ItemNotFoundError):
            loaded.replay(**bad)  # type: ignore[arg-type]
    with pytest.raises(InvalidSettingError):
        loaded.replay()


def test_rewind_to_a_number_a_time_and_a_prefix(loaded: Ingestion, world: World) -> None:
    assert loaded.rewind(seq=5) == 2
    assert loaded.status().low_seq == 4
    assert drain(loaded) == [5, 6]
    since = world.clock.now() - timedelta(seconds=60 * 3)
    assert loaded.rewind(time=since) == 3
    assert drain(loaded) == [4, 5, 6]
    assert loaded.rewind(prefix="k2") == 1
    assert loaded.status().low_seq == 2
    assert drain(loaded) == [3]
    assert loaded.rewind(seq=3, prefix="k1") == 0
    for bad in ({}, {"seq": 0}):
        with pytest.raises(InvalidSettingError):
            loaded.rewind(**bad)


def test_rewind_does_not_touch_what_is_in_flight(loaded: Ingestion, world: World) -> None:
    world.feed.add("k6")
    batch = loaded.next_batch()
    assert loaded.rewind(seq=1) == 6
    assert drain(loaded) == [1, 2, 3, 4, 5, 6]
    assert batch is not None
    batch.commit()
    assert loaded.status().low_seq == 7


def test_rewind_of_more_than_is_read_ahead(world: World) -> None:
    for n in range(100):
        world.feed.add(f"k{n:03}")
    ingestion = world.ingestion(files_max=7, look_ahead=10)
    assert drain(ingestion) == list(range(1, 101))
    ingestion.rewind(seq=20)
    assert drain(ingestion) == list(range(20, 101))


def test_skip_by_key_and_number(world: World, clock: FixedClock) -> None:
    for n in range(4):
        world.feed.add(f"k{n}")
    ingestion = world.ingestion(files_max=2)
    assert ingestion.skip(keys=["k2"], reason="corrupt at the source") == 1
    batch = ingestion.next_batch()
    with pytest.raises(IngestError, match="works on change 1"):
        ingestion.skip(seqs=[1], reason="no")
    assert batch is not None
    batch.commit()
    assert ingestion.skip(seqs=[1, 4], reason="late") == 1
    assert drain(ingestion) == []
    assert ingestion.status().low_seq == 4
    assert ingestion.explain("k0").changes[0].state == "done"
    change = ingestion.explain("k2").changes[0]
    assert (change.state, change.why) == ("skipped", "corrupt at the source")
    for bad in ({"seqs": [9]}, {"keys": ["never"]}):
        with pytest.raises(ItemNotFoundError):
            ingestion.skip(**bad, reason="x")  # type: ignore[arg-type]


def test_skip_of_an_item_in_an_abandoned_batch(world: World, clock: FixedClock) -> None:
    """The one object that kills every worker can be taken out of its batch."""
    for n in range(3):
        world.feed.add(f"k{n}")
    ingestion = world.ingestion()
    batch = ingestion.next_batch()
    assert batch is not None
    clock.advance(400)
    assert ingestion.skip(seqs=[2], reason="kills workers") == 1
    again = ingestion.next_batch()
    assert again is not None
    assert (again.token, seqs(again)) == (batch.token, [1, 3])
    again.commit()
    assert ingestion.status().low_seq == 3


def test_explain_of_what_was_never_seen(world: World) -> None:
    """ING-5: near misses and the reason, not only 'unknown'."""
    world.feed.add("in/a b.csv")
    ingestion = world.ingestion(prefix="in/")
    cases = {
        "a b.csv": "did you mean `in/a b.csv`",
        "/in/a b.csv": "did you mean `in/a b.csv`",
        f"s3://{BUCKET}/in/a+b.csv": "did you mean `in/a b.csv`",
        "in/a%20b.csv": "did you mean `in/a b.csv`",
        "out/a": "outside `s3://lake/in/`",
        "in/other": "complete through 2026-01-10T12:00:00Z (scan #3)",
    }
    for key, hint in cases.items():
        with pytest.raises(ItemNotFoundError) as caught:
            ingestion.explain(key)
        assert hint in (caught.value.hint or ""), key


def test_explain_says_who_when_and_why_in_one_sentence(world: World, clock: FixedClock) -> None:
    world.feed.add("in/a.csv", origin="partitioned", run_id="run_7", late=True)
    ingestion = world.ingestion(prefix="in/", filters=Filters(include=("*.csv",)))
    assert ingestion.explain("in/a.csv").sentence() == (
        "`in/a.csv` was seen 2026-01-10T12:00:00Z by partitioned (run run_7, late) as change 1 "
        "(new): discovered, waiting for a worker: it matches the glob `*.csv`"
    )
    batch = ingestion.next_batch("w1")
    assert batch is not None
    assert (
        f"w1 has it in the batch {batch.token} (attempt 1)"
        in ingestion.explain("in/a.csv").sentence()
    )
    batch.fail(batch.items[0], ValueError("line 3"))
    batch.commit()
    assert "tried again 2026-01-10T12:00:" in ingestion.explain("in/a.csv").sentence()
    assert "after ValueError: line 3" in ingestion.explain("in/a.csv").sentence()
    clock.advance(60)
    drain(ingestion)
    explanation = ingestion.explain("in/a.csv")
    assert "done, loaded 2026-01-10T12:01:00Z by" in explanation.sentence()
    assert json.loads(json.dumps(explanation.to_dict()))["changes"][0]["state"] == "done"


def test_status_counts_what_is_left(world: World, clock: FixedClock) -> None:
    for n in range(5):
        world.feed.add(f"k{n}", size_bytes=n)
    world.feed.add("_SUCCESS")
    ingestion = world.ingestion(files_max=2)
    clock.advance(30)
    status = ingestion.status()
    assert (status.files_outstanding, status.bytes_outstanding) == (5, 10)
    assert status.approximate_queue_size == 5
    assert (status.oldest_unprocessed_age_seconds, status.is_estimate) == (30, False)
    batch = ingestion.next_batch("w")
    assert batch is not None
    batch.fail(batch.items[0], ValueError("x"))
    other = ingestion.next_batch("v")
    batch.commit()
    status = ingestion.status()
    assert (status.files, status.size_bytes, status.batches) == (1, 1, 1)
    assert (status.retries_waiting, status.retries_due) == (1, 0)
    assert [(c.worker, c.files, c.is_abandoned) for c in status.in_flight] == [("v", 2, False)]
    assert (status.files_outstanding, status.low_seq) == (4, 0)
    assert status.claim == "complete through 2026-01-10T12:00:00Z (scan #3)"
    assert json.loads(json.dumps(status.to_dict()))["retries_waiting"] == 1
    assert other is not None


def test_ingestions_are_found_listed_and_deleted(world: World) -> None:
    world.feed.add("k")
    ingestion = world.ingestion("b")
    world.ingestion("a")
    assert [row.spec.name for row in list_ingestions(world.catalog)] == ["a", "b"]
    with pytest.raises(IngestionExistsError):
        world.ingestion("a")
    with pytest.raises(IngestionNotFoundError) as caught:
        open_ingestion(world.catalog, None, "c")
    assert caught.value.hint == "there are: a, b"
    assert open_ingestion(world.catalog, None, "b").id == ingestion.id
    batch = ingestion.next_batch()
    assert batch is not None
    with pytest.raises(IngestError):
        delete_ingestion(world.catalog, "b")
    delete_ingestion(world.catalog, "b", force=True)
    with pytest.raises(IngestionNotFoundError):
        batch.commit()
    with pytest.raises(IngestionNotFoundError):
        ingestion.next_batch()
    assert [row.spec.name for row in list_ingestions(world.catalog)] == ["a"]
