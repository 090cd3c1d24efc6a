"""Envelopes and event names, one by one: EVT-1."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from stocktake.events import Decoded, EventKind, ObjectEvent, Reason, decode_message
from stocktake.testing import EVENT_ENVELOPES, ObjectChange, render_event, render_test_event

TRAP_KEY = "a+b c%2F.txt"
AT = datetime(2026, 11, 20, 18, 0, 3, 123000, tzinfo=UTC)


def only(decoded: Decoded) -> ObjectEvent:
    assert (decoded.kind, decoded.refusals, len(decoded.events)) == ("events", (), 1)
    return decoded.events[0]


def record(**fields: Any) -> dict[str, Any]:
    rendered = json.loads(render_event("s3", ObjectChange()))
    return {**rendered["Records"][0], **fields}


def reasons(body: object) -> list[Reason]:
    text = body if isinstance(body, str | bytes) else json.dumps(body)
    return [refusal.reason for refusal in decode_message(text).refusals]


@pytest.mark.parametrize("envelope", EVENT_ENVELOPES)
def test_trap_key_with_plus_space_and_percent_survives_every_envelope(envelope: str) -> None:
    """EVT-1, trap: form-encoded keys of notifications, raw keys of EventBridge and Ceph."""
    assert only(decode_message(render_event(envelope, ObjectChange(key=TRAP_KEY)))).key == TRAP_KEY


@pytest.mark.parametrize("envelope", EVENT_ENVELOPES)
def test_every_field_of_a_put_is_read(envelope: str) -> None:
    change = ObjectChange(version_id="v1", size_bytes=7, etag="ABC", sequencer="0a1")
    event = only(decode_message(render_event(envelope, change)))
    assert (event.kind, event.bucket, event.version_id) == (EventKind.CREATED, "data", "v1")
    assert (event.size_bytes, event.etag, event.sequencer) == (7, "abc", "0a1")
    assert event.occurred_at == AT
    assert not event.needs_head
    assert ObjectEvent.from_dict(event.to_dict()) == event


@pytest.mark.parametrize(
    ("envelope", "said"),
    [
        ("s3", "s3"),
        ("minio", "s3"),
        ("ceph", "s3"),
        ("sns", "sns"),
        ("eventbridge", "eventbridge"),
        ("sns-eventbridge", "sns"),
        ("lambda-destination", "lambda"),
        ("lambda-destination-sns", "sns"),
        ("lambda-destination-eventbridge", "eventbridge"),
        ("lambda-sqs", "sqs"),
    ],
)
def test_the_outermost_envelope_is_named(envelope: str, said: str) -> None:
    assert only(decode_message(render_event(envelope, ObjectChange()))).envelope == said


def test_the_receiver_may_name_the_envelope() -> None:
    decoded = decode_message(render_event("minio", ObjectChange()), envelope="webhook")
    assert only(decoded).envelope == "webhook"


KINDS = [
    ("ObjectCreated:Put", EventKind.CREATED),
    ("ObjectCreated:Post", EventKind.CREATED),
    ("ObjectCreated:Copy", EventKind.CREATED),
    ("ObjectCreated:CompleteMultipartUpload", EventKind.CREATED),
    ("ObjectRemoved:Delete", EventKind.DELETED),
    ("ObjectRemoved:DeleteMarkerCreated", EventKind.DELETE_MARKER),
    ("LifecycleExpiration:Delete", EventKind.DELETED),
    ("LifecycleExpiration:DeleteMarkerCreated", EventKind.DELETE_MARKER),
    ("ObjectRestore:Post", EventKind.ATTRIBUTES),
    ("ObjectRestore:Completed", EventKind.ATTRIBUTES),
    ("ObjectRestore:Delete", EventKind.ATTRIBUTES),
    ("ObjectTagging:Put", EventKind.ATTRIBUTES),
    ("ObjectTagging:Delete", EventKind.ATTRIBUTES),
    ("ObjectAcl:Put", EventKind.ATTRIBUTES),
    ("LifecycleTransition", EventKind.ATTRIBUTES),
    ("IntelligentTiering", EventKind.ATTRIBUTES),
]


@pytest.mark.parametrize(("name", "kind"), KINDS)
@pytest.mark.parametrize("envelope", EVENT_ENVELOPES)
def test_trap_event_name_gives_its_kind(envelope: str, name: str, kind: EventKind) -> None:
    """EVT-1, trap: markers, deletes, lifecycle, copies, multipart, restores, tags."""
    event = only(decode_message(render_event(envelope, ObjectChange(name=name))))
    assert event.kind is kind
    if kind in (EventKind.DELETED, EventKind.DELETE_MARKER):
        assert (event.size_bytes, event.etag) == (None, None)


@pytest.mark.parametrize("name", ["ObjectFrobnicated:Put", "ReducedRedundancyLostObject"])
@pytest.mark.parametrize("envelope", EVENT_ENVELOPES)
def test_trap_unknown_event_name_asks_for_a_head(envelope: str, name: str) -> None:
    """EVT-1, trap: a name that is not in the table must make somebody look."""
    event = only(decode_message(render_event(envelope, ObjectChange(name=name))))
    assert event.kind is EventKind.UNKNOWN
    assert event.needs_head


@pytest.mark.parametrize("name", ["ObjectRemoved:Delete", "LifecycleExpiration:Delete"])
def test_deleting_one_version_asks_for_a_head(name: str) -> None:
    """An older version, or the object under a delete marker, may have come to light."""
    plain = only(decode_message(render_event("s3", ObjectChange(name=name))))
    one_version = ObjectChange(name=name, version_id="v1")
    assert not plain.needs_head
    assert only(decode_message(render_event("s3", one_version))).needs_head


@pytest.mark.parametrize(
    "name", ["ObjectAccessed:Get", "ObjectAccessed:Head", "ObjectRemoved:NoOP", "BucketCreated:*"]
)
def test_records_that_change_nothing_are_counted_and_left(name: str) -> None:
    decoded = decode_message(render_event("minio", ObjectChange(name=name)))
    assert decoded == Decoded(kind="nothing", ignored=1)


@pytest.mark.parametrize(
    ("raw", "version_id"), [("null", "null"), (None, None), ("", None), ("3sL4kqt", "3sL4kqt")]
)
def test_trap_version_id_null_or_missing(raw: str | None, version_id: str | None) -> None:
    """EVT-1, trap: 'null' is a version; JSON null, '' and a missing one are none."""
    body = {"key": "k", "versionId": raw}
    message = record(s3={"bucket": {"name": "b"}, "object": body})
    assert only(decode_message(json.dumps({"Records": [message]}))).version_id == version_id
    assert only(decode_message(render_event("s3", ObjectChange()))).version_id is None


@pytest.mark.parametrize("version", ["2.0", "2.1", "2.2", "2.3", "2.4", "2.6", "2.99", "2"])
def test_trap_event_version_two_of_any_minor(version: str) -> None:
    """EVT-1, trap: only the major version says whether the structure is known."""
    only(decode_message(json.dumps({"Records": [record(eventVersion=version)]})))


@pytest.mark.parametrize("version", ["3.0", "1.0", "22.1", "", None, {}])
def test_other_major_versions_are_refused(version: object) -> None:
    assert reasons({"Records": [record(eventVersion=version)]}) == [Reason.VERSION]


@pytest.mark.parametrize("envelope", ["s3", "sns", "minio"])
def test_trap_test_event_is_nothing(envelope: str) -> None:
    """EVT-1, trap: s3:TestEvent, wrapped or not, and the empty message of other senders."""
    assert decode_message(render_test_event(envelope)) == Decoded(kind="test")


@pytest.mark.parametrize("body", ["", "  \n", "{}", '{"Records": [{"eventName": "s3:TestEvent"}]}'])
def test_other_tests_are_nothing(body: str) -> None:
    assert decode_message(body) == Decoded(kind="test")


@pytest.mark.parametrize("envelope", EVENT_ENVELOPES)
def test_trap_several_records_in_one_message(envelope: str) -> None:
    """EVT-1, trap: peers read `Records[0]` only."""
    changes = [ObjectChange(key=f"k{number}") for number in range(5)]
    decoded = decode_message(render_event(envelope, *changes))
    assert [event.key for event in decoded.events] == ["k0", "k1", "k2", "k3", "k4"]


def test_good_records_beside_a_bad_one_are_kept() -> None:
    bad = record(s3={"bucket": {"name": "b"}, "object": {}})
    decoded = decode_message(json.dumps({"Records": [record(), bad, record()]}))
    assert len(decoded.events) == 2
    assert [refusal.reason for refusal in decoded.refusals] == [Reason.NO_KEY]
    assert decoded.kind == "events"


def test_minio_and_others_encode_slashes_too() -> None:
    change = ObjectChange(key="in/a b+\u00e9.csv")
    assert "in%2Fa+b%2B%C3%A9.csv" in render_event("minio", change)
    assert "in/a+b%2B%C3%A9.csv" in render_event("s3", change)
    for encoded in ("in%2Fa+b%2B%C3%A9.csv", "in/a%20b%2B%C3%A9.csv"):
        message = record(s3={"bucket": {"name": "b"}, "object": {"key": encoded}})
        assert only(decode_message(json.dumps({"Records": [message]}))).key == change.key


def test_old_names_of_ceph_are_known() -> None:
    message = record(eventName="OBJECT_CREATE", eventSource="ceph:s3")
    assert only(decode_message(json.dumps({"Records": [message]}))).kind is EventKind.CREATED


def bucket_and_key(bucket: object, key: object) -> dict[str, Any]:
    return {"Records": [record(s3={"bucket": bucket, "object": {"key": key}})]}


NAMED_BUCKET = {"name": "b"}
REFUSED: list[tuple[object, Reason]] = [
    ("not json", Reason.NOT_JSON),
    ('{"Records": [', Reason.NOT_JSON),
    ('{"size": ' + "9" * 5000 + "}", Reason.NOT_JSON),
    ("[" * 100_000, Reason.NOT_JSON),
    (b"\xff\xfe{}", Reason.NOT_UTF8),
    ("\ud800", Reason.NOT_UTF8),
    ("7", Reason.NOT_AN_EVENT),
    ("null", Reason.NOT_AN_EVENT),
    ({"hello": "world"}, Reason.NOT_AN_EVENT),
    ({"Records": ["x"]}, Reason.NOT_AN_EVENT),
    ({"Type": "Notification", "Message": 7}, Reason.NOT_JSON),
    ({"Type": "Notification", "Message": "hello"}, Reason.NOT_JSON),
    ({"Type": "SubscriptionConfirmation", "SubscribeURL": "u"}, Reason.SUBSCRIPTION),
    ({"Type": []}, Reason.NOT_AN_EVENT),
    ({"requestPayload": None}, Reason.NOT_JSON),
    ({"source": "aws.ec2", "detail-type": "x", "detail": {"a": 1}}, Reason.NOT_AN_EVENT),
    ({"source": "aws.s3", "detail-type": "AWS API Call", "detail": {}}, Reason.NOT_AN_EVENT),
    ({"source": "aws.s3", "detail-type": "\n", "detail": {}}, Reason.NO_NAME),
    (bucket_and_key(None, "k"), Reason.NO_BUCKET),
    (bucket_and_key({"name": "a\x00"}, "k"), Reason.NO_BUCKET),
    (bucket_and_key({"name": "b" * 300}, "k"), Reason.NO_BUCKET),
    (bucket_and_key(NAMED_BUCKET, None), Reason.NO_KEY),
    (bucket_and_key(NAMED_BUCKET, ""), Reason.NO_KEY),
    (bucket_and_key(NAMED_BUCKET, "k" * 1025), Reason.IMPOSSIBLE_KEY),
    (bucket_and_key(NAMED_BUCKET, "%FF"), Reason.IMPOSSIBLE_KEY),
    (bucket_and_key(NAMED_BUCKET, "%ED%A0%80"), Reason.IMPOSSIBLE_KEY),
    (bucket_and_key(NAMED_BUCKET, "%01" * 1024), Reason.IMPOSSIBLE_KEY),
    ({"Records": [record(s3={"bucket": NAMED_BUCKET})]}, Reason.NO_KEY),
    ({"Records": [record(eventName=None)]}, Reason.NO_NAME),
    ({"Records": [record(eventName="x" * 999)]}, Reason.NO_NAME),
]


@pytest.mark.parametrize(("body", "reason"), REFUSED)
def test_what_cannot_be_understood_has_a_reason(body: object, reason: Reason) -> None:
    assert reasons(body) == [reason]


@pytest.mark.parametrize("version_id", [7, [], "a\x00b", "\u00e9", "v" * 2000])
def test_impossible_version_ids_are_refused(version_id: object) -> None:
    body = {"key": "k", "versionId": version_id}
    message = {"Records": [record(s3={"bucket": NAMED_BUCKET, "object": body})]}
    assert reasons(message) == ([] if version_id == [] else [Reason.IMPOSSIBLE_VERSION_ID])


def test_envelopes_without_end_are_refused() -> None:
    text = "{}"
    for _ in range(11):
        text = json.dumps({"Type": "Notification", "Message": text})
    assert reasons(text) == [Reason.NESTED_TOO_DEEP]


def test_a_message_of_very_many_records_is_cut_off_and_kept() -> None:
    decoded = decode_message(json.dumps({"Records": [record()] * 10_050}))
    assert len(decoded.events) == 10_000
    assert [refusal.reason for refusal in decoded.refusals] == [Reason.TOO_MANY_RECORDS]


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("size", -1, None),
        ("size", True, None),
        ("size", "5", None),
        ("size", 1 << 63, None),
        ("size", 0, 0),
        ("eTag", '"ABC-2"', "abc-2"),
        ("eTag", "", None),
        ("eTag", "a\nb", None),
        ("sequencer", "0", None),
        ("sequencer", "", None),
        ("sequencer", "no-hex", None),
        ("sequencer", 5, None),
        ("sequencer", "00A0", "00A0"),
    ],
)
def test_odd_fields_count_as_unknown(name: str, value: object, read: object) -> None:
    message = record(s3={"bucket": NAMED_BUCKET, "object": {"key": "k", name: value}})
    event = only(decode_message(json.dumps({"Records": [message]})))
    fields = {"size": event.size_bytes, "eTag": event.etag, "sequencer": event.sequencer}
    assert fields[name] == read


@pytest.mark.parametrize("when", ["yesterday", "", 5, None, "0001-01-01T00:00:00+23:59"])
def test_an_odd_time_counts_as_unknown(when: object) -> None:
    assert (
        only(decode_message(json.dumps({"Records": [record(eventTime=when)]}))).occurred_at is None
    )


def test_a_byte_order_mark_is_no_part_of_the_message() -> None:
    only(decode_message("\ufeff".encode() + render_event("s3", ObjectChange()).encode()))
