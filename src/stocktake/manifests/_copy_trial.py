"""Whether a store keeps to conditional writes, found out by trying, and remembered for a week.

A store that ignores a condition answers as if it had held, so asking it is of no use.
"""

from __future__ import annotations

import contextlib
import secrets
from datetime import timedelta

from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError

from stocktake.clock import format_utc, parse_utc
from stocktake.errors import (
    AccessDeniedError,
    PreconditionFailedError,
    UnsupportedOperationError,
)
from stocktake.manifests._copy_object import CONTENT_TYPE, NO_CONDITIONS, NO_CONDITIONS_HINT
from stocktake.manifests._dataset import Dataset
from stocktake.model import S3Url
from stocktake.state import properties
from stocktake.store import PutOptions, Store

KEPT = timedelta(days=7)
"""A store may be upgraded, or another one put in its place."""
_TRIALS = (
    PutOptions(CONTENT_TYPE, if_absent=True),
    PutOptions(CONTENT_TYPE, if_match="0" * 32),
)


def make_sure_of_conditions(dataset: Dataset, store: Store, place: S3Url) -> None:
    """Refuse a store on which two writers would overwrite each other; four requests once a week.

    Whoever may not delete leaves an object of two bytes beside the copy.

    Raises:
        UnsupportedOperationError: It has no conditional writes, or does not compare.
        StoreError: It cannot be written.
    """
    name = f"conditional-writes:{dataset.info().base_url or 'aws'}:{place.bucket}"
    if _is_known(dataset, name):
        return
    if not _keeps_conditions(store, place):
        raise UnsupportedOperationError(
            f"{NO_CONDITIONS} ({place})", hint=NO_CONDITIONS_HINT, bucket=place.bucket
        )
    now = format_utc(dataset.state.clock.now())
    # another process may do it at the same time: either of them is right
    with contextlib.suppress(IntegrityError), dataset.state.write() as connection:
        connection.execute(delete(properties).where(properties.c.name == name))
        connection.execute(insert(properties).values(name=name, value=now))


def _is_known(dataset: Dataset, name: str) -> bool:
    with dataset.state.read() as connection:
        said = connection.scalar(select(properties.c.value).where(properties.c.name == name))
    return said is not None and abs(dataset.state.clock.now() - parse_utc(said)) < KEPT


def _keeps_conditions(store: Store, place: S3Url) -> bool:
    folder = place.key[: place.key.rfind("/") + 1]
    key = f"{folder}trial-{secrets.token_hex(8)}"
    try:
        store.put(place.bucket, key, b"{}")
        return all(_refuses(store, S3Url(place.bucket, key), one) for one in _TRIALS)
    finally:
        with contextlib.suppress(AccessDeniedError):
            store.delete(place.bucket, [key])


def _refuses(store: Store, place: S3Url, options: PutOptions) -> bool:
    try:
        store.put(place.bucket, place.key, b"{}", options)
    except PreconditionFailedError:
        return True
    except UnsupportedOperationError:
        return False
    return False
