"""What `GUARANTEES` promises is what a strategy sees: not less, and not more.

One world for all: a bucket with dates, into which objects come on time, late, over others, and from
which some are deleted. A partial strategy is read as the feed reads it (what is known is dropped);
a full one is a listing compared with what was known.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from key_list_store import KeyListStore
from stocktake.clock import FixedClock
from stocktake.listing import (
    GUARANTEES,
    PagedLister,
    Promise,
    StrategyName,
    TimeRules,
    guarantee_rows,
    list_objects,
)
from stocktake.model import S3Url
from strategy_world import NOW, StrategyWorld

FULL = (StrategyName.FULL, StrategyName.INCREMENTAL_TIME)
PARTIAL = (StrategyName.INCREMENTAL_LEXICAL, StrategyName.PARTITIONED)
DAYS = 30


@dataclass
class Reader:
    """What is known of a bucket, fed by one strategy."""

    strategy: StrategyName
    world: StrategyWorld = field(init=False)
    known: dict[str, str] = field(default_factory=dict)
    seen: set[tuple[str, str]] = field(default_factory=set)

    def __post_init__(self):
        name = self.strategy if self.strategy in PARTIAL else "incremental_lexical"
        self.world = StrategyWorld(name, lookback_s=3600, **_SMALL.get(name, {}))

    def run(self) -> None:
        """One run; `seen` becomes the pairs (key, what happened)."""
        if self.strategy in FULL:
            self.audit()
            return
        before = dict(self.known)
        keys = self.world.run()
        listed = {key: self._etag(key) for key in keys}
        self.known |= listed
        self.seen = _changes(before, self.known)

    def audit(self) -> None:
        """A full scan: everything, compared with what was known."""
        rules = TimeRules.from_settings({})
        before = dict(self.known)
        batches = map(rules.keep, list_objects(self.world.store, S3Url("b")))
        rows = [row for batch in batches for row in batch.to_pylist()]
        self.known = {row["key"]: row["etag"] for row in rows}
        self.seen = _changes(before, self.known)

    def _etag(self, key: str) -> str:
        return self.world.store.head("b", key).etag


_SMALL = {"incremental_lexical": {"lookback_keys": 1, "close_after": "3d"}}


def _changes(before: dict[str, str], after: dict[str, str]) -> set[tuple[str, str]]:
    new = {(key, "new") for key in after.keys() - before.keys()}
    gone = {(key, "deleted") for key in before.keys() - after.keys()}
    return (
        new
        | gone
        | {(key, "modified") for key in after.keys() & before.keys() if after[key] != before[key]}
    )


def day(number: int) -> str:
    return f"logs/{NOW - timedelta(days=DAYS - number):%Y/%m/%d}/"


@pytest.fixture
def reader(strategy) -> Reader:
    """A bucket whose 30 days were written one after the other, and read once."""
    reader = Reader(strategy)
    for number in range(DAYS):
        reader.world.clock._now = NOW - timedelta(days=DAYS - number)
        reader.world.put(*(f"{day(number)}part-{file:05}" for file in range(5)))
    reader.world.clock._now = NOW
    reader.run()
    assert len(reader.seen) == 5 * DAYS
    reader.world.wait(hours=2)
    reader.run()
    assert not reader.seen
    return reader


EVENTS = {
    "sees_late_arrivals": ("new", lambda world: world.put(f"{day(3)}part-00001-late")),
    "sees_overwrites": ("modified", lambda world: world.put(f"{day(3)}part-00002", body=b"2")),
    "sees_deletes": ("deleted", lambda world: world.delete(f"{day(3)}part-00003")),
}


@pytest.mark.parametrize("strategy", [*FULL, *PARTIAL])
@pytest.mark.parametrize("promise", EVENTS)
def test_what_is_promised_is_seen_and_what_is_left_to_audits_is_not(reader, promise):
    """STR-1, STR-2, STR-3, STR-4."""
    kind, happen = EVENTS[promise]
    happen(reader.world)
    reader.run()
    seen = {what for _, what in reader.seen}
    expected = getattr(GUARANTEES[reader.strategy], promise)
    assert (kind in seen) == (expected is Promise.ALWAYS)
    reader.audit()
    assert kind in seen | {what for _, what in reader.seen}, "audits see everything"


@pytest.mark.parametrize("strategy", [*FULL, *PARTIAL])
def test_new_objects_at_the_end_are_seen_by_every_strategy(reader):
    reader.world.wait(hours=20)
    new = [f"{day(DAYS)}part-00000", f"{day(DAYS + 1)}part-00000"]
    reader.world.put(*new)
    reader.run()
    assert {(key, "new") for key in new} == reader.seen


@pytest.mark.parametrize("strategy", PARTIAL)
def test_a_key_written_again_behind_the_cursor_waits_for_the_audit(reader):
    key = f"{day(2)}part-00001"
    reader.world.delete(key)
    reader.run()
    reader.world.put(key, body=b"reused")
    reader.run()
    assert not reader.seen
    reader.audit()
    assert reader.seen == {(key, "modified")}


def test_only_strategies_that_list_everything_move_the_claim():
    moving = {name for name, promise in GUARANTEES.items() if promise.moves_claim}
    assert moving == set(FULL)
    for name in moving:
        assert GUARANTEES[name].sees_late_arrivals is Promise.ALWAYS


DAYS_LONG, PER_DAY, NEW = 200, 1000, 2000


def requests_per_million(name: StrategyName) -> float:
    """Measured over 200,000 keys in 200 daily folders, 2,000 of them new in the last one.

    Folders of a million keys would be five times as large: what grows with the new objects, and
    with the partitions in the window, is taken times five.
    """
    world = StrategyWorld(name)
    starts = [NOW - timedelta(days=DAYS_LONG - number) for number in range(DAYS_LONG)]
    keys = [f"{start:logs/%Y/%m/%d}/part-{n:06}" for start in starts for n in range(PER_DAY)]
    written = {f"{start:logs/%Y/%m/%d}": start for start in starts}
    world.store = KeyListStore(keys, modified=lambda key: written[key[:15]])
    world.clock = FixedClock(NOW - timedelta(hours=23))
    assert len(world.run()) == len(keys)
    new = [f"{starts[-1]:logs/%Y/%m/%d}/part-{PER_DAY + n:06}" for n in range(NEW)]
    world.store = KeyListStore(keys + new, modified=lambda key: written[key[:15]])
    world.wait(hours=23)
    assert set(new) <= set(world.run())
    pages = sum(count for kind, count in world.metrics.calls.items() if kind == "page")
    grows = NEW / 1000 if name == "incremental_lexical" else pages
    return world.metrics.requests + 4 * grows


@pytest.mark.parametrize("strategy", PARTIAL)
def test_requests_per_million_keys_are_what_the_table_says(strategy):
    """The data is not a guess: it is at least what is measured, and at most twice that."""
    promised = GUARANTEES[strategy].requests_per_million_keys
    assert 0.5 * promised <= requests_per_million(strategy) <= promised


def test_a_full_listing_takes_what_the_table_says():
    keys = [f"logs/{number:07}" for number in range(100_000)]
    store = KeyListStore(keys)
    found = PagedLister().list_objects(store, S3Url("b"))
    assert sum(batch.num_rows for batch in found) == len(keys)
    promised = GUARANTEES[StrategyName.FULL].requests_per_million_keys / 10
    assert 0.8 * promised <= store.calls <= promised


def test_the_table_says_what_the_data_says():
    rows = {row["strategy"]: row for row in guarantee_rows()}
    for name, promise in GUARANTEES.items():
        assert rows[name]["late files"] == promise.sees_late_arrivals
        assert rows[name]["proves completeness"] == ("yes" if promise.moves_claim else "no")
