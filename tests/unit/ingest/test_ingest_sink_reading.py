"""How the objects of a batch are read: side by side, in order, within bounds (ING-4)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from sink_world import BUCKET, T0, FixedBatch, bucket_of, items_of, lines
from stocktake.clock import FixedClock, SystemClock
from stocktake.errors import AccessDeniedError, CredentialsError, SinkError, UnreadableItemError
from stocktake.ingest import Item, Reader, Reading
from stocktake.ingest.sinks._read import read_batch
from stocktake.store import ObjectBody
from stocktake.testing import MemoryStore


def store_of(count: int) -> MemoryStore:
    return bucket_of({f"in/{n:03}.jsonl": lines({"n": n}) for n in range(count)})


def whole(store: MemoryStore, count: int, token: str = "clm_1") -> FixedBatch:
    return FixedBatch(token, store, items_of(store, [f"in/{n:03}.jsonl" for n in range(count)]))


def test_objects_are_read_side_by_side_in_order_and_within_bounds() -> None:
    store = store_of(40)
    lock = threading.Lock()
    under_way: set[int] = set()
    most = [0, 0]

    class Watching(FixedBatch):
        @contextmanager
        def open(self, item: Item) -> Iterator[ObjectBody | None]:
            with lock:
                under_way.add(item.seq)
                most[0] = max(most[0], len(under_way))
                most[1] = max(
                    most[1],
                    sum(item.size_bytes or 0 for item in self.items if item.seq in under_way),
                )
            if len(under_way) < 3:
                threading.Event().wait(0.002)
            with super().open(item) as body:
                yield body
            with lock:
                under_way.discard(item.seq)

    batch = Watching("clm_1", store, whole(store, 40).items)
    size_bytes = batch.items[-1].size_bytes or 0
    reading = Reading(Reader.JSONL, threads=8, ahead_bytes=4 * size_bytes)
    found = read_batch(batch, reading, SystemClock())
    assert [entry.item.seq for entry in found.rows if entry.item] == list(range(1, 41))
    assert 1 < most[0] <= 4
    assert most[1] <= reading.ahead_bytes


def test_a_file_larger_than_the_bound_is_read_alone() -> None:
    store = store_of(3)
    found = read_batch(whole(store, 3), Reading(Reader.JSONL, ahead_bytes=1), SystemClock())
    assert found.seqs == {1, 2, 3}


def test_too_many_rows_for_memory_are_refused_with_a_hint() -> None:
    store = store_of(3)
    with pytest.raises(SinkError, match="more than 50 bytes of rows") as caught:
        read_batch(whole(store, 3), Reading(Reader.JSONL, rows_bytes_max=50), SystemClock())
    assert "files_max" in (caught.value.hint or "")
    assert not caught.value.retryable


def test_the_lease_is_renewed_while_a_batch_is_read() -> None:
    class Slow(FixedClock):
        def monotonic_s(self) -> float:
            self.advance(2)
            return super().monotonic_s()

    batch = whole(store_of(20), 20)
    read_batch(batch, Reading(Reader.JSONL), Slow(T0))
    assert batch.renewals >= 5


@pytest.mark.parametrize("error", [AccessDeniedError("no"), UnreadableItemError("odd")])
def test_failures_of_one_object_are_its_own(error: Exception) -> None:
    batch = failing(error)
    found = read_batch(batch, Reading(Reader.JSONL), SystemClock())
    assert batch.failed == {2: error}
    assert found.seqs == {1, 3}


def test_failures_of_the_store_stop_the_batch() -> None:
    error = CredentialsError("expired")
    batch = failing(error)
    with pytest.raises(CredentialsError):
        read_batch(batch, Reading(Reader.JSONL), SystemClock())
    assert batch.failed == {}


def failing(error: Exception) -> FixedBatch:
    class Failing(FixedBatch):
        @contextmanager
        def open(self, item: Item) -> Iterator[ObjectBody | None]:
            if item.seq == 2:
                raise error
            with super().open(item) as body:
                yield body

    store = store_of(3)
    return Failing("clm_1", store, whole(store, 3).items)


def test_columns_of_lineage_are_not_overwritten() -> None:
    store = store_of(1)
    store.put(BUCKET, "in/000.jsonl", lines({"_stocktake_seq": 7}))
    batch = whole(store, 1)
    assert read_batch(batch, Reading(Reader.JSONL), SystemClock()).seqs == set()
    assert "has a column `_stocktake_seq` of its own" in str(batch.failed[1])
