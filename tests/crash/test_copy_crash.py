"""Two hosts without a common database, killed at random and at every point: no entry lost (MAN-2).

Each has its own database; the copy of the manifest in the bucket is all they share.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from copy_child import HOSTS, KEPT, rounds_of

from copy_world import BUCKET, COPY_KEY, PREFIX, dataset_of, make_bucket, numbers, open_host
from stocktake import faults
from stocktake.clock import SystemClock
from stocktake.manifests import CopyOptions, Dataset, parse_manifest, push_copy
from stocktake.store import Store, open_store, uploads_of
from stocktake.testing import FakeS3

CHILD = Path(__file__).with_name("copy_child.py")
POINTS = [point for point in faults.POINTS if point.startswith("copy.")]


class World:
    """Two hosts' databases and the bucket."""

    def __init__(self, server: FakeS3, store: Store, folder: Path) -> None:
        self.server, self.store = server, store
        self.folders = {name: folder / name for name in HOSTS}
        self.states = {
            name: open_host(place, SystemClock()) for name, place in self.folders.items()
        }
        self.entered = dict.fromkeys(HOSTS, 0)

    def start(self, host: str, rounds: int, point: str = "") -> subprocess.Popen[str]:
        words = [str(self.folders[host]), self.server.endpoint_url, host, str(rounds)]
        return subprocess.Popen(
            [sys.executable, str(CHILD), *words],
            env={**os.environ, "STOCKTAKE_KILL_AT": point},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def end(self, host: str, child: subprocess.Popen[str]) -> int:
        output, errors = child.communicate(timeout=120)
        assert child.returncode in (0, -signal.SIGKILL), errors
        for line in output.splitlines(keepends=True):
            if line.endswith("\n") and "entered" in line:
                self.entered[host] = max(self.entered[host], json.loads(line)["entered"])
        return child.returncode

    def settle(self) -> dict[str, Dataset]:
        datasets = {name: dataset_of(state) for name, state in self.states.items()}
        for dataset in [*datasets.values()] * 2:
            push_copy(dataset, self.store, CopyOptions(accept_deletions=True))
        return datasets

    def check(self) -> None:
        """Both hosts and the copy have the last files of each, none of the deleted ones."""
        datasets = self.settle()
        ada, bob = (numbers(datasets[name]) for name in HOSTS)
        with self.store.get(BUCKET, COPY_KEY) as body:
            copy = {
                one.s3_key.removeprefix(PREFIX): int(one.token, 16)
                for one in parse_manifest(body).records
            }
        assert ada == bob == copy
        for host in HOSTS:
            rounds = rounds_of(datasets[host], host)
            last = max(rounds, default=0)
            assert last >= self.entered[host], "what was answered is there"
            assert rounds == list(range(max(1, last - KEPT + 1), last + 1))
        newest = max(number for name, number in ada.items() if name != "shared")
        assert ada["shared"] == newest
        assert uploads_of(self.store, BUCKET, COPY_KEY) == []


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with FakeS3() as server:
        store = open_store(server.options())
        make_bucket(store)
        found = World(server, store, tmp_path)
        yield found
        for state in found.states.values():
            state.close()
        store.close()


def test_host_killed_at_every_point_loses_nothing(world: World) -> None:
    assert POINTS == ["copy.merged", "copy.written", "copy.noted"]
    assert world.end("bob", world.start("bob", 2)) == 0
    for turn, point in enumerate(POINTS):
        assert world.end("ada", world.start("ada", 9, point)) == -signal.SIGKILL, point
        if turn == 1:  # in between the other host goes on from what the killed one wrote
            assert world.end("bob", world.start("bob", 2)) == 0
    world.check()


@pytest.mark.slow
def test_two_hosts_killed_at_random_lose_nothing(world: World) -> None:
    dice = random.Random(20261121)
    children = {host: world.start(host, 10_000) for host in HOSTS}
    for _ in range(4):
        host = dice.choice(HOSTS)
        child = children[host]
        assert child.stdout is not None
        first = child.stdout.readline()
        assert first, "it was at work when it was killed"
        world.entered[host] = max(world.entered[host], json.loads(first)["entered"])
        time.sleep(dice.uniform(0.0, 0.6))
        child.kill()
        world.end(host, child)
        children[host] = world.start(host, 10_000)
    for host, child in children.items():
        child.kill()
        world.end(host, child)
        assert world.end(host, world.start(host, 2)) == 0
    world.check()
