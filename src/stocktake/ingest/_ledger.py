"""What the control database knows of one consumer: its row, its claims, its commits.

Every change is one short transaction that locks the consumer's row first, so claims, commits,
failures and rewinds of one consumer come one after the other, whoever makes them.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pyroaring import BitMap64
from sqlalchemy import Connection, Row, delete, insert, select, update

from stocktake.clock import parse_utc
from stocktake.errors import IngestionNotFoundError, LeaseLostError
from stocktake.ingest._seqs import SeqState, pack, unpack
from stocktake.ingest._spec import IngestionSpec
from stocktake.state import State, ingest_claims, ingest_commits, ingestions

STARTING, ACTIVE, PAUSED = "starting", "active", "paused"


@dataclass(frozen=True, slots=True)
class Consumer:
    """Whose rows: the ingestion, and where they are."""

    id: str
    spec: IngestionSpec
    state: State

    def now(self) -> datetime:
        """The current instant."""
        return self.state.clock.now()


@dataclass(slots=True)
class LockedConsumer:
    """The consumer's row inside a transaction; `save` writes it back."""

    connection: Connection
    id: str
    seqs: SeqState
    fence: int
    state: str
    start_seq: int

    def next_fence(self) -> int:
        """A number higher than every claim's before."""
        self.fence += 1
        return self.fence

    def save(self) -> None:
        """Write everything back; once, at the end of the transaction."""
        self.connection.execute(
            update(ingestions)
            .where(ingestions.c.id == self.id)
            .values(
                low_seq=self.seqs.low,
                settled=pack(self.seqs.settled),
                claimed=pack(self.seqs.claimed),
                waiting=pack(self.seqs.waiting),
                fence=self.fence,
                state=self.state,
                start_seq=self.start_seq,
            )
        )


@dataclass(frozen=True, slots=True)
class Claim:
    """A batch in this process's hands: who may commit it is decided by the fence.

    The id is the commit token. `again`: somebody held it before, and may have loaded it.
    """

    id: str
    fence: int
    attempt: int
    worker: str
    seqs: BitMap64
    again: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the load of a whole batch failed, and when it is to be tried again."""

    entry: dict[str, Any]
    again_at: datetime


@contextmanager
def locked(consumer: Consumer) -> Iterator[LockedConsumer]:
    """A transaction that holds the consumer's row. It is not saved by itself.

    Raises:
        IngestionNotFoundError: It was deleted.
    """
    with consumer.state.write() as connection:
        row = connection.execute(
            select(ingestions).where(ingestions.c.id == consumer.id).with_for_update()
        ).first()
        yield _opened(connection, consumer, row)


@contextmanager
def looked_at(consumer: Consumer) -> Iterator[LockedConsumer]:
    """The consumer's row as of one moment, for reading only.

    Raises:
        IngestionNotFoundError: It was deleted.
    """
    with consumer.state.read() as connection:
        row = connection.execute(select(ingestions).where(ingestions.c.id == consumer.id)).first()
        yield _opened(connection, consumer, row)


def _opened(connection: Connection, consumer: Consumer, row: Row[Any] | None) -> LockedConsumer:
    if row is None:
        name = consumer.spec.name
        raise IngestionNotFoundError(f"the ingestion `{name}` was deleted", name=name)
    return LockedConsumer(
        connection=connection,
        id=consumer.id,
        seqs=SeqState(row.low_seq, unpack(row.settled), unpack(row.claimed), unpack(row.waiting)),
        fence=row.fence,
        state=row.state,
        start_seq=row.start_seq,
    )


def sortable_utc(value: datetime) -> str:
    """A time as text that sorts by time: always with microseconds."""
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def add_claim(here: LockedConsumer, consumer: Consumer, claim: Claim, size_bytes: int) -> None:
    """Note a new claim, in the caller's transaction."""
    now = consumer.now()
    here.connection.execute(
        insert(ingest_claims).values(
            id=claim.id,
            ingestion_id=consumer.id,
            fence=claim.fence,
            worker=claim.worker,
            owner_host=socket.gethostname(),
            owner_pid=os.getpid(),
            lease_until=sortable_utc(now + consumer.spec.lease),
            attempt=claim.attempt,
            seqs=pack(claim.seqs),
            files=len(claim.seqs),
            size_bytes=size_bytes,
            created_at=sortable_utc(now),
        )
    )


def claims_of(here: LockedConsumer) -> list[Row[Any]]:
    """Every claim of the consumer, oldest first."""
    return list(
        here.connection.execute(
            select(ingest_claims)
            .where(ingest_claims.c.ingestion_id == here.id)
            .order_by(ingest_claims.c.created_at, ingest_claims.c.id)
        ).all()
    )


def is_abandoned(row: Row[Any], now: datetime) -> bool:
    """True if a claim is nobody's any more: given back, lease run out, or its process is gone."""
    if row.owner_pid == 0 or parse_utc(row.lease_until) <= now:
        return True
    if row.owner_host != socket.gethostname() or row.owner_pid == os.getpid():
        return False
    try:
        os.kill(row.owner_pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def take_over(consumer: Consumer, worker: str) -> Claim | None:
    """The oldest abandoned claim, whole, under its own id, with a higher fence; None if none is.

    Numbers of it that were settled meanwhile are not in it any more; a claim of which nothing is
    left is dropped.
    """
    now = consumer.now()
    with locked(consumer) as here:
        for row in claims_of(here):
            if here.state != ACTIVE or not is_abandoned(row, now):
                continue
            seqs = unpack(row.seqs) & here.seqs.claimed
            if not seqs:
                drop_claim(here, row.id)
                continue
            claim = Claim(row.id, here.next_fence(), row.attempt + 1, worker, seqs, again=True)
            here.connection.execute(
                update(ingest_claims)
                .where(ingest_claims.c.id == row.id)
                .values(
                    fence=claim.fence,
                    worker=worker,
                    owner_host=socket.gethostname(),
                    owner_pid=os.getpid(),
                    lease_until=sortable_utc(now + consumer.spec.lease),
                    attempt=claim.attempt,
                    seqs=pack(seqs),
                    files=len(seqs),
                )
            )
            here.save()
            return claim
    return None


def renew_claim(consumer: Consumer, claim: Claim) -> None:
    """Prolong the lease. Raises `LeaseLostError` if somebody else holds the batch, or nobody."""
    until = sortable_utc(consumer.now() + consumer.spec.lease)
    with consumer.state.write() as connection:
        renewed = connection.execute(
            update(ingest_claims)
            .where(ingest_claims.c.id == claim.id, ingest_claims.c.fence == claim.fence)
            .values(lease_until=until)
        )
        if renewed.rowcount == 0:
            raise lease_lost(consumer, claim)


def held_seqs(here: LockedConsumer, consumer: Consumer, claim: Claim) -> BitMap64:
    """What of the claim is still to be settled. Raises `LeaseLostError` if it is not ours."""
    row = here.connection.execute(
        select(ingest_claims).where(
            ingest_claims.c.id == claim.id, ingest_claims.c.fence == claim.fence
        )
    ).first()
    if row is None:
        raise lease_lost(consumer, claim)
    return unpack(row.seqs) & here.seqs.claimed


def give_back(
    here: LockedConsumer,
    consumer: Consumer,
    claim: Claim,
    seqs: BitMap64,
    failure: Failure | None = None,
) -> None:
    """Let anybody take the claim, with what is left of it: at once, or after a failure later.

    It keeps its id: whether a load of it was under way, only the sink can tell. An attempt that did
    not fail does not count.
    """
    if not seqs:
        drop_claim(here, claim.id)
        return
    values: dict[str, Any] = {"fence": here.next_fence(), "seqs": pack(seqs), "files": len(seqs)}
    if failure is None:
        until = consumer.now()
        values |= {"owner_pid": 0, "attempt": claim.attempt - 1}
    else:
        until = failure.again_at
        values |= {"error": failure.entry}
    values |= {"lease_until": sortable_utc(until)}
    here.connection.execute(
        update(ingest_claims).where(ingest_claims.c.id == claim.id).values(**values)
    )


def drop_claim(here: LockedConsumer, claim_id: str) -> None:
    """Remove a claim, in the caller's transaction."""
    here.connection.execute(delete(ingest_claims).where(ingest_claims.c.id == claim_id))


def add_commit(
    here: LockedConsumer,
    consumer: Consumer,
    claim: Claim,
    done: BitMap64,
    size_bytes: int,
    *,
    recovered: bool,
) -> None:
    """Note what was loaded under the claim's token, in the caller's transaction."""
    here.connection.execute(
        insert(ingest_commits).values(
            token=claim.id,
            ingestion_id=consumer.id,
            first_seq=done.min(),
            last_seq=done.max(),
            seqs=pack(done),
            files=len(done),
            size_bytes=size_bytes,
            worker=claim.worker,
            attempt=claim.attempt,
            recovered=int(recovered),
            committed_at=sortable_utc(consumer.now()),
        )
    )


def was_committed(consumer: Consumer, claim: Claim) -> bool:
    """True if this very attempt committed, although the answer was lost."""
    with consumer.state.read() as connection:
        row = connection.execute(
            select(ingest_commits).where(ingest_commits.c.token == claim.id)
        ).first()
    return row is not None and (row.worker, row.attempt) == (claim.worker, claim.attempt)


def lease_lost(consumer: Consumer, claim: Claim) -> LeaseLostError:
    """The error of a worker whose batch is another's."""
    return LeaseLostError(
        f"`{claim.worker}` does not hold the batch `{claim.id}` of `{consumer.spec.name}` any more",
        token=claim.id,
        worker=claim.worker,
    )
