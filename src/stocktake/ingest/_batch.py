"""A batch of objects in this worker's hands: read them, say which failed, commit."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType

from pyroaring import BitMap64

from stocktake.errors import (
    ArchivedObjectError,
    IngestError,
    LeaseLostError,
    ObjectNotFoundError,
    PreconditionFailedError,
)
from stocktake.ingest._claiming import Claimed
from stocktake.ingest._exceptions import Trouble, backoff, history_entry
from stocktake.ingest._ledger import Consumer, Failure, lease_lost, renew_claim
from stocktake.ingest._reading import VersionReader
from stocktake.ingest._settling import Outcome, commit_claim, release_claim
from stocktake.ingest._sink import Item
from stocktake.ingest._spec import ItemState
from stocktake.store import ObjectBody


class Batch:
    """Objects to load, under a lease. Implements `OpenItems`; safe to share between threads.

    As a context manager it commits at the normal end of the block and postpones the batch on an
    exception. A batch that is given back, or whose lease runs out, is handed out again whole with
    the same token: a sink that has kept the token must not load it again (`is_repeated`).
    """

    def __init__(self, consumer: Consumer, claimed: Claimed, reader: VersionReader) -> None:
        self._consumer = consumer
        self._claimed = claimed
        self._reader = reader
        self._lock = threading.Lock()
        self._trouble: dict[int, Trouble] = {}
        self._all = tuple(
            change.to_item(claimed.attempts.get(change.seq, 0) + claimed.claim.attempt)
            for change in claimed.changes
        )
        self._left: tuple[Item, ...] | None = self._all
        self._renewed_at = consumer.now()
        self._given_back = False
        self.outcome: Outcome | None = None

    @property
    def token(self) -> str:
        """The commit token: the same for every attempt at this batch."""
        return self._claimed.claim.id

    @property
    def consumer(self) -> str:
        """Name of the ingestion."""
        return self._consumer.spec.name

    @property
    def bucket(self) -> str:
        """Where the objects are."""
        return self._reader.bucket

    @property
    def worker(self) -> str:
        """Who holds it."""
        return self._claimed.claim.worker

    @property
    def attempt(self) -> int:
        """1 for the first worker; one more after each that fell silent."""
        return self._claimed.claim.attempt

    @property
    def attempts_max(self) -> int:
        """After so many attempts it is dead."""
        return self._consumer.spec.attempts_max

    @property
    def is_repeated(self) -> bool:
        """True if somebody held it before, so that the sink may hold it already."""
        return self._claimed.claim.again

    @property
    def items(self) -> Sequence[Item]:
        """What is to be loaded, in order of `seq`, without what failed or was gone."""
        with self._lock:
            if self._left is None:
                self._left = tuple(i for i in self._all if i.seq not in self._trouble)
            return self._left

    @contextmanager
    def open(self, item: Item) -> Iterator[ObjectBody | None]:
        """The bytes of exactly this version; None if it is superseded, vanished or archived.

        Then the item is no longer among `items`. An overwrite in the middle of reading raises
        `PreconditionFailedError` from `read`: hand it to `fail`, which knows what it means.

        Raises:
            IngestError: The item is a deletion: there is nothing to read.
            StoreError: The store cannot be read now.
        """
        if item.deleted:
            raise IngestError(f"`{item.key}` was deleted: there is nothing to open", key=item.key)
        try:
            opened = self._reader.open(item)
        except (PreconditionFailedError, ObjectNotFoundError, ArchivedObjectError) as error:
            self.fail(item, error)
            yield None
            return
        with opened as body:
            yield body

    def fail(self, item: Item, error: BaseException) -> None:
        """This item cannot be loaded. Noted when the batch is committed or given back.

        An error that says the version is not there any more makes it superseded or vanished; any
        other makes it wait for another attempt, or dead after the last one.
        """
        state = self._reader.classify(item, error)
        spec, claim = self._consumer.spec, self._claimed.claim
        now = self._consumer.now()
        next_at = None
        if state is None:
            state = ItemState.DEAD if item.attempt >= spec.attempts_max else ItemState.RETRY
        if state is ItemState.RETRY:
            seed = f"{self._consumer.id}:{item.seq}"
            next_at = now + backoff(spec.backoff, item.attempt, seed)
        entry = history_entry(
            error, now, claim.worker, item.attempt, size_bytes=item.size_bytes, etag=item.etag
        )
        found = Trouble(
            seq=item.seq,
            key=item.key,
            version_id=item.version_id,
            state=state,
            reason=f"{entry['code']}: {entry['message']}",
            attempts=item.attempt,
            entry=entry,
            next_at=next_at,
        )
        with self._lock:
            self._trouble[item.seq] = found
            self._left = None

    def renew(self) -> None:
        """Say that this worker lives. Raises `LeaseLostError` if another one took the batch.

        May be called for every item: the database is asked eight times per lease at most.
        """
        now = self._consumer.now()
        if self.outcome is None and now - self._renewed_at >= self._consumer.spec.lease / 8:
            renew_claim(self._consumer, self._claimed.claim)
            self._renewed_at = now

    def commit(self, landed: BitMap64 | None = None, *, recovered: bool = False) -> Outcome:
        """Settle the batch: everything still in `items` was loaded.

        Args:
            landed: What the sink says it holds of this token, if it was asked: exactly that was
                loaded, and the rest is free for another batch.
            recovered: It was found in the sink, not loaded now.

        Raises:
            LeaseLostError: It was given back, or another worker has it; nothing was settled.
        """
        if self._given_back:
            raise lease_lost(self._consumer, self._claimed.claim)
        if self.outcome is None:
            done = BitMap64([item.seq for item in self.items]) if landed is None else landed
            self.outcome = commit_claim(
                self._consumer,
                self._claimed,
                done,
                dict(self._trouble),
                recovered=recovered,
            )
        return self.outcome

    def release(self) -> None:
        """Give the batch back, to be taken by anybody at once; failures so far are noted.

        Nothing happens if it is finished, or another worker has it already.
        """
        if self.outcome is None:
            self._give_back(None)

    def postpone(self, error: BaseException) -> None:
        """The load of the whole batch failed: it comes again later, under the same token.

        After the last attempt all of it is dead, and the way is free for the next batches. If a
        load may have landed nevertheless, ask the sink first. Nothing happens if the batch is
        finished, or another worker has it already.
        """
        if self.outcome is not None:
            return
        spec, claim = self._consumer.spec, self._claimed.claim
        try:
            if claim.attempt >= spec.attempts_max:
                for item in self.items:
                    self.fail(item, error)
                self.commit(BitMap64())
                return
        except LeaseLostError:
            self.outcome = Outcome(BitMap64())
            return
        now = self._consumer.now()
        failure = Failure(
            history_entry(error, now, claim.worker, claim.attempt),
            now + backoff(spec.backoff, claim.attempt, claim.id),
        )
        self._give_back(failure)

    def _give_back(self, failure: Failure | None) -> None:
        self._given_back = True
        try:
            self.outcome = release_claim(
                self._consumer, self._claimed, dict(self._trouble), failure
            )
        except LeaseLostError:
            self.outcome = Outcome(BitMap64())

    def __enter__(self) -> Batch:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.commit()
        elif isinstance(error, Exception):
            self.postpone(error)
        else:
            self.release()
