"""What is wrong with a queue as a place for events: data, for hints and for `plan`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from stocktake.events._queue import EventQueue

_SMALLEST_MESSAGE_BYTES = 64 * 1024
_SHORT_RETENTION_S = 86_400
_SHORT_VISIBILITY_S = 10
_FEW_RECEIVES = 3
_SENDERS = ("s3.amazonaws.com", "sns.amazonaws.com", "events.amazonaws.com")


@dataclass(frozen=True, slots=True)
class QueueProblem:
    """Something about a queue that loses events, or makes work.

    Attributes:
        code: Stable.
        message: What was found and what follows from it.
        hint: What to do.
        loses_events: True if events are lost by it.
    """

    code: str
    message: str
    hint: str
    loses_events: bool


@dataclass(frozen=True, slots=True)
class QueueCheck:
    """A queue as it is.

    Attributes:
        address: Of the queue.
        waiting: About how many messages wait in it; None if it does not say.
        retention_s: How long a message waits before it is lost.
        visibility_s: How long a received message stays hidden.
        message_bytes_max: The largest message it takes.
        problems: What should be changed, the losses first.
    """

    address: str
    waiting: int | None
    retention_s: int | None
    visibility_s: int | None
    message_bytes_max: int | None
    problems: tuple[QueueProblem, ...]


def check_queue(queue: EventQueue) -> QueueCheck:
    """Look at a queue's attributes. One request.

    Raises:
        EventQueueError: There is no such queue, or it may not be looked at.
    """
    found = queue.attributes()
    problems = sorted(_problems(found), key=lambda problem: not problem.loses_events)
    return QueueCheck(
        address=queue.address,
        waiting=_number(found, "ApproximateNumberOfMessages"),
        retention_s=_number(found, "MessageRetentionPeriod"),
        visibility_s=_number(found, "VisibilityTimeout"),
        message_bytes_max=_number(found, "MaximumMessageSize"),
        problems=tuple(problems),
    )


def _problems(found: Mapping[str, str]) -> Iterator[QueueProblem]:
    message_bytes = _number(found, "MaximumMessageSize")
    if message_bytes is not None and message_bytes < _SMALLEST_MESSAGE_BYTES:
        yield QueueProblem(
            "message-size",
            f"it takes messages up to {message_bytes:,} bytes; events may have 65,536",
            "set MaximumMessageSize to at least 65536",
            loses_events=True,
        )
    retention_s = _number(found, "MessageRetentionPeriod")
    if retention_s is not None and retention_s < _SHORT_RETENTION_S:
        yield QueueProblem(
            "retention",
            f"events that wait longer than {retention_s / 3600:.1f} h are lost",
            "set MessageRetentionPeriod to 1209600 (14 days)",
            loses_events=True,
        )
    if found.get("FifoQueue") == "true":
        yield QueueProblem(
            "fifo",
            "S3 does not send to FIFO queues",
            "use a standard queue; order and duplicates are taken care of",
            loses_events=True,
        )
    if found.get("KmsMasterKeyId", "").endswith("alias/aws/sqs"):
        yield QueueProblem(
            "kms-key",
            "S3 and SNS may not use the key that Amazon manages for SQS",
            "encrypt it with SSE-SQS, or with a key whose policy allows them",
            loses_events=True,
        )
    yield from _policy_problems(found)
    yield from _delivery_problems(found)


def _policy_problems(found: Mapping[str, str]) -> Iterator[QueueProblem]:
    try:
        policy = json.dumps(json.loads(found.get("Policy") or "{}"))
    except (ValueError, RecursionError):
        policy = ""
    # principals are spelled in many ways; only the absence of every sender is certain
    if not any(sender in policy for sender in (*_SENDERS, '"*"')):
        yield QueueProblem(
            "policy",
            "its policy lets neither S3 nor SNS nor EventBridge send to it",
            "allow sqs:SendMessage to the service, with aws:SourceArn of the bucket, topic or rule",
            loses_events=True,
        )


def _delivery_problems(found: Mapping[str, str]) -> Iterator[QueueProblem]:
    visibility_s = _number(found, "VisibilityTimeout")
    if visibility_s is not None and visibility_s < _SHORT_VISIBILITY_S:
        yield QueueProblem(
            "visibility",
            f"messages come again after {visibility_s} s, perhaps before they are deleted",
            "set VisibilityTimeout to 30",
            loses_events=False,
        )
    try:
        receives = int(json.loads(found.get("RedrivePolicy") or "{}").get("maxReceiveCount", 0))
    except (ValueError, TypeError, AttributeError, RecursionError):
        return
    if 0 < receives < _FEW_RECEIVES:
        yield QueueProblem(
            "redrive",
            f"after {receives} receives a message goes to the dead-letter queue",
            "set maxReceiveCount to 5 or more: a killed process is no fault of the message",
            loses_events=True,
        )


def _number(found: Mapping[str, str], name: str) -> int | None:
    text = found.get(name, "")
    return int(text) if text.isdecimal() else None
