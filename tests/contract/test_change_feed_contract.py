"""The feed in memory that consumer tests use answers as the catalog's own feed does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ingest_world import BUCKET, NOW, FakeFeed
from stocktake.catalog import open_catalog, open_feed
from stocktake.clock import FixedClock
from stocktake.ingest._change import Change, ChangeFeed, change_of, changes_of
from stocktake.listing import ListingMetrics, StrategyName
from stocktake.model import FEED_CHANGE, S3Url, object_schema

STEPS = ((("a", "e1"), ("b\x00%", "e2"), ("c/d", "e3")), (("a", "e4"), ("e", "e5")))


def real_feed(place: Path) -> Iterator[ChangeFeed]:
    columns = object_schema(["size_bytes", "last_modified", "etag"])
    with open_catalog(str(place), create=True, clock=FixedClock(NOW), threads=1) as catalog:
        feed = open_feed(catalog, S3Url(BUCKET))
        for step in STEPS:
            rows = [
                {"key": k, "etag": e, "size_bytes": 10, "last_modified": NOW.replace(tzinfo=None)}
                for k, e in step
            ]
            with feed.discovering(StrategyName.INCREMENTAL_LEXICAL) as writer:
                batch = pa.RecordBatch.from_pylist(rows, columns)
                writer.absorb([batch], cursor={}, metrics=ListingMetrics())
        yield feed


def fake_feed(_: Path) -> Iterator[ChangeFeed]:
    feed, seen = FakeFeed(FixedClock(NOW)), set()
    for key, etag in (pair for step in STEPS for pair in step):
        feed.add(key, "modified" if key in seen else "new", etag=etag)
        seen.add(key)
    yield feed


@pytest.fixture(params=[real_feed, fake_feed], ids=["catalog", "memory"])
def feed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ChangeFeed]:
    yield from request.param(tmp_path / "catalog")


def read(feed: ChangeFeed, after_seq: int, limit: int) -> list[Change]:
    return [change for batch in feed.read(after_seq, limit) for change in changes_of(batch)]


def brief(changes: list[Change]) -> list[tuple[Any, ...]]:
    return [(c.seq, c.change, c.key, c.etag) for c in changes]


def test_numbers_are_dense_and_in_order(feed: ChangeFeed) -> None:
    assert feed.last_seq() == 5
    assert brief(read(feed, 0, 100)) == [
        (1, "new", "a", "e1"),
        (2, "new", "b\x00%", "e2"),
        (3, "new", "c/d", "e3"),
        (4, "modified", "a", "e4"),
        (5, "new", "e", "e5"),
    ]
    assert [c.seq for c in read(feed, 1, 3)] == [2, 3, 4]
    assert read(feed, 5, 10) == []


def test_rows_have_the_schema_and_aware_times_can_be_made_of_them(feed: ChangeFeed) -> None:
    batch = next(iter(feed.read(0, 1)))
    assert batch.schema == FEED_CHANGE
    item = read(feed, 0, 1)[0].to_item(1)
    assert (item.last_modified, item.size_bytes, item.deleted) == (NOW, 10, False)


def test_rows_are_found_by_number_and_by_key(feed: ChangeFeed) -> None:
    assert brief(list(changes_of(feed.rows_at([5, 2])))) == [
        (2, "new", "b\x00%", "e2"),
        (5, "new", "e", "e5"),
    ]
    assert list(changes_of(feed.rows_at([]))) == []
    assert [change_of(row) for row in feed.history("a")] == [
        c for c in read(feed, 0, 10) if c.key == "a"
    ]
    assert feed.history("never") == []
