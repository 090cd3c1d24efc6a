"""Shipping through a network that loses, cuts and refuses, with power cuts in between.

SHP-31, SHP-32, SHP-42.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from ship_world import ShipWorld
from stocktake.clock import SystemClock
from stocktake.testing import FakeS3, Fault, FaultProxy, LostAnswer, Reset, Status


@pytest.fixture
def ship(tmp_path: Path) -> Iterator[ShipWorld]:
    with FakeS3() as fake:
        yield ShipWorld(tmp_path, fake)


INTERNAL = b"<Error><Code>InternalError</Code><Message>We failed.</Message></Error>"


def bad_weather(proxy: FaultProxy, dice: random.Random) -> None:
    """Faults of every kind, spread over the requests of one run."""
    proxy.clear()
    for match in ("^PUT ", "^POST ", "^HEAD ", "uploadId=", "uploads"):
        for action in (LostAnswer(), Reset(after_bytes=0), Status(503), Status(500, INTERNAL)):
            skip = dice.randrange(25)
            proxy.add(Fault(match, action, times=dice.randint(1, 2), skip=skip))


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("seed", "turns"),
    [(1, 2), *(pytest.param(seed, 12, marks=pytest.mark.slow) for seed in (2, 3, 4, 5))],
)
def test_lost_answers_cuts_and_power_cuts_lose_and_double_nothing(
    seed: int, turns: int, ship: ShipWorld
) -> None:
    dice = random.Random(seed)
    clock = SystemClock()
    with FaultProxy(ship.fake.endpoint_url) as proxy:
        ship.endpoint_url = proxy.endpoint_url
        for number in range(turns):
            ship.arrive(f"turn-{number}")
            bad_weather(proxy, dice)
            process = ship.start()
            clock.sleep(dice.uniform(1.0, 6.0))
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        bad_weather(proxy, dice)
        ended = ship.run()
    assert ended.status == 0, ended.errors
    ship.check()
