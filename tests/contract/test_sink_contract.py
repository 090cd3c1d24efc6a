"""Every sink that keeps tokens gives exactly-once effect (ING-2, ING-4)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sink_world import KINDS, FixedBatch, SinkPlace, bucket_of, items_of, lines, overwrite
from stocktake.errors import LeaseLostError, UnreadableItemError
from stocktake.testing import MemoryStore

KEYS = [f"in/{n}.jsonl" for n in range(6)]


@pytest.fixture
def store() -> MemoryStore:
    store = bucket_of({key: lines({"n": n, "name": key}) for n, key in enumerate(KEYS)})
    store.describe("CreateBucket", "sinks")
    return store


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path, store: MemoryStore) -> SinkPlace:
    return SinkPlace(request.param, tmp_path, store)


def batch_of(store: MemoryStore, token: str = "clm_1", **changes: object) -> FixedBatch:
    return FixedBatch(token, store, items_of(store, KEYS), **changes)  # type: ignore[arg-type]


def landed_seqs(place: SinkPlace, token: str = "clm_1", consumer: str = "photos") -> list[int]:
    found = place.open().landed(consumer, [token, "clm_other"])
    assert set(found) <= {token}
    return sorted(found[token].seqs) if found else []


def test_a_batch_lands_once_with_its_token(place: SinkPlace, store: MemoryStore) -> None:
    sink = place.open()
    assert sink.keeps_tokens
    assert landed_seqs(place) == []
    sink.load(batch_of(store))
    assert place.seqs() == [1, 2, 3, 4, 5, 6]
    assert landed_seqs(place) == [1, 2, 3, 4, 5, 6]
    sink.close()


def test_the_same_token_again_changes_nothing(place: SinkPlace, store: MemoryStore) -> None:
    place.open().load(batch_of(store))
    before = place.rows()
    for again in (batch_of(store), FixedBatch("clm_1", store, items_of(store, KEYS[:2]))):
        place.open().load(again)
        assert place.rows() == before
        assert again.failed == {}
    assert landed_seqs(place) == [1, 2, 3, 4, 5, 6]


def test_other_tokens_add_rows(place: SinkPlace, store: MemoryStore) -> None:
    sink = place.open()
    for number in range(3):
        keys = KEYS[2 * number : 2 * number + 2]
        items = items_of(store, keys, first_seq=2 * number + 1)
        sink.load(FixedBatch(f"clm_{number}", store, items))
    assert place.seqs() == [1, 2, 3, 4, 5, 6]
    found = sink.landed("photos", ["clm_0", "clm_2", "clm_9"])
    assert {token: sorted(landed.seqs) for token, landed in found.items()} == {
        "clm_0": [1, 2],
        "clm_2": [5, 6],
    }


def test_two_consumers_in_one_target_do_not_mix(place: SinkPlace, store: MemoryStore) -> None:
    place.open().load(batch_of(store, "clm_1", consumer="photos"))
    place.open().load(batch_of(store, "clm_2", consumer="audit"))
    assert sorted(place.seqs()) == sorted([1, 2, 3, 4, 5, 6] * 2)
    assert landed_seqs(place, "clm_1", "audit") == []
    assert landed_seqs(place, "clm_2", "photos") == []
    assert landed_seqs(place, "clm_2", "audit") == [1, 2, 3, 4, 5, 6]


def test_objects_that_changed_or_vanished_are_left_out(
    place: SinkPlace, store: MemoryStore
) -> None:
    batch = batch_of(store)
    overwrite(store, KEYS[1], lines({"n": 99}))
    store.delete("lake", [KEYS[4]])
    place.open().load(batch)
    assert batch.gone == {2, 5}
    assert place.seqs() == [1, 3, 4, 6]
    assert landed_seqs(place) == [1, 3, 4, 6]


def test_unreadable_objects_fail_alone(place: SinkPlace, store: MemoryStore) -> None:
    if place.kind == "memory":  # it reads bytes, not formats: nothing is unreadable to it
        return
    overwrite(store, KEYS[2], b'{"n": 1, "name"')
    batch = batch_of(store)
    place.open().load(batch)
    assert list(batch.failed) == [3]
    assert isinstance(batch.failed[3], UnreadableItemError)
    assert KEYS[2] in batch.failed[3].message
    assert place.seqs() == [1, 2, 4, 5, 6]
    assert landed_seqs(place) == [1, 2, 4, 5, 6]


def test_an_empty_batch_leaves_nothing(place: SinkPlace, store: MemoryStore) -> None:
    place.open().load(FixedBatch("clm_1", store, []))
    assert place.rows() == []
    assert landed_seqs(place) == []


def test_a_batch_of_which_nothing_is_left_leaves_nothing(
    place: SinkPlace, store: MemoryStore
) -> None:
    batch = batch_of(store)
    store.delete("lake", KEYS)
    place.open().load(batch)
    assert place.rows() == []
    assert landed_seqs(place) == []


def test_deletions_and_empty_files_land_without_rows(place: SinkPlace, store: MemoryStore) -> None:
    from dataclasses import replace

    store.put("lake", "empty.jsonl", b"")
    [empty] = items_of(store, ["empty.jsonl"])
    deletion = replace(empty, seq=2, deleted=True, etag=None, size_bytes=None)
    place.open().load(FixedBatch("clm_1", store, [empty, deletion]))
    assert landed_seqs(place) == [1, 2]
    if place.kind != "memory":
        assert place.rows() == []
    place.open().load(FixedBatch("clm_2", store, items_of(store, KEYS[:1], first_seq=3)))
    assert place.seqs()[-1] == 3


def test_a_lost_lease_stops_the_load_before_it_lands(place: SinkPlace, store: MemoryStore) -> None:
    class Lost(FixedBatch):
        def renew(self) -> None:
            raise LeaseLostError("another worker took it over")

    with pytest.raises(LeaseLostError):
        place.open().load(Lost("clm_1", store, items_of(store, KEYS)))
    assert place.rows() == []
    assert landed_seqs(place) == []


def test_workers_at_once_load_each_batch_once(place: SinkPlace, store: MemoryStore) -> None:
    def load(number: int) -> None:
        # every batch twice at the same time: a worker that is believed dead, and its successor
        token = number // 2
        items = items_of(store, KEYS[token : token + 1], first_seq=token + 1)
        place.open().load(FixedBatch(f"clm_{token}", store, items))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(load, range(12)))
    assert place.seqs() == [1, 2, 3, 4, 5, 6]
    found = place.open().landed("photos", [f"clm_{token}" for token in range(6)])
    assert {t: sorted(landed.seqs) for t, landed in found.items()} == {
        f"clm_{token}": [token + 1] for token in range(6)
    }
