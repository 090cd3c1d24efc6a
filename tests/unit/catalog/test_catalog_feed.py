"""The feed of a prefix: numbered net changes, and what is known because of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest

from snapshot_world import PLAIN, naive, publish, row
from stocktake.catalog import Absorbed, Catalog, Feed, Snapshot, find_feed, list_feeds, open_feed
from stocktake.clock import FixedClock
from stocktake.errors import CatalogCorruptError, DiscoveryRunningError
from stocktake.listing import ListingMetrics, StrategyName
from stocktake.model import S3Url, object_schema

PHOTOS = S3Url("photos")
LEXICAL, FULL = StrategyName.INCREMENTAL_LEXICAL, StrategyName.FULL


@pytest.fixture
def feed(catalog: Catalog) -> Feed:
    return open_feed(catalog, PHOTOS)


def batch(*rows: dict[str, Any], columns: tuple[str, ...] = PLAIN) -> pa.RecordBatch:
    schema = object_schema(columns)
    return pa.RecordBatch.from_pylist([{n: r.get(n) for n in schema.names} for r in rows], schema)


def see(feed: Feed, *rows: dict[str, Any], **more: Any) -> Absorbed:
    with feed.discovering(LEXICAL) as writer:
        return writer.absorb(
            [batch(*rows)], cursor={"at": len(rows)}, metrics=ListingMetrics(), **more
        )


def scan(catalog: Catalog, feed: Feed, *rows: dict[str, Any], **more: Any) -> Absorbed:
    snapshot = publish(catalog, rows, as_of=catalog.clock.now(), config_id="list", kind="list")
    return absorb(feed, snapshot, **more)


def absorb(feed: Feed, snapshot: Snapshot, *, proves: bool = True, **more: Any) -> Absorbed:
    with feed.discovering(FULL) as writer:
        return writer.absorb_snapshot(
            snapshot,
            started_at=snapshot.as_of,
            proves_complete=proves,
            metrics=ListingMetrics(),
            **more,
        )


def changes(feed: Feed, after: int = 0) -> list[tuple[int, str, str]]:
    rows = [r for b in feed.read(after, 10**6) for r in b.to_pylist()]
    return [(r["seq"], r["change"], r["key"]) for r in rows]


def test_a_listing_of_some_keys_appends_what_nobody_knew(feed: Feed) -> None:
    found = see(feed, row("b"), row("a"))
    assert (found.first_seq, found.last_seq, found.new) == (1, 2, 2)
    assert changes(feed) == [(1, "new", "a"), (2, "new", "b")]
    found = see(feed, row("a"), row("b", 2), row("c"))
    assert (found.new, found.modified) == (1, 1)
    assert changes(feed, 2) == [(3, "modified", "b"), (4, "new", "c")]
    assert see(feed, row("a"), row("b", 2)).first_seq is None
    assert feed.last_seq() == 4


def test_a_scan_finds_deletions_and_becomes_the_base(catalog: Catalog, feed: Feed) -> None:
    scan(catalog, feed, row("a"), row("b"), row("c"))
    see(feed, row("d"))
    found = scan(catalog, feed, row("a"), row("b", 7), row("d"), row("e"))
    assert (found.new, found.modified, found.deleted) == (1, 1, 1)
    assert changes(feed, 4) == [(5, "modified", "b"), (6, "deleted", "c"), (7, "new", "e")]
    assert scan(catalog, feed, row("a"), row("b", 7), row("d"), row("e")).first_seq is None


def test_one_feed_per_prefix(catalog: Catalog, feed: Feed) -> None:
    other = open_feed(catalog, S3Url("photos", "20%26/\x00"))
    assert open_feed(catalog, PHOTOS).id == feed.id != other.id
    assert find_feed(catalog, S3Url("films")) is None
    assert [f.prefix for f in list_feeds(catalog)] == ["", "20%26/\x00"]


def test_two_runs_of_a_feed_exclude_each_other(feed: Feed) -> None:
    with feed.discovering(LEXICAL), pytest.raises(DiscoveryRunningError), feed.discovering(FULL):
        pass
    assert [run.state for run in feed.runs()] == ["failed"]
    see(feed, row("a"))
    assert sorted(run.state for run in feed.runs()) == ["failed", "finished"]


def test_rows_are_found_by_number_and_by_key(feed: Feed) -> None:
    see(feed, row("a"), row("b"))
    see(feed, row("a", 2), row("c"))
    assert feed.rows_at([4, 1, 3]).column("key").to_pylist() == ["a", "a", "c"]
    assert [r["size_bytes"] for r in feed.history("a")] == [1, 2]
    with pytest.raises(CatalogCorruptError):
        feed.rows_at([5])


def test_the_claim_moves_with_full_scans_only(
    catalog: Catalog, feed: Feed, clock: FixedClock
) -> None:
    """STR-9."""
    assert feed.claim().sentence() == "not complete yet: no full scan has finished"
    started = clock.now()
    scan(catalog, feed, row("a"))
    clock.advance(60)
    see(feed, row("b"))
    claim = feed.claim()
    assert (claim.complete_through, claim.scan) == (started, 1)
    assert claim.sentence(started + timedelta(hours=1)) == (
        "complete through 2026-01-10T12:00:00Z (scan #1), fresh to 12:01:00Z "
        "(incremental_lexical), next audit 13:00"
    )


def test_the_cursor_is_kept_with_what_was_found(feed: Feed) -> None:
    see(feed, row("a"))
    with feed.discovering(LEXICAL) as writer:
        assert writer.cursor == {"at": 1}
    with feed.discovering(FULL) as writer:
        assert writer.cursor == {}


def test_what_a_partial_strategy_had_passed_by_is_late(
    catalog: Catalog, feed: Feed, clock: FixedClock
) -> None:
    """STR-8, facts 4.1: a late lower key is counted against the strategy that missed it."""
    see(feed, row("b"))
    clock.advance(60)
    young = row("c", last_modified=naive(2026, 1, 10, 12, 0, 30))
    found = scan(catalog, feed, row("a"), row("b"), young)
    assert (found.new, found.late, found.missed) == (2, 1, {"incremental_lexical": 1})
    assert [r["late"] for r in feed.history("a") + feed.history("c")] == [True, False]
    assert feed.runs()[0].audit_missed == {"incremental_lexical": 1}
