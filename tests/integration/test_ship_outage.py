"""SHP-32: the store goes away under load and comes back; all arrives, nothing is given up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ship_world import BUCKET, ShipWorld
from stocktake.clock import SystemClock
from stocktake.testing import FakeS3
from tcp_gate import TcpGate


@pytest.fixture
def ship(tmp_path: Path) -> Iterator[ShipWorld]:
    with FakeS3() as fake:
        yield ShipWorld(tmp_path, fake)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("outage_s", [5, pytest.param(180, marks=pytest.mark.slow)])
def test_store_that_goes_away_under_load_gets_everything_when_it_is_back(
    outage_s: int, ship: ShipWorld
) -> None:
    clock = SystemClock()
    for name in "abc":
        ship.arrive(name)
    with TcpGate(ship.fake.endpoint_url) as gate:
        ship.endpoint_url = gate.endpoint_url
        process = ship.start()
        table = ship.fake.buckets[BUCKET].table
        started = clock.monotonic_s()
        while len(table) < 5:
            assert process.poll() is None
            assert clock.monotonic_s() < started + 60
            clock.sleep(0.02)
        gate.shut()
        before = len(table)
        clock.sleep(outage_s)
        assert process.poll() is None, "it gave up"
        assert len(table) <= before + 20
        gate.open()
        back = clock.monotonic_s()
        _, errors = process.communicate(timeout=300)
        took_s = clock.monotonic_s() - back
    assert process.returncode == 0, errors
    assert took_s < 300, "recovery takes longer than five minutes"
    ship.check()  # also: there is no error folder
