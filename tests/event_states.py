"""Control databases for tests of events: one per kind and session, emptied for each test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import delete

from stocktake.clock import Clock
from stocktake.state import State, event_quarantine, held_events, open_state


@contextmanager
def emptied_state(address: str, clock: Clock) -> Iterator[State]:
    """An open database without events."""
    with open_state(address, clock=clock) as state:
        with state.write() as connection:
            connection.execute(delete(held_events))
            connection.execute(delete(event_quarantine))
        yield state
