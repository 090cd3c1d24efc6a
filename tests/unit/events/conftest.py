"""Control databases, and a clock that stands still."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from event_states import emptied_state
from stocktake.clock import FixedClock
from stocktake.state import State


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(datetime(2026, 11, 20, 18, 10, tzinfo=UTC))


@pytest.fixture(
    scope="session", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)]
)
def address(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path_factory.mktemp('events') / 'state.db'}"
    return str(request.getfixturevalue("postgres").new_database())


@pytest.fixture
def state(address: str, clock: FixedClock) -> Iterator[State]:
    """The database without events."""
    with emptied_state(address, clock) as opened:
        yield opened
