"""Listing a prefix page by page, as Arrow batches in key order.

for batch in list_objects(store, S3Url.parse("s3://photos/2020/")):
    print(batch.num_rows)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import pyarrow as pa

from stocktake.errors import UnexpectedAnswerError
from stocktake.model import S3Url, display_key
from stocktake.store import (
    ListedObject,
    ListQuery,
    Store,
    iter_listing,
    listed_schema,
    rows_to_batch,
)

ROWS_PER_BATCH = 10_000
"""Most rows of a batch; with it the memory of a listing is bounded, at any size of the bucket."""


class Lister(Protocol):
    """A way to list: one call after the other, or many at once. The results are the same."""

    def list_objects(
        self, store: Store, source: S3Url, *, versions: bool = False
    ) -> Iterator[pa.RecordBatch]:
        """Everything below an address, in UTF-8 byte order of keys, each entry once.

        Args:
            store: Where the bucket is.
            source: The bucket and a prefix (a prefix of keys, not a folder: `a` covers `ab`).
            versions: Also noncurrent versions and delete markers, newest first within a key.

        Raises:
            UnexpectedAnswerError: The store does not list in key order.
        """


class PagedLister:
    """One request after the other, 1,000 keys each: the lister that works everywhere."""

    def __init__(self, *, rows_per_batch: int = ROWS_PER_BATCH) -> None:
        self._rows_per_batch = rows_per_batch

    def list_objects(
        self, store: Store, source: S3Url, *, versions: bool = False
    ) -> Iterator[pa.RecordBatch]:
        """Everything below an address; see `Lister`. Holds one batch and one page."""
        schema = listed_schema(versions=versions)
        waiting: list[ListedObject] = []
        last_key = ""
        for page in iter_listing(store, ListQuery(source.bucket, source.key, versions=versions)):
            last_key = _check_order(page.objects, last_key, source, strict=not versions)
            waiting.extend(page.objects)
            while len(waiting) >= self._rows_per_batch:
                yield rows_to_batch(waiting[: self._rows_per_batch], schema)
                del waiting[: self._rows_per_batch]
        if waiting:
            yield rows_to_batch(waiting, schema)


def list_objects(
    store: Store, source: S3Url, *, versions: bool = False
) -> Iterator[pa.RecordBatch]:
    """Everything below an address as batches of at most `ROWS_PER_BATCH` rows; see `Lister`."""
    return PagedLister().list_objects(store, source, versions=versions)


def listed_columns(*, versions: bool) -> tuple[str, ...]:
    """The columns that a listing's batches have, in their order."""
    return tuple(listed_schema(versions=versions).names)


def _check_order(
    objects: tuple[ListedObject, ...], last_key: str, source: S3Url, *, strict: bool
) -> str:
    """The last key of the page, after making sure that each key follows the one before.

    A store that lists in another order, or a key twice, would corrupt every merge that relies on
    the order; code-point order of text is the byte order of its UTF-8.
    """
    for entry in objects:
        if entry.key < last_key or (strict and entry.key == last_key):
            raise UnexpectedAnswerError(
                f"cannot list {source}: `{display_key(entry.key)}` follows "
                f"`{display_key(last_key)}`, which is not key order",
                hint="this store's listings have an order of their own and cannot be used yet",
                bucket=source.bucket,
                key=entry.key,
                operation="list",
            )
        last_key = entry.key
    return last_key
