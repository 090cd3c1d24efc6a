"""Two writers on one manifest, killed at random and at every point: no entry lost. MAN-2.

What a commit has answered is in the manifest for ever; what it has not is there whole or not at
all; versions are dense, totals right; the file on disk is always a whole manifest.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dataset_child import OWN_PER_ROUND, SHARED

from dataset_world import new_dataset
from stocktake.clock import SystemClock
from stocktake.manifests import Dataset, parse_manifest, render_manifest
from stocktake.state import State, open_state

CHILD = Path(__file__).with_name("dataset_child.py")
WRITERS = ("left", "right")


class World:
    def __init__(self, state: State, address: str, folder: Path) -> None:
        self.dataset: Dataset = new_dataset(state)
        self.address = address
        self.folder = folder
        self.told: list[dict[str, Any]] = []

    def start(self, writer: str, rounds: int, point: str = "") -> subprocess.Popen[str]:
        command = [self.address, self.dataset.id, writer, str(rounds), str(self.folder)]
        return subprocess.Popen(
            [sys.executable, str(CHILD), *command],
            env={**os.environ, "STOCKTAKE_KILL_AT": point},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def hear(self, child: subprocess.Popen[str]) -> None:
        """Wait for its first word, so that it is killed while it works."""
        assert child.stdout is not None
        line = child.stdout.readline()
        self.told += [json.loads(line)] if line else []

    def end(self, *children: subprocess.Popen[str]) -> list[int]:
        codes = []
        for child in children:
            output, errors = child.communicate(timeout=100)
            whole = [line for line in output.splitlines(keepends=True) if line.endswith("\n")]
            self.told += map(json.loads, whole)
            assert child.returncode in (0, -signal.SIGKILL), errors
            codes.append(child.returncode)
        return codes

    def look(self) -> None:
        """At any moment: everything that was told is there, and everything adds up."""
        entries = {one.record.s3_key: one for one in self.dataset.entries()}
        put = {key for one in self.told for key in one.get("put", ())}
        deleted = {one["deleted"] for one in self.told if one.get("deleted")}
        # a deletion may be there although its writer died before it could tell
        known = {entry.record.s3_key for entry, _ in self.dataset.deletions(limit=10**6)}
        assert put - known <= set(entries)
        assert deleted <= known
        assert not known & set(entries)
        self._check_counters(entries)
        self._check_versions()
        self._check_file()

    def _check_counters(self, entries: dict[str, Any]) -> None:
        """Both count the same files up: a count that is lost shows."""
        told = Counter(one["counted"] for one in self.told if "counted" in one)
        for name, count in told.items():
            entry = entries[self.dataset.info().prefix + name]
            made = sum(1 for _ in self._versions_of(entry.record.s3_key))
            assert entry.record.size_bytes == made >= count

    def _versions_of(self, key: str) -> Iterator[int]:
        seen = None
        for number in range(1, self.dataset.info().version + 1):
            entry = self.dataset.find(key, version=number)
            if entry is not None and entry.since_version != seen:
                seen = entry.since_version
                yield seen

    def _check_versions(self) -> None:
        info = self.dataset.info()
        history = self.dataset.history()
        assert [one.version for one in history] == list(range(info.version, 0, -1))
        files = size_bytes = 0
        for one in self.dataset.entries():
            files += 1
            size_bytes += one.record.size_bytes
        assert (info.total_files, info.total_size_bytes) == (files, size_bytes)
        assert sum(one.added - one.deleted for one in history) == files
        told = {one["version"] for one in self.told}
        assert len(told) == len(self.told), "two commits answered with one version"

    def _check_file(self) -> None:
        for path in self.folder.glob("*.json"):
            parsed = parse_manifest(path.read_bytes())
            assert parsed.version is not None
            then = self.dataset.entries(version=parsed.version)
            assert parsed.records == [one.record for one in then]

    def check_end(self, rounds: int) -> None:
        """After both have ended by themselves: exactly what they were to write."""
        self.look()
        prefix = self.dataset.info().prefix
        names = [one.record.s3_key.removeprefix(prefix) for one in self.dataset.entries()]
        expected = {
            f"{writer}/{number}/{at}"
            for writer in WRITERS
            for number in range(rounds)
            for at in range(OWN_PER_ROUND)
        }
        expected -= {f"{writer}/{number}/0" for writer in WRITERS for number in range(rounds - 2)}
        assert set(names) == expected | {f"shared/{at}" for at in range(SHARED)}
        (path,) = self.folder.iterdir()
        assert path.read_bytes() == b"".join(render_manifest(self.dataset)), "parts are left"


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)]
)
def address(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path_factory.mktemp('crash')}/state.db"
    return str(request.getfixturevalue("postgres").new_database())


@pytest.fixture
def world(address: str, tmp_path: Path) -> Iterator[World]:
    with open_state(address, clock=SystemClock()) as state:
        yield World(state, address, tmp_path / "manifests")


def _killed_at(point: str, world: World) -> None:
    killed = world.start("left", 4, f"{point}:{3 if point.endswith('written') else 6}")
    other = world.start("right", 4)
    assert world.end(killed, other) == [-signal.SIGKILL, 0], f"`{point}` was not reached"
    world.look()
    assert world.end(world.start("left", 4)) == [0]
    world.check_end(4)


def test_a_writer_killed_in_its_commit_while_another_writes(world: World) -> None:
    _killed_at("dataset.committing", world)


@pytest.mark.parametrize("address", ["sqlite"], indirect=True)
@pytest.mark.parametrize("point", ["dataset.committed", "dataset.file-written"])
def test_a_writer_killed_at_a_point_while_another_writes(world: World, point: str) -> None:
    _killed_at(point, world)


@pytest.mark.slow
@pytest.mark.parametrize("point", ["dataset.committed", "dataset.file-written"])
def test_a_writer_killed_at_any_point_on_both(world: World, point: str) -> None:
    _killed_at(point, world)


def _kill_both_at_random(world: World, rounds: int, kills: int, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(kills):
        children = [world.start(writer, rounds) for writer in WRITERS]
        for child in children:
            world.hear(child)
        time.sleep(chance.uniform(0, 0.3))
        for child in children:
            if chance.random() < 0.8:
                child.kill()
        world.end(*children)
        world.look()
    assert world.end(*(world.start(writer, rounds) for writer in WRITERS)) == [0, 0]
    world.check_end(rounds)


def test_two_writers_killed_at_random(world: World) -> None:
    _kill_both_at_random(world, rounds=12, kills=2, seed=5)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_two_writers_killed_at_random_for_long(world: World, seed: int) -> None:
    _kill_both_at_random(world, rounds=40, kills=5, seed=seed)
