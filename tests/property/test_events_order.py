"""Duplicated, reordered, interleaved with a taker: what is left is what a dict holds: EVT-2."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from event_states import emptied_state
from stocktake.clock import FixedClock
from stocktake.events import (
    EventKind,
    ObjectEvent,
    drop_held,
    held_events,
    hold_events,
    newer,
)
from stocktake.events._hold import supersedes
from stocktake.state import State
from stocktake.state import held_events as table

AT = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)
CLOCK = FixedClock(AT)
KINDS = (EventKind.CREATED, EventKind.DELETED, EventKind.DELETE_MARKER)
Place = tuple[str, str | None]


@st.composite
def histories(draw: st.DrawFn) -> list[ObjectEvent]:
    """What happened to a few keys, in order; sequencers grow and differ in length."""
    events = []
    for number in range(draw(st.integers(1, 12))):
        kind = draw(
            st.sampled_from([EventKind.CREATED, EventKind.DELETED, EventKind.DELETE_MARKER])
        )
        padding = draw(st.sampled_from(["", "0", "000"]))
        events.append(
            ObjectEvent(
                kind=kind,
                name=kind.value,
                bucket="data",
                key=draw(st.sampled_from(["a", "a/b", "%", "\x00"])),
                version_id=draw(st.sampled_from([None, "null", "v1"])),
                size_bytes=number,
                etag=None,
                sequencer=f"00{number + 1:02x}{padding}",
                occurred_at=AT + timedelta(seconds=number),
                envelope="s3",
            )
        )
    return events


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[ObjectEvent], list[list[ObjectEvent]]]:
    """A history, and batches in which all of it comes at least once, in any order."""
    history = draw(histories())
    extra = draw(st.lists(st.sampled_from(history), max_size=8))
    stream = draw(st.permutations([*history, *extra]))
    cuts = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=4)))
    edges = [0, *cuts, len(stream)]
    return history, [stream[a:b] for a, b in pairwise(edges)]


def place(event: ObjectEvent) -> Place:
    return (event.key, event.version_id)


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)]
)
def state(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[State]:
    if request.param == "sqlite":
        address = f"sqlite:///{tmp_path_factory.mktemp('events') / 'state.db'}"
    else:
        address = request.getfixturevalue("postgres").new_database()
    with emptied_state(address, CLOCK) as opened:
        yield opened


def clear(state: State) -> None:
    with state.write() as connection:
        connection.execute(delete(table))


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(deliveries())
def test_any_delivery_leaves_the_last_event_of_each_version(
    state: State, delivery: tuple[list[ObjectEvent], list[list[ObjectEvent]]]
) -> None:
    history, batches = delivery
    clear(state)
    counted = 0
    for batch in batches:
        held = hold_events(state, batch, CLOCK)
        counted += held.added + held.replaced + held.duplicate + held.out_of_order + held.folded
    assert counted == sum(map(len, batches))
    model = {place(event): event for event in history}
    assert {place(event): event for event in held_events(state, "data", "", 100)} == model


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(deliveries(), st.lists(st.booleans(), min_size=5, max_size=5))
def test_whatever_is_taken_in_between_nothing_is_lost(
    state: State,
    delivery: tuple[list[ObjectEvent], list[list[ObjectEvent]]],
    late: list[bool],
) -> None:
    """Between reading what is on hold and dropping it, more may come: that stays."""
    history, batches = delivery
    clear(state)
    absorbed: dict[Place, ObjectEvent] = {}

    def absorb(events: list[ObjectEvent]) -> None:
        with state.write() as connection:
            for event in events:
                known = absorbed.get(place(event))
                if known is None or newer(event, known):
                    absorbed[place(event)] = event
            drop_held(connection, events)

    for batch, slow in zip(batches, late, strict=False):
        read = held_events(state, "data", "", 100) if slow else []
        hold_events(state, batch, CLOCK)
        absorb(read if slow else held_events(state, "data", "", 100))
    absorb(held_events(state, "data", "", 100))
    assert held_events(state, "data", "", 100) == []
    assert absorbed == {place(event): event for event in history}


events = st.builds(
    lambda event, kind, sequencer, seconds, envelope: replace(
        event,
        kind=kind,
        sequencer=sequencer,
        occurred_at=None if seconds is None else AT + timedelta(seconds=seconds),
        envelope=envelope,
    ),
    histories().map(lambda history: history[0]),
    st.sampled_from(EventKind),
    st.none() | st.sampled_from(["01", "02", "0201", "03"]),
    st.none() | st.integers(0, 3),
    st.sampled_from(["s3", "sns"]),
)


@given(events, events)
def test_two_events_never_both_take_the_others_place_when_their_order_is_known(
    one: ObjectEvent, other: ObjectEvent
) -> None:
    if newer(one, other) is not None:
        assert not (supersedes(one, other) and supersedes(other, one))
    assert not supersedes(one, one)
    content = {*KINDS, EventKind.UNKNOWN}
    if one.kind is EventKind.ATTRIBUTES and other.kind in content:
        assert not supersedes(one, other)
        assert supersedes(other, one)
