"""An SQS queue, at Amazon or anything that speaks its protocol: receive, delete, look at it."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from stocktake.clock import Clock, SystemClock
from stocktake.events._intake import Message
from stocktake.events._metrics import EventMetrics
from stocktake.events._queue_address import LONG_POLL_S, parse_queue
from stocktake.store import RetryPolicy, S3StoreOptions

BATCH_MAX = 10
"""Messages per request: the service's own limit."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class EventQueue:
    """One queue. Safe to share between threads.

    Attributes:
        address: As it was given; how messages and the quarantine name it.
    """

    def __init__(
        self,
        address: str,
        options: S3StoreOptions = S3StoreOptions(),
        *,
        clock: Clock | None = None,
        retry: RetryPolicy | None = None,
        dice: Callable[[], float] = random.random,
    ) -> None:
        """Set up; makes no request.

        Args:
            address: The queue's URL, ARN or name.
            options: Identity, region, time-outs; the endpoint too, unless `address` is a URL.
            clock: Waits between tries.
            retry: How often and how long refusals that may pass are tried again; None is the
                options' own.
            dice: Random numbers from 0 to 1 for the length of those waits.

        Raises:
            InvalidSettingError: Not the address of a queue.
            CredentialsError: The profile does not exist.
        """
        # the SDK takes 0.3 s to import: whoever only reads what is on hold does not pay for it
        from stocktake.events._queue_calls import QueueCalls

        self.address = address
        self._calls = QueueCalls(
            parse_queue(address), options, clock or SystemClock(), retry or options.retry, dice
        )

    def receive(
        self,
        max_messages: int = BATCH_MAX,
        wait_s: float = LONG_POLL_S,
        *,
        metrics: EventMetrics | None = None,
    ) -> list[Message]:
        """Messages, in no order; none if none came within `wait_s`.

        They stay hidden from other receivers for the queue's visibility time-out, and come again
        unless they are deleted. More than ten take several requests, of which only the first waits:
        as long as full batches come.

        Raises:
            EventQueueError: There is no such queue, or it may not be read.
            CredentialsError: No, expired or wrong credentials.
        """
        messages: list[Message] = []
        while len(messages) < max_messages:
            asked = min(BATCH_MAX, max_messages - len(messages))
            parameters = {
                "MaxNumberOfMessages": asked,
                "WaitTimeSeconds": 0 if messages else max(0, min(LONG_POLL_S, int(wait_s))),
                # the newer name of this parameter is not understood everywhere
                "AttributeNames": ["SentTimestamp", "ApproximateReceiveCount"],
            }
            answer = self._calls.call("ReceiveMessage", parameters, metrics)
            batch = [_message(raw) for raw in answer.get("Messages") or ()]
            messages += batch
            if len(batch) < asked:
                break
        return messages

    def delete(
        self, messages: Sequence[Message], *, metrics: EventMetrics | None = None
    ) -> list[Message]:
        """Delete messages; what could not be deleted, and so will come again.

        Raises:
            EventQueueError: The queue is gone, or nothing of it may be deleted.
            CredentialsError: No, expired or wrong credentials.
        """
        left: list[Message] = []
        rest = iter(messages)
        while batch := list(islice(rest, BATCH_MAX)):
            left += self._delete_batch(batch, metrics)
        return left

    def attributes(self) -> dict[str, str]:
        """The queue's attributes, as the service names them.

        Raises:
            EventQueueError: There is no such queue, or it may not be looked at.
        """
        answer = self._calls.call("GetQueueAttributes", {"AttributeNames": ["All"]}, None)
        return {name: str(value) for name, value in (answer.get("Attributes") or {}).items()}

    def _delete_batch(self, batch: list[Message], metrics: EventMetrics | None) -> list[Message]:
        waiting = {str(number): message for number, message in enumerate(batch)}
        given_up: list[Message] = []
        for failures in range(1, self._calls.retry.attempts_max + 1):
            entries = [
                {"Id": number, "ReceiptHandle": message.receipt}
                for number, message in waiting.items()
            ]
            answer = self._calls.call("DeleteMessageBatch", {"Entries": entries}, metrics)
            failed = {entry["Id"]: bool(entry.get("SenderFault")) for entry in _failed(answer)}
            # a receipt that the service calls wrong will not become right
            given_up += [waiting[number] for number, wrong in failed.items() if wrong]
            waiting = {number: waiting[number] for number, wrong in failed.items() if not wrong}
            if not waiting or failures == self._calls.retry.attempts_max:
                break
            self._calls.pause(failures, metrics)
        return given_up + list(waiting.values())


def _failed(answer: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return answer.get("Failed") or ()


def _message(raw: Mapping[str, Any]) -> Message:
    attributes = raw.get("Attributes") or {}
    return Message(
        id=str(raw["MessageId"]),
        body=str(raw.get("Body", "")),
        receipt=str(raw["ReceiptHandle"]),
        sent_at=_sent_at(attributes.get("SentTimestamp")),
        deliveries=_number(attributes.get("ApproximateReceiveCount")) or 1,
    )


def _sent_at(value: object) -> datetime | None:
    millis = _number(value)
    try:
        return None if millis is None else _EPOCH + timedelta(milliseconds=millis)
    except OverflowError:
        return None


def _number(value: object) -> int | None:
    return int(value) if isinstance(value, str | int) and str(value).isdecimal() else None
