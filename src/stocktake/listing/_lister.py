"""Listing a prefix page by page, as Arrow batches in key order.

for batch in list_objects(store, S3Url.parse("s3://photos/2020/")):
    print(batch.num_rows)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import pyarrow as pa

from stocktake.listing._metrics import ListingMetrics
from stocktake.listing._page_check import PageChecker
from stocktake.model import S3Url
from stocktake.store import ListQuery, Store, listed_schema, read_key_page

ROWS_PER_BATCH = 10_000
"""Most rows of a batch; with it the memory of a listing is bounded, at any size of the bucket."""


@dataclass(frozen=True, slots=True)
class KeySpan:
    """Keys greater than `after` and smaller than `before` (None: to the end)."""

    after: str = ""
    before: str | None = None


WHOLE = KeySpan()


class Lister(Protocol):
    """A way to list: one call after the other, or many at once. The results are the same."""

    @property
    def metrics(self) -> ListingMetrics:
        """What all listings of this lister cost so far: calls, latencies, throttles."""

    def list_objects(
        self, store: Store, source: S3Url, *, versions: bool = False, span: KeySpan = WHOLE
    ) -> Iterator[pa.RecordBatch]:
        """Everything below an address, in UTF-8 byte order of keys, each entry once.

        Args:
            store: Where the bucket is.
            source: The bucket and a prefix (a prefix of keys, not a folder: `a` covers `ab`).
            versions: Also noncurrent versions and delete markers, newest first within a key.
            span: Only these keys.

        Raises:
            UnorderedListingError: The store does not list in key order.
        """


class PagedLister:
    """One request after the other, 1,000 keys each: the lister that works everywhere."""

    def __init__(self, *, rows_per_batch: int = ROWS_PER_BATCH) -> None:
        self._rows_per_batch = rows_per_batch
        self._metrics = ListingMetrics()

    @property
    def metrics(self) -> ListingMetrics:
        """Calls and objects so far; it has no clock, so no times."""
        return self._metrics

    def list_objects(
        self, store: Store, source: S3Url, *, versions: bool = False, span: KeySpan = WHOLE
    ) -> Iterator[pa.RecordBatch]:
        """Everything below an address; see `Lister`. Holds one batch and one page."""
        batches = BatchMaker(listed_schema(versions=versions), self._rows_per_batch)
        checker = PageChecker(source, versions=versions)
        query = ListQuery(source.bucket, source.key, start_after=span.after, versions=versions)
        last_key = span.after
        while True:
            page = read_key_page(store, query)
            rows = page.rows
            checker.check(rows, after=last_key, inside_key=query.token is not None)
            ended = False
            if rows.num_rows:
                last_key = rows.column("key")[-1].as_py()
                if span.before is not None and last_key >= span.before:
                    ended = True
                    rows = rows.slice(0, rows_before(rows.column("key"), span.before))
            kind = "page" if rows.num_rows else "empty"
            self._metrics.calls[kind] = self._metrics.calls.get(kind, 0) + 1
            self._metrics.objects += rows.num_rows
            batches.add(rows)
            yield from batches.full()
            if ended or page.next_token is None:
                break
            query = replace(query, token=page.next_token)
        yield from batches.rest()


class BatchMaker:
    """Pieces of any size to batches of exactly so many rows, the last one smaller."""

    def __init__(self, schema: pa.Schema, rows_per_batch: int) -> None:
        self._schema = schema
        self._rows_per_batch = rows_per_batch
        self._pieces: list[pa.RecordBatch] = []
        self._rows = 0

    def add(self, rows: pa.RecordBatch) -> None:
        """Take over some rows."""
        if rows.num_rows:
            self._pieces.append(rows)
            self._rows += rows.num_rows

    def full(self) -> Iterator[pa.RecordBatch]:
        """The batches that are full."""
        if self._rows >= self._rows_per_batch:
            whole = self._join()
            stop = whole.num_rows - whole.num_rows % self._rows_per_batch
            self.add(whole.slice(stop))
            for start in range(0, stop, self._rows_per_batch):
                yield whole.slice(start, self._rows_per_batch)

    def rest(self) -> Iterator[pa.RecordBatch]:
        """What is left, if anything."""
        if self._rows:
            yield self._join()

    def _join(self) -> pa.RecordBatch:
        pieces, self._pieces, self._rows = self._pieces, [], 0
        if len(pieces) == 1:
            return pieces[0]
        return pa.Table.from_batches(pieces, self._schema).combine_chunks().to_batches()[0]


def list_objects(
    store: Store, source: S3Url, *, versions: bool = False
) -> Iterator[pa.RecordBatch]:
    """Everything below an address as batches of at most `ROWS_PER_BATCH` rows; see `Lister`."""
    return PagedLister().list_objects(store, source, versions=versions)


def listed_columns(*, versions: bool) -> tuple[str, ...]:
    """The columns that a listing's batches have, in their order."""
    return tuple(listed_schema(versions=versions).names)


def rows_before(keys: pa.StringArray, bound: str) -> int:
    """How many of some ascending keys are smaller than `bound`."""
    low, high = 0, len(keys)
    while low < high:
        middle = (low + high) // 2
        if keys[middle].as_py() < bound:
            low = middle + 1
        else:
            high = middle
    return low


def rows_through(keys: pa.StringArray, bound: str) -> int:
    """How many of some ascending keys are not greater than `bound`."""
    low, high = 0, len(keys)
    while low < high:
        middle = (low + high) // 2
        if keys[middle].as_py() <= bound:
            low = middle + 1
        else:
            high = middle
    return low
