"""Events of object stores: decoded, ordered, deduplicated.

In: messages of SQS queues (from S3, SNS or EventBridge) and webhooks. Out: `ObjectEvent`s that are
kept in our own tables before their message is deleted; what cannot be understood, in quarantine.
Never: listings, snapshots, or a message that is deleted before its event is safe.
"""

from stocktake.events._event import EventKind, ObjectEvent

__all__ = ["EventKind", "ObjectEvent"]
