"""A restore killed (-9) at every point: whole files or none, nothing left over, and it goes on.

MAN-4.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from restore_world import RestoreWorld, Served, restore_world, serve
from stocktake import faults
from stocktake.manifests import RunKind

CHILD = Path(__file__).with_name("restore_child.py")
POINTS = [name for name in faults.POINTS if name.startswith("restore.")]
FILES = {f"d{n % 4}/{n:02}.bin": bytes([n]) * (n * 20_000) for n in range(24)}


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serve() as served:
        yield served


@pytest.fixture
def world(served: Served, tmp_path: Path) -> Iterator[RestoreWorld]:
    with restore_world(served, tmp_path) as world:
        world.add(FILES)
        yield world


def _run(world: RestoreWorld, *more: str, **environment: str) -> tuple[int, dict[str, Any]]:
    """The child's end: its status, and its result if it had one."""
    ended = subprocess.run(
        [
            sys.executable,
            str(CHILD),
            world.fake.endpoint_url,
            f"sqlite:///{world.folder.parent / 'state.db'}",
            str(world.folder),
            *more,
        ],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if ended.returncode not in (0, -signal.SIGKILL):
        raise AssertionError(ended.stderr)
    return ended.returncode, json.loads(ended.stdout) if ended.returncode == 0 else {}


def _named(world: RestoreWorld) -> dict[str, bytes]:
    return {name: data for name, data in world.tree().items() if not name.endswith(".part")}


@pytest.mark.parametrize(
    ("point", "turn"), [(point, 2 + 3 * number) for number, point in enumerate(POINTS)]
)
def test_killed_at_each_point_has_whole_files_and_goes_on(
    world: RestoreWorld, point: str, turn: int
) -> None:
    status, _ = _run(world, STOCKTAKE_KILL_AT=f"{point}:{turn}")
    assert status == -signal.SIGKILL
    before = _named(world)
    assert all(FILES[name] == data for name, data in before.items())
    status, result = _run(world)
    assert status == 0
    assert world.tree() == FILES
    assert result["identical"] == len(before)
    assert result["files"] == len(FILES) - len(before)
    assert not list(world.folder.rglob("*.part"))
    states = sorted(run.state for run in world.dataset.runs(RunKind.RESTORE))
    assert states == ["done", "failed"]
    assert all((world.folder / name).stat().st_nlink == 1 for name in FILES)


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_killed_while_it_replaces_files_has_the_old_or_the_new(
    world: RestoreWorld, point: str
) -> None:
    old = dict.fromkeys(FILES, b"old")
    for name, data in old.items():
        (world.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (world.folder / name).write_bytes(data)
    status, _ = _run(world, "different", STOCKTAKE_KILL_AT=f"{point}:5")
    assert status == -signal.SIGKILL
    between = _named(world)
    assert between.keys() == FILES.keys()
    assert all(data in (FILES[name], b"old") for name, data in between.items())
    _run(world, "different")
    assert world.tree() == FILES


@pytest.mark.slow
def test_killed_again_and_again_is_whole_in_the_end(world: RestoreWorld) -> None:
    for turn in range(1, 12):
        point = POINTS[turn % len(POINTS)]
        status, _ = _run(world, STOCKTAKE_KILL_AT=f"{point}:{1 + turn % 3}")
        if status == 0:
            break
        assert all(FILES[name] == data for name, data in _named(world).items())
    _run(world)
    assert world.tree() == FILES
    assert not list(world.folder.rglob("*.part"))
