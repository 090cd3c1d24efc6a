"""Shipping killed (-9) at every named point: nothing lost, nothing twice, nothing left behind.

SHP-40, SHP-41, SHP-42, SHP-43.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from ship_world import ShipWorld
from stocktake import faults
from stocktake.clock import SystemClock
from stocktake.testing import FakeS3

POINTS = [name for name in faults.POINTS if name.startswith(("ship.", "ledger.", "manifest."))]
NOT_IN_A_CLEAN_RUN = {
    # reached only where a file fails, a ledger is lost, or an upload was left open
    "ship.failed-recorded",
    "ship.failed-moved",
    "ship.recovering",
    "ship.upload-aborted",
    "ship.upload-settled",
    "ledger.rebuilt",
    "manifest.merge-written",
}
ON_THE_WAY = [name for name in POINTS if name not in NOT_IN_A_CLEAN_RUN]
BATCHES = [ON_THE_WAY[start::4] for start in range(4)]
KILLS = 4


@pytest.fixture
def ship(tmp_path: Path) -> Iterator[ShipWorld]:
    with FakeS3() as fake:
        yield ShipWorld(tmp_path, fake)


def test_there_are_at_least_25_points() -> None:
    assert len(POINTS) >= 25


def test_undisturbed_run_ships_everything_once(ship: ShipWorld) -> None:
    ship.arrive("a")
    ended = ship.run()
    assert ended.status == 0, ended.errors
    ship.check()
    again = ship.run()
    assert again.status == 0, again.errors
    ship.check()


@pytest.mark.parametrize("points", BATCHES, ids=[f"batch-{n}" for n in range(len(BATCHES))])
def test_whole_group_killed_at_each_point_ships_everything_once(
    points: list[str], ship: ShipWorld
) -> None:
    """A power cut at each point in turn, new files before each, and a clean run after all."""
    for point in points:
        ship.arrive(point)
        ended = ship.run(STOCKTAKE_KILL_AT=point, STOCKTAKE_KILL_SCOPE="group")
        assert ended.killed, f"{point} was not reached: {ended.errors[-2000:]}"
    ended = ship.run()
    assert ended.status == 0, ended.errors
    ship.check()


def test_workers_killed_alone_are_replaced(ship: ShipWorld) -> None:
    """The daemon lives on, and what they were at is done by others."""
    ship.arrive("a")
    clock = SystemClock()
    process = ship.start()
    killed = 0
    while killed < 2 and process.poll() is None:
        clock.sleep(0.3)
        for worker in workers_of(process.pid)[:1]:
            os.kill(worker, signal.SIGKILL)
            killed += 1
    _, errors = process.communicate(timeout=120)
    assert killed == 2
    assert process.returncode == 0, errors
    ship.check()


def workers_of(daemon: int) -> list[int]:
    """Its child processes."""
    text = Path(f"/proc/{daemon}/task/{daemon}/children").read_text(encoding="ascii")
    return [int(pid) for pid in text.split()]


RECOVERY = [
    ("ship.upload-created", "ship.recovering"),
    ("ship.part-sent", "ship.upload-aborted"),
    ("ship.complete-sent", "ship.upload-settled"),
    ("ship.completing-recorded", "ship.recovering"),
]


@pytest.mark.parametrize(("first", "second"), RECOVERY)
def test_killed_again_while_it_recovers(first: str, second: str, ship: ShipWorld) -> None:
    ship.arrive("a")
    assert ship.run(STOCKTAKE_KILL_AT=first, STOCKTAKE_KILL_SCOPE="group").killed
    ended = ship.run(STOCKTAKE_KILL_AT=second, STOCKTAKE_KILL_SCOPE="group")
    assert ended.killed, f"{second} was not reached: {ended.errors[-2000:]}"
    ended = ship.run()
    assert ended.status == 0, ended.errors
    ship.check()


@pytest.mark.parametrize("point", ["ship.failed-recorded", "ship.failed-moved"])
def test_killed_while_a_file_fails(point: str, ship: ShipWorld) -> None:
    """The failed file is in the error folder or in its place, never gone, and never uploaded."""
    ship.arrive("a")
    bad = b"a,b\n1,2\n3\n"
    (ship.folder / "ragged.csv").write_bytes(bad)
    ended = ship.run(STOCKTAKE_KILL_AT=point, STOCKTAKE_KILL_SCOPE="group")
    assert ended.killed, ended.errors
    ship.run()
    moved = ship.folder / ".stocktake-failed" / "ragged.csv"
    assert moved.read_bytes() == bad
    assert moved.with_name("ragged.csv.error.json").is_file()
    for path in moved.parent.iterdir():
        path.unlink()
    moved.parent.rmdir()
    ship.check()


def test_killed_while_the_ledger_is_rebuilt(ship: ShipWorld) -> None:
    ship.arrive("a")
    assert ship.run().status == 0
    for path in ship.state.rglob("ledger.db*"):
        path.unlink()
    ended = ship.run(STOCKTAKE_KILL_AT="ledger.rebuilt", STOCKTAKE_KILL_SCOPE="group")
    assert ended.killed, ended.errors
    assert ship.run().status == 0
    ship.check()


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("point", ON_THE_WAY)
def test_four_kills_at_each_point(point: str, ship: ShipWorld) -> None:
    """SHP-42: at the first, and at three random later times that the point is reached."""
    dice = random.Random(point)
    kills = 0
    for number in range(12):
        if kills == KILLS:
            break
        ship.arrive(f"turn-{number}")
        turn = 1 if kills == 0 else dice.randint(1, 3)
        ended = ship.run(STOCKTAKE_KILL_AT=f"{point}:{turn}", STOCKTAKE_KILL_SCOPE="group")
        kills += ended.killed
    assert kills == KILLS
    ended = ship.run()
    assert ended.status == 0, ended.errors
    ship.check()


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("first", "second"), RECOVERY)
def test_four_kills_while_it_recovers(first: str, second: str, ship: ShipWorld) -> None:
    for number in range(KILLS):
        ship.arrive(f"turn-{number}")
        assert ship.run(STOCKTAKE_KILL_AT=first, STOCKTAKE_KILL_SCOPE="group").killed
        assert ship.run(STOCKTAKE_KILL_AT=second, STOCKTAKE_KILL_SCOPE="group").killed
    assert ship.run().status == 0
    ship.check()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_four_kills_while_the_ledger_is_rebuilt(ship: ShipWorld) -> None:
    for number in range(KILLS):
        ship.arrive(f"turn-{number}")
        assert ship.run().status == 0
        for path in ship.state.rglob("ledger.db*"):
            path.unlink()
        assert ship.run(STOCKTAKE_KILL_AT="ledger.rebuilt", STOCKTAKE_KILL_SCOPE="group").killed
    assert ship.run().status == 0
    ship.check()


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("point", ["ship.failed-recorded", "ship.failed-moved"])
def test_four_kills_while_files_fail(point: str, ship: ShipWorld) -> None:
    ship.arrive("a")
    for number in range(KILLS):
        (ship.folder / f"ragged-{number}.csv").write_bytes(b"a,b\n1,2\n3\n")
        assert ship.run(STOCKTAKE_KILL_AT=point, STOCKTAKE_KILL_SCOPE="group").killed
    ship.run()
    failed = ship.folder / ".stocktake-failed"
    assert sorted(path.name for path in failed.glob("*.csv")) == [
        f"ragged-{number}.csv" for number in range(KILLS)
    ]
    assert len(list(failed.glob("*.error.json"))) == KILLS
    for path in failed.iterdir():
        path.unlink()
    failed.rmdir()
    ship.check()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_killed_at_a_hundred_random_instants(ship: ShipWorld) -> None:
    """SHP-42: not only at points somebody thought of."""
    dice = random.Random(11)
    clock = SystemClock()
    for number in range(100):
        if number % 4 == 0:
            ship.arrive(f"turn-{number}")
        process = ship.start()
        clock.sleep(dice.uniform(0.3, 4.0))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    ended = ship.run()
    assert ended.status == 0, ended.errors
    ship.check()
