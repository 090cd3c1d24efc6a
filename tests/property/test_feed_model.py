"""A feed against a bucket in a dict: nothing missed after an audit, nothing twice, no false claim.

STR-5, STR-6, STR-8, STR-9. Listings are fuzzy pictures, events are dropped, doubled and reordered,
clocks differ, uploads are dated when they began.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from feed_world import FeedWorld, Version
from stocktake.catalog import Catalog, open_catalog
from stocktake.clock import FixedClock

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
KEYS = "ab"
_BUCKETS = itertools.count(1)

key = st.sampled_from(KEYS)
keys = st.sampled_from([["a"], ["b"], ["a", "b"]])
seconds = st.sampled_from([1, 600, 1200, 7200])
hear = st.tuples(st.just("hear"), st.integers(0, 63), st.booleans(), st.booleans())
put = st.tuples(st.just("put"), key, st.booleans())
scan = st.sampled_from([("scan-begin",), ("scan-read",), ("scan-read",), ("scan-end",), ("scan",)])
operations = st.one_of(
    put,
    put,
    hear,
    hear,
    scan,
    scan,
    st.tuples(st.sampled_from(["begin", "complete", "delete", "delete"]), key),
    st.tuples(st.just("wait"), seconds),
    st.tuples(st.just("see"), keys),
    st.sampled_from([("lose",), ("hear-all",), ("hear-all",)]),
)
worlds = st.fixed_dictionaries(
    {
        "skew": st.sampled_from([-600, -1, 0, 1, 600]).map(lambda s: timedelta(seconds=s)),
        "sequencers": st.booleans(),
    }
)


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    place: Path = tmp_path_factory.mktemp("model") / "catalog"
    with open_catalog(str(place), create=True, clock=FixedClock(NOW), threads=1) as catalog:
        yield catalog


class Play:
    """Runs operations; a scan is read in two halves, with anything between."""

    def __init__(self, world: FeedWorld) -> None:
        self.world = world
        self.started_at: datetime | None = None
        self.read: list[Version] = []
        self.halves = 0
        self.snapshot: Any = None

    def run(self, operation: tuple[Any, ...]) -> None:
        name, *values = operation
        getattr(self, "do_" + name.replace("-", "_"))(*values)
        self.world.clock.advance(1.5)

    def do_put(self, key: str, same: bool) -> None:
        self.world.put(key, same=same)

    def do_begin(self, key: str) -> None:
        self.world.begin(key)

    def do_complete(self, key: str) -> None:
        self.world.complete(key)

    def do_delete(self, key: str) -> None:
        self.world.delete(key)

    def do_wait(self, wait_s: float) -> None:
        self.world.clock.advance(wait_s)

    def do_see(self, keys: list[str]) -> None:
        self.world.see(keys)

    def do_hear(self, seed: int, shuffled: bool, twice: bool) -> None:
        random = Random(seed)
        pending = self.world.pending
        if shuffled:
            random.shuffle(pending)
        heard = pending[: random.randint(0, len(pending))]
        del pending[: 0 if twice else len(heard)]
        order = {id(event): place for place, event in enumerate(heard)}
        heard.sort(key=lambda e: (e.key, e.sequencer or "", e.occurred_at, order[id(e)]))
        self.world.hear(heard)

    def do_hear_all(self) -> None:
        heard = sorted(self.world.pending, key=lambda e: (e.key, e.occurred_at))
        self.world.pending.clear()
        self.world.hear(heard)

    def do_lose(self) -> None:
        self.world.pending.clear()

    def do_scan_begin(self) -> None:
        if self.started_at is None:
            self.started_at, self.read, self.halves = self.world.clock.now(), [], 0

    def do_scan_read(self) -> None:
        if self.started_at is None or self.halves == 2:
            return
        half = KEYS[self.halves]
        self.read += [self.world.objects[k] for k in half if k in self.world.objects]
        self.halves += 1
        if self.halves == 2:
            self.snapshot = self.world.listed(self.read, self.started_at)

    def do_scan_end(self) -> None:
        if self.started_at is None:
            return
        while self.halves < 2:
            self.do_scan_read()
        self.world.absorb(self.snapshot)
        self.started_at = None

    def do_scan(self) -> None:
        self.world.scan()


def check_claim(world: FeedWorld) -> None:
    """STR-9: every object that was there at that instant and still is, is known."""
    through = world.feed.claim().complete_through
    if through is None:
        return
    facts = world.known(KEYS)
    for name, version in world.objects.items():
        if version.written_at <= through:
            assert world.knows(version, facts[name]), (name, version, facts[name])


def check_rows(world: FeedWorld) -> None:
    """Dense numbers, a possible story of each key, no version more often than it was written."""
    rows = world.rows()
    assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
    there: set[str] = set()
    for row in rows:
        assert (row["key"] in there) == (row["change"] != "new"), row
        there.add(row["key"])
        if row["change"] == "deleted":
            there.discard(row["key"])
    told = Counter((r["key"], r["etag"]) for r in rows if r["change"] != "deleted")
    written = Counter((v.key, v.etag) for v in world.writes)
    assert not told - written


def check_audited(world: FeedWorld) -> None:
    """After an audit the feed knows the bucket, and has told of each object in it."""
    facts = world.known(KEYS)
    assert {k for k, fact in facts.items() if fact.present} == world.objects.keys()
    for name, version in world.objects.items():
        assert world.knows(version, facts[name])
    told = {(r["key"], r["etag"]) for r in world.rows() if r["change"] != "deleted"}
    assert {(v.key, v.etag) for v in world.objects.values()} <= told


LATE_NEWS = [
    ("put", "a", False),
    ("put", "b", False),
    ("scan",),
    ("wait", 7200),
    ("scan-begin",),
    ("scan-read",),
    ("scan-read",),
    ("wait", 1200),
    ("put", "a", False),
    ("delete", "b"),
    ("hear-all",),
    ("wait", 1200),
    ("scan-end",),
]
"""A listing that is absorbed after events of what came since."""


@given(world=worlds, operations=st.lists(operations, min_size=6, max_size=20))
@example(world={"skew": timedelta(seconds=600), "sequencers": True}, operations=LATE_NEWS)
@example(world={"skew": timedelta(0), "sequencers": False}, operations=LATE_NEWS)
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
def test_a_feed_tells_of_each_version_once_and_claims_nothing_false(
    catalog: Catalog, world: dict[str, Any], operations: list[tuple[Any, ...]]
) -> None:
    play_through(catalog, world, operations)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@given(world=worlds, operations=st.lists(operations, max_size=40))
@settings(max_examples=600, suppress_health_check=[HealthCheck.too_slow])
def test_a_feed_tells_of_each_version_once_in_long_plays(
    catalog: Catalog, world: dict[str, Any], operations: list[tuple[Any, ...]]
) -> None:
    play_through(catalog, world, operations)


def play_through(
    catalog: Catalog, world: dict[str, Any], operations: list[tuple[Any, ...]]
) -> None:
    watched = FeedWorld(catalog, f"bucket-{next(_BUCKETS)}", **world)
    play = Play(watched)
    for operation in operations:
        play.run(operation)
        check_claim(watched)
    check_rows(watched)
    play.do_scan_end()
    watched.scan()
    check_claim(watched)
    check_rows(watched)
    check_audited(watched)
