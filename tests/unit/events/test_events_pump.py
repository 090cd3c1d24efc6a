"""The loop between queue and table, without a queue: EVT-2."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from stocktake.clock import FixedClock
from stocktake.events import EventMetrics, Intake, Message, held_events, pump
from stocktake.state import State
from stocktake.testing import ObjectChange, render_event


@dataclass
class Queue:
    """Gives out batches; each receive takes a second."""

    clock: FixedClock
    batches: Iterator[list[Message]]
    received: int = 0
    deleted: list[str] = field(default_factory=list)
    stuck: frozenset[str] = frozenset()

    def receive(self, *_: Any, **__: Any) -> list[Message]:
        self.clock.advance(1)
        self.received += 1
        return next(self.batches, [])

    def delete(self, messages: Sequence[Message], **_: Any) -> list[Message]:
        self.deleted += [message.id for message in messages if message.id not in self.stuck]
        return [message for message in messages if message.id in self.stuck]


def message(number: int, clock: FixedClock, age_s: float = 3600.0) -> Message:
    body = render_event("s3", ObjectChange(key=f"k{number:03}"))
    return Message(f"m{number}", body, "r", clock.now() - timedelta(seconds=age_s))


def old(clock: FixedClock, *sizes: int) -> Iterator[list[Message]]:
    number = 0
    for size in sizes:
        yield [message(number + n, clock) for n in range(size)]
        number += size


def endless(clock: FixedClock, size: int) -> Iterator[list[Message]]:
    """Somebody writes without pause: there is always a message, sent a moment ago."""
    for number in range(100_000):
        yield [message(number * size + n, clock, 0.1) for n in range(size)]


def keys(state: State) -> list[str]:
    return [event.key for event in held_events(state, "data", "", 10_000)]


def test_a_queue_is_emptied_in_batches(state: State, clock: FixedClock) -> None:
    queue = Queue(clock, old(clock, 3, 3, 1))
    seen: list[int] = []
    intake = Intake(state, "q", clock)

    def note(metrics: EventMetrics) -> None:
        seen.append(metrics.messages)

    metrics: EventMetrics = pump(
        intake, queue, until_empty=True, batch_messages=3, after_batch=note
    )
    assert keys(state) == [f"k{number:03}" for number in range(7)]
    assert queue.deleted == [f"m{number}" for number in range(7)]
    assert (metrics.held, queue.received, seen) == (7, 4, [3, 6, 7])


def test_a_part_of_a_batch_is_not_the_end_of_the_queue(state: State, clock: FixedClock) -> None:
    queue = Queue(clock, old(clock, 1, 2, 1))
    pump(Intake(state, "q", clock), queue, until_empty=True)
    assert len(keys(state)) == 4


def test_a_queue_that_is_never_empty_does_not_hold_up_for_ever(
    state: State, clock: FixedClock
) -> None:
    """A run that waits for silence would never go on to load what it has."""
    backlog = [message(90_000 + n, clock) for n in range(100)]

    def batches() -> Iterator[list[Message]]:
        yield backlog
        yield from endless(clock, 2)

    queue = Queue(clock, batches())
    pump(Intake(state, "q", clock), queue, until_empty=True)
    assert queue.received == 2
    assert len(keys(state)) == 102


def test_more_than_can_be_taken_ends_after_a_time(state: State, clock: FixedClock) -> None:
    queue = Queue(clock, endless(clock, 5))
    pump(Intake(state, "q", clock), queue, until_empty=True, batch_messages=5, emptying_s=20)
    assert queue.received == 20
    assert queue.deleted == [f"m{number}" for number in range(100)]


def test_messages_without_a_time_are_taken_until_there_are_none(
    state: State, clock: FixedClock
) -> None:
    untimed = [[Message(f"m{n}", "{}", "r")] for n in range(5)]
    queue = Queue(clock, iter(untimed))
    pump(Intake(state, "q", clock), queue, until_empty=True)
    assert queue.received == 6


def test_it_goes_on_until_it_is_told_to_stop(state: State, clock: FixedClock) -> None:
    queue = Queue(clock, old(clock, 1, 0, 0, 2, 0))
    pump(Intake(state, "q", clock), queue, stop=lambda: queue.received >= 7)
    assert (queue.received, len(keys(state))) == (7, 3)
    pump(Intake(state, "q", clock), queue, stop=lambda: True)
    assert queue.received == 7


def test_what_cannot_be_deleted_is_counted(state: State, clock: FixedClock) -> None:
    queue = Queue(clock, old(clock, 3), stuck=frozenset({"m1"}))
    metrics = pump(Intake(state, "q", clock), queue, until_empty=True)
    assert (metrics.undeleted, queue.deleted) == (1, ["m0", "m2"])


def test_nothing_is_deleted_that_was_not_kept(
    state: State, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake = Intake(state, "q", clock)
    monkeypatch.setattr(intake, "take", lambda _: 1 / 0)
    queue = Queue(clock, old(clock, 3))
    with pytest.raises(ZeroDivisionError):
        pump(intake, queue, until_empty=True)
    assert queue.deleted == []
