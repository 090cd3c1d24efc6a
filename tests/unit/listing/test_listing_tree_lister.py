"""LST-3: stores without key order are listed folder by folder, and rows come in key order."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stocktake.clock import FixedClock
from stocktake.errors import StoreUnavailableError, ThrottledError, UnorderedListingError
from stocktake.listing import (
    KeySpan,
    ListingProfile,
    OrderedLister,
    RangeOptions,
    TreeLister,
    check_listing,
    choose_lister,
    keep_profile,
    known_profile,
)
from stocktake.model import S3Url
from stocktake.state import State, open_state
from stocktake.store import ListPage, ListQuery, probe
from stocktake.testing import (
    DIRECTORY_BUCKET,
    FaultStore,
    ListingManner,
    MemoryStore,
    Planned,
    by_utf16,
    scrambled,
)

NOW = datetime(2026, 5, 1, tzinfo=UTC)
EXPRESS = "fast--use1-az4--x-s3"
TREE = sorted(
    [
        "a-b",
        "a/",
        "a/1",
        "a/b/c",
        "a/b-c",
        "a0",
        "a//x",
        "b",
        "/",
        "/z",
        "a/b/",
        "\U0001f600/\uffff",
    ]
)
# names around `/`, so that folders sort between objects
_KEYS = st.text("ab/-.0\uffff\U0001f600", min_size=1, max_size=7)


def store_with(
    keys: Iterable[str], manner: ListingManner = DIRECTORY_BUCKET, bucket: str = EXPRESS
) -> MemoryStore:
    store = MemoryStore(clock=FixedClock(NOW), manner=manner)
    store.describe("CreateBucket", bucket)
    for key in keys:
        store.put(bucket, key, b"x")
    return store


def tree(**options: int) -> TreeLister:
    return TreeLister(clock=FixedClock(NOW), **{"workers": 4, **options})


def keys_of(batches) -> list[str]:
    return [key for batch in batches for key in batch.column("key").to_pylist()]


@pytest.fixture
def state(tmp_path: Path) -> Iterable[State]:
    with open_state(f"sqlite:///{tmp_path}/state.db", clock=FixedClock(NOW)) as opened:
        yield opened


def test_a_directory_bucket_is_listed_in_key_order() -> None:
    """Trap: no order, no StartAfter, prefixes must end in `/`; `a/` sorts behind `a-b`."""
    lister = tree()
    assert keys_of(lister.list_objects(store_with(TREE), S3Url(EXPRESS))) == TREE
    assert lister.metrics.objects == len(TREE)
    assert lister.metrics.requests >= 6


@settings(max_examples=60, deadline=None)
@given(
    keys=st.sets(_KEYS, max_size=40),
    prefix=st.one_of(st.just(""), _KEYS),
    after=st.one_of(st.just(""), _KEYS),
    before=st.one_of(st.none(), _KEYS),
    buffer_bytes=st.sampled_from([1, 1 << 20]),
)
def test_any_keys_prefix_and_span(keys, prefix, after, before, buffer_bytes) -> None:
    listing = tree(buffer_bytes=buffer_bytes).list_objects(
        store_with(keys), S3Url(EXPRESS, prefix), span=KeySpan(after, before)
    )
    assert keys_of(listing) == sorted(
        key
        for key in keys
        if key.startswith(prefix) and after < key and (before is None or key < before)
    )


def test_a_folder_of_several_pages_is_sorted_as_a_whole() -> None:
    keys = sorted([f"d/{number}" for number in range(2_300)] + ["e"])
    lister = tree(rows_per_batch=900)
    batches = list(lister.list_objects(store_with(keys), S3Url(EXPRESS)))
    assert keys_of(batches) == keys
    assert [batch.num_rows for batch in batches] == [900, 900, 501]


def test_prefixes_of_uploads_in_progress_hold_nothing() -> None:
    """Trap: CommonPrefixes of a directory bucket include those of unfinished uploads."""

    class _Uploading(MemoryStore):
        def list_page(self, query: ListQuery) -> ListPage:
            page = super().list_page(query)
            more = ("a/", "upload/") if query.prefix == "" else ()
            return ListPage(page.objects, tuple({*page.prefixes, *more}), page.next_token)

    store = _Uploading(clock=FixedClock(NOW))
    store.describe("CreateBucket", "b")
    store.put("b", "z", b"")
    lister = tree()
    assert keys_of(lister.list_objects(store, S3Url("b"))) == ["z"]
    assert lister.metrics.calls == {"page": 1, "empty": 2}


def test_versions_of_an_unordered_store_stay_newest_first() -> None:
    store = store_with([], ListingManner(order=scrambled))
    store.describe("PutBucketVersioning", EXPRESS, VersioningConfiguration={"Status": "Enabled"})
    for body in (b"1", b"22", b"333"):
        for key in ("a/x", "a/y", "b"):
            store.put(EXPRESS, key, body)
    listing = tree().list_objects(store, S3Url(EXPRESS), versions=True)
    rows = [row for batch in listing for row in batch.to_pylist()]
    assert [row["key"] for row in rows] == ["a/x"] * 3 + ["a/y"] * 3 + ["b"] * 3
    assert [row["size_bytes"] for row in rows] == [3, 2, 1] * 3


def test_failures_and_throttles() -> None:
    store = store_with(TREE)
    before = threading.active_count()
    broken = FaultStore(store, [Planned("list_page", StoreUnavailableError("gone"), skip=3)])
    with pytest.raises(StoreUnavailableError):
        keys_of(tree().list_objects(broken, S3Url(EXPRESS)))
    slow = FaultStore(store, [Planned("list_page", ThrottledError("slow down"), skip=2, times=3)])
    lister = tree()
    assert keys_of(lister.list_objects(slow, S3Url(EXPRESS))) == TREE
    assert lister.metrics.throttles == 3
    never = FaultStore(store, [Planned("list_page", ThrottledError("slow down"), times=999)])
    with pytest.raises(ThrottledError):
        keys_of(tree().list_objects(never, S3Url(EXPRESS)))
    listing = tree(rows_per_batch=1).list_objects(store, S3Url(EXPRESS))
    next(listing)
    listing.close()
    assert threading.active_count() == before


# --- profiles and the choice ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("manner", "expected"),
    [
        (ListingManner(), (True, True)),
        (ListingManner(order=scrambled), (False, None)),
        (ListingManner(ignores_start_after=True), (True, False)),
    ],
)
def test_what_a_listing_shows_without_writing(manner, expected) -> None:
    store = store_with([f"k{number}" for number in range(9)], manner, "b")
    watched = FaultStore(store, [Planned("put", StoreUnavailableError("read-only"), times=99)])
    found = check_listing(watched, "b")
    assert (found.ordered, found.start_after) == expected
    assert found.versions is True
    assert found.keys_seen == 9
    assert found.needs_tree is (expected != (True, True))


def test_an_empty_bucket_shows_nothing() -> None:
    found = check_listing(store_with(["one"], ListingManner(), "b"), "b")
    assert (found.ordered, found.start_after, found.needs_tree) == (None, None, False)


def test_the_name_of_a_directory_bucket_says_enough() -> None:
    found = check_listing(MemoryStore(), EXPRESS)
    assert found.needs_tree
    assert isinstance(choose_lister(MemoryStore(), EXPRESS), TreeLister)


def test_a_profile_is_kept_per_bucket_and_decides_the_next_lister(state: State) -> None:
    store = store_with(["a"], ListingManner(), "b")
    assert known_profile(state, store, "b") is None
    keep_profile(state, store, "b", ListingProfile(ordered=True, start_after=True))
    assert isinstance(choose_lister(store, "b", state=state), OrderedLister)
    keep_profile(state, store, "b", ListingProfile(start_after=False, keys_seen=4))
    assert known_profile(state, store, "b") == ListingProfile(start_after=False, keys_seen=4)
    assert isinstance(choose_lister(store, "b", state=state), TreeLister)
    assert isinstance(choose_lister(store, "other", state=state), OrderedLister)


def test_a_probe_by_writing_is_a_profile_too(state: State) -> None:
    store = store_with([], ListingManner(order=by_utf16), "b")
    profile = ListingProfile.of_probe(probe(store, "b"))
    keep_profile(state, store, "b", profile)
    kept = known_profile(state, store, "b")
    assert kept == profile
    assert kept.needs_tree


def test_an_order_that_is_violated_at_once_is_listed_folder_by_folder(state: State) -> None:
    store = store_with(TREE, ListingManner(order=scrambled), "b")
    lister = choose_lister(store, "b", RangeOptions(workers=4), state=state, clock=FixedClock(NOW))
    assert keys_of(lister.list_objects(store, S3Url("b"))) == TREE
    assert known_profile(state, store, "b") == ListingProfile(ordered=False)
    assert lister.metrics.objects == len(TREE)
    assert isinstance(choose_lister(store, "b", state=state), TreeLister)


def test_an_order_that_is_violated_later_is_an_error_and_remembered(state: State) -> None:
    keys = [*(f"k{number:04d}" for number in range(60)), "\uf000", "\U0001f600", "\U0001f600a"]
    store = store_with(keys, ListingManner(order=by_utf16), "b")
    options = RangeOptions(workers=1, page_rows=2, rows_per_batch=4)
    lister = choose_lister(store, "b", options, state=state, clock=FixedClock(NOW))
    with pytest.raises(UnorderedListingError):
        keys_of(lister.list_objects(store, S3Url("b")))
    again = choose_lister(store, "b", options, state=state)
    assert keys_of(again.list_objects(store, S3Url("b"))) == sorted(keys)
