"""Kill -9 at every named point of an ingestion, and at any moment: once in the sink, none missed.

ING-2: exactly-once effect when the sink keeps the commit token.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ingest_child import BAD, NAME, effects, make_ingestion, run

from stocktake import faults
from stocktake.catalog import open_catalog
from stocktake.ingest import open_ingestion

CHILD = Path(__file__).with_name("ingest_child.py")
POINTS = [point for point in faults.POINTS if point.startswith("ingest.")]
FILES = 40


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("ingest") / "catalog"
    with open_catalog(str(place), create=True, threads=1) as catalog:
        make_ingestion(catalog, FILES)
    return place


def start(place: Path, folder: Path, point: str = "", workers: int = 1) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(CHILD), str(place), "", str(folder), str(workers)],
        env={**os.environ, "STOCKTAKE_KILL_AT": point},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def check(place: Path, folder: Path) -> None:
    """The next run finishes at once what the dead one left; nothing is missing or there twice."""
    run(str(place), "", folder, 1)
    with open_catalog(str(place), threads=1) as catalog:
        ingestion = open_ingestion(catalog, None, NAME)
        status = ingestion.status()
        assert (status.low_seq, status.in_flight, status.files_outstanding) == (FILES, (), 0)
        assert status.files == FILES - 1
        assert [item.key for item in ingestion.dead()] == [BAD]
    assert effects(folder) == sorted(set(range(1, FILES + 1)) - {1})


@pytest.mark.parametrize("turn", [1, 3])
@pytest.mark.parametrize("point", POINTS)
def test_ingest_killed_at_a_point(point: str, turn: int, template: Path, tmp_path: Path) -> None:
    place, folder = Path(shutil.copytree(template, tmp_path / "catalog")), tmp_path / "out"
    child = start(place, folder, f"{point}:{turn}")
    _, errors = child.communicate(timeout=60)
    assert child.returncode == -signal.SIGKILL, f"`{point}` was not reached: {errors}"
    check(place, folder)


def test_ingest_killed_again_and_again(template: Path, tmp_path: Path) -> None:
    """Every run dies in its first or second batch, at another point."""
    place, folder = Path(shutil.copytree(template, tmp_path / "catalog")), tmp_path / "out"
    for turn in range(5):
        child = start(place, folder, f"{POINTS[turn % len(POINTS)]}:{1 + turn % 2}", workers=2)
        child.communicate(timeout=60)
    check(place, folder)


def test_ingest_killed_at_any_moment(template: Path, tmp_path: Path) -> None:
    place, folder = Path(shutil.copytree(template, tmp_path / "catalog")), tmp_path / "out"
    chance = random.Random(5)
    for _ in range(3):
        child = start(place, folder, workers=2)
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        time.sleep(chance.uniform(0, 0.3))
        child.kill()
        child.communicate(timeout=60)
    check(place, folder)
