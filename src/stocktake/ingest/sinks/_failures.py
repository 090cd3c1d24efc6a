"""Which failures of the store say something about one object only."""

from __future__ import annotations

from stocktake.errors import (
    AccessDeniedError,
    ArchivedObjectError,
    KmsAccessDeniedError,
    ObjectNotFoundError,
    PreconditionFailedError,
    UnexpectedAnswerError,
    UnreadableItemError,
)

OF_THE_OBJECT = (
    AccessDeniedError,
    ArchivedObjectError,
    KmsAccessDeniedError,
    ObjectNotFoundError,
    PreconditionFailedError,
    UnexpectedAnswerError,
    UnreadableItemError,
)
"""The item fails and the rest of the batch is loaded. All other failures (credentials, throttling,
network) would meet every object: the batch waits."""
