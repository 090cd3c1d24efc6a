"""Taking the next batch: abandoned ones first, then what is due again, then what is new."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime

from pyroaring import BitMap64

from stocktake.clock import parse_utc
from stocktake.errors import CatalogCorruptError
from stocktake.faults import reached
from stocktake.ingest._change import Change, ChangeFeed, changes_of, from_ms
from stocktake.ingest._exceptions import (
    Trouble,
    attempts_within,
    due_retries,
    next_retry_at,
    note_trouble,
)
from stocktake.ingest._facts import is_unloaded
from stocktake.ingest._judge import Action, Judge, Verdict
from stocktake.ingest._ledger import (
    ACTIVE,
    Claim,
    Consumer,
    LockedConsumer,
    add_claim,
    claims_of,
    is_abandoned,
    locked,
    looked_at,
    take_over,
)
from stocktake.ingest._overwrite import overwrite_rule
from stocktake.ingest._seqs import SeqState
from stocktake.ingest._spec import ItemState
from stocktake.ingest._window import Budget, Window, WindowSource
from stocktake.model import new_id


@dataclass(frozen=True, slots=True)
class Claimed:
    """A batch that was taken: its claim, its rows in order, attempts that some had before."""

    claim: Claim
    changes: tuple[Change, ...]
    attempts: dict[int, int]


@dataclass(slots=True)
class _Due:
    """Items that failed before and are to be tried now, and those that a policy gives up."""

    changes: list[Change]
    attempts: dict[int, int]
    given_up: dict[int, Verdict]


class Claimer:
    """Takes batches of one consumer. Safe to share between threads, which then share one window.

    Other processes and machines may take batches of the same consumer at the same time: what a
    batch gets is decided in a transaction that holds the consumer's row.
    """

    def __init__(self, consumer: Consumer, feed: ChangeFeed) -> None:
        self._consumer = consumer
        self._feed = feed
        self._lock = threading.Lock()
        self._rule = overwrite_rule(consumer.spec, feed, lambda seq: is_unloaded(consumer, seq))
        self._window = Window(WindowSource(consumer.spec, feed, Judge(consumer.spec), self._rule))
        self.skipped_files = 0

    def next_claim(self, worker: str) -> Claimed | None:
        """The next batch; None if there is nothing to do now.

        Raises:
            IngestionNotFoundError: The ingestion was deleted.
        """
        with self._lock:
            while True:
                now = self._consumer.now()
                with looked_at(self._consumer) as here:
                    if here.state != ACTIVE:
                        return None
                    state = here.seqs
                    abandoned = any(is_abandoned(row, now) for row in claims_of(here))
                    due = due_retries(here, now, self._consumer.spec.files_max)
                if abandoned and (claim := take_over(self._consumer, worker)) is not None:
                    return self._opened(claim)
                found = self._claim_free(worker, state, due, now)
                if found is not None:
                    return found
                if not self._window.ready and not self._window.skipped:
                    return None

    def next_at(self) -> datetime | None:
        """When something that waits may be claimed: an age reached, a failure due again."""
        from_window = self._window.ripe_ms
        with looked_at(self._consumer) as here:
            retry = next_retry_at(here.connection, here.id)
        times = [] if from_window is None else [from_ms(from_window)]
        times += [] if retry is None else [parse_utc(retry)]
        return min(times, default=None)

    def _claim_free(
        self, worker: str, state: SeqState, due: dict[int, int], now: datetime
    ) -> Claimed | None:
        retries = self._due(due, state)
        self._window.refill(state, now)
        if not (retries.changes or retries.given_up or self._window.ready or self._window.skipped):
            return None
        try:
            return self._in_transaction(worker, retries)
        except BaseException:
            # what was taken out of the window was not claimed
            self._window.forget()
            raise

    def _in_transaction(self, worker: str, retries: _Due) -> Claimed | None:
        spec = self._consumer.spec
        claimed: Claimed | None = None
        with locked(self._consumer) as here:
            if here.state != ACTIVE:
                return None
            self._settle_skipped(here)
            self._give_up(here, retries)
            budget = Budget(spec.files_max, spec.batch_bytes_max)
            chosen = _still_waiting(here, retries, budget)
            chosen += self._window.take(here.seqs.taken(), here.seqs.low, budget)
            if chosen:
                claimed = self._note_claim(here, worker, chosen)
            here.save()
        if claimed is not None:
            reached("ingest.claimed")
        return claimed

    def _note_claim(self, here: LockedConsumer, worker: str, chosen: list[Change]) -> Claimed:
        chosen.sort()
        seqs = BitMap64([change.seq for change in chosen])
        attempts = attempts_within(here, seqs)
        here.seqs.claim(seqs)
        claim = Claim(
            id=new_id("clm", self._consumer.state.clock),
            fence=here.next_fence(),
            attempt=1,
            worker=worker,
            seqs=seqs,
        )
        add_claim(here, self._consumer, claim, sum(c.size_bytes or 0 for c in chosen))
        return Claimed(claim, tuple(chosen), attempts)

    def _settle_skipped(self, here: LockedConsumer) -> None:
        fresh = self._window.skipped - here.seqs.taken()
        before = len(fresh)
        here.seqs.settle(fresh)
        self.skipped_files += before
        self._window.skipped.clear()

    def _due(self, due: dict[int, int], state: SeqState) -> _Due:
        if not due:
            return _Due([], {}, {})
        changes = list(changes_of(self._feed.rows_at(sorted(due))))
        verdicts = {
            seq: verdict
            for seq, verdict in self._rule.verdicts(changes, state).items()
            if verdict.action is Action.SKIP
        }
        return _Due(changes, due, verdicts)

    def _give_up(self, here: LockedConsumer, retries: _Due) -> None:
        gone = [
            change
            for change in retries.changes
            if change.seq in retries.given_up and change.seq in here.seqs.waiting
        ]
        note_trouble(
            here,
            self._consumer,
            [
                Trouble(
                    seq=change.seq,
                    key=change.key,
                    version_id=change.version_id,
                    state=ItemState.SUPERSEDED,
                    reason=retries.given_up[change.seq].sentence(),
                    attempts=retries.attempts[change.seq],
                )
                for change in gone
            ],
        )
        here.seqs.settle(BitMap64([change.seq for change in gone]))

    def _opened(self, claim: Claim) -> Claimed:
        """The rows of a claim that was taken over."""
        changes = tuple(changes_of(self._feed.rows_at(claim.seqs)))
        if len(changes) != len(claim.seqs):
            raise CatalogCorruptError(
                f"of the {len(claim.seqs)} changes of the batch `{claim.id}` only {len(changes)} "
                "are in the feed",
                token=claim.id,
            )
        with looked_at(self._consumer) as here:
            attempts = attempts_within(here, claim.seqs)
        return Claimed(claim, changes, attempts)


def _still_waiting(here: LockedConsumer, retries: _Due, budget: Budget) -> list[Change]:
    chosen: list[Change] = []
    for change in retries.changes:
        waits = change.seq in here.seqs.waiting and change.seq not in retries.given_up
        if waits and budget.fits(change):
            budget.take(change)
            chosen.append(change)
    return chosen
