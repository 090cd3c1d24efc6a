"""A live listing as a side: every page of it, by the fast lister."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pyarrow as pa

from stocktake.clock import Clock
from stocktake.listing import Lister
from stocktake.model import S3Url
from stocktake.reconcile._side import Pair, Proof, SideFacts, SideKind
from stocktake.reconcile._side_rows import RowCount, nothing_proven, side_rows
from stocktake.store import Store


class ListingSide:
    """Everything below an address, listed anew by each `batches`."""

    def __init__(
        self,
        store: Store,
        source: S3Url,
        lister: Lister,
        clock: Clock,
        *,
        is_elsewhere: bool = False,
    ) -> None:
        """Nothing is listed yet.

        Args:
            store: Where the bucket is.
            source: Bucket and prefix.
            lister: How.
            clock: For `as_of`.
            is_elsewhere: It is not HAVE's store: a bucket of the same name is another one.
        """
        self._store = store
        self._source = source
        self._lister = lister
        self._clock = clock
        at = None if is_elsewhere else source
        self._facts = SideFacts(SideKind.LISTING, str(source), clock.now(), objects_at=at)

    @property
    def facts(self) -> SideFacts:
        """As of the beginning of the newest listing."""
        calls = sum(self._lister.metrics.calls.values())
        return replace(self._facts, requests={"LIST": calls} if calls else None)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """List it."""
        count = RowCount()
        self._facts = replace(self._facts, as_of=self._clock.now())
        listed = self._lister.list_objects(self._store, self._source)
        for rows in side_rows(listed, self._source.key, count):
            self._facts = replace(self._facts, objects=count.objects, size_bytes=count.size_bytes)
            yield rows

    def prove(self, pairs: Sequence[Pair]) -> list[Proof]:
        """A listing has nothing but its rows."""
        return nothing_proven(pairs)
