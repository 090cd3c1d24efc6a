"""Events on hold: EVT-2, on SQLite and PostgreSQL."""

from __future__ import annotations

import random
import string
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from stocktake.clock import FixedClock
from stocktake.events import (
    EventKind,
    Held,
    HeldBucket,
    ObjectEvent,
    _hold,
    drop_held,
    held_buckets,
    held_events,
    hold_events,
    newer,
    sequencer_order,
)
from stocktake.model import escape_key
from stocktake.state import State
from stocktake.testing._nasty import HEAD, TAIL

AT = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)
PUT = ObjectEvent(
    kind=EventKind.CREATED,
    name="ObjectCreated:Put",
    bucket="data",
    key="in/a",
    version_id=None,
    size_bytes=5,
    etag="abc",
    sequencer="0055",
    occurred_at=AT,
    envelope="s3",
)
GONE = replace(PUT, kind=EventKind.DELETED, name="ObjectRemoved:Delete", size_bytes=None, etag=None)
TAGGED = replace(
    PUT, kind=EventKind.ATTRIBUTES, name="ObjectTagging:Put", sequencer=None, size_bytes=None
)
STRANGE = replace(PUT, kind=EventKind.UNKNOWN, name="ObjectFrobnicated", sequencer=None)


def held(state: State, prefix: str = "") -> list[ObjectEvent]:
    return held_events(state, "data", prefix, 1000)


def take(state: State, *events: ObjectEvent) -> int:
    with state.write() as connection:
        return drop_held(connection, events)


@pytest.mark.parametrize(
    ("smaller", "greater"),
    [
        ("0055AED6DCD90281E5", "0055AED6DCD90281E6"),
        ("0055AED6DCD90281E5", "0055AED6DCD90281E500000001"),
        ("01", "1"),
        ("9", "A"),
        ("9", "a"),
        ("A", "b"),
        ("FF", "ff01"),
        ("0A", "0a00B"),
        ("617f08299329d189", "617f08299329d19"),
    ],
)
def test_trap_sequencers_of_different_length_are_right_padded(smaller: str, greater: str) -> None:
    """EVT-2, trap: the old guide pads on the left, which is the wrong order."""
    assert sequencer_order(smaller) < sequencer_order(greater)
    older, later = replace(PUT, sequencer=smaller), replace(PUT, sequencer=greater)
    assert (newer(later, older), newer(older, later)) == (True, False)


@pytest.mark.parametrize(("one", "other"), [("0A", "0a"), ("0A", "0A000"), ("5", "5")])
def test_sequencers_that_differ_in_case_or_zeros_are_the_same(one: str, other: str) -> None:
    assert sequencer_order(one) == sequencer_order(other)
    same = newer(replace(PUT, sequencer=one), replace(PUT, sequencer=other))
    assert same is False


def test_without_sequencers_different_times_decide_and_nothing_else() -> None:
    early = replace(PUT, sequencer=None)
    late = replace(early, occurred_at=AT + timedelta(seconds=1))
    assert (newer(late, early), newer(early, late), newer(early, GONE)) == (True, False, None)
    assert newer(replace(early, occurred_at=None), late) is None


def test_trap_duplicate_has_the_same_sequencer_and_changes_nothing(
    state: State, clock: FixedClock
) -> None:
    """EVT-2, trap: delivery is at least once."""
    assert hold_events(state, [PUT], clock) == Held(added=1)
    assert hold_events(state, [PUT, replace(PUT, envelope="sns")], clock) == Held(duplicate=2)
    assert held(state) == [PUT]


def test_trap_late_event_does_not_undo_a_newer_one(state: State, clock: FixedClock) -> None:
    """EVT-2, trap: events come in any order."""
    deleted = replace(GONE, sequencer="0056")
    assert hold_events(state, [deleted], clock) == Held(added=1)
    assert hold_events(state, [PUT], clock) == Held(out_of_order=1)
    assert held(state) == [deleted]


def test_a_newer_event_takes_the_place(state: State, clock: FixedClock) -> None:
    hold_events(state, [PUT], clock)
    again = replace(PUT, sequencer="00551", size_bytes=6)
    assert hold_events(state, [again], clock) == Held(replaced=1)
    assert held(state) == [again]


def test_events_of_one_call_are_folded_before_they_are_kept(
    state: State, clock: FixedClock
) -> None:
    deleted = replace(GONE, sequencer="0056")
    outcome = hold_events(state, [PUT, deleted, PUT, deleted], clock)
    assert outcome == Held(added=1, replaced=1, duplicate=1, out_of_order=1)
    assert held(state) == [deleted]


def test_versions_of_a_key_are_kept_apart_and_read_from_old_to_new(
    state: State, clock: FixedClock
) -> None:
    events = [
        replace(PUT, version_id=version, sequencer=sequencer)
        for version, sequencer in (("z", "01"), ("null", "02"), ("a", "03"), (None, "04"))
    ]
    hold_events(state, reversed(events), clock)
    assert held(state) == events


def test_an_attribute_never_hides_that_an_object_came(state: State, clock: FixedClock) -> None:
    """Tagging has no sequencer: it must not take the place of the creation that nobody took yet."""
    hold_events(state, [PUT], clock)
    assert hold_events(state, [replace(TAGGED, occurred_at=AT + timedelta(1))], clock) == Held(
        out_of_order=0, folded=1
    )
    assert held(state) == [PUT]


def test_a_late_creation_takes_the_place_of_an_attribute(state: State, clock: FixedClock) -> None:
    hold_events(state, [TAGGED], clock)
    earlier = replace(PUT, occurred_at=AT - timedelta(1))
    assert hold_events(state, [earlier], clock) == Held(replaced=1)
    assert held(state) == [earlier]


def test_an_unknown_event_stays_unless_something_is_newer(state: State, clock: FixedClock) -> None:
    hold_events(state, [PUT], clock)
    assert hold_events(state, [STRANGE], clock) == Held(replaced=1)
    assert hold_events(state, [PUT], clock) == Held(folded=1)
    later = replace(PUT, occurred_at=AT + timedelta(seconds=1))
    assert hold_events(state, [later], clock) == Held(replaced=1)
    assert held(state) == [later]


def test_without_any_order_what_comes_later_stays(state: State, clock: FixedClock) -> None:
    created = replace(PUT, sequencer=None, occurred_at=None)
    deleted = replace(GONE, sequencer=None, occurred_at=None)
    hold_events(state, [created], clock)
    assert hold_events(state, [deleted], clock) == Held(replaced=1)
    assert hold_events(state, [deleted], clock) == Held(duplicate=1)
    assert held(state) == [deleted]


def test_every_legal_key_is_kept_and_found(state: State, clock: FixedClock) -> None:
    keys = {*HEAD, *TAIL, "a\x00b", "\x00", "100%", "%00"}
    events = {key: replace(PUT, key=key) for key in keys}
    assert hold_events(state, events.values(), clock) == Held(added=len(keys))
    assert {event.key: event for event in held(state)} == events
    for key, event in events.items():
        below = held(state, prefix=key)
        assert event in below
        assert {found.key for found in below} == {k for k in keys if k.startswith(key)}
    assert take(state, *events.values()) == len(keys)
    assert held(state) == []


def test_the_longest_places_fit_into_an_index(state: State, clock: FixedClock) -> None:
    """PostgreSQL refuses index rows beyond 2,704 bytes that it cannot compress."""
    dice = random.Random(5)
    wild = "".join(dice.choices(string.ascii_letters + string.digits, k=1024))
    control = "".join(chr(dice.randrange(32)) for _ in range(800))
    places = [
        replace(PUT, bucket="b" * 63, key=wild, version_id=wild[::-1]),
        replace(PUT, bucket="b" * 63, key=control, version_id=wild[:130]),
    ]
    assert hold_events(state, places, clock) == Held(added=2)
    assert hold_events(state, places, clock) == Held(duplicate=2)


def test_prefixes_and_buckets_bound_what_is_read(state: State, clock: FixedClock) -> None:
    keys = ["A", "a", "a/", "a/1", "a/\U0010ffff", "a0", "b", "\u00e9", "\U0010ffff\U0010ffff"]
    events = [replace(PUT, key=key) for key in keys]
    hold_events(state, [*events, replace(PUT, bucket="other", key="a/1")], clock)
    assert [event.key for event in held(state, "a/")] == ["a/", "a/1", "a/\U0010ffff"]
    assert [event.key for event in held(state)] == keys
    assert [event.key for event in held(state, "\U0010ffff")] == keys[-1:]
    assert held_events(state, "nobody", "", 10) == []


def test_pages_follow_each_other_and_never_tear_a_key(state: State, clock: FixedClock) -> None:
    events = [
        replace(PUT, key=f"k{number}", version_id=f"v{version}", sequencer=f"1{version}")
        for number in range(4)
        for version in range(3)
    ]
    hold_events(state, events, clock)
    for limit, sizes in ((1, [3] * 4), (3, [3] * 4), (5, [3] * 4), (7, [6, 6]), (12, [12])):
        after, pages = None, []
        while page := held_events(state, "data", "", limit, after=after):
            pages.append(page)
            after = page[-1].key
        assert [len(page) for page in pages] == sizes
        assert [event for page in pages for event in page] == events


def test_dropping_leaves_what_came_meanwhile(state: State, clock: FixedClock) -> None:
    """EVT-2: a newer event of a taken key stays for the next run."""
    other = replace(PUT, key="in/b")
    hold_events(state, [PUT, other], clock)
    taken = held(state)
    newest = replace(PUT, sequencer="0099")
    hold_events(state, [newest], clock)
    assert take(state, *taken) == 1
    assert held(state) == [newest]
    assert take(state, *taken) == 0
    assert take(state, newest) == 1
    assert held(state) == []


def test_dropping_is_undone_with_its_transaction(state: State, clock: FixedClock) -> None:
    hold_events(state, [PUT], clock)
    with state.write() as connection:
        assert drop_held(connection, [PUT]) == 1
        connection.rollback()
    assert held(state) == [PUT]


def test_thousands_in_one_transaction(state: State, clock: FixedClock) -> None:
    events = [replace(PUT, key=f"k{number:05}") for number in range(1300)]
    assert hold_events(state, events, clock) == Held(added=1300)
    assert hold_events(state, events, clock) == Held(duplicate=1300)
    assert held_events(state, "data", "", 5000) == events
    assert take(state, *events) == 1300


def test_what_waits_is_counted_per_bucket(state: State, clock: FixedClock) -> None:
    assert held_buckets(state) == []
    hold_events(state, [PUT, replace(PUT, key="x")])  # by the clock of the database
    clock.advance(60)
    hold_events(state, [replace(PUT, key="y"), replace(PUT, bucket="b2")], clock)
    assert held_buckets(state) == [
        HeldBucket("b2", 1, "2026-11-20T18:11:00Z"),
        HeldBucket("data", 3, "2026-11-20T18:10:00Z"),
    ]


def test_receivers_at_once_keep_the_newest_of_each_key(state: State, clock: FixedClock) -> None:
    """EVT-2: several receivers and a taker, in real threads; no deadlock, nothing lost."""
    keys, rounds = [f"k{number}" for number in range(30)], 8

    def receive(number: int) -> None:
        for turn in range(rounds):
            order = keys if (number + turn) % 2 else keys[::-1]
            step = f"{turn * 4 + number:04x}1"
            hold_events(state, [replace(PUT, key=key, sequencer=step) for key in order], clock)

    def absorb() -> list[ObjectEvent]:
        taken = []
        for _ in range(rounds):
            events = held(state)
            take(state, *events)
            taken += events
        return taken

    with ThreadPoolExecutor(5) as threads:
        receivers = [threads.submit(receive, number) for number in range(4)]
        taken = threads.submit(absorb).result(60)
        for receiver in receivers:
            receiver.result(60)
    newest = f"{rounds * 4 - 1:04x}1"
    seen = {(event.key, event.sequencer) for event in [*taken, *held(state)]}
    assert {(key, newest) for key in keys} <= seen


def test_receivers_of_many_chunks_never_wait_in_a_circle(
    state: State, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EVT-2: PostgreSQL would end one of them, with a deadlock that nobody can explain."""
    monkeypatch.setattr(_hold, "_CHUNK", 5)
    places = [
        replace(PUT, bucket=bucket, key=key, version_id=version)
        for bucket in ("a-b", "a.b", "ab", "A")
        for key in ("a", "B", "-")
        for version in (None, "-", "a", "B")
    ]

    def receive(number: int) -> None:
        dice = random.Random(number)
        for turn in range(15):
            some = dice.sample(places, 30)
            hold_events(state, [replace(e, sequencer=f"1{turn:02}{number}") for e in some], clock)

    def absorb() -> None:
        for bucket in ("ab", "a-b", "A", "a.b") * 10:
            take(state, *held_events(state, bucket, "", 1000))

    with ThreadPoolExecutor(4) as threads:
        work = [threads.submit(receive, number) for number in range(3)]
        work.append(threads.submit(absorb))
        for piece in work:
            piece.result(120)


def test_rows_hold_escaped_keys(state: State, clock: FixedClock) -> None:
    event = replace(PUT, key="a\x00%")
    hold_events(state, [event], clock)
    with state.write() as connection:
        touched = update(_hold.table).where(_hold.table.c.key == escape_key(event.key))
        assert connection.execute(touched.values(kind="x")).rowcount == 1
