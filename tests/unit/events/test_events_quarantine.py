"""Messages that were not understood: EVT-1."""

from __future__ import annotations

import pytest

from stocktake.clock import FixedClock
from stocktake.events import (
    Held,
    Intake,
    Message,
    Released,
    _names,
    _records,
    count_quarantined,
    discard,
    held_events,
    list_quarantined,
    release,
)
from stocktake.state import State
from stocktake.testing import ObjectChange, render_event, render_test_event

QUEUE = "https://sqs.eu-west-1.amazonaws.com/111122223333/q"
BODIES = [b"\xff\x00\x80", b"not json", "\x00%41\n\u00e9".encode(), b"\tx", b'{"a": "\\u0000"}']


def intake(state: State, clock: FixedClock, queue: str = QUEUE) -> Intake:
    made = Intake(state, queue, clock)
    made.take([Message("test", render_test_event("s3"))])
    return made


@pytest.mark.parametrize("body", BODIES)
def test_bodies_are_kept_byte_for_byte(state: State, clock: FixedClock, body: bytes) -> None:
    intake(state, clock).take([Message("m1", body)])
    (kept,) = list_quarantined(state)
    assert (kept.body, kept.message_id, kept.queue, kept.attempts) == (body, "m1", QUEUE, 1)
    assert kept.received_at == clock.now()
    assert kept.id.startswith("evq_")


def test_a_surrogate_in_a_text_is_kept_too(state: State, clock: FixedClock) -> None:
    intake(state, clock).take([Message("m1", "\ud800 x")])
    assert list_quarantined(state)[0].body == "\ud800 x".encode("utf-8", "surrogatepass")


def test_a_message_that_comes_again_is_counted(state: State, clock: FixedClock) -> None:
    receiver = intake(state, clock)
    for _ in range(3):
        receiver.take([Message("m1", "poison")])
        clock.advance(60)
    (kept,) = list_quarantined(state)
    assert kept.attempts == 3
    assert (clock.now() - kept.received_at).total_seconds() == 180
    assert receiver.metrics.undecodable == 3


def test_queues_are_kept_apart(state: State, clock: FixedClock) -> None:
    for queue in (QUEUE, "webhook"):
        intake(state, clock, queue).take([Message("m1", "poison"), Message("m2", "poison")])
    assert count_quarantined(state) == 4
    assert count_quarantined(state, queue=QUEUE) == 2
    assert [kept.queue for kept in list_quarantined(state, queue="webhook")] == ["webhook"] * 2
    assert len(list_quarantined(state, limit=3)) == 3


def test_good_and_bad_messages_of_a_batch_are_told_apart(state: State, clock: FixedClock) -> None:
    receiver = intake(state, clock)
    good = render_event("sns", ObjectChange(key="good"))
    said = receiver.take([Message("m1", "poison"), Message("m2", good), Message("m3", "{}")])
    assert [decoded.kind for decoded in said] == ["undecodable", "events", "test"]
    assert [event.key for event in held_events(state, "data", "", 10)] == ["good"]
    assert [kept.message_id for kept in list_quarantined(state)] == ["m1"]


def test_many_refusals_of_one_message_are_shortened(state: State, clock: FixedClock) -> None:
    intake(state, clock).take([Message("m1", '{"Records": [1, 2, 3, 4, 5, 6, 7]}')])
    reason = list_quarantined(state)[0].reason
    assert reason.startswith("not-an-event: a JSON int; not-an-event")
    assert reason.endswith("; and 2 more")


def test_what_a_newer_version_understands_is_released(
    state: State, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after an upgrade: the events go on hold, the message is gone."""
    body = render_event("s3", ObjectChange(key="k1"), ObjectChange(key="k2"))
    with monkeypatch.context() as older:
        older.setattr(_records, "_MAJOR_VERSION", "1")
        intake(state, clock).take([Message("m1", body), Message("m2", "poison")])
    first, second = sorted(list_quarantined(state), key=lambda kept: kept.message_id)
    outcome = release(state, [first.id, second.id, "evq_nobody"], clock)
    assert outcome == Released((first.id,), (second.id,), Held(added=2))
    assert [event.key for event in held_events(state, "data", "", 10)] == ["k1", "k2"]
    assert [(kept.id, kept.attempts) for kept in list_quarantined(state)] == [(second.id, 2)]
    assert release(state, [first.id], clock) == Released()


def test_a_message_that_is_understood_in_part_stays_whole(
    state: State, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = '{"Records": [1, ' + render_event("s3", ObjectChange(key="k"))[len('{"Records": [') :]
    intake(state, clock).take([Message("m1", body)])
    assert [event.key for event in held_events(state, "data", "", 10)] == ["k"]
    (kept,) = list_quarantined(state)
    assert kept.body == body.encode()
    assert release(state, [kept.id], clock).kept == (kept.id,)


def test_discarding_is_for_good(state: State, clock: FixedClock) -> None:
    intake(state, clock).take([Message("m1", "poison"), Message("m2", "poison")])
    ids = [kept.id for kept in list_quarantined(state)]
    assert discard(state, [ids[0], "evq_nobody"]) == 1
    assert [kept.id for kept in list_quarantined(state)] == ids[1:]
    assert discard(state, []) == 0


def test_every_name_of_the_tables_is_plain(state: State) -> None:
    for table in (_names.S3_NAMES, _names.EVENTBRIDGE_NAMES):
        assert all(name.isprintable() and not name.startswith("s3:") for name in table)
