"""What is one and the same object, whoever saw it (facts 4.1: the ETag is not a content hash)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from feed_world import LEXICAL, FeedWorld, batch
from snapshot_world import PLAIN, naive, publish, row
from stocktake.catalog import Catalog
from stocktake.errors import CoverageMismatchError, DiscoveryError
from stocktake.listing import ListingMetrics

VERSIONED = ("key", "version_id", "is_latest", "is_delete_marker", *PLAIN[1:])


@pytest.fixture
def world(catalog: Catalog) -> FeedWorld:
    return FeedWorld(catalog, "photos")


def see(world: FeedWorld, *rows: dict, columns: tuple[str, ...] = PLAIN) -> list[str]:
    before = world.feed.last_seq()
    with world.feed.discovering(LEXICAL) as writer:
        writer.absorb([batch(rows, columns)], cursor={}, metrics=ListingMetrics())
    return [f"{r['change']} {r['key']}" for r in world.rows()[before:]]


def test_an_etag_that_changes_under_one_version_is_no_change(world: FeedWorld) -> None:
    """Multipart, SSE-KMS: sources may show another ETag of the same version."""
    columns = ("key", "version_id", *PLAIN[1:])
    assert see(world, row("a", version_id="v1", etag="e1-2"), columns=columns) == ["new a"]
    assert see(world, row("a", version_id="v1", etag="e9"), columns=columns) == []
    assert see(world, row("a", version_id="v2", etag="e9"), columns=columns) == ["modified a"]


def test_the_same_etag_at_another_time_is_another_version(world: FeedWorld) -> None:
    assert see(world, row("a", etag="e1")) == ["new a"]
    later = naive(2026, 1, 1) + timedelta(milliseconds=400)
    assert see(world, row("a", etag="e1", last_modified=later)) == []
    later += timedelta(seconds=1)
    assert see(world, row("a", etag="e1", last_modified=later)) == ["modified a"]


def test_every_write_to_an_unversioned_bucket_has_the_null_version(world: FeedWorld) -> None:
    columns = ("key", "version_id", *PLAIN[1:])
    assert see(world, row("a", version_id="null", etag="e1"), columns=columns) == ["new a"]
    assert see(world, row("a", version_id="null", etag="e2"), columns=columns) == ["modified a"]
    assert see(world, row("a", etag="e2")) == []


def test_a_source_without_etags_is_compared_by_size_and_time(world: FeedWorld) -> None:
    bare = ("key", "size_bytes", "last_modified")
    assert see(world, row("a", 1)) == ["new a"]
    assert see(world, row("a", 1), columns=bare) == []
    assert see(world, row("a", 2), columns=bare) == ["modified a"]


def test_noncurrent_versions_and_delete_markers_are_not_objects(
    world: FeedWorld, catalog: Catalog
) -> None:
    """A scan of all versions tells of the current ones."""
    flags = {"is_latest": True, "is_delete_marker": False}
    rows = [
        row("a", 1, version_id="v2", **flags),
        row("a", 1, version_id="v1", is_latest=False, is_delete_marker=False),
        row("b", None, version_id="m", is_latest=True, is_delete_marker=True, etag=None),
    ]
    found = publish(
        catalog, rows, columns=VERSIONED, config_id="list", kind="list", as_of=catalog.clock.now()
    )
    world.absorb(found)
    assert [(r["change"], r["key"], r["version_id"]) for r in world.rows()] == [("new", "a", "v2")]


def test_keys_outside_the_prefix_and_keys_seen_twice(catalog: Catalog) -> None:
    world = FeedWorld(catalog, "photos", prefix="in/")
    assert see(world, row("in/a", 1), row("out/b"), row("in/a", 2)) == ["new in/a"]
    assert world.rows()[0]["size_bytes"] == 2
    with pytest.raises(CoverageMismatchError):
        world.absorb(publish(catalog, [], kind="list", config_id="x", prefix="in/deeper/"))
    world.absorb(
        publish(catalog, [row("in/a", 2), row("out/b")], kind="list", as_of=catalog.clock.now())
    )
    assert len(world.rows()) == 1


def test_nobody_guesses_when_only_the_store_can_tell(world: FeedWorld) -> None:
    world.put("a")
    world.scan()
    world.put("a")
    with (
        pytest.raises(DiscoveryError, match="1 keys can only be decided by asking the store"),
        world.feed.discovering(LEXICAL) as writer,
    ):
        writer.absorb_events(world.pending[1:], metrics=ListingMetrics())
    assert len(world.rows()) == 1
