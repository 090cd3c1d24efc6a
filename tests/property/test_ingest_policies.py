"""Overwrite policies and the judging of changes against plain statements of them (ING-1)."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest_world import NOW, FakeFeed, TokenSink, make_world
from stocktake.catalog import Catalog, open_catalog
from stocktake.clock import FixedClock
from stocktake.ingest import OverwritePolicy
from stocktake.ingest._change import change_of, changes_of
from stocktake.ingest._overwrite import LatestOnly, given_up
from stocktake.ingest._seqs import SeqState

NUMBERS = itertools.count()
HISTORIES = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["new", "modified", "deleted"])), max_size=25
)


@pytest.fixture(scope="module")
def catalog() -> Iterator[Catalog]:
    root = Path(tempfile.mkdtemp(prefix="stocktake-policies-"))
    with open_catalog(str(root / "c"), create=True, clock=FixedClock(NOW), threads=1) as catalog:
        yield catalog
    shutil.rmtree(root)


@given(HISTORIES)
def test_latest_only_over_a_feed_is_latest_only_over_each_history(
    rows: list[tuple[str, str]],
) -> None:
    """What `explain` says afterwards is what the window did."""
    feed = FakeFeed(FixedClock(NOW))
    for key, change in rows:
        feed.add(key, change)
    changes = [c for batch in feed.read(0, 1000) for c in changes_of(batch)]
    found = LatestOnly(feed).verdicts(changes, SeqState())
    by_key = [given_up([change_of(row) for row in feed.history(key)]) for key in "abc"]
    assert found == {seq: verdict for verdicts in by_key for seq, verdict in verdicts.items()}
    newest = {key: max(i for i, row in enumerate(rows, 1) if row[0] == key) for key, _ in rows}
    assert not set(newest.values()) & set(found)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(st.sampled_from("ab"), st.booleans(), st.booleans()), min_size=1, max_size=10
    )
)
def test_once_per_key_loads_one_version_of_every_key_that_has_a_good_one(
    catalog: Catalog, steps: list[tuple[str, bool, bool]]
) -> None:
    """Steps: key, whether this version can be loaded, whether a run follows."""
    clock = FixedClock(NOW)
    world, sink = make_world(catalog, clock), TokenSink()
    ingestion = world.ingestion(
        f"it{next(NUMBERS)}",
        overwrite=OverwritePolicy.ONCE_PER_KEY,
        attempts_max=1,
        files_max=2,
    )
    keys: dict[str, list[int]] = {}
    for key, good, runs in steps:
        seq = world.feed.add(key, "modified" if key in keys else "new")
        keys.setdefault(key, []).append(seq)
        if not good:
            sink.bad.add(seq)
        if runs:
            ingestion.run(sink, discover_first=False)
    ingestion.run(sink, discover_first=False)
    for seqs in keys.values():
        good = [seq for seq in seqs if seq not in sink.bad]
        assert [seq for seq in seqs if seq in sink.effects] == good[:1]
    assert ingestion.status().low_seq == len(steps)
    assert set(sink.effects.values()) <= {1}
