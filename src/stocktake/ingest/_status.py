"""How far a consumer is: what is left, what is in flight, what went wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, select

from stocktake.clock import format_utc, parse_utc
from stocktake.ingest._change import ChangeFeed, changes_of, from_ms, to_ms
from stocktake.ingest._exceptions import due_retries, next_retry_at
from stocktake.ingest._judge import Action, Judge
from stocktake.ingest._ledger import (
    Consumer,
    LockedConsumer,
    claims_of,
    is_abandoned,
    looked_at,
)
from stocktake.ingest._seqs import SeqState, pack
from stocktake.ingest._spec import ItemState
from stocktake.state import ingest_commits, ingest_items

_SCANNED_MAX = 200_000


@dataclass(frozen=True, slots=True)
class ClaimStatus:
    """A batch that is not finished.

    Attributes:
        token: Its commit token.
        worker: Who took it last.
        attempt: The how manieth this is.
        files: Objects in it.
        size_bytes: Their bytes.
        lease_until: When it is taken from a silent worker.
        is_abandoned: True if nobody works on it: the next worker takes it over.
        error: Why its last load failed as a whole, or None.
    """

    token: str
    worker: str
    attempt: int
    files: int
    size_bytes: int
    lease_until: datetime
    is_abandoned: bool
    error: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class IngestionStatus:
    """How far an ingestion is.

    Attributes:
        name: Its name.
        source: Where from.
        state: `starting`, `active` or `paused`.
        low_seq: The watermark: everything up to this number is settled.
        last_seq: The newest number of the feed.
        files_outstanding: Objects to be loaded that are not finished, those in flight included.
        bytes_outstanding: Their bytes, as far as they are known.
        is_estimate: True if there are so many that the two were extrapolated from the first.
        oldest_unprocessed_age_seconds: How long ago the first of them was discovered.
        in_flight: Batches that are not finished.
        retries_waiting: Objects that failed and will be tried again.
        retries_due: Those whose time has come.
        next_retry_at: When the next one's time comes.
        dead: Objects that failed for the last time.
        superseded: Objects that were replaced before they were read.
        vanished: Objects that were gone before they were read.
        skipped: Objects that were skipped by hand. What the filters left out is not counted.
        files: Objects loaded so far.
        size_bytes: Their bytes.
        batches: Commits so far.
        state_bytes: Size of the consumer's bitmaps.
        claim: How complete discovery is, as a sentence.
    """

    name: str
    source: str
    state: str
    low_seq: int
    last_seq: int
    files_outstanding: int
    bytes_outstanding: int
    is_estimate: bool
    oldest_unprocessed_age_seconds: float | None
    in_flight: tuple[ClaimStatus, ...]
    retries_waiting: int
    retries_due: int
    next_retry_at: datetime | None
    dead: int
    superseded: int
    vanished: int
    skipped: int
    files: int
    size_bytes: int
    batches: int
    state_bytes: int
    claim: str

    @property
    def approximate_queue_size(self) -> int:
        """The same as `files_outstanding`, by the name that others use."""
        return self.files_outstanding

    def to_dict(self) -> dict[str, Any]:
        """Everything, for `--json`."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        values["in_flight"] = [
            {
                **{item.name: getattr(claim, item.name) for item in fields(claim)},
                "lease_until": format_utc(claim.lease_until),
            }
            for claim in self.in_flight
        ]
        values["next_retry_at"] = format_utc(self.next_retry_at) if self.next_retry_at else None
        return values | {"approximate_queue_size": self.approximate_queue_size}


@dataclass(slots=True)
class _Left:
    files: int = 0
    size_bytes: int = 0
    oldest_ms: int | None = None
    is_estimate: bool = False


def status_of(consumer: Consumer, feed: ChangeFeed, claim: str) -> IngestionStatus:
    """The status now. Reads up to 200,000 outstanding changes, and extrapolates beyond them."""
    now = consumer.now()
    with looked_at(consumer) as here:
        state, seqs = here.state, here.seqs
        in_flight = tuple(_claim(row, now) for row in claims_of(here))
        counts = _counts(here)
        loaded = here.connection.execute(
            select(
                func.count(),
                func.sum(ingest_commits.c.files),
                func.sum(ingest_commits.c.size_bytes),
            ).where(ingest_commits.c.ingestion_id == here.id)
        ).one()
        due = len(due_retries(here, now, _SCANNED_MAX))
        retry_at = next_retry_at(here.connection, here.id)
    last = feed.last_seq()
    left = _outstanding(consumer, feed, seqs, last)
    age = None if left.oldest_ms is None else (now - from_ms(left.oldest_ms)).total_seconds()
    return IngestionStatus(
        name=consumer.spec.name,
        source=str(consumer.spec.source),
        state=state,
        low_seq=seqs.low,
        last_seq=last,
        files_outstanding=left.files,
        bytes_outstanding=left.size_bytes,
        is_estimate=left.is_estimate,
        oldest_unprocessed_age_seconds=age,
        in_flight=in_flight,
        retries_waiting=len(seqs.waiting),
        retries_due=due,
        next_retry_at=None if retry_at is None else parse_utc(retry_at),
        dead=counts.get(ItemState.DEAD, 0),
        superseded=counts.get(ItemState.SUPERSEDED, 0),
        vanished=counts.get(ItemState.VANISHED, 0),
        skipped=counts.get(ItemState.SKIPPED, 0),
        files=int(loaded[1] or 0),
        size_bytes=int(loaded[2] or 0),
        batches=loaded[0],
        state_bytes=sum(len(pack(s)) for s in (seqs.settled, seqs.claimed, seqs.waiting)),
        claim=claim,
    )


def _claim(row: Row[Any], now: datetime) -> ClaimStatus:
    return ClaimStatus(
        token=row.id,
        worker=row.worker,
        attempt=row.attempt,
        files=row.files,
        size_bytes=row.size_bytes,
        lease_until=parse_utc(row.lease_until),
        is_abandoned=is_abandoned(row, now),
        error=row.error,
    )


def _counts(here: LockedConsumer) -> Mapping[str, int]:
    rows = here.connection.execute(
        select(ingest_items.c.state, func.count())
        .where(ingest_items.c.ingestion_id == here.id)
        .group_by(ingest_items.c.state)
    )
    return {row[0]: row[1] for row in rows}


def _outstanding(consumer: Consumer, feed: ChangeFeed, seqs: SeqState, last: int) -> _Left:
    """What the filters let through of what is not settled; overwrite policies are not asked."""
    left, scanned = _Left(), 0
    unsettled = seqs.unsettled(last)
    total = len(unsettled)
    judge, now_ms = Judge(consumer.spec).judge, to_ms(consumer.now())
    while unsettled and scanned < _SCANNED_MAX:
        after = unsettled.min() - 1
        rows = min(_SCANNED_MAX, last - after)
        for batch in feed.read(after, rows):
            for change in changes_of(batch):
                if change.seq not in unsettled:
                    continue
                scanned += 1
                if judge(change, now_ms).action is not Action.SKIP:
                    left.files += 1
                    left.size_bytes += change.size_bytes or 0
                    if left.oldest_ms is None:
                        left.oldest_ms = change.observed_ms
        unsettled.remove_range(after + 1, after + rows + 1)
    if unsettled:
        left.is_estimate = True
        left.files = left.files * total // scanned
        left.size_bytes = left.size_bytes * total // scanned
    return left
