"""The fakes themselves: the memory store, planned failures, the sorted index."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stocktake.clock import FixedClock
from stocktake.errors import (
    PreconditionFailedError,
    StoreUnavailableError,
    ThrottledError,
    UnsupportedOperationError,
)
from stocktake.store import ListQuery, PutOptions, iter_listing
from stocktake.telemetry import Meter
from stocktake.testing import FaultStore, MemoryStore, Planned
from stocktake.testing._object_table import BucketTable, bytes_version

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def memory() -> MemoryStore:
    store = MemoryStore(clock=FixedClock(NOW), meter=Meter())
    store.describe("CreateBucket", "b")
    store.put("b", "k", b"0123456789")
    return store


# --- memory --------------------------------------------------------------------------------------


def test_a_body_that_is_being_read_does_not_see_an_overwrite(memory):
    body = memory.get("b", "k")
    memory.put("b", "k", b"other")
    assert body.read() == b"0123456789"


def test_calls_and_bytes_are_counted(memory):
    meter = memory._meter
    memory.get("b", "k").read()
    memory.list_page(ListQuery("b"))
    assert meter.calls == {"CreateBucket": 1, "PutObject": 1, "GetObject": 1, "ListObjectsV2": 1}
    assert (meter.sent_bytes, meter.received_bytes) == (10, 10)


def test_an_operation_that_is_not_in_memory_says_so(memory):
    with pytest.raises(UnsupportedOperationError):
        memory.describe("GetBucketWebsite", "b")


def test_if_absent_sees_through_a_delete_marker(memory):
    status = {"Status": "Enabled"}
    memory.describe("PutBucketVersioning", "b", VersioningConfiguration=status)
    memory.delete("b", ["k"])
    memory.put("b", "k", b"new", PutOptions(if_absent=True))
    with pytest.raises(PreconditionFailedError):
        memory.put("b", "k", b"newer", PutOptions(if_absent=True))


# --- the index -----------------------------------------------------------------------------------

_KEYS = st.text(st.sampled_from("a/b-\uff5e\U0001f600"), min_size=1, max_size=6)


@given(
    keys=st.sets(_KEYS, max_size=20),
    gone=st.sets(_KEYS, max_size=5),
    prefix=st.text("a/b", max_size=2),
    delimiter=st.sampled_from(["", "/", "-"]),
    keys_max=st.integers(1, 5),
)
def test_paging_agrees_with_a_plain_model(keys, gone, prefix, delimiter, keys_max):
    store = MemoryStore(clock=FixedClock(NOW))
    store.describe("CreateBucket", "b")
    for key in keys | gone:
        store.put("b", key, b"")
    store.delete("b", sorted(gone))
    expected: set[str] = set()
    for key in keys - gone:
        if key.startswith(prefix):
            cut = key.find(delimiter, len(prefix)) if delimiter else -1
            expected.add(key if cut < 0 else key[: cut + 1])
    query = ListQuery("b", prefix, delimiter=delimiter, keys_max=keys_max)
    names: list[str] = []
    for page in iter_listing(store, query):
        assert len(page.objects) + len(page.prefixes) <= keys_max
        names += sorted([entry.key for entry in page.objects] + list(page.prefixes))
    assert names == sorted(expected)


def test_a_page_of_a_large_bucket_does_not_look_at_all_keys():
    table = BucketTable("b")
    table.load(bytes_version(f"d{n // 1000:03d}/{n:07d}", b"", "e", NOW) for n in range(50_000))

    class Counting(list):
        reads = 0

        def __getitem__(self, index):
            Counting.reads += 1
            return super().__getitem__(index)

    table._keys = Counting(table._keys)
    table.page("", "/", "", 10)
    assert Counting.reads < 500
    Counting.reads = 0
    table.page("d020/", "", "d020/0020500", 100)
    assert Counting.reads < 1000


# --- planned failures ----------------------------------------------------------------------------


def test_the_nth_call_fails_and_the_next_does_not(memory):
    store = FaultStore(memory, [Planned("head", ThrottledError("slow"), skip=1, key="k")])
    store.head("b", "k")
    with pytest.raises(ThrottledError):
        store.head("b", "k")
    assert store.head("b", "k").size_bytes == 10


def test_a_body_fails_after_some_bytes(memory):
    store = FaultStore(memory, [Planned("get", StoreUnavailableError("cut"), after_bytes=4)])
    body = store.get("b", "k")
    assert body.read(3) == b"012"
    assert body.read(3) == b"3"
    with pytest.raises(StoreUnavailableError):
        body.read(3)
    assert store.get("b", "k").read() == b"0123456789"


def test_a_lost_answer_has_done_its_work(memory):
    lost = Planned("put", StoreUnavailableError("lost"), after_effect=True)
    store = FaultStore(memory, [lost])
    with pytest.raises(StoreUnavailableError):
        store.put("b", "new", b"x")
    assert memory.get("b", "new").read() == b"x"


def test_a_delay_passes_on_the_clock(memory):
    clock = FixedClock(NOW)
    store = FaultStore(memory, [Planned("list_page", delay_s=5.0)], clock=clock)
    store.list_page(ListQuery("b"))
    assert clock.monotonic_s() == 5.0
