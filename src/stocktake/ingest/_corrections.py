"""What people may change by hand: replay, rewind, skip, and the list of what is dead."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyroaring import BitMap64
from sqlalchemy import select

from stocktake.clock import parse_utc
from stocktake.errors import IngestError, InvalidSettingError, ItemNotFoundError
from stocktake.ingest._change import Change, ChangeFeed, change_of, changes_of
from stocktake.ingest._exceptions import Trouble, attempts_within, note_trouble, reopen_rows
from stocktake.ingest._ledger import (
    Consumer,
    LockedConsumer,
    claims_of,
    is_abandoned,
    locked,
)
from stocktake.ingest._seqs import span, unpack
from stocktake.ingest._spec import ItemState
from stocktake.model import unescape_key
from stocktake.state import ingest_items

_CHUNK_ROWS = 200_000


@dataclass(frozen=True, slots=True)
class DeadItem:
    """An object that failed for the last time.

    Attributes:
        seq: Its number in the feed.
        key: Its key.
        version_id: Its version, if the bucket has versions.
        attempts: How often it was tried.
        reason: The last error.
        died_at: When it was given up.
        history: The last attempts: `at, worker, attempt, code, message, size_bytes, etag`.
    """

    seq: int
    key: str
    version_id: str | None
    attempts: int
    reason: str
    died_at: datetime
    history: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Range:
    """Which numbers a rewind is about: all conditions that are given must hold."""

    seq: int | None = None
    time: datetime | None = None
    prefix: str | None = None


def reopen(consumer: Consumer, seqs: BitMap64, reason: str) -> int:
    """Take settled and waiting numbers back, to be claimed anew; how many there were.

    They will be in new batches with new tokens, so what a sink holds of old ones does not make them
    look landed. Batches in flight are not touched.
    """
    with locked(consumer) as here:
        again = here.seqs.reopen(seqs)
        due = seqs & here.seqs.waiting
        here.seqs.release(due)
        reopen_rows(here, consumer, again | due, reason)
        here.save()
    return len(again | due)


def rewound(feed: ChangeFeed, where: Range) -> BitMap64:
    """The numbers of a range.

    Raises:
        InvalidSettingError: No condition, or a number below 1.
    """
    if where == Range():
        raise InvalidSettingError(
            "a rewind needs to know where to", hint="name a number, a time or a prefix"
        )
    if where.seq is not None and where.seq < 1:
        raise InvalidSettingError(f"numbers begin with 1, not {where.seq}")
    first, last = where.seq or 1, feed.last_seq()
    if where.time is None and where.prefix is None:
        return span(first, last)
    found = BitMap64()
    for start in range(first - 1, last, _CHUNK_ROWS):
        for batch in feed.read(start, min(_CHUNK_ROWS, last - start)):
            found.update(batch.filter(_matches(batch, where)).column("seq").to_pylist())
    return found


def _matches(batch: pa.RecordBatch, where: Range) -> pa.BooleanArray:
    mask = pa.repeat(pa.scalar(value=True), batch.num_rows)
    if where.prefix is not None:
        mask = pc.and_(mask, pc.starts_with(batch.column("key"), where.prefix))
    if where.time is not None:
        naive = where.time.astimezone(UTC).replace(tzinfo=None)
        since = pa.scalar(naive, batch.column("observed_at").type)
        mask = pc.and_(mask, pc.greater_equal(batch.column("observed_at"), since))
    return mask


def newest_of_keys(feed: ChangeFeed, keys: Iterable[str]) -> BitMap64:
    """The number of the newest change of each key.

    Raises:
        ItemNotFoundError: A key was never seen.
    """
    found = BitMap64()
    for key in keys:
        history = feed.history(key)
        if not history:
            raise ItemNotFoundError(f"`{key}` was never seen", key=key)
        found.add(history[-1]["seq"])
    return found


def given_out(feed: ChangeFeed, seqs: Iterable[int]) -> BitMap64:
    """These numbers. Raises `ItemNotFoundError` if the feed has not given one out."""
    found = sorted(seqs)
    last = feed.last_seq() if found else 0
    for seq in found:
        if not 1 <= seq <= last:
            raise ItemNotFoundError(f"there is no change {seq}: the newest is {last}", seq=seq)
    return BitMap64(found)


def dead_seqs(consumer: Consumer, prefix: str = "") -> BitMap64:
    """The numbers of everything dead below a prefix."""
    return BitMap64([item.seq for item in dead_items(consumer) if item.key.startswith(prefix)])


def dead_items(consumer: Consumer, limit: int | None = None) -> list[DeadItem]:
    """What is dead, in order of number."""
    statement = (
        select(ingest_items)
        .where(ingest_items.c.ingestion_id == consumer.id, ingest_items.c.state == ItemState.DEAD)
        .order_by(ingest_items.c.seq)
        .limit(limit)
    )
    with consumer.state.read() as connection:
        rows = connection.execute(statement).all()
    return [
        DeadItem(
            seq=row.seq,
            key=unescape_key(row.key),
            version_id=row.version_id,
            attempts=row.attempts,
            reason=row.reason,
            died_at=parse_utc(row.updated_at),
            history=tuple(row.history),
        )
        for row in rows
    ]


def skip_seqs(consumer: Consumer, feed: ChangeFeed, seqs: Sequence[int], reason: str) -> int:
    """Settle numbers without loading them; how many were not settled before.

    Raises:
        ItemNotFoundError: A number that the feed has not given out.
        IngestError: A worker has one of them in its hands.
    """
    rows = feed.rows_at(given_out(feed, seqs))
    changes = {change.seq: change for change in changes_of(rows)}
    with locked(consumer) as here:
        fresh = BitMap64([seq for seq in changes if not here.seqs.is_settled(seq)])
        _refuse_held(here, consumer, fresh)
        attempts = attempts_within(here, fresh)
        note_trouble(
            here,
            consumer,
            [_skipped(changes[seq], attempts.get(seq, 0), reason) for seq in fresh],
        )
        here.seqs.settle(fresh)
        here.save()
    return len(fresh)


def open_seqs_of_key(feed: ChangeFeed, key: str) -> list[int]:
    """The numbers of all changes of a key. Raises `ItemNotFoundError` if it was never seen."""
    history = feed.history(key)
    if not history:
        raise ItemNotFoundError(f"`{key}` was never seen", key=key)
    return [change_of(row).seq for row in history]


def _refuse_held(here: LockedConsumer, consumer: Consumer, seqs: BitMap64) -> None:
    for row in claims_of(here):
        held = unpack(row.seqs) & seqs & here.seqs.claimed
        if held and not is_abandoned(row, consumer.now()):
            raise IngestError(
                f"`{row.worker}` works on change {held.min()} in the batch `{row.id}`",
                hint=f"wait for it; its lease ends at {row.lease_until}",
                seq=held.min(),
                token=row.id,
            )


def _skipped(change: Change, attempts: int, reason: str) -> Trouble:
    return Trouble(
        seq=change.seq,
        key=change.key,
        version_id=change.version_id,
        state=ItemState.SKIPPED,
        reason=reason,
        attempts=attempts,
    )
