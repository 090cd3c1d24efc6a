"""The Iceberg sink beyond the contract: history, expiry, races, schemas (ING-4)."""

from __future__ import annotations

import builtins
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import CommitFailedException, CommitStateUnknownException

from sink_world import FixedBatch, SinkPlace, bucket_of, items_of, lines
from stocktake.clock import FixedClock
from stocktake.errors import MissingExtraError, SinkError
from stocktake.ingest import IcebergSink, Reader, Reading
from stocktake.ingest.sinks._iceberg_history import PROPERTY, REMEMBERED_MAX
from stocktake.ingest.sinks._landing import decode_seqs, token_time
from stocktake.model import new_id
from stocktake.testing import MemoryStore

KEYS = [f"in/{n}.jsonl" for n in range(4)]
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def store() -> MemoryStore:
    return bucket_of({key: lines({"n": n}) for n, key in enumerate(KEYS)})


@pytest.fixture
def place(tmp_path: Path, store: MemoryStore) -> SinkPlace:
    return SinkPlace("iceberg", tmp_path, store)


def one(store: MemoryStore, token: str, seq: int = 1, **changes: Any) -> FixedBatch:
    return FixedBatch(token, store, items_of(store, KEYS[:1], first_seq=seq), **changes)


def test_the_token_is_in_the_summary_of_the_commit_that_has_the_rows(
    place: SinkPlace, store: MemoryStore
) -> None:
    place.open().load(FixedBatch("clm_1", store, items_of(store, KEYS)))
    [snapshot] = place.iceberg_table().metadata.snapshots
    summary = snapshot.summary
    assert summary is not None
    assert summary["added-records"] == "4"
    assert summary["stocktake.commit-token"] == "clm_1"
    assert summary["stocktake.consumer"] == "photos"
    assert list(decode_seqs(summary["stocktake.seqs"] or "", "here")) == [1, 2, 3, 4]
    assert place.rows()[0] == {"n": 0, "_stocktake_key": "in/0.jsonl", "_stocktake_seq": 1}


def test_new_columns_are_added_and_types_that_differ_fail_their_file(
    place: SinkPlace, store: MemoryStore
) -> None:
    place.open().load(one(store, "clm_1"))
    store.put("lake", KEYS[1], lines({"n": 5, "when": "2020-01-01", "deep": {"x": [1]}}))
    store.put("lake", KEYS[2], lines({"n": "five"}))
    batch = FixedBatch("clm_2", store, items_of(store, KEYS[1:3], first_seq=2))
    place.open().load(batch)
    assert list(batch.failed) == [3]
    assert "`n` is string, and int64 in the table `s3.photos`" in str(batch.failed[3])
    assert [(row["n"], row["when"], row["deep"]) for row in place.rows()] == [
        (0, None, None),
        (5, "2020-01-01", {"x": [1]}),
    ]
    assert len(place.iceberg_table().metadata.snapshots) == 2


def test_everything_that_fails_commits_nothing(place: SinkPlace, store: MemoryStore) -> None:
    place.open().load(one(store, "clm_1"))
    store.put("lake", KEYS[1], lines({"n": "five"}))
    batch = FixedBatch("clm_2", store, items_of(store, KEYS[1:2], first_seq=2))
    place.open().load(batch)
    assert list(batch.failed) == [2]
    assert len(place.iceberg_table().metadata.snapshots) == 1


def test_a_commit_that_another_holder_made_first_is_not_made_again(
    place: SinkPlace, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PyIceberg's own retry would append the rows twice: it does not look for the token."""
    place.open().load(one(store, "clm_0"))
    commit = SqlCatalog.commit_table
    rivals = [one(store, "clm_1", 2)]

    def overtaken(self: SqlCatalog, *arguments: Any) -> Any:
        if rivals:
            place.open().load(rivals.pop())
        return commit(self, *arguments)

    monkeypatch.setattr(SqlCatalog, "commit_table", overtaken)
    place.open(clock=FixedClock(NOW)).load(one(store, "clm_1", 2))
    assert place.seqs() == [1, 2]


def test_a_commit_among_others_is_tried_until_it_is_in(
    place: SinkPlace, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.open().load(one(store, "clm_0"))
    commit = SqlCatalog.commit_table
    rivals = [one(store, f"clm_{n}", n) for n in range(12, 2, -1)]

    def overtaken(self: SqlCatalog, *arguments: Any) -> Any:
        if rivals:
            rival = rivals.pop()
            waiting, rivals[:] = rivals[:], []
            place.open().load(rival)
            rivals[:] = waiting
        return commit(self, *arguments)

    monkeypatch.setattr(SqlCatalog, "commit_table", overtaken)
    clock = FixedClock(NOW)
    place.open(clock=clock).load(one(store, "clm_me", 2))
    assert place.seqs() == list(range(1, 13))
    assert clock.monotonic_s() > 10, "waits get longer"
    assert "commit.retry.num-retries" not in place.iceberg_table().properties


@pytest.mark.parametrize("landed", [True, False])
def test_a_lost_answer_is_settled_by_looking(
    landed: bool, place: SinkPlace, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.open().load(one(store, "clm_0"))
    commit = SqlCatalog.commit_table
    answers = iter([False])

    def lost(self: SqlCatalog, *arguments: Any) -> Any:
        if next(answers, True):
            return commit(self, *arguments)
        if landed:
            commit(self, *arguments)
        raise CommitStateUnknownException("no answer")

    monkeypatch.setattr(SqlCatalog, "commit_table", lost)
    place.open(clock=FixedClock(NOW)).load(one(store, "clm_1", 2))
    assert place.seqs() == [1, 2]


def test_a_table_that_never_takes_it_is_a_failure_of_the_sink(
    place: SinkPlace, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Any:
        raise CommitFailedException("main has changed")

    place.open().load(one(store, "clm_0"))
    monkeypatch.setattr(SqlCatalog, "commit_table", refuse)
    with pytest.raises(SinkError, match="refuses the batch: main has changed") as caught:
        place.open(clock=FixedClock(NOW)).load(one(store, "clm_1", 2))
    assert caught.value.retryable


def expire(place: SinkPlace) -> None:
    """Forget all snapshots but the current one."""
    table = place.iceberg_table()
    ids = [s.snapshot_id for s in table.metadata.snapshots[:-1]]
    table.maintenance.expire_snapshots().by_ids(ids).commit()
    assert len(place.iceberg_table().metadata.snapshots) == 1


def test_batches_of_expired_snapshots_are_still_known(place: SinkPlace, store: MemoryStore) -> None:
    sink = place.open()
    for n in (1, 2, 3):
        sink.load(one(store, f"clm_{n}", n))
    sink.load(one(store, "clm_other", 9, consumer="audit"))
    expire(place)
    found = place.open().landed("photos", ["clm_1", "clm_3", "clm_other", "clm_new"])
    assert {token: list(landed.seqs) for token, landed in found.items()} == {
        "clm_1": [1],
        "clm_3": [3],
    }
    place.open().load(one(store, "clm_1", 1))
    assert place.seqs() == [1, 2, 3, 9]


def test_what_cannot_be_known_any_more_is_not_guessed(place: SinkPlace, store: MemoryStore) -> None:
    """A batch that may have been in expired snapshots, and in what the table has forgotten."""
    place.open().load(one(store, "clm_0"))
    place.open().load(one(store, "clm_1", 2))
    old, new = (new_id("clm", FixedClock(at)) for at in (NOW, NOW + timedelta(days=3)))
    full = [
        [f"clm_{n}", "", int((NOW + timedelta(days=1)).timestamp() * 1000)]
        for n in range(REMEMBERED_MAX)
    ]
    with place.iceberg_table().transaction() as transaction:
        transaction.set_properties({f"{PROPERTY}photos": json.dumps(full)})
    # the history is whole, so it is known
    assert place.open().landed("photos", [old]) == {}
    expire(place)
    with pytest.raises(SinkError, match=f"whether batch {old} landed") as caught:
        place.open().landed("photos", [old, new])
    assert not caught.value.retryable
    # given out after the last one that was forgotten, and after the oldest snapshot
    later = new_id("clm", FixedClock(datetime.now(UTC) + timedelta(days=1)))
    assert place.open().landed("photos", [later]) == {}
    assert place.open().landed("audit", [old]) == {}


def test_the_table_remembers_no_more_than_it_should(place: SinkPlace, store: MemoryStore) -> None:
    place.open().load(one(store, "clm_0"))
    full = [[f"clm_old{n}", "", 5] for n in range(REMEMBERED_MAX)]
    with place.iceberg_table().transaction() as transaction:
        transaction.set_properties({f"{PROPERTY}photos": json.dumps(full)})
    place.open().load(one(store, "clm_1", 2))
    kept = json.loads(place.iceberg_table().properties[f"{PROPERTY}photos"])
    assert [entry[0] for entry in kept] == [f"clm_old{n}" for n in range(1, 50)] + ["clm_1"]


def test_a_property_of_somebody_else_is_not_believed(place: SinkPlace, store: MemoryStore) -> None:
    place.open().load(one(store, "clm_0"))
    with place.iceberg_table().transaction() as transaction:
        transaction.set_properties({f"{PROPERTY}photos": "[1]"})
    with pytest.raises(SinkError, match="not what stocktake wrote"):
        place.open().load(one(store, "clm_1", 2))


def test_what_was_rolled_back_has_not_landed(place: SinkPlace, store: MemoryStore) -> None:
    place.open().load(one(store, "clm_1", 1))
    place.open().load(one(store, "clm_2", 2))
    table = place.iceberg_table()
    first = table.metadata.snapshots[0].snapshot_id
    table.manage_snapshots().rollback_to_snapshot(first).commit()
    assert list(place.open().landed("photos", ["clm_1", "clm_2"])) == ["clm_1"]
    place.open().load(one(store, "clm_2", 2))
    assert place.seqs() == [1, 2]


def test_old_snapshots_are_not_searched_for_young_tokens(
    place: SinkPlace, store: MemoryStore
) -> None:
    clock = FixedClock(datetime.now(UTC) + timedelta(days=1))
    token = new_id("clm", clock)
    assert token_time(token) == clock.now().replace(
        microsecond=clock.now().microsecond // 1000 * 1000
    )
    place.open().load(one(store, "clm_1", 1))
    # the search ends at the first snapshot that is older than the token: nothing is read of it
    assert place.open().landed("photos", [token]) == {}
    place.open().load(one(store, token, 2))
    assert place.seqs() == [1, 2]


def test_one_row_per_object_into_an_existing_table(place: SinkPlace, store: MemoryStore) -> None:
    reading = Reading(Reader.FILES)
    place.open(reading=reading).load(FixedBatch("clm_1", store, items_of(store, KEYS)))
    rows = place.iceberg_table().scan().to_arrow().to_pylist()
    assert [row["key"] for row in rows] == KEYS
    assert rows[0]["last_modified"] == NOW
    assert {row["bucket"] for row in rows} == {"lake"}


def test_a_table_that_the_rows_of_objects_do_not_fit(place: SinkPlace, store: MemoryStore) -> None:
    from pyiceberg.catalog import load_catalog

    catalog = load_catalog(**place.iceberg())
    catalog.create_namespace("s3")
    catalog.create_table("s3.photos", schema=pa.schema([("key", pa.int64())]))
    with pytest.raises(SinkError, match="column `key` is string, and int64"):
        place.open(reading=Reading(Reader.FILES)).load(
            FixedBatch("clm_1", store, items_of(store, KEYS))
        )


def test_a_catalog_that_is_not_there(store: MemoryStore) -> None:
    properties = {"type": "rest", "uri": "http://127.0.0.1:9/none"}
    sink = IcebergSink(properties, "a.b", Reading(), FixedClock(NOW))
    with pytest.raises(SinkError, match="the catalog cannot be opened") as e:
        sink.load(one(store, "clm_1"))
    assert e.value.retryable
    sink.close()


def test_without_pyiceberg_the_extra_is_named(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    importing = builtins.__import__

    def refuse(name: str, *arguments: Any) -> Any:
        if name.startswith("pyiceberg"):
            raise ImportError(name)
        return importing(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingExtraError, match="Iceberg") as caught:
        IcebergSink({}, "a.b", Reading(), FixedClock(NOW)).landed("photos", ["clm_1"])
    assert caught.value.hint == "pip install 'stocktake[iceberg]'"


def test_snapshots_of_older_versions_are_known(place: SinkPlace, store: MemoryStore) -> None:
    """A format that is kept for ever: written here by hand, as the documentation says."""
    from pyiceberg.catalog import load_catalog

    catalog = load_catalog(**place.iceberg())
    catalog.create_namespace("s3")
    rows = pa.table({"n": [1]})
    table = catalog.create_table("s3.photos", schema=rows.schema)
    seqs = "AgAAAAAAAAAAAAAAOzAAAAEAAAwAAgABAAIACgAJAAEAAAA6MAAAAQAAAAAAAAAQAAAABQA="
    kept = {
        "stocktake.commit-token": "clm_1",
        "stocktake.consumer": "photos",
        "stocktake.seqs": seqs,
    }
    table.append(rows, snapshot_properties=kept)
    remembered = [["clm_0", seqs, 1_767_225_600_000]]
    with table.transaction() as transaction:
        transaction.set_properties({"stocktake.landed.photos": json.dumps(remembered)})
    found = place.open().landed("photos", ["clm_1", "clm_0"])
    assert {token: sorted(landed.seqs)[:2] for token, landed in found.items()} == {"clm_1": [1, 2]}
    table.append(rows)
    expire(place)
    assert set(place.open().landed("photos", ["clm_0"])) == {"clm_0"}
