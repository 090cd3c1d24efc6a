"""Events of object stores: decoded, ordered, deduplicated.

In: messages of SQS queues (from S3, SNS or EventBridge) and webhooks. Out: `ObjectEvent`s that are
kept in our own tables before their message is deleted; what cannot be understood, in quarantine.
Never: listings, snapshots, or a message that is deleted before its event is safe.
"""

from stocktake.events._decode import Decoded, decode_message
from stocktake.events._event import EventKind, ObjectEvent
from stocktake.events._hold import (
    Held,
    HeldBucket,
    drop_held,
    held_buckets,
    held_events,
    hold_events,
)
from stocktake.events._intake import Intake, Message
from stocktake.events._metrics import EventMetrics, QueuePulse
from stocktake.events._pump import pump
from stocktake.events._quarantine import (
    Quarantined,
    Released,
    count_quarantined,
    discard,
    list_quarantined,
    release,
)
from stocktake.events._queue import EventQueue
from stocktake.events._queue_check import QueueCheck, QueueProblem, check_queue
from stocktake.events._records import Reason, Refusal
from stocktake.events._sequencer import newer, sequencer_order
from stocktake.events._webhook import Webhook
from stocktake.events._webhook_http import WebhookLimits

__all__ = [
    "Decoded",
    "EventKind",
    "EventMetrics",
    "EventQueue",
    "Held",
    "HeldBucket",
    "Intake",
    "Message",
    "ObjectEvent",
    "Quarantined",
    "QueueCheck",
    "QueueProblem",
    "QueuePulse",
    "Reason",
    "Refusal",
    "Released",
    "Webhook",
    "WebhookLimits",
    "check_queue",
    "count_quarantined",
    "decode_message",
    "discard",
    "drop_held",
    "held_buckets",
    "held_events",
    "hold_events",
    "list_quarantined",
    "newer",
    "pump",
    "release",
    "sequencer_order",
]
