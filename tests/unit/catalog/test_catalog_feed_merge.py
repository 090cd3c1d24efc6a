"""Many small segments become one: the same numbers and rows, also for whoever is reading."""

from __future__ import annotations

import pytest

from feed_world import FeedWorld
from stocktake.catalog import Catalog, _feed_merge, sweep
from stocktake.catalog._feed_reading import segments_of
from stocktake.errors import CatalogCorruptError

SEGMENTS_MAX = 6


@pytest.fixture
def world(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> FeedWorld:
    monkeypatch.setattr(_feed_merge, "SEGMENTS_MAX", SEGMENTS_MAX)
    return FeedWorld(catalog, "photos")


def segments(world: FeedWorld) -> list[tuple[int, int]]:
    found = segments_of(world.catalog, world.feed.id, 1, 10**9)
    return [(segment.first_seq, segment.last_seq) for segment in found]


def fill(world: FeedWorld, count: int) -> None:
    for number in range(count):
        key = f"{world.feed.last_seq():04}-{number}"
        world.put(key)
        world.see([key])
        world.clock.advance(1)


def test_small_segments_are_put_together_above_the_base(world: FeedWorld) -> None:
    world.put("base")
    world.scan()
    world.clock.advance(1)
    fill(world, SEGMENTS_MAX - 1)
    before = world.rows()
    assert len(segments(world)) == SEGMENTS_MAX
    fill(world, 1)
    assert segments(world) == [(1, 1), (2, SEGMENTS_MAX + 1)]
    assert world.rows()[:-1] == before
    assert [row["seq"] for row in world.rows()] == list(range(1, SEGMENTS_MAX + 2))
    assert len(list(world.catalog.files.listing(f"feeds/{world.feed.id}"))) == 2
    assert sweep(world.catalog).orphans == ()
    world.see(world.objects)
    assert len(world.rows()) == len(before) + 1, "what is known is the same"


def test_a_reader_goes_on_when_its_segment_is_replaced(world: FeedWorld) -> None:
    fill(world, SEGMENTS_MAX - 1)
    reading = world.feed.read(0, 10**6)
    old = segments_of(world.catalog, world.feed.id, 1, 10**9)
    fill(world, 1)
    rows = [row["seq"] for found in reading for row in found.to_pylist()]
    assert rows == list(range(1, len(rows) + 1))
    assert len(rows) >= SEGMENTS_MAX - 1
    assert not world.catalog.files.exists(old[0].path)
    assert world.feed.rows_at([3, 5]).num_rows == 2
    assert len(world.feed.history(world.rows()[3]["key"])) == 1


@pytest.mark.parametrize("point", ["feed.merge-written", "feed.merged"])
def test_a_merge_that_dies_changes_no_row(
    world: FeedWorld, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(BaseException):
        pass

    def die(name: str) -> None:
        if name == point:
            raise KilledError

    fill(world, SEGMENTS_MAX - 1)
    with monkeypatch.context() as patch:
        patch.setattr(_feed_merge, "reached", die)
        with pytest.raises(KilledError):
            fill(world, 1)
    merged = point == "feed.merged"
    assert len(segments(world)) == (1 if merged else SEGMENTS_MAX)
    assert [row["seq"] for row in world.rows()] == list(range(1, SEGMENTS_MAX + 1))
    assert len(sweep(world.catalog).orphans) == (SEGMENTS_MAX if merged else 1)
    fill(world, 1)
    assert len(segments(world)) == (2 if merged else 1)
    assert [row["seq"] for row in world.rows()] == list(range(1, SEGMENTS_MAX + 2))


def test_a_lost_segment_is_an_error_not_a_gap(world: FeedWorld) -> None:
    fill(world, 3)
    lost = segments_of(world.catalog, world.feed.id, 2, 2)[0]
    world.catalog.files.remove(lost.path)
    with pytest.raises(CatalogCorruptError):
        world.rows()
    with pytest.raises(CatalogCorruptError):
        world.feed.rows_at([2])
