"""The loop that empties a queue into our tables: receive, keep, delete. Nothing else happens in it.

Working on the objects is somebody else's task, with leases of our own, so a message is ours for
milliseconds and its visibility time-out does not matter. Killed between keeping and deleting, the
message comes again and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from stocktake import faults
from stocktake.events._intake import Intake, Message
from stocktake.events._metrics import EventMetrics
from stocktake.events._queue import EventQueue
from stocktake.events._queue_address import LONG_POLL_S

BATCH_MESSAGES = 100
"""Messages that are kept with one transaction, if so many are there."""
EMPTYING_S = 300.0
"""Longest time that emptying takes: whoever waits for it wants to go on with what is there."""


def pump(
    intake: Intake,
    queue: EventQueue,
    *,
    stop: Callable[[], bool] = lambda: False,
    until_empty: bool = False,
    emptying_s: float = EMPTYING_S,
    wait_s: float = LONG_POLL_S,
    batch_messages: int = BATCH_MESSAGES,
    after_batch: Callable[[EventMetrics], None] = lambda _: None,
) -> EventMetrics:
    """Move messages from a queue to our tables until told to stop.

    Several may run on one queue, in threads or processes, each with an intake of its own.

    Args:
        intake: Keeps them.
        queue: Where they come from.
        stop: Asked before each batch; a wait under way is not cut short.
        until_empty: Return once what waited in the queue is kept, as far as the service says: when
            `wait_s` passed without a message, or when it gave less than a batch of which every
            message was sent after this began. So a queue that is never empty ends it too. With a
            wait of less than a second, SQS does not ask all its servers and may say too early that
            there is none.
        emptying_s: With `until_empty`, return after this time whatever is left.
        wait_s: Longest wait for a message, at most 20.
        batch_messages: Messages per transaction, at most. They must be kept and deleted before
            the queue's visibility time-out (30 s unless it was set), or they come again.
        after_batch: Called with the figures so far, after each batch.

    Raises:
        EventQueueError: The queue cannot be read, or is not one of events.
        CredentialsError: No, expired or wrong credentials.
        StateError: The database failed; nothing of the batch was kept or deleted.
    """
    metrics, clock = intake.metrics, intake.clock
    began, began_s = clock.now(), clock.monotonic_s()
    while not stop():
        messages = queue.receive(batch_messages, wait_s, metrics=metrics)
        if messages:
            intake.take(messages)
            metrics.undeleted += len(queue.delete(messages, metrics=metrics))
            faults.reached("events.deleted")
            after_batch(metrics)
        if until_empty and (
            clock.monotonic_s() - began_s >= emptying_s
            or (len(messages) < batch_messages and _all_after(messages, began))
        ):
            break
    return metrics


def _all_after(messages: Sequence[Message], began: datetime) -> bool:
    """True if every message was sent after that, so also if there is none."""
    return all(message.sent_at is not None and message.sent_at > began for message in messages)
