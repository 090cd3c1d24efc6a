"""Real queues: notifications of an S3 server to SQS and over SNS; faults between: EVT-1, EVT-2."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from event_states import emptied_state
from stocktake.clock import SystemClock
from stocktake.errors import EventQueueError, StateError
from stocktake.events import (
    EventKind,
    EventQueue,
    Intake,
    ObjectEvent,
    check_queue,
    held_events,
    list_quarantined,
    pump,
)
from stocktake.state import State, open_state
from stocktake.store import RetryPolicy
from stocktake.testing import (
    EVENT_ENVELOPES,
    Cut,
    Fault,
    FaultProxy,
    LostAnswer,
    ObjectChange,
    Refuse,
    Server,
    Status,
    render_event,
)

pytestmark = pytest.mark.servers
_numbers = count(1)
AT_ONCE = RetryPolicy(base_s=0.0, cap_s=0.0)
BUSY = Status(503, b'{"__type": "com.amazonaws.sqs#RequestThrottled", "message": "slow"}')
RECEIVE, DELETE = "ReceiveMessage", "DeleteMessageBatch"


@dataclass
class Aws:
    """Clients of a server, and names nobody else uses."""

    server: Server

    def __post_init__(self) -> None:
        self.session = botocore.session.Session()
        credentials = self.server.credentials
        self.session.set_credentials(credentials.access_key_id, credentials.secret_access_key)
        self.s3, self.sqs, self.sns = (self._client(name) for name in ("s3", "sqs", "sns"))

    def _client(self, service: str) -> Any:
        return self.session.create_client(
            service, region_name=self.server.region, endpoint_url=self.server.endpoint_url
        )

    def queue(self, **attributes: str) -> tuple[str, str]:
        """A new queue's URL and ARN."""
        name = f"events-{next(_numbers)}"
        allow = {
            "Effect": "Allow",
            "Principal": {"Service": ["s3.amazonaws.com", "sns.amazonaws.com"]},
            "Action": "sqs:SendMessage",
            "Resource": f"arn:aws:sqs:{self.server.region}:*:{name}",
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
        made = self.sqs.create_queue(QueueName=name, Attributes={"Policy": policy, **attributes})
        url = made["QueueUrl"]
        found = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return url, found["Attributes"]["QueueArn"]

    def bucket(self, **notify: Any) -> str:
        """A new bucket that notifies a queue (`QueueArn`) or topic (`TopicArn`)."""
        name = f"data-{next(_numbers)}"
        self.s3.create_bucket(Bucket=name)
        events = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]
        kind = "QueueConfigurations" if "QueueArn" in notify else "TopicConfigurations"
        self.s3.put_bucket_notification_configuration(
            Bucket=name, NotificationConfiguration={kind: [{**notify, "Events": events}]}
        )
        return name

    def topic(self, queue_arn: str, *, raw: bool) -> str:
        """A new topic whose messages go to a queue."""
        arn: str = self.sns.create_topic(Name=f"changes-{next(_numbers)}")["TopicArn"]
        attributes = {"RawMessageDelivery": "true"} if raw else {}
        self.sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue_arn, Attributes=attributes)
        return arn

    def send(self, url: str, *bodies: str) -> None:
        """Put messages into a queue."""
        for body in bodies:
            self.sqs.send_message(QueueUrl=url, MessageBody=body)

    def left(self, url: str) -> int:
        """Messages in a queue, hidden ones too."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)
        return sum(int(value) for value in found["Attributes"].values())


@pytest.fixture(scope="module")
def aws(ministack: Server) -> Aws:
    return Aws(ministack)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def state_address(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path_factory.mktemp('events') / 'state.db'}"
    return str(request.getfixturevalue("postgres").new_database())


@pytest.fixture
def state(state_address: str) -> Iterator[State]:
    with emptied_state(state_address, SystemClock()) as opened:
        yield opened


def reader(server: Server, address: str) -> EventQueue:
    return EventQueue(address, server.options(), retry=AT_ONCE)


def drain(state: State, queue: EventQueue, **settings: Any) -> Intake:
    intake = Intake(state, queue.address, SystemClock(), **settings)
    pump(intake, queue, until_empty=True, wait_s=0)
    return intake


def wait_for(state: State, queue: EventQueue, bucket: str, wanted: int) -> list[ObjectEvent]:
    """Receive until so many events were received: servers notify from threads of their own."""
    intake = Intake(state, queue.address, SystemClock())
    pump(intake, queue, wait_s=1, stop=lambda: intake.metrics.received >= wanted)
    return held_events(state, bucket, "", 1000)


KEYS = ["in/a+b c%2F.txt", "in/\u65e5\u672c\u8a9e/\u00e9 1.csv", "a//b", "plain"]


@pytest.mark.parametrize("way", ["sqs", "sns", "sns-raw"])
def test_notifications_of_a_server_arrive(aws: Aws, state: State, way: str) -> None:
    """EVT-1, EVT-3: real messages to SQS, wrapped by SNS, and through SNS with raw delivery."""
    url, arn = aws.queue()
    if way == "sqs":
        bucket = aws.bucket(QueueArn=arn)
    else:
        bucket = aws.bucket(TopicArn=aws.topic(arn, raw=way == "sns-raw"))
    for key in KEYS:
        aws.s3.put_object(Bucket=bucket, Key=key, Body=b"12345")
    aws.s3.put_object(Bucket=bucket, Key="gone", Body=b"")
    aws.s3.delete_object(Bucket=bucket, Key="gone")
    events = {
        event.key: event
        for event in wait_for(state, reader(aws.server, url), bucket, len(KEYS) + 2)
    }
    assert sorted(events) == sorted([*KEYS, "gone"])
    assert events.pop("gone").kind is EventKind.DELETED
    for event in events.values():
        assert (event.kind, event.size_bytes) == (EventKind.CREATED, 5)
        assert event.etag == "827ccb0eea8a706c4c34a16891f84e7b"
        assert event.envelope == ("sns" if way == "sns" else "s3")
    assert aws.left(url) == 0


def test_notifications_of_a_versioned_bucket_arrive(aws: Aws, state: State) -> None:
    url, arn = aws.queue()
    bucket = aws.bucket(QueueArn=arn)
    aws.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first = aws.s3.put_object(Bucket=bucket, Key="k", Body=b"1")["VersionId"]
    second = aws.s3.put_object(Bucket=bucket, Key="k", Body=b"12")["VersionId"]
    marker = aws.s3.delete_object(Bucket=bucket, Key="k")["VersionId"]
    events = wait_for(state, reader(aws.server, url), bucket, 3)
    assert [(event.version_id, event.kind) for event in events] == [
        (first, EventKind.CREATED),
        (second, EventKind.CREATED),
        (marker, EventKind.DELETE_MARKER),
    ]


def test_a_server_that_encodes_slashes_is_understood(moto: Server, tmp_path: Path) -> None:
    """Trap: moto, like MinIO, writes `in%2Fa`."""
    other = Aws(moto)
    url, arn = other.queue()
    bucket = other.bucket(QueueArn=arn)
    for key in KEYS:
        other.s3.put_object(Bucket=bucket, Key=key, Body=b"1")
    with open_state(f"sqlite:///{tmp_path / 'state.db'}", clock=SystemClock()) as state:
        events = wait_for(state, reader(moto, url), bucket, len(KEYS))
    assert sorted(event.key for event in events) == sorted(KEYS)


@pytest.mark.parametrize("by", ["url", "arn", "name"])
def test_queues_are_found_by_url_arn_and_name(aws: Aws, by: str) -> None:
    url, arn = aws.queue()
    aws.send(url, "{}")
    address = {"url": url, "arn": arn, "name": url.rpartition("/")[2]}[by]
    (message,) = reader(aws.server, address).receive(10, 0)
    assert (message.body, message.deliveries) == ("{}", 1)
    assert message.sent_at is not None
    assert abs((message.sent_at - SystemClock().now()).total_seconds()) < 60


def test_all_envelopes_pass_through_a_queue(aws: Aws, state: State) -> None:
    url, _ = aws.queue()
    bodies = [render_event(name, ObjectChange(key=f"{name} +%2B")) for name in EVENT_ENVELOPES]
    aws.send(url, *bodies)
    metrics = drain(state, reader(aws.server, url)).metrics
    assert (metrics.received, metrics.held, metrics.undecodable) == (len(bodies),) * 2 + (0,)
    found = {event.key for event in held_events(state, "data", "", 100)}
    assert found == {f"{name} +%2B" for name in EVENT_ENVELOPES}


def test_trap_poison_does_not_loop(aws: Aws, state: State) -> None:
    """EVT-1, trap: what is not understood leaves the queue, and is kept whole."""
    url, _ = aws.queue(VisibilityTimeout="0")
    aws.send(url, "poison", render_event("s3", ObjectChange(key="good")), '{"other": "thing"}')
    metrics = drain(state, reader(aws.server, url)).metrics
    assert (metrics.undecodable, metrics.held, metrics.messages) == (2, 1, 3)
    assert aws.left(url) == 0
    kept = list_quarantined(state, queue=url)
    assert sorted(message.body for message in kept) == [b"poison", b'{"other": "thing"}']


def test_somebody_elses_queue_is_left_alone(aws: Aws, state: State) -> None:
    url, _ = aws.queue()
    for number in range(12):
        entries = [{"Id": str(n), "MessageBody": f"order {number} {n}"} for n in range(10)]
        aws.sqs.send_message_batch(QueueUrl=url, Entries=entries)
    with pytest.raises(EventQueueError, match="none of its first 120 messages"):
        pump(
            Intake(state, url, SystemClock()),
            reader(aws.server, url),
            until_empty=True,
            batch_messages=200,
        )
    assert aws.left(url) == 120
    assert list_quarantined(state) == []


def test_trap_duplicates_and_disorder_of_real_messages(aws: Aws, state: State) -> None:
    """EVT-2: at least once, in any order, in several runs."""
    url, _ = aws.queue()
    steps = [ObjectChange(key="k", sequencer=f"00{n}", size_bytes=n) for n in range(1, 8)]
    for order in ((3, 1, 2, 3), (6, 5, 6, 4), (1, 2, 6)):
        aws.send(url, *(render_event("s3", steps[n]) for n in order))
        drain(state, reader(aws.server, url))
    (event,) = held_events(state, "data", "", 10)
    assert event.sequencer == "007"


def test_trap_messages_of_more_than_64_kib(aws: Aws, state: State) -> None:
    """EVT-1, trap: since version 2.6 a message may have 64 KiB; queues pass up to 1 MiB."""
    url, _ = aws.queue()
    changes = [ObjectChange(key=f"{number:03} {'x' * 900}") for number in range(150)]
    body = render_event("s3", *changes)
    assert 64 << 10 < len(body) < 256 << 10
    aws.send(url, body)
    assert drain(state, reader(aws.server, url)).metrics.held == 150


def test_trap_long_work_brings_no_message_back(aws: Aws, state: State) -> None:
    """EVT-2, trap: the message is gone before anybody works on its object."""
    url, _ = aws.queue(VisibilityTimeout="1")
    aws.send(url, render_event("s3", ObjectChange(key="k")))
    drain(state, reader(aws.server, url))
    assert aws.left(url) == 0
    assert [event.key for event in held_events(state, "data", "", 10)] == ["k"]


def test_a_failed_transaction_leaves_the_messages(
    aws: Aws, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EVT-2: nothing is deleted that is not kept."""
    url, _ = aws.queue(VisibilityTimeout="0")
    aws.send(url, render_event("s3", ObjectChange(key="k")))

    def refuse() -> None:
        raise StateError("the control database is gone")

    with monkeypatch.context() as patch:
        patch.setattr(type(state), "write", lambda _: refuse())
        with pytest.raises(StateError):
            drain(state, reader(aws.server, url))
    assert aws.left(url) == 1
    drain(state, reader(aws.server, url))
    assert [event.key for event in held_events(state, "data", "", 10)] == ["k"]
    assert aws.left(url) == 0


@pytest.mark.parametrize("action", [BUSY, Cut(20), LostAnswer(), Refuse(), Status(500, b"oops")])
@pytest.mark.parametrize("operation", [RECEIVE, DELETE])
def test_faults_on_the_way_lose_nothing(
    aws: Aws, tmp_path: Path, operation: str, action: Any
) -> None:
    """Throttled, cut, lost answers, refused connections: tried again, duplicates absorbed."""
    url, _ = aws.queue(VisibilityTimeout="0")
    aws.send(url, *(render_event("s3", ObjectChange(key=f"k{n}")) for n in range(3)))
    with (
        FaultProxy(aws.server.endpoint_url) as proxy,
        open_state(f"sqlite:///{tmp_path / 'state.db'}", clock=SystemClock()) as state,
    ):
        fault = proxy.add(Fault("^POST", action, times=1, skip=operation == DELETE))
        address = url.replace(aws.server.endpoint_url, proxy.endpoint_url)
        queue = reader(aws.server, address)
        intake = Intake(state, address, SystemClock())
        pump(intake, queue, wait_s=0, until_empty=True)
        assert fault.hits == 1
        assert intake.metrics.retries >= 1
        assert (intake.metrics.throttles > 0) == (action is BUSY)
        assert [event.key for event in held_events(state, "data", "", 10)] == ["k0", "k1", "k2"]
    assert aws.left(url) == 0


def test_a_queue_that_is_not_there(aws: Aws) -> None:
    url, arn = aws.queue()
    for address in (f"{url}-not", f"{arn}-not", "not-there"):
        with pytest.raises(EventQueueError, match="there is no such queue") as caught:
            reader(aws.server, address).receive(1, 0)
        assert not caught.value.retryable
        assert "list-queues" in str(caught.value.hint)


def test_a_service_that_is_not_there(aws: Aws) -> None:
    with FaultProxy(aws.server.endpoint_url) as proxy:
        gone = proxy.endpoint_url
    with pytest.raises(EventQueueError, match="cannot receive from queue") as caught:
        reader(aws.server, f"{gone}/000000000000/q").receive(1, 0)
    assert caught.value.retryable
    assert caught.value.attrs["attempts"] == AT_ONCE.attempts_max


def test_a_good_queue_has_no_problems(aws: Aws) -> None:
    url, _ = aws.queue(MessageRetentionPeriod="1209600", VisibilityTimeout="30")
    aws.send(url, "{}")
    found = check_queue(reader(aws.server, url))
    assert (found.problems, found.waiting) == ((), 1)
    assert (found.retention_s, found.visibility_s) == (1_209_600, 30)


def test_problems_of_a_queue_are_said(aws: Aws) -> None:
    """EVT trap: messages of 64 KB, retention, policy: what would lose events is found."""
    _, dead_arn = aws.queue()
    url, _ = aws.queue(
        MaximumMessageSize="1024",
        MessageRetentionPeriod="3600",
        VisibilityTimeout="2",
        RedrivePolicy=json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": "1"}),
        Policy="",
    )
    found = check_queue(reader(aws.server, url))
    assert {problem.code for problem in found.problems} == {
        "message-size",
        "retention",
        "visibility",
        "redrive",
        "policy",
    }
    assert [problem.loses_events for problem in found.problems] == [True] * 4 + [False]
