"""Ending uploads of ours: abort until the store says that there is no such upload."""

from __future__ import annotations

from stocktake.errors import (
    AccessDeniedError,
    ObjectNotFoundError,
    UnexpectedAnswerError,
    UnsupportedOperationError,
)
from stocktake.store._calling import Calling
from stocktake.store._port import Store

_ABORTS_MAX = 5


def abort_until_gone(store: Store, bucket: str, key: str, upload_id: str, call: Calling) -> bool:
    """Abort an upload; a part that was on its way may land after the first abort.

    Returns whether the store says that it is gone. A store that cannot tell is believed after the
    second abort.

    Raises:
        StoreError: The store refuses to abort it, or is away.
    """
    upload = store.begin_upload(bucket, key, upload_id=upload_id)
    for turn in range(_ABORTS_MAX):
        call(upload.abort)
        try:
            call(lambda: store.describe("ListParts", bucket, Key=key, UploadId=upload_id))
        except ObjectNotFoundError:
            return True
        except (AccessDeniedError, UnsupportedOperationError, UnexpectedAnswerError):
            if turn:
                return True
    return False
