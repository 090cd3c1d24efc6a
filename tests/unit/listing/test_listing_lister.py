"""Listings as Arrow batches: every entry once, in key order, in bounded batches."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stocktake.clock import FixedClock
from stocktake.errors import BucketNotFoundError, StoreUnavailableError, UnexpectedAnswerError
from stocktake.listing import ListSource, PagedLister, list_objects
from stocktake.model import Coverage, PartTally, S3Url, SourceKind
from stocktake.store import ListPage, ListQuery
from stocktake.testing import FaultStore, MemoryStore, Planned

NOW = datetime(2026, 5, 1, 12, 30, 15, tzinfo=UTC)


def store_with(keys, *, versioned: bool = False) -> tuple[MemoryStore, FixedClock]:
    clock = FixedClock(NOW)
    store = MemoryStore(clock=clock)
    store.describe("CreateBucket", "b")
    if versioned:
        status = {"Status": "Enabled"}
        store.describe("PutBucketVersioning", "b", VersioningConfiguration=status)
    for key in keys:
        store.put("b", key, key.encode())
    return store, clock


def rows_of(batches) -> list[dict]:
    return [row for batch in batches for row in batch.to_pylist()]


def test_rows_have_the_columns_of_the_object_record_and_no_others():
    store, _ = store_with(["a/1"])
    [batch] = list_objects(store, S3Url("b"))
    assert batch.schema.names == [
        "key",
        "size_bytes",
        "last_modified",
        "etag",
        "storage_class",
        "checksum_algorithm",
    ]
    assert batch.schema.field("last_modified").type == pa.timestamp("ms")
    [row] = batch.to_pylist()
    assert row["key"] == "a/1"
    assert row["size_bytes"] == 3
    assert row["last_modified"] == NOW.replace(tzinfo=None)
    assert row["storage_class"] == "STANDARD"


_KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


@given(keys=st.sets(_KEYS, max_size=30), rows_per_batch=st.integers(1, 40))
def test_every_key_is_listed_once_in_utf8_order(keys, rows_per_batch):
    store, _ = store_with(keys)
    batches = list(PagedLister(rows_per_batch=rows_per_batch).list_objects(store, S3Url("b")))
    assert [row["key"] for row in rows_of(batches)] == sorted(keys, key=str.encode)
    assert all(0 < batch.num_rows <= rows_per_batch for batch in batches)
    assert all(batch.num_rows == rows_per_batch for batch in batches[:-1])


def test_more_than_one_page_and_batch():
    store, _ = store_with([f"k{number:05d}" for number in range(2500)])
    batches = list(PagedLister(rows_per_batch=999).list_objects(store, S3Url("b", "k0")))
    assert [batch.num_rows for batch in batches] == [999, 999, 502]


def test_the_prefix_is_a_prefix_of_keys_not_a_folder():
    store, _ = store_with(["a", "ab", "a/c", "b"])
    assert [row["key"] for row in rows_of(list_objects(store, S3Url("b", "a")))] == [
        "a",
        "a/c",
        "ab",
    ]


def test_versions_have_markers_without_size_or_etag():
    store, clock = store_with(["a", "a", "b"], versioned=True)
    clock.advance(60)
    store.delete("b", ["a"])
    rows = rows_of(list_objects(store, S3Url("b"), versions=True))
    assert [(r["key"], r["is_latest"], r["is_delete_marker"], r["size_bytes"]) for r in rows] == [
        ("a", True, True, None),
        ("a", False, False, 1),
        ("a", False, False, 1),
        ("b", True, False, 1),
    ]
    assert rows[0]["etag"] is None
    assert len({row["version_id"] for row in rows}) == 4


class _Disorder(MemoryStore):
    """A store that lists a page backwards, as directory buckets may."""

    def list_page(self, query: ListQuery) -> ListPage:
        page = super().list_page(query)
        return ListPage(page.objects[::-1], page.prefixes, page.next_token)


def test_a_store_that_lists_out_of_order_is_refused():
    store = _Disorder()
    store.describe("CreateBucket", "b")
    for key in ("a", "c"):
        store.put("b", key, b"")
    with pytest.raises(UnexpectedAnswerError, match="not key order"):
        list(list_objects(store, S3Url("b")))


class _Repeating(MemoryStore):
    """A store that gives its first page again and again."""

    def list_page(self, query: ListQuery) -> ListPage:
        page = super().list_page(ListQuery(query.bucket))
        return ListPage(page.objects, (), "again")


def test_a_store_that_repeats_a_key_is_refused_and_does_not_loop():
    store = _Repeating()
    store.describe("CreateBucket", "b")
    store.put("b", "a", b"")
    with pytest.raises(UnexpectedAnswerError, match="not key order"):
        list(list_objects(store, S3Url("b")))


def test_a_page_that_fails_is_not_the_end_of_the_listing():
    store, _ = store_with([f"k{number:05d}" for number in range(1500)])
    failing = FaultStore(store, [Planned("list_page", StoreUnavailableError("gone"), skip=1)])
    with pytest.raises(StoreUnavailableError):
        list(list_objects(failing, S3Url("b")))


def test_an_empty_prefix_gives_nothing_and_a_missing_bucket_fails():
    store, _ = store_with([])
    assert list(list_objects(store, S3Url("b"))) == []
    with pytest.raises(BucketNotFoundError):
        list(list_objects(store, S3Url("nowhere")))


# --- as a source ---------------------------------------------------------------------------------


def test_a_listing_is_a_source_of_one_part():
    store, clock = store_with(["p/a", "p/b", "q"])
    source = ListSource(store, S3Url("b", "p/"), clock=clock)
    [part] = source.parts()
    tally = PartTally()
    blocks = list(source.read(part, tally))
    assert [row["key"] for row in rows_of(block.rows for block in blocks)] == ["p/a", "p/b"]
    assert tally.rows == 2
    assert tuple(blocks[0].rows.schema.names) == source.header.columns
    source.recheck()


def test_the_header_says_what_the_listing_covers_and_since_when():
    store, clock = store_with([])
    header = ListSource(store, S3Url("b", "p/"), versions=True, clock=clock).header
    assert header.kind is SourceKind.LIST
    assert header.as_of == NOW
    assert header.coverage == Coverage(prefix="p/", versions="all")
    assert header.location == "s3://b/p/"
    assert "is_delete_marker" in header.columns
    whole = ListSource(store, S3Url("b"), clock=clock).header
    assert (whole.config_id, header.config_id) == ("list", "list:p/")


def test_two_listings_are_two_contents():
    store, clock = store_with([])
    first = ListSource(store, S3Url("b"), clock=clock).header.identity
    clock.advance(timedelta(minutes=1).total_seconds())
    assert ListSource(store, S3Url("b"), clock=clock).header.identity != first
