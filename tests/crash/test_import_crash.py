"""Kill -9 at every named point of an import, and at any moment: nothing lost, nothing twice.

INV-5, INV-8, CAT-1: no partial snapshot is ever seen, a killed import restarts with its finished
parts, and the result is the one of an import that nobody disturbed.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from crash_world import PARTS, World, content, import_states, later, recorded_parts
from import_child import FolderStore, run_import

from stocktake import faults
from stocktake.catalog import Catalog, delete_snapshot, list_snapshots, open_catalog
from stocktake.catalog._sweep import sweep

CHILD = Path(__file__).with_name("import_child.py")
# other rooms have points of their own, tested where they are
IMPORT_POINTS = [point for point in faults.POINTS if point.startswith(("import.", "file."))]
AGAIN = (
    "import.part-block:5",
    "import.part-written:3",
    f"import.part-recorded:{PARTS}",
    "import.surplus-written:2",
    "import.surplus-recorded:3",
    # parts, their rewritten files, folders, changes, unconfirmed keys, snapshot.json
    *(f"file.written:{turn}" for turn in (3, 12, 14)),
    *(f"file.renamed:{turn}" for turn in (6, 13, 15)),
)
PUBLISHED = "import.published"


def start(catalog: Path, world: World, point: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(CHILD), str(catalog), str(world.store_path), world.stamp],
        env={**os.environ, "STOCKTAKE_KILL_AT": point},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def check_recovery(place: Path, world: World) -> bool:
    """After the kill: the last good snapshot is there; after the next run: all of the new one.

    True if the new one was published before the kill.
    """
    finished = recorded_parts(place)
    seen = content(place)
    assert seen in (world.before, world.after)
    store = FolderStore(world.store_path)
    result = run_import(place, store, world.stamp, later())
    assert content(place) == world.after
    if seen == world.after:
        assert result.state == "no-change"
        assert finished == set()
    else:
        assert (result.state, result.resumed_parts) == ("published", len(finished))
    fetched = [key for key in store.fetched if "/data/" in key]
    assert len(fetched) == len(set(fetched))
    assert not finished & set(fetched), "finished parts are not read again"
    check_clean(place)
    return seen == world.after


def check_clean(place: Path) -> None:
    """After `sweep` only what belongs to published snapshots is left, and nobody holds anything."""
    with open_catalog(str(place), clock=later()) as catalog:
        sweep(catalog)
        assert set(import_states(catalog)) == {"published"}
        assert sorted(present(place)) == sorted(expected(catalog))
        # a killed reader does not keep a snapshot in use
        delete_snapshot(catalog, list_snapshots(catalog)[-1])


def present(place: Path) -> list[str]:
    files = (path for path in place.rglob("*") if path.is_file())
    names = (path.relative_to(place).as_posix() for path in files)
    return [name for name in names if not name.startswith("state.db")]


def expected(catalog: Catalog) -> list[str]:
    names = ["catalog.json"]
    found = list_snapshots(catalog)
    for snapshot in found:
        manifest = snapshot.manifest
        files = [file.name for file in (*manifest.files, *manifest.undecodable_files)]
        names += [f"{snapshot.path}/{n}" for n in (*files, "folders.parquet", "snapshot.json")]
    newest = found[0]
    names.append(f"{newest.path}/unconfirmed.parquet")
    names.append(f"changes/{newest.source_id}/{newest.id}.parquet")
    return names


@pytest.mark.parametrize("point", [*IMPORT_POINTS, *AGAIN])
def test_import_killed_at_a_point_is_finished_by_the_next(
    point: str, world: World, tmp_path: Path
) -> None:
    place = world.copy(tmp_path / "catalog")
    _, errors = (child := start(place, world, point)).communicate(timeout=60)
    assert child.returncode == -signal.SIGKILL, f"`{point}` was not reached: {errors}"
    assert check_recovery(place, world) == (point == PUBLISHED)


@pytest.mark.parametrize("seed", range(20))
def test_import_killed_at_any_moment_is_finished_by_the_next(
    seed: int, world: World, tmp_path: Path
) -> None:
    place = world.copy(tmp_path / "catalog")
    child = start(place, world)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    time.sleep(random.Random(seed).uniform(0, 0.6))
    child.kill()
    child.communicate(timeout=60)
    check_recovery(place, world)


def test_import_killed_twice_is_finished_by_the_third(world: World, tmp_path: Path) -> None:
    place = world.copy(tmp_path / "catalog")
    for point in ("import.part-recorded:3", "import.surplus-recorded:2"):
        child = start(place, world, point)
        child.communicate(timeout=60)
        assert child.returncode == -signal.SIGKILL
    assert len(recorded_parts(place)) == PARTS
    check_recovery(place, world)


def test_without_a_point_nothing_is_killed(world: World, tmp_path: Path) -> None:
    place = world.copy(tmp_path / "catalog")
    child = start(place, world, "no.such-point")
    printed, errors = child.communicate(timeout=60)
    assert (child.returncode, printed, errors) == (0, "ready\npublished\n", "")
    assert content(place) == world.after
    check_clean(place)
