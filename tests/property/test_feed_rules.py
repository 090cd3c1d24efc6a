"""The rule of identity in Python and in SQL is the same, and an observation is told once."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feed_world import LEXICAL, batch
from stocktake.catalog import Catalog, open_catalog, open_feed
from stocktake.catalog._feed_events import Fact, same_object
from stocktake.clock import FixedClock
from stocktake.listing import ListingMetrics
from stocktake.model import S3Url

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
_BUCKETS = itertools.count(1)
COLUMNS = ("key", "version_id", "size_bytes", "last_modified", "etag", "storage_class")

times = st.sampled_from([0, 1, 999, 1000, 2000]).map(
    lambda ms: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
)
sights = st.fixed_dictionaries(
    {
        "version_id": st.sampled_from([None, "null", "v1", "v2"]),
        "etag": st.sampled_from([None, "e1", "e2"]),
        "size_bytes": st.sampled_from([None, 1, 2]),
        "last_modified": st.none() | times,
    }
)


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    place: Path = tmp_path_factory.mktemp("rules") / "catalog"
    with open_catalog(str(place), create=True, clock=FixedClock(NOW), threads=1) as catalog:
        yield catalog


@given(pairs=st.lists(st.tuples(sights, sights), min_size=1, max_size=30))
@settings(max_examples=25)
def test_python_and_sql_agree_on_what_is_the_same_object(
    catalog: Catalog, pairs: list[tuple[dict[str, Any], dict[str, Any]]]
) -> None:
    """Facts 4.1, any: identity is the version, else ETag, size and time; never the ETag alone."""
    feed = open_feed(catalog, S3Url(f"rules-{next(_BUCKETS)}"))

    def see(which: int) -> set[str]:
        rows = [
            {"key": f"{n:02}", **pair[which], "last_modified": _naive(pair[which])}
            for n, pair in enumerate(pairs)
        ]
        before = feed.last_seq()
        with feed.discovering(LEXICAL) as writer:
            writer.absorb([batch(rows, COLUMNS)], cursor={}, metrics=ListingMetrics())
        found = [row for rows in feed.read(before, 10**6) for row in rows.to_pylist()]
        assert {row["change"] for row in found} <= {"new" if which == 0 else "modified"}
        return {row["key"] for row in found}

    assert len(see(0)) == len(pairs)
    expected = {
        f"{n:02}"
        for n, (one, other) in enumerate(pairs)
        if not same_object(Fact(present=True, **one), Fact(present=True, **other))
    }
    assert see(1) == expected


def _naive(sight: dict[str, Any]) -> datetime | None:
    at: datetime | None = sight["last_modified"]
    return at.replace(tzinfo=None) if at is not None else None
