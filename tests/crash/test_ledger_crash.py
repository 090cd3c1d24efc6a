"""Kill -9 at every commit of the ledger and every step of a manifest. SHP-40, SHP-41, fault 60.

What the ledger has said is on disk is there; every object is recorded once and is in a segment.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ledger_child import BUCKET, MEMBERS, log_of, store_at

from stocktake.clock import SystemClock
from stocktake.ship import SourceState
from stocktake.ship._ledger import Ledger
from stocktake.ship._ledger_view import LedgerView
from stocktake.store import ListQuery, Store, iter_listing
from stocktake.testing import start_fake_s3

CHILD = Path(__file__).with_name("ledger_child.py")
FILES = 70
TURNS = {
    "ledger.committing": (1, 9),
    "ledger.committed": (1, 9),
    "ledger.rebuilt": (1,),
    "manifest.segment-written": (1,),
    "manifest.merge-written": (1,),
    "manifest.segment-recorded": (1,),
}
MORE_TURNS = {
    "ledger.committing": (2, 5, 17, 40),
    "ledger.committed": (2, 5, 17, 40),
    "manifest.segment-written": (3, 17),
    "manifest.segment-recorded": (3, 17),
}


class World:
    def __init__(self, root: Path, endpoint: str) -> None:
        self.place = root / "ledger.db"
        self.endpoint = endpoint
        self.store: Store = store_at(endpoint)
        self.told: set[str] = set()

    def start(self, point: str = "") -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(CHILD), str(self.place), self.endpoint, str(FILES)],
            env={**os.environ, "STOCKTAKE_KILL_AT": point},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, point: str = "") -> int:
        child = self.start(point)
        output, errors = child.communicate(timeout=100)
        self.told.update(output.split())
        assert child.returncode in (0, -signal.SIGKILL), errors
        return child.returncode

    def look(self) -> None:
        """Right after the kill: sound, and everything that was told is there."""
        if not self.place.exists():
            assert not self.told
            return
        with sqlite3.connect(self.place) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        connection.close()
        if not self.told:
            return
        view = LedgerView.view(self.place, clock=SystemClock())
        done = {row.path.decode() for row in view.sources([SourceState.COMPLETED], limit=10**6)}
        view.close()
        assert {key.removeprefix("in/") for key in self.told if "/x/" not in key} <= done

    def check(self) -> None:
        """After a whole run: all is completed, and the manifest is what is in the bucket."""
        ledger = Ledger.open(self.place, clock=SystemClock())
        assert ledger.counts() == {SourceState.COMPLETED: FILES + 1}
        assert ledger.figures().objects_completed == FILES + MEMBERS
        assert ledger.uploads_after(0, 10) == []
        ledger.close()
        records = {record.s3_key: record.etag for record in log_of(self.store).read()}
        listed = {
            one.key: one.etag
            for page in iter_listing(self.store, ListQuery(BUCKET, "in/"))
            for one in page.objects
            if not one.key.startswith("in/.stocktake/")
        }
        assert records == listed
        assert len(listed) == FILES + MEMBERS
        assert self.told <= set(listed)
        assert len(log_of(self.store).segments()) < 40


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with start_fake_s3(tmp_path_factory.mktemp("s3")) as running:
        yield running.endpoint_url


@pytest.fixture
def world(tmp_path: Path, server: str) -> Iterator[World]:
    made = World(tmp_path, server)
    made.store.describe("CreateBucket", BUCKET)
    yield made
    keys = [one.key for page in iter_listing(made.store, ListQuery(BUCKET)) for one in page.objects]
    made.store.delete(BUCKET, keys)


def kill_and_go_on(point: str, turn: int, world: World) -> None:
    assert world.run(f"{point}:{turn}") == -signal.SIGKILL, f"`{point}` was not reached"
    world.look()
    assert world.run() == 0
    world.check()


@pytest.mark.parametrize(
    ("point", "turn"), [(point, turn) for point, turns in TURNS.items() for turn in turns]
)
def test_ledger_killed_at_a_point(point: str, turn: int, world: World) -> None:
    kill_and_go_on(point, turn, world)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("point", "turn"), [(point, turn) for point, turns in MORE_TURNS.items() for turn in turns]
)
def test_ledger_killed_at_a_later_turn(point: str, turn: int, world: World) -> None:
    kill_and_go_on(point, turn, world)


@pytest.mark.slow
def test_ledger_killed_again_and_again(world: World) -> None:
    chance = random.Random(7)
    for _ in range(6):
        point = chance.choice(sorted(TURNS))
        world.run(f"{point}:{chance.randrange(1, 12)}")
        world.look()
    assert world.run() == 0
    world.check()


def test_ledger_killed_at_any_moment(world: World) -> None:
    chance = random.Random(9)
    for _ in range(2):
        child = world.start()
        assert child.stdout is not None
        first = child.stdout.readline()
        time.sleep(chance.uniform(0, 0.3))
        child.kill()
        rest, _ = child.communicate(timeout=60)
        world.told.update((first + rest).split())
        world.look()
    assert world.run() == 0
    world.check()
