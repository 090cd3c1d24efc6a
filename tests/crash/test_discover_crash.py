"""Kill -9 at every named point of a discovery: nothing lost, no number twice, the claim true.

STR-1, STR-3, STR-6, STR-9: what a killed run had not committed is found by the next one, and the
feed is the one of a discovery that nobody disturbed.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from crash_world import later
from discover_child import BUCKET, SOURCE, DropStore, discover_in, run_discovery

from stocktake.catalog import open_catalog, open_feed, sweep
from stocktake.clock import parse_utc
from stocktake.events import EventKind, ObjectEvent, held_events, hold_events

CHILD = Path(__file__).with_name("discover_child.py")
STRATEGIES = ("full", "incremental_lexical", "event_driven")
FEED_POINTS = ("feed.segment-written", "feed.appending", "feed.appended")
FULL_POINTS = (
    "import.begun",
    "import.parts-read",
    "import.published",
    "file.written:4",
    "file.renamed:4",
)


@dataclass(frozen=True)
class Drop:
    """A folder of objects, a catalog that knows the first of them, and what all of them make."""

    store: Path
    template: Path
    after: dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def drop(tmp_path_factory: pytest.TempPathFactory) -> Drop:
    root = tmp_path_factory.mktemp("drop")
    store, template = root / "store", root / "template"
    write(store, ["2026/a", "2026/b", "2026/c"], 1_700_000_000)
    run_discovery(template, store, "full")
    for strategy in STRATEGIES[1:]:
        run_discovery(template, store, strategy)
    write(store, ["2026/b"], 1_790_000_000, b"other")
    write(store, ["2026/d", "2027/a"], 1_790_000_000)
    hold(template, store, ["2026/b", "2026/d", "2027/a"])
    after = {}
    for strategy in STRATEGIES:
        place = Path(shutil.copytree(template, root / strategy))
        run_discovery(place, store, strategy)
        after[strategy] = content(place)
    return Drop(store, template, after)


def write(store: Path, names: list[str], at_s: int, body: bytes = b"x") -> None:
    for name in names:
        path = store / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        os.utime(path, (at_s, at_s))


def hold(place: Path, store: Path, names: list[str]) -> None:
    """Put an event of each object on hold, long after the scan."""
    memory = DropStore(store)
    happened = parse_utc("2100-01-01T00:00:00Z")
    with open_catalog(str(place)) as catalog:
        heads = [memory.head(BUCKET, f"in/{name}") for name in names]
        events = [
            ObjectEvent(
                EventKind.CREATED,
                "ObjectCreated:Put",
                BUCKET,
                head.key,
                None,
                head.size_bytes,
                head.etag,
                f"{number:08X}",
                happened,
                "s3",
            )
            for number, head in enumerate(heads, 1)
        ]
        hold_events(catalog.state, events, catalog.clock)


def content(place: Path) -> dict[str, Any]:
    """Everything that a reader of the feed sees, without ids and times of runs."""
    with open_catalog(str(place), clock=later()) as catalog:
        feed = open_feed(catalog, SOURCE)
        rows = [row for found in feed.read(0, 10**6) for row in found.to_pylist()]
        own = ("seq", "change", "key", "size_bytes", "etag", "last_modified", "origin", "late")
        return {
            "rows": [{name: row[name] for name in own} for row in rows],
            "scan": feed.claim().scan,
            "held": len(held_events(catalog.state, BUCKET, "", 100)),
            "last_seq": feed.last_seq(),
        }


def kill(place: Path, drop: Drop, strategy: str, point: str) -> None:
    child = subprocess.Popen(
        [sys.executable, str(CHILD), str(place), str(drop.store), strategy],
        env={**os.environ, "STOCKTAKE_KILL_AT": point},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    _, errors = child.communicate(timeout=60)
    assert child.returncode == -signal.SIGKILL, f"`{point}` was not reached: {errors}"


def files_of_feeds(place: Path) -> int:
    return sum(path.is_file() for path in (place / "feeds").rglob("*"))


@pytest.mark.parametrize(
    ("strategy", "point"),
    [
        *((strategy, point) for strategy in STRATEGIES for point in FEED_POINTS),
        *(("full", point) for point in FULL_POINTS),
    ],
)
def test_discovery_killed_at_a_point_is_finished_by_the_next(
    strategy: str, point: str, drop: Drop, tmp_path: Path
) -> None:
    place = Path(shutil.copytree(drop.template, tmp_path / "catalog"))
    kill(place, drop, strategy, point)
    seen = content(place)
    assert [row["seq"] for row in seen["rows"]] == list(range(1, seen["last_seq"] + 1))
    committed = point == "feed.appended"
    assert (seen == drop.after[strategy]) == committed
    with open_catalog(str(place), clock=later()) as catalog:
        discover_in(catalog, drop.store, strategy)
        sweep(catalog)
        states = [run.state for run in open_feed(catalog, SOURCE).runs(2)]
    after = content(place)
    scans = after.pop("scan") - drop.after[strategy]["scan"]
    assert after == {name: drop.after[strategy][name] for name in after}
    assert scans == (1 if strategy == "full" and committed else 0)
    assert "failed" in states or committed
    assert files_of_feeds(place) == 2, "files of the killed run are swept"
