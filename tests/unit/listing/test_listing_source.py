"""LST-1: the parts of a listing: dealt out in key order, read by several readers, read again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stocktake.clock import FixedClock
from stocktake.errors import StoreUnavailableError
from stocktake.listing import (
    InterruptedScan,
    KeyBounds,
    ListSource,
    PagedLister,
    RangeLister,
    RangeOptions,
)
from stocktake.listing._slots import SLOTS, slot_rows, stretches
from stocktake.model import PartRef, PartTally, S3Url
from stocktake.testing import FaultStore, MemoryStore, Planned

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def store_with(keys) -> MemoryStore:
    store = MemoryStore(clock=FixedClock(NOW))
    store.describe("CreateBucket", "b")
    for key in keys:
        store.put("b", key, b"x")
    return store


KEYS = [f"k{number:05d}" for number in range(4_000)]
BIG = store_with(KEYS)


def source_of(store, **more) -> ListSource:
    more.setdefault("lister", PagedLister(rows_per_batch=150))
    return ListSource(store, S3Url("b"), clock=FixedClock(NOW), part_rows=400, **more)


def keys_of(source: ListSource, part: PartRef) -> list[str]:
    tally = PartTally()
    blocks = list(source.read(part, tally))
    found = [key for block in blocks for key in block.rows.column("key").to_pylist()]
    assert tally.rows == len(found)
    return found


def test_a_small_bucket_is_one_part_of_one_call() -> None:
    source = source_of(store_with(KEYS[:300]))
    [part] = source.parts()
    assert keys_of(source, part) == KEYS[:300]
    assert source.metrics.requests == 1


@pytest.mark.parametrize("readers", [1, 2, 4])
def test_readers_side_by_side_get_all_keys_in_order(readers) -> None:
    lister = RangeLister(RangeOptions(workers=4, page_rows=100, rows_per_batch=130))
    source = source_of(BIG, lister=lister)
    parts = source.parts()
    with ThreadPoolExecutor(readers) as pool:
        found = list(pool.map(lambda part: keys_of(source, part), parts))
    assert [key for keys in found for key in keys] == KEYS
    assert [len(keys) for keys in found[:9]] == [400] * 8 + [800]


def test_a_part_can_be_read_again_whole_or_after_a_part_of_it() -> None:
    source = source_of(BIG)
    parts = source.parts()
    assert keys_of(source, parts[0]) == keys_of(source, parts[0]) == KEYS[:400]
    left = source.read(parts[1], PartTally())
    next(left)
    left.close()
    assert keys_of(source, parts[1]) == KEYS[400:800]
    assert keys_of(source, parts[2]) == KEYS[800:1200]


def test_versions_of_a_key_are_never_in_two_parts() -> None:
    """LST-4."""
    store = store_with([])
    store.describe("PutBucketVersioning", "b", VersioningConfiguration={"Status": "Enabled"})
    for turn in range(9):
        for key in KEYS[:100]:
            store.put("b", key, f"{turn}".encode())
    source = source_of(store, versions=True, lister=PagedLister(rows_per_batch=7))
    found = [keys_of(source, part) for part in source.parts()]
    assert [len(keys) for keys in found if keys] == [405, 405, 90]
    assert [key for keys in found for key in keys] == [key for key in KEYS[:100] for _ in range(9)]


def test_a_listing_that_failed_has_not_ended_for_its_other_readers() -> None:
    fault = Planned("list_page", StoreUnavailableError("gone"), skip=2)
    source = source_of(FaultStore(BIG, [fault]))
    parts = source.parts()
    for part in parts[:4]:
        keys_of(source, part)
    for part in parts[5:8]:
        with pytest.raises(StoreUnavailableError):
            keys_of(source, part)


@settings(max_examples=60, deadline=None)
@given(done=st.sets(st.integers(0, 9)), added=st.sets(st.integers(0, 4000), max_size=20))
def test_a_resumed_listing_lists_what_lies_between_finished_parts(done, added) -> None:
    finished: dict[int, KeyBounds | None] = {}
    for index in done:
        rows = KEYS[index * 400 : (index + 1) * 400]
        finished[index] = KeyBounds(rows[0], rows[-1]) if rows else None
    scan = InterruptedScan("list-x", NOW, finished)
    source = source_of(BIG).resume(scan)
    found: list[str] = []
    for part in source.parts():
        if part.index in done:
            found += KEYS[part.index * 400 : (part.index + 1) * 400]
        else:
            found += keys_of(source, part)
    assert found == KEYS
    assert source.header.identity == "list-x"
    periods = source.header.attrs["parts_read"]
    assert len(periods) == SLOTS


def test_slots_grow_so_that_few_hold_any_bucket() -> None:
    assert [slot_rows(slot) for slot in (0, 7, 8, 79)] == [100_000, 100_000, 200_000, 51_200_000]
    assert sum(slot_rows(slot) for slot in range(SLOTS)) > 800_000_000
    for slot in range(8, SLOTS):  # what a killed scan loses at most, of what it had done
        assert slot_rows(slot) <= sum(slot_rows(one) for one in range(slot)) / 4


def test_a_finished_part_without_rows_bounds_nothing() -> None:
    bounds = KeyBounds("a", "m")
    [stretch] = stretches({0: bounds, 2: None}, slots=5)
    assert (stretch.span.after, stretch.span.before) == ("m", None)
    assert stretch.slots == (1, 3, 4)
