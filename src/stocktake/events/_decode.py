"""Messages of queues and webhooks taken apart: whichever envelopes are around an event.

Understood, also inside each other (up to `DEPTH_MAX`): notifications (`Records`), SNS, EventBridge,
records of SQS and SNS as a Lambda function gets them, and the invocation records that Lambda sends
to a destination, in which the original event is the `requestPayload`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stocktake.events._event import ObjectEvent
from stocktake.events._records import (
    Reason,
    Refusal,
    is_eventbridge,
    is_record,
    read_eventbridge,
    read_record,
)

DEPTH_MAX = 8
"""Envelopes inside envelopes; more is nobody's honest message."""
RECORDS_MAX = 10_000
"""Records of one message; a queue's largest message (1 MiB) has room for about 2,000."""
_CONFIRMATIONS = frozenset({"SubscriptionConfirmation", "UnsubscribeConfirmation"})
_TESTS = frozenset({"s3:TestEvent", "TestEvent"})


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a message says.

    Attributes:
        events: In the message's order. Not in the order in which things happened.
        kind: `events`; `test` for a message with which a store tries out the queue; `nothing` for
            one about which nothing has to be done; `undecodable` if nothing of it was understood.
        refusals: Parts that were not understood. The events are good even if there are some.
        ignored: Records that tell of nothing that changes an object (somebody read it).
    """

    events: tuple[ObjectEvent, ...] = ()
    kind: str = "nothing"
    refusals: tuple[Refusal, ...] = ()
    ignored: int = 0


def decode_message(body: str | bytes, *, envelope: str | None = None) -> Decoded:
    """What a message of a queue or webhook tells. Never raises.

    Args:
        body: The message as it came.
        envelope: What events are said to come in; None: the outermost one that was found.
    """
    raw = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return _undecodable(Reason.NOT_UTF8, str(error))
    sorter = _Sorter(envelope)
    sorter.open_text(text, 0)
    return sorter.result()


def _undecodable(reason: Reason, detail: str) -> Decoded:
    return Decoded(kind="undecodable", refusals=(Refusal(reason, detail),))


def _said(value: Mapping[str, Any]) -> list[str]:
    names = (value.get(field) for field in ("Event", "event", "eventName", "EventName"))
    return [name for name in names if isinstance(name, str)]


@dataclass(slots=True)
class _Sorter:
    """Walks through the envelopes and collects what is inside."""

    envelope: str | None
    events: list[ObjectEvent] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    ignored: int = 0
    tests: int = 0
    _records: int = 0

    def result(self) -> Decoded:
        """What was collected."""
        if self.events:
            kind = "events"
        elif self.refusals:
            kind = "undecodable"
        else:
            kind = "test" if self.tests else "nothing"
        return Decoded(tuple(self.events), kind, tuple(self.refusals), self.ignored)

    def open_text(self, text: object, depth: int) -> None:
        """Something inside an envelope that should be JSON."""
        if isinstance(text, dict | list):  # some relays put the object itself where its text goes
            self.open_value(text, depth)
            return
        if isinstance(text, str) and not text.strip():
            self.tests += 1  # an empty request is how some senders look whether anybody listens
            return
        if not isinstance(text, str):
            self._refuse(Reason.NOT_JSON, f"a {type(text).__name__} where a message should be")
            return
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            self._refuse(Reason.NOT_JSON, f"{error} in {text[:60]!r}")
            return
        self.open_value(value, depth)

    def open_value(self, value: object, depth: int) -> None:
        """Anything that was JSON."""
        if depth > DEPTH_MAX:
            self._refuse(Reason.NESTED_TOO_DEEP, f"more than {DEPTH_MAX} envelopes")
        elif isinstance(value, list):
            for item in value:
                if not self._room():
                    return
                self.open_value(item, depth + 1)
        elif isinstance(value, dict):
            self._open_object(value, depth)
        else:
            self._refuse(Reason.NOT_AN_EVENT, f"a JSON {type(value).__name__}")

    def _open_object(self, value: Mapping[str, Any], depth: int) -> None:
        if not value or not _TESTS.isdisjoint(_said(value)):
            self.tests += 1
        elif isinstance(value.get("Records"), list):
            self._open_records(value["Records"], depth)
        elif is_record(value):
            self._take(read_record(value, self._named("s3")))
        elif is_eventbridge(value):
            self._take(read_eventbridge(value, self._named("eventbridge")))
        else:
            self._open_envelope(value, depth)

    def _open_envelope(self, value: Mapping[str, Any], depth: int) -> None:
        if value.get("Type") == "Notification" and "Message" in value:
            self._inside("sns", value["Message"], depth)
        elif str(value.get("Type")) in _CONFIRMATIONS:
            self._refuse(
                Reason.SUBSCRIPTION, "SNS asks to confirm the subscription; open its SubscribeURL"
            )
        elif "requestPayload" in value:
            self._inside("lambda", value["requestPayload"], depth)
        elif isinstance(value.get("Sns"), dict):
            self._inside("sns", value["Sns"].get("Message"), depth)
        elif value.get("eventSource") == "aws:sqs" and "body" in value:
            self._inside("sqs", value["body"], depth)
        elif isinstance(value.get("detail"), dict) and "detail-type" in value:
            self._inside("eventbridge", value["detail"], depth)
        else:
            names = ", ".join(sorted(value)[:8])
            self._refuse(Reason.NOT_AN_EVENT, f"a JSON object with {names[:120]!r}")

    def _open_records(self, records: list[object], depth: int) -> None:
        for record in records:
            if not self._room():
                return
            self.open_value(record, depth + 1)

    def _inside(self, name: str, text: object, depth: int) -> None:
        # the outermost envelope is what a person knows; what is inside it keeps its encoding
        outer = self.envelope
        self.envelope = self._named(name)
        self.open_text(text, depth + 1)
        self.envelope = outer

    def _named(self, found: str) -> str:
        return self.envelope or found

    def _take(self, found: ObjectEvent | Refusal | None) -> None:
        if found is None:
            self.ignored += 1
        elif isinstance(found, Refusal):
            self.refusals.append(found)
        else:
            self.events.append(found)

    def _refuse(self, reason: Reason, detail: str) -> None:
        plain = detail.encode("ascii", "backslashreplace").decode()
        self.refusals.append(Refusal(reason, plain))

    def _room(self) -> bool:
        self._records += 1
        if self._records == RECORDS_MAX + 1:
            self._refuse(Reason.TOO_MANY_RECORDS, f"more than {RECORDS_MAX:,} records")
        return self._records <= RECORDS_MAX
