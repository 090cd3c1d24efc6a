"""Control databases, and a clock that stands still."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stocktake.clock import FixedClock
from stocktake.state import State, open_state


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(datetime(2026, 11, 20, 18, 10, tzinfo=UTC))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)])
def state(request: pytest.FixtureRequest, tmp_path: Path, clock: FixedClock) -> Iterator[State]:
    """An empty control database, of each kind."""
    if request.param == "sqlite":
        address = f"sqlite:///{tmp_path / 'state.db'}"
    else:
        address = request.getfixturevalue("postgres").new_database()
    with open_state(address, clock=clock) as opened:
        yield opened
