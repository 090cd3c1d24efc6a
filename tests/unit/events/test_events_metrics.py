"""What a receiver says of itself: figures, lags, and silences: EVT-2, STR-10."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from stocktake.clock import FixedClock
from stocktake.errors import EventQueueError
from stocktake.events import EventMetrics, Intake, Message, QueuePulse, held_events
from stocktake.state import State
from stocktake.testing import ObjectChange, render_event, render_test_event

AT = datetime(2026, 11, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)


def message(number: int, body: str, sent_at: datetime | None = None) -> Message:
    return Message(f"m{number}", body, sent_at=sent_at)


def test_everything_that_comes_is_counted_once(state: State, clock: FixedClock) -> None:
    intake = Intake(state, "q", clock, buckets=["data"])
    put = ObjectChange(key="k", sequencer="02")
    bodies = [
        render_test_event("s3"),
        render_event("s3", put),
        render_event("sns", put),
        render_event("s3", ObjectChange(key="k", sequencer="01")),
        render_event("s3", ObjectChange("ObjectTagging:Put", "k", sequencer=None)),
        render_event("minio", ObjectChange("ObjectAccessed:Get", "k")),
        render_event("s3", ObjectChange(bucket="other")),
        "poison",
    ]
    intake.take([message(number, body) for number, body in enumerate(bodies)])
    found = intake.metrics
    assert (found.messages, found.received, found.held) == (8, 5, 1)
    assert (found.duplicate, found.out_of_order, found.folded) == (1, 1, 1)
    assert (found.test, found.ignored, found.foreign, found.undecodable) == (1, 1, 1, 1)
    assert found.lag_s is None
    assert found.newest_event == datetime(2026, 11, 20, 18, 0, 3, 123000, tzinfo=UTC)
    whole = json.loads(json.dumps(found.to_dict()))
    assert whole["newest_event"] == "2026-11-20T18:00:03.123000Z"
    assert set(whole) == set(EventMetrics.__slots__)


def test_events_of_all_buckets_are_kept_unless_told_otherwise(
    state: State, clock: FixedClock
) -> None:
    intake = Intake(state, "q", clock)
    intake.take([message(1, render_event("s3", ObjectChange(bucket="other", key="k")))])
    assert (intake.metrics.foreign, intake.metrics.held) == (0, 1)
    assert [event.key for event in held_events(state, "other", "", 10)] == ["k"]


def test_trap_lag_is_what_messages_waited(state: State, clock: FixedClock) -> None:
    """Trap: a queue forgets messages after its retention; lag says how near that is."""
    intake = Intake(state, "q", clock)
    for seconds in (90, 5, -3):
        sent_at = clock.now() - timedelta(seconds=seconds)
        intake.take([message(seconds, "{}", sent_at)])
    assert (intake.metrics.lag_s, intake.metrics.lag_max_s) == (0.0, 90.0)
    assert intake.pulse.newest == clock.now() + timedelta(seconds=3)


def test_somebody_elses_queue_is_noticed(state: State, clock: FixedClock) -> None:
    intake = Intake(state, "q", clock)
    intake.take([message(number, "order") for number in range(100)])
    with pytest.raises(EventQueueError, match="none of its first 101 messages is an event"):
        intake.take([message(101, "order")])
    assert intake.metrics.messages == 100
    intake.take([message(102, "order"), message(103, render_event("s3", ObjectChange()))])
    intake.take([message(number, "order") for number in range(200, 400)])
    assert intake.metrics.undecodable == 301


def beats(*hours: float) -> QueuePulse:
    pulse = QueuePulse()
    for hour in hours:
        pulse.beat(AT + hour * HOUR)
    return pulse


def test_a_queue_that_never_spoke_is_not_silent() -> None:
    assert QueuePulse().gap_s(AT) is None
    assert not QueuePulse().is_silent(AT)


def test_trap_silent_gap_is_remarkable_when_it_is_twice_the_longest() -> None:
    """Trap: events that expired, were filtered or never sent leave no trace but silence."""
    pulse = beats(0, 1, 2, 5, 6)
    assert pulse.longest_s == pytest.approx(3 * 3600, rel=0.01)
    assert not pulse.is_silent(AT + 11.8 * HOUR)
    assert pulse.is_silent(AT + 12.1 * HOUR)
    assert pulse.gap_s(AT + 12 * HOUR) == 6 * 3600
    assert pulse.gap_s(AT) == 0


def test_short_silences_and_short_acquaintances_are_not_remarkable() -> None:
    assert not beats(0, 0.001).is_silent(AT + 100 * HOUR)
    busy = beats(*(number / 60 for number in range(60)))
    assert not busy.is_silent(AT + 1.4 * HOUR)
    assert busy.is_silent(AT + 1.6 * HOUR)


def test_order_of_messages_does_not_matter_for_the_newest() -> None:
    pulse = beats(5, 1, 3)
    assert (pulse.newest, pulse.longest_s) == (AT + 5 * HOUR, 0.0)


def test_a_long_silence_is_forgotten_slowly() -> None:
    pulse = beats(0, 10)
    for hour in range(11, 10 + 24 * 14):
        pulse.beat(AT + hour * HOUR)
    assert 8_000 < pulse.longest_s < 11_000


def test_a_pulse_is_kept_as_json() -> None:
    pulse = beats(0, 3)
    assert QueuePulse.from_dict(json.loads(json.dumps(pulse.to_dict()))) == pulse
    assert QueuePulse.from_dict({}) == QueuePulse()
    assert QueuePulse.from_dict(QueuePulse().to_dict()) == QueuePulse()
