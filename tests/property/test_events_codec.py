"""Any key survives any envelope, and no message whatever breaks a receiver: EVT-1."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from event_states import emptied_state
from stocktake.clock import SystemClock
from stocktake.events import (
    EventKind,
    Intake,
    Message,
    ObjectEvent,
    Reason,
    count_quarantined,
    decode_message,
    held_events,
    list_quarantined,
    sequencer_order,
)
from stocktake.model import escape_key
from stocktake.state import State
from stocktake.testing import EVENT_ENVELOPES, ObjectChange, render_event, render_test_event

envelopes = st.sampled_from(EVENT_ENVELOPES)
keys = st.text(min_size=1, max_size=300).filter(
    lambda key: len(key.encode()) <= 1024 and len(escape_key(key).encode()) <= 2000
)
version_ids = st.none() | st.just("null") | st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True)
sequencers = st.from_regex(r"[0-9A-Fa-f]{1,24}", fullmatch=True)
names = st.sampled_from(
    ["ObjectCreated:Put", "ObjectRemoved:Delete", "ObjectTagging:Put", "ObjectNew:Thing"]
)
changes = st.builds(
    ObjectChange,
    name=names,
    key=keys,
    version_id=version_ids,
    size_bytes=st.integers(0, 1 << 50),
    sequencer=st.none() | sequencers,
)
FIELDS = (
    "Records s3 object key bucket name eventName eventVersion eventSource eventTime versionId "
    "sequencer size eTag Type Message Notification detail detail-type source aws.s3 aws:sqs body "
    "Sns requestPayload Event s3:TestEvent ObjectCreated:Put 2.1 ceph:s3 deletion-type"
)
_words = st.sampled_from(FIELDS.split())
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _words | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_words, inner, max_size=6),
    max_leaves=25,
)


@given(envelopes, changes)
@example("minio", ObjectChange(key="a+b c%2F.txt"))
@example("ceph", ObjectChange(key="%2B+ \x00\x7f"))
@example("eventbridge", ObjectChange(key="\U0010ffff\ue000/../"))
def test_every_key_and_version_survives_every_envelope(envelope: str, change: ObjectChange) -> None:
    decoded = decode_message(render_event(envelope, change))
    assert decoded.refusals == ()
    (event,) = decoded.events
    assert (event.bucket, event.key, event.version_id) == ("data", change.key, change.version_id)
    useful = change.sequencer if change.sequencer and change.sequencer.strip("0") else None
    assert event.sequencer == useful
    if event.kind is EventKind.CREATED:
        assert (event.size_bytes, event.etag) == (change.size_bytes, change.etag)
    assert ObjectEvent.from_dict(json.loads(json.dumps(event.to_dict()))) == event


@given(envelopes, st.lists(changes, min_size=1, max_size=6))
def test_every_record_of_a_message_is_read(envelope: str, several: list[ObjectChange]) -> None:
    decoded = decode_message(render_event(envelope, *several))
    assert [event.key for event in decoded.events] == [change.key for change in several]


@given(sequencers, sequencers)
def test_sequencers_compare_as_if_padded_on_the_right(one: str, other: str) -> None:
    """EVT-2: against the rule as it is written."""
    width = max(len(one), len(other))
    padded = [text.lower().ljust(width, "0") for text in (one, other)]
    assert (sequencer_order(one) < sequencer_order(other)) == (padded[0] < padded[1])
    assert (sequencer_order(one) == sequencer_order(other)) == (padded[0] == padded[1])


@settings(max_examples=300)
@given(st.binary(max_size=200) | st.text(max_size=200) | values.map(json.dumps))
@example("[" * 5000)
@example('{"Records": [' * 2000)
@example("\ud800")
def test_no_message_whatever_raises(body: str | bytes) -> None:
    decoded = decode_message(body)
    assert (decoded.kind == "undecodable") == (bool(decoded.refusals) and not decoded.events)
    assert all(refusal.reason in Reason for refusal in decoded.refusals)
    assert all(str(refusal).isascii() for refusal in decoded.refusals)


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    items = value.items() if isinstance(value, dict) else ()
    for name, inner in enumerate(value) if isinstance(value, list) else items:
        yield from _places(inner, (*path, name))


def _put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = _put(copy[path[0]], path[1:], new)
    return copy


@st.composite
def mutants(draw: st.DrawFn) -> str:
    """A good message of which one value is replaced by anything, or which is cut."""
    body = render_event(draw(envelopes), *draw(st.lists(changes, min_size=1, max_size=2)))
    if draw(st.booleans()):
        return body[: draw(st.integers(0, len(body)))]
    message = json.loads(body)
    path = draw(st.sampled_from(list(_places(message))))
    return json.dumps(_put(message, path, draw(values)))


@settings(max_examples=300)
@given(mutants())
def test_damaged_messages_are_refused_or_read_but_never_raise(body: str) -> None:
    decode_message(body)


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
    with emptied_state(address, SystemClock()) as opened:
        yield opened


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(st.lists(mutants() | st.text(max_size=50) | st.binary(max_size=50), max_size=12))
def test_no_message_whatever_stops_a_receiver(state: State, bodies: list[str | bytes]) -> None:
    """EVT-1: what was read can be kept, what was not is in quarantine; on both databases."""
    intake = Intake(state, "queue", SystemClock())
    intake.take([Message("0", render_test_event("s3"))])
    before = count_quarantined(state)
    said = intake.take([Message(f"m{before}-{n}", body) for n, body in enumerate(bodies)])
    poison = [body for body, decoded in zip(bodies, said, strict=True) if decoded.refusals]
    assert count_quarantined(state) == before + len(poison)
    kept = [message.body for message in list_quarantined(state, limit=1_000_000)[before:]]
    raw = [
        body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body for body in poison
    ]
    assert sorted(kept) == sorted(raw)
    for event in (event for decoded in said for event in decoded.events):
        found = held_events(state, event.bucket, event.key, 1_000)
        assert (event.key, event.version_id) in [(held.key, held.version_id) for held in found]
