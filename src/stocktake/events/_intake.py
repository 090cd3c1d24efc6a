"""From messages to rows: decode, choose, keep in one transaction. Queue and webhook share it."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from stocktake import faults
from stocktake.clock import Clock
from stocktake.errors import EventQueueError
from stocktake.events._decode import Decoded, decode_message
from stocktake.events._event import ObjectEvent
from stocktake.events._hold import hold
from stocktake.events._metrics import EventMetrics, QueuePulse
from stocktake.events._quarantine import Poison, quarantine
from stocktake.state import State

STRANGERS_MAX = 100
"""So many messages of which none is an event: this is somebody else's queue."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message as a queue gives it out.

    Attributes:
        id: The queue's id of it.
        body: As it came.
        receipt: With what it is deleted; '' if there is nothing to delete.
        sent_at: When it was sent to the queue; None if nobody says.
        deliveries: How often it was given out, this time included.
    """

    id: str
    body: str | bytes
    receipt: str = ""
    sent_at: datetime | None = None
    deliveries: int = 1


class Intake:
    """Keeps what messages tell. Safe to share between threads.

    Attributes:
        queue: Where messages come from, as the quarantine names it.
        metrics: What was done so far.
        pulse: When messages were sent.
        clock: For stamps and lags.
    """

    def __init__(
        self,
        state: State,
        queue: str,
        clock: Clock,
        *,
        buckets: Collection[str] | None = None,
        envelope: str | None = None,
        pulse: QueuePulse | None = None,
    ) -> None:
        """Set up.

        Args:
            state: Where events are kept.
            queue: Where messages come from.
            clock: For stamps and lags.
            buckets: Events of other buckets are counted and left out; None keeps all. A queue may
                serve several prefixes, and feeds that are made later: prefixes do not matter here.
            envelope: What events are said to come in; None: what is around them.
            pulse: What an earlier receiver of this queue has learned.
        """
        self.queue = queue
        self.metrics = EventMetrics()
        self.pulse = pulse or QueuePulse()
        self._state = state
        self.clock = clock
        self._buckets = frozenset(buckets) if buckets is not None else None
        self._envelope = envelope
        self._lock = threading.Lock()

    def take(self, messages: Sequence[Message]) -> list[Decoded]:
        """Keep the events of messages, and quarantine what is not understood: one transaction.

        When it returns, everything is safe and the messages may be deleted. Returns what each
        message said, in their order.

        Raises:
            EventQueueError: None of the first hundred messages is an event.
            StateError: The database failed; nothing was kept.
        """
        said = [decode_message(message.body, envelope=self._envelope) for message in messages]
        self._refuse_strangers(said)
        events = [event for decoded in said for event in decoded.events if self._wanted(event)]
        poison = [
            Poison(self.queue, message.id, message.body, decoded.refusals)
            for message, decoded in zip(messages, said, strict=True)
            if decoded.refusals
        ]
        with self._state.write() as connection:
            held = hold(connection, events, self.clock)
            quarantine(connection, poison, self.clock)
        faults.reached("events.held")
        with self._lock:
            self.metrics.hold(held)
            self._count(messages, said, events)
        return said

    def _wanted(self, event: ObjectEvent) -> bool:
        return self._buckets is None or event.bucket in self._buckets

    def _refuse_strangers(self, said: Iterable[Decoded]) -> None:
        # an honest queue holds at least the message with which the store tried it out
        metrics = self.metrics
        known = metrics.messages > metrics.undecodable
        strangers = sum(decoded.kind == "undecodable" for decoded in said)
        if known or any(decoded.kind != "undecodable" for decoded in said):
            return
        if metrics.undecodable + strangers > STRANGERS_MAX:
            raise EventQueueError(
                f"{self.queue} is not a queue of events: none of its first "
                f"{metrics.undecodable + strangers} messages is an event of an object store",
                hint="check the queue's address; the messages that were taken are in quarantine, "
                "whole",
                queue=self.queue,
            )

    def _count(
        self, messages: Sequence[Message], said: Sequence[Decoded], events: Sequence[ObjectEvent]
    ) -> None:
        metrics, now = self.metrics, self.clock.now()
        metrics.messages += len(messages)
        received = sum(len(decoded.events) for decoded in said)
        metrics.received += received
        metrics.foreign += received - len(events)
        metrics.ignored += sum(decoded.ignored for decoded in said)
        metrics.test += sum(decoded.kind == "test" for decoded in said)
        metrics.undecodable += sum(bool(decoded.refusals) for decoded in said)
        for event in events:
            metrics.happened(event.occurred_at)
        for message in messages:
            if message.sent_at is not None:
                metrics.lag((now - message.sent_at).total_seconds())
                self.pulse.beat(message.sent_at)
