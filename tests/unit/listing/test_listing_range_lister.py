"""LST-1, LST-4: the range lister with its threads, against stores in memory."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stocktake.clock import FixedClock
from stocktake.errors import (
    BucketNotFoundError,
    StoreUnavailableError,
    ThrottledError,
    UnorderedListingError,
)
from stocktake.listing import KeySpan, PagedLister, RangeLister, RangeOptions
from stocktake.model import S3Url
from stocktake.store import ListPage, ListQuery
from stocktake.telemetry import Meter
from stocktake.testing import FaultStore, ListingManner, MemoryStore, Planned, by_utf16, scrambled

NOW = datetime(2026, 5, 1, tzinfo=UTC)
KEYS = [f"k{number:05d}" for number in range(3_000)]
_TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=9)


def store_with(keys: Iterable[str], *, manner: ListingManner = ListingManner()) -> MemoryStore:
    store = MemoryStore(clock=FixedClock(NOW), manner=manner)
    store.describe("CreateBucket", "b")
    for key in keys:
        store.put("b", key, b"x")
    return store


def ranges(**options: object) -> RangeLister:
    known = {"workers": 4, "page_rows": 50, "speculation": 2.0, **options}
    return RangeLister(RangeOptions(**known), clock=FixedClock(NOW))  # type: ignore[arg-type]


def keys_of(batches) -> list[str]:
    return [key for batch in batches for key in batch.column("key").to_pylist()]


@pytest.fixture(scope="module")
def bucket() -> MemoryStore:
    return store_with(KEYS)


@pytest.mark.parametrize("workers", [1, 2, 16])
@pytest.mark.parametrize("hints", [(), tuple(KEYS[::45]), ("a", "b", "z"), tuple(KEYS[:900:3])])
def test_all_keys_in_order_whatever_the_hints(bucket: MemoryStore, workers, hints) -> None:
    lister = ranges(workers=workers, split_keys=hints, rows_expected=3000, rows_per_batch=700)
    batches = list(lister.list_objects(bucket, S3Url("b")))
    assert keys_of(batches) == KEYS
    assert [batch.num_rows for batch in batches] == [700, 700, 700, 700, 200]
    metrics = lister.metrics
    assert metrics.objects == len(KEYS)
    assert 60 <= metrics.requests <= 150
    assert 1 <= metrics.concurrency_max <= workers
    assert metrics.p50_s is not None
    assert metrics.p99_s is not None


@settings(max_examples=30, deadline=None)
@given(keys=st.sets(_TEXT, max_size=60), page_rows=st.integers(1, 9))
def test_the_rows_are_those_of_a_serial_listing(keys, page_rows) -> None:
    store = store_with(keys)
    lister = ranges(page_rows=page_rows)
    found = [row for batch in lister.list_objects(store, S3Url("b")) for row in batch.to_pylist()]
    serial = PagedLister().list_objects(store, S3Url("b"))
    assert found == [row for batch in serial for row in batch.to_pylist()]


def test_one_page_is_one_call() -> None:
    for keys in ([], ["a"], KEYS[:50]):
        lister = ranges(workers=64)
        assert keys_of(lister.list_objects(store_with(keys), S3Url("b"))) == keys
        assert lister.metrics.requests == 1
        assert lister.metrics.concurrency_max == 1


def test_ten_thousand_objects_cost_at_most_a_serial_listing_and_one_call() -> None:
    keys = [f"2026/{number // 100:03d}/{number:05d}" for number in range(500)]
    store = store_with(keys)
    for hints in ((), tuple(keys[::45])):
        lister = ranges(workers=64, split_keys=hints, rows_expected=500 if hints else None)
        assert keys_of(lister.list_objects(store, S3Url("b"))) == keys
        assert lister.metrics.requests <= 11


@pytest.mark.parametrize("prefix", ["k0", "k01", "k00123", "nothing", "k"])
def test_a_prefix_and_a_span(bucket: MemoryStore, prefix) -> None:
    found = keys_of(ranges().list_objects(bucket, S3Url("b", prefix)))
    assert found == [key for key in KEYS if key.startswith(prefix)]
    span = KeySpan(after="k00123", before="k01777")
    found = keys_of(ranges().list_objects(bucket, S3Url("b", prefix), span=span))
    assert found == [k for k in KEYS if k.startswith(prefix) and "k00123" < k < "k01777"]


def test_a_key_that_is_the_prefix_itself() -> None:
    store = store_with(["p/", "p/a", "q"])
    for lister in (ranges(), PagedLister()):
        assert keys_of(lister.list_objects(store, S3Url("b", "p/"))) == ["p/", "p/a"]
        after = lister.list_objects(store, S3Url("b", "p/"), span=KeySpan("p/"))
        assert keys_of(after) == ["p/a"]


@pytest.mark.parametrize("page_rows", [1, 2, 3, 7])
def test_versions_and_delete_markers_behind_the_same_door(page_rows) -> None:
    """LST-4: a page may end between versions of a key; none is lost, none comes twice."""
    store = store_with([])
    store.describe("PutBucketVersioning", "b", VersioningConfiguration={"Status": "Enabled"})
    for turn in range(5):
        for key in KEYS[: 40 - turn * 7]:
            store.put("b", key, f"{turn}".encode())
    store.delete("b", KEYS[:30:4])
    lister = ranges(page_rows=page_rows)
    found = [
        row
        for batch in lister.list_objects(store, S3Url("b"), versions=True)
        for row in batch.to_pylist()
    ]
    serial = PagedLister().list_objects(store, S3Url("b"), versions=True)
    assert found == [row for batch in serial for row in batch.to_pylist()]
    assert sum(row["is_delete_marker"] for row in found) == 8


def test_a_page_may_be_empty_and_truncated() -> None:
    """Trap: behind many delete markers `Contents` is empty while IsTruncated is true."""
    store = store_with(KEYS[:500], manner=ListingManner(gaps=True))
    lister = ranges()
    assert keys_of(lister.list_objects(store, S3Url("b"))) == KEYS[:500]
    assert lister.metrics.calls["empty"] > 5
    assert keys_of(PagedLister().list_objects(store, S3Url("b"))) == KEYS[:500]


def test_characters_beyond_the_basic_plane_sort_behind_private_use() -> None:
    """Trap: UTF-16 order has it the other way round."""
    keys = ["\ud7ff", "\ue000", "\uffff", "\U00010000", "\U0001f600", "\U0010ffff"]
    keys = sorted(f"{one}{other}" for one in keys for other in keys)
    assert keys == sorted(keys, key=str.encode)
    assert keys_of(ranges(page_rows=2).list_objects(store_with(keys), S3Url("b"))) == keys


@pytest.mark.parametrize("order", [scrambled, by_utf16])
def test_a_store_with_an_order_of_its_own_is_refused(order) -> None:
    keys = [*KEYS[:200], *(f"\uf000{n}" for n in range(40)), *(f"\U0001f600{n}" for n in range(40))]
    store = store_with(keys, manner=ListingManner(order=order))
    with pytest.raises(UnorderedListingError, match="not key order"):
        keys_of(ranges().list_objects(store, S3Url("b")))


_ODD = st.text("a\ud7ff\ue000\uf000\uffff\U00010000\U0001f600", min_size=1, max_size=3)


@settings(max_examples=100, deadline=None)
@given(
    keys=st.sets(_ODD, max_size=40),
    hints=st.sets(_ODD, max_size=6),
    page_rows=st.integers(1, 5),
    workers=st.integers(1, 4),
)
def test_an_order_of_its_own_never_hides_a_key(keys, hints, page_rows, workers) -> None:
    """A cut between what UTF-16 and UTF-8 order differently: refused, or nothing is missing."""
    store = store_with(keys, manner=ListingManner(order=by_utf16))
    lister = ranges(
        page_rows=page_rows, workers=workers, split_keys=tuple(sorted(hints)), rows_expected=900
    )
    try:
        found = keys_of(lister.list_objects(store, S3Url("b")))
    except UnorderedListingError:
        return
    assert found == sorted(keys)


def test_keys_that_come_and_go_at_a_cut_are_no_disorder() -> None:
    class _Busy(MemoryStore):
        def list_page(self, query: ListQuery) -> ListPage:
            page = super().list_page(query)
            for row in page.objects[::3]:  # each answer finds some of them gone, others new
                self.delete("b", [row.key])
                self.put("b", row.key + "x", b"")
            return page

    store = _Busy(clock=FixedClock(NOW))
    store.describe("CreateBucket", "b")
    for key in KEYS:
        store.put("b", key, b"x")
    found = keys_of(ranges(split_keys=tuple(KEYS[::7])).list_objects(store, S3Url("b")))
    assert found == sorted(set(found))


def test_a_store_that_ignores_start_after_is_refused_and_does_not_loop() -> None:
    store = store_with(KEYS[:200], manner=ListingManner(ignores_start_after=True))
    with pytest.raises(UnorderedListingError):
        keys_of(ranges().list_objects(store, S3Url("b")))


@pytest.mark.parametrize("skip", [0, 1, 7, 30])
def test_a_request_that_fails_ends_the_listing_with_its_error(bucket: MemoryStore, skip) -> None:
    fault = Planned("list_page", StoreUnavailableError("gone"), skip=skip, times=99)
    before = threading.active_count()
    got: list[str] = []

    def read() -> None:
        listing = ranges(rows_per_batch=10).list_objects(FaultStore(bucket, [fault]), S3Url("b"))
        for batch in listing:
            got.extend(batch.column("key").to_pylist())

    with pytest.raises(StoreUnavailableError):
        read()
    assert got == KEYS[: len(got)]
    assert threading.active_count() == before


def test_throttled_requests_are_asked_again_by_fewer_at_once(bucket: MemoryStore) -> None:
    faults = [Planned("list_page", ThrottledError("slow down"), skip=20, times=6)]
    lister = ranges(workers=8)
    assert keys_of(lister.list_objects(FaultStore(bucket, faults), S3Url("b"))) == KEYS
    assert lister.metrics.throttles == 6


def test_a_store_that_only_throttles_is_given_up(bucket: MemoryStore) -> None:
    faults = [Planned("list_page", ThrottledError("slow down"), times=999)]
    with pytest.raises(ThrottledError):
        keys_of(ranges().list_objects(FaultStore(bucket, faults), S3Url("b")))


def test_throttles_that_the_store_sat_out_count_too(bucket: MemoryStore) -> None:
    meter = Meter()

    class _Patient(MemoryStore):
        def list_page(self, query: ListQuery) -> ListPage:
            if query.start_after == KEYS[49]:
                meter.retry(ThrottledError.code)
            return bucket.list_page(query)

    options = RangeOptions(workers=4, page_rows=50)
    lister = RangeLister(options, clock=FixedClock(NOW), meter=meter)
    assert keys_of(lister.list_objects(_Patient(), S3Url("b"))) == KEYS
    assert lister.metrics.throttles == 1


def test_a_listing_that_is_left_early_ends_its_threads(bucket: MemoryStore) -> None:
    before = threading.active_count()
    listing = ranges(rows_per_batch=10).list_objects(bucket, S3Url("b"))
    next(listing)
    listing.close()
    assert threading.active_count() == before


def test_a_missing_bucket_is_said() -> None:
    with pytest.raises(BucketNotFoundError):
        keys_of(ranges().list_objects(store_with([]), S3Url("nowhere")))
