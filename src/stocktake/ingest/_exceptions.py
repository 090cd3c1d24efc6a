"""Rows of what did not simply work: items that failed, died, vanished, were superseded or skipped.

An item that was loaded at its first attempt never has a row.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pyroaring import BitMap64
from sqlalchemy import Connection, Row, delete, func, insert, select, update

from stocktake.errors import StocktakeError
from stocktake.ingest._ledger import Consumer, LockedConsumer, sortable_utc
from stocktake.ingest._spec import ItemState
from stocktake.model import escape_key
from stocktake.state import ingest_items

HISTORY_MAX = 10
BACKOFF_MAX = timedelta(hours=1)
_CHUNK = 500
_MESSAGE_MAX = 500
_JITTER = 0.25
NOT_LOADED = (ItemState.DEAD, ItemState.SKIPPED, ItemState.SUPERSEDED, ItemState.VANISHED)


@dataclass(frozen=True, slots=True)
class Trouble:
    """What became of one item in one attempt, other than being loaded.

    Attributes:
        seq: Its number.
        key: Its key.
        version_id: Its version.
        state: `retry`, `dead`, `superseded`, `vanished` or `skipped`.
        reason: One line.
        attempts: Attempts so far, this one included.
        entry: The line of its history; None adds none.
        next_at: When it is tried again.
    """

    seq: int
    key: str
    version_id: str | None
    state: ItemState
    reason: str
    attempts: int
    entry: dict[str, Any] | None = None
    next_at: datetime | None = None


def backoff(first: timedelta, attempts: int, seed: str) -> timedelta:
    """How long to wait after that many failed attempts: doubling up to an hour, spread by ±25 %.

    The spread depends on the seed only, so that items which failed together do not come back
    together, and a test knows when.
    """
    doubled = min(first * (1 << min(attempts - 1, 20)), BACKOFF_MAX)
    spread = zlib.crc32(f"{seed}:{attempts}".encode()) / 0xFFFFFFFF
    return doubled * (1 - _JITTER + 2 * _JITTER * spread)


def history_entry(
    error: BaseException, at: datetime, worker: str, attempt: int, **read: Any
) -> dict[str, Any]:
    """One line of an item's history."""
    code = error.code if isinstance(error, StocktakeError) else type(error).__name__
    message = error.message if isinstance(error, StocktakeError) else str(error)
    return {
        "at": sortable_utc(at),
        "worker": worker,
        "attempt": attempt,
        "code": code,
        "message": message[:_MESSAGE_MAX],
        **read,
    }


def note_trouble(here: LockedConsumer, consumer: Consumer, found: Sequence[Trouble]) -> None:
    """Write the rows, in the caller's transaction; histories go on where they were."""
    now = sortable_utc(consumer.now())
    for some in _chunks(sorted(found, key=lambda trouble: trouble.seq)):
        seqs = [trouble.seq for trouble in some]
        known = {row.seq: row for row in rows_of(here.connection, here.id, seqs)}
        here.connection.execute(delete(ingest_items).where(*_these(here.id, seqs)))
        here.connection.execute(
            insert(ingest_items),
            [_row(here.id, trouble, known.get(trouble.seq), now) for trouble in some],
        )


def note_done(
    here: LockedConsumer, consumer: Consumer, seqs: Iterable[int], entry: dict[str, Any]
) -> None:
    """Items with a row were loaded at last: their history says so."""
    now = sortable_utc(consumer.now())
    for some in _chunks(sorted(seqs)):
        for row in rows_of(here.connection, here.id, some):
            here.connection.execute(
                update(ingest_items)
                .where(*_these(here.id, [row.seq]))
                .values(
                    state=ItemState.DONE,
                    attempts=row.attempts + 1,
                    next_at=None,
                    reason="loaded",
                    history=[*row.history, {**entry, "attempt": row.attempts + 1}][-HISTORY_MAX:],
                    updated_at=now,
                )
            )


def reopen_rows(here: LockedConsumer, consumer: Consumer, seqs: BitMap64, reason: str) -> None:
    """Rows of numbers that are taken back: free again, with no attempts, their history kept."""
    now = sortable_utc(consumer.now())
    for some in _chunks(sorted(attempts_within(here, seqs))):
        here.connection.execute(
            update(ingest_items)
            .where(*_these(here.id, some))
            .values(
                state=ItemState.DISCOVERED, attempts=0, next_at=None, reason=reason, updated_at=now
            )
        )


def due_retries(here: LockedConsumer, now: datetime, limit: int) -> dict[int, int]:
    """Numbers whose time has come, the longest due first, with the attempts they had."""
    rows = here.connection.execute(
        select(ingest_items.c.seq, ingest_items.c.attempts)
        .where(
            ingest_items.c.ingestion_id == here.id,
            ingest_items.c.state == ItemState.RETRY,
            ingest_items.c.next_at <= sortable_utc(now),
        )
        .order_by(ingest_items.c.next_at, ingest_items.c.seq)
        .limit(limit)
    ).all()
    return {row.seq: row.attempts for row in rows}


def next_retry_at(connection: Connection, ingestion_id: str) -> str | None:
    """When the next item is to be tried again; None if none waits."""
    return connection.execute(
        select(func.min(ingest_items.c.next_at)).where(
            ingest_items.c.ingestion_id == ingestion_id, ingest_items.c.state == ItemState.RETRY
        )
    ).scalar()


def attempts_within(here: LockedConsumer, seqs: BitMap64) -> dict[int, int]:
    """Those of the numbers that have a row, with the attempts they had."""
    if not seqs:
        return {}
    rows = here.connection.execute(
        select(ingest_items.c.seq, ingest_items.c.attempts).where(
            ingest_items.c.ingestion_id == here.id,
            ingest_items.c.seq.between(seqs.min(), seqs.max()),
        )
    )
    return {row.seq: row.attempts for row in rows if row.seq in seqs}


def rows_of(connection: Connection, ingestion_id: str, seqs: Sequence[int]) -> list[Row[Any]]:
    """The rows of at most 500 numbers."""
    return list(connection.execute(select(ingest_items).where(*_these(ingestion_id, seqs))).all())


def _these(ingestion_id: str, seqs: Sequence[int]) -> tuple[Any, Any]:
    return (ingest_items.c.ingestion_id == ingestion_id, ingest_items.c.seq.in_(seqs))


def _row(ingestion_id: str, trouble: Trouble, known: Row[Any] | None, now: str) -> dict[str, Any]:
    history = [] if known is None else list(known.history)
    if trouble.entry is not None:
        history.append(trouble.entry)
    return {
        "ingestion_id": ingestion_id,
        "seq": trouble.seq,
        "key": escape_key(trouble.key),
        "version_id": trouble.version_id,
        "state": trouble.state,
        "attempts": trouble.attempts,
        "next_at": None if trouble.next_at is None else sortable_utc(trouble.next_at),
        "reason": trouble.reason,
        "history": history[-HISTORY_MAX:],
        "updated_at": now,
    }


def _chunks(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), _CHUNK):
        yield values[start : start + _CHUNK]
