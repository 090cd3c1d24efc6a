"""Files of feeds of every format version load and say what they said."""

from __future__ import annotations

from pathlib import Path

import pytest
from golden_feed import CARRIED, CHANGES
from sqlalchemy import insert, update

from feed_world import FeedWorld
from stocktake.catalog import Catalog
from stocktake.model import FEED_CHANGE
from stocktake.state import feed_segments, feeds

FIXTURES = Path(__file__).parents[2] / "fixtures" / "feeds"


@pytest.fixture(params=sorted(path.name for path in FIXTURES.iterdir()))
def world(request: pytest.FixtureRequest, catalog: Catalog) -> FeedWorld:
    """A feed that is made of the golden files."""
    world = FeedWorld(catalog, "photos")
    for name in ("segment", "carried"):
        with catalog.files.create(f"feeds/{world.feed.id}/{name}.parquet") as sink:
            sink.write((FIXTURES / str(request.param) / f"{name}.parquet").read_bytes())
    folder = f"feeds/{world.feed.id}"
    with catalog.state.write() as connection:
        connection.execute(
            insert(feed_segments).values(
                feed_id=world.feed.id,
                first_seq=8,
                last_seq=10,
                origin="full",
                run_id="run_1",
                path=f"{folder}/segment.parquet",
                created_at="2026-11-20T18:00:04Z",
            )
        )
        values = {"last_seq": 10, "base_seq": 7, "base_carried": f"{folder}/carried.parquet"}
        connection.execute(update(feeds).values(**values))
    return world


def test_the_rows_of_a_golden_segment_are_what_they_were(world: FeedWorld) -> None:
    names = [name for name in FEED_CHANGE.names if name != "seq"]
    assert world.rows() == [
        {"seq": seq, **{name: row.get(name) for name in names}}
        for seq, row in enumerate(CHANGES, 8)
    ]
    assert world.feed.history("a/😀")[0]["sequencer"] == "0055AED6DCD90281E5"


def test_golden_files_are_what_is_known(world: FeedWorld) -> None:
    present = {"a/\x00b+%2F": True, "a/😀": True, "b": False, "c": True, "d": False}
    facts = world.known(present)
    assert {key: fact.present for key, fact in facts.items()} == present
    assert facts["c"].etag == CARRIED[0]["etag"]
    assert facts["d"].seen_to is not None
