"""Events on hold: safe in our own table before their message is deleted, until a feed takes them.

One row per (bucket, key, version): the newest event. Duplicates and events that arrive late change
nothing, so a message may be received any number of times, by several receivers at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from sqlalchemy import (
    Connection,
    delete,
    func,
    insert,
    literal_column,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql.elements import ColumnElement

from stocktake.clock import Clock, format_utc
from stocktake.events._event import EventKind, ObjectEvent
from stocktake.events._sequencer import newer, sequencer_order
from stocktake.model import escape_key, successor
from stocktake.state import State
from stocktake.state import held_events as table

_CHUNK = 500
_NO_TIME = datetime.min.replace(tzinfo=UTC)
_columns = (table.c.bucket, table.c.key, table.c.version_id)
_identity = tuple_(*_columns)
_Place = tuple[str, str, str]


@dataclass(slots=True)
class Held:
    """What became of some events.

    Attributes:
        added: Nothing was known of this version of this key.
        replaced: They are newer than what was on hold.
        duplicate: They were on hold already.
        out_of_order: Something newer was on hold.
        folded: They say less than what is on hold (an object that waits to be taken was tagged).
    """

    added: int = 0
    replaced: int = 0
    duplicate: int = 0
    out_of_order: int = 0
    folded: int = 0


@dataclass(frozen=True, slots=True)
class HeldBucket:
    """How much is on hold of a bucket, and since when (ISO 8601, when it was received)."""

    bucket: str
    events: int
    oldest: str


def hold_events(state: State, events: Iterable[ObjectEvent], clock: Clock | None = None) -> Held:
    """Keep events, in one transaction: after it returns, their messages may be deleted.

    Stamps are taken from `clock`; None is the database's own.

    Raises:
        StateError: The database failed; nothing was kept.
    """
    with state.write() as connection:
        return hold(connection, events, clock or state.clock)


def hold(connection: Connection, events: Iterable[ObjectEvent], clock: Clock) -> Held:
    """Keep events inside the caller's transaction."""
    outcome = Held()
    waiting: dict[_Place, list[ObjectEvent]] = {}
    for event in events:
        waiting.setdefault(_place(event), []).append(event)
    # everybody takes places in this one order, so nobody ever waits in a circle
    for places in _chunks(sorted(waiting)):
        _hold_chunk(connection, {place: waiting[place] for place in places}, outcome, clock)
    return outcome


def held_events(
    state: State, bucket: str, prefix: str, limit: int, *, after: str | None = None
) -> list[ObjectEvent]:
    """Events on hold below a prefix: keys in order, the events of a key from old to new.

    Args:
        state: The control database.
        bucket: Of the objects.
        prefix: Their keys begin with it; '' is the whole bucket.
        limit: About how many at most: the events of one key are never torn apart.
        after: Only keys behind this one: to go on without dropping what was read before.
    """
    with state.read() as connection:
        scope = _scope(bucket, prefix, after)
        columns = (table.c.key, table.c.event)
        statement = select(*columns).where(*scope).order_by(table.c.key).limit(limit + 1)
        rows = connection.execute(statement).all()
        if len(rows) > limit:
            torn = rows[-1].key
            if rows[0].key != torn:
                rows = [row for row in rows if row.key != torn]
            else:  # one key with more versions than the limit
                whole = select(*columns).where(table.c.bucket == bucket, table.c.key == torn)
                rows = connection.execute(whole).all()
    events = [ObjectEvent.from_dict(row.event) for row in rows]
    return sorted(events, key=_order)


def drop_held(connection: Connection, events: Iterable[ObjectEvent]) -> int:
    """Forget events that were taken from hold, inside the transaction that absorbs them.

    What has arrived since for the same version of a key, and is newer, stays. Returns how many
    rows are gone.
    """
    dropped = 0
    taken = {_place(event): event for event in events}
    for places in _chunks(sorted(taken)):
        rows = _locked(connection, places)
        same = [place for place, event in rows.items() if event == taken[place]]
        if same:
            connection.execute(delete(table).where(_identity.in_(same)))
            dropped += len(same)
    return dropped


def held_buckets(state: State) -> list[HeldBucket]:
    """What is on hold per bucket: also of buckets that no feed reads."""
    statement = (
        select(table.c.bucket, func.count(), func.min(table.c.received_at))
        .group_by(table.c.bucket)
        .order_by(table.c.bucket)
    )
    with state.read() as connection:
        return [HeldBucket(*row) for row in connection.execute(statement)]


def supersedes(fresh: ObjectEvent, known: ObjectEvent) -> bool:
    """True if of two events of one version of a key the fresh one must be on hold.

    A changed attribute never hides that an object came or went. Of events whose order is unknown
    the one that makes somebody look (`needs_head`) stays; otherwise the one received later.
    """
    lesser = (fresh.kind is EventKind.ATTRIBUTES, known.kind is EventKind.ATTRIBUTES)
    if lesser[0] != lesser[1]:
        return lesser[1]
    order = newer(fresh, known)
    if order is not None:
        return order
    if _is_same(fresh, known):
        return False
    return fresh.kind is EventKind.UNKNOWN or known.kind is not EventKind.UNKNOWN


def _fold(known: ObjectEvent | None, events: Iterable[ObjectEvent], outcome: Held) -> ObjectEvent:
    """What is on hold after these events came one by one; counts what became of each."""
    newest = known
    for event in events:
        if newest is None:
            outcome.added += 1
            newest = event
        elif _take(event, newest, outcome):
            newest = event
    assert newest is not None
    return newest


def _take(fresh: ObjectEvent, known: ObjectEvent, outcome: Held) -> bool:
    """True if the fresh event takes the place of the known one; counts what it is."""
    taken = supersedes(fresh, known)
    if taken:
        outcome.replaced += 1
    elif _is_same(fresh, known):
        outcome.duplicate += 1
    elif newer(fresh, known) is False:
        outcome.out_of_order += 1
    else:
        outcome.folded += 1
    return taken


def _is_same(one: ObjectEvent, other: ObjectEvent) -> bool:
    if one.sequencer is not None and other.sequencer is not None:
        return sequencer_order(one.sequencer) == sequencer_order(other.sequencer)
    return replace(one, envelope="") == replace(other, envelope="")


def _hold_chunk(
    connection: Connection,
    waiting: dict[_Place, list[ObjectEvent]],
    outcome: Held,
    clock: Clock,
) -> None:
    now = format_utc(clock.now())
    fresh = {place: _fold(None, events, Held()) for place, events in waiting.items()}
    known = _add(connection, fresh, now)
    for place, events in waiting.items():
        newest = _fold(known.get(place), events, outcome)
        if place in known and newest is not known[place]:
            _put(connection, _row(newest, now))


def _add(
    connection: Connection, fresh: dict[_Place, ObjectEvent], now: str
) -> dict[_Place, ObjectEvent]:
    """Insert what is about places where nothing is; the others, and what is there, locked."""
    if connection.dialect.name != "postgresql":  # SQLite has one writer at a time
        known = _locked(connection, list(fresh))
        rows = [_row(event, now) for place, event in fresh.items() if place not in known]
        if rows:
            connection.execute(insert(table), rows)
        return known
    statement = postgresql.insert(table)
    # an update that changes nothing: unlike DO NOTHING it locks the row and says what is in it
    statement = statement.on_conflict_do_update(
        index_elements=[table.c.bucket, table.c.key, table.c.version_id],
        set_={"received_at": table.c.received_at},
    )
    inserted: ColumnElement[bool] = literal_column("held_events.xmax = 0")
    answer = connection.execute(
        statement.returning(*_columns, table.c.event, inserted),
        [_row(event, now) for event in fresh.values()],
    )
    found = {(b, k, v): (ObjectEvent.from_dict(event), new) for b, k, v, event, new in answer}
    # `xmax` only tells a duplicate from the row that was just inserted, for counting
    return {
        place: event for place, (event, new) in found.items() if not new or event != fresh[place]
    }


def _locked(connection: Connection, places: Sequence[_Place]) -> dict[_Place, ObjectEvent]:
    """The rows at these places, locked in the order of `places` until the transaction ends."""
    order = [
        column.collate("C") if connection.dialect.name == "postgresql" else column
        for column in _columns
    ]
    statement = select(*_columns, table.c.event).where(_identity.in_(places)).order_by(*order)
    rows = connection.execute(statement.with_for_update())
    return {(b, k, v): ObjectEvent.from_dict(event) for b, k, v, event in rows}


def _put(connection: Connection, row: dict[str, Any]) -> None:
    place = (row["bucket"], row["key"], row["version_id"])
    connection.execute(update(table).where(_identity == place).values(row))


def _place(event: ObjectEvent) -> _Place:
    return (event.bucket, escape_key(event.key), event.version_id or "")


def _row(event: ObjectEvent, now: str) -> dict[str, Any]:
    bucket, key, version_id = _place(event)
    return {
        "bucket": bucket,
        "key": key,
        "version_id": version_id,
        "kind": event.kind.value,
        "sequencer": event.sequencer,
        "event": event.to_dict(),
        "received_at": now,
    }


def _scope(bucket: str, prefix: str, after: str | None) -> list[ColumnElement[bool]]:
    scope = [table.c.bucket == bucket]
    start = escape_key(prefix)
    if start:
        scope.append(table.c.key >= start)
        end = successor(start)
        if end is not None:
            scope.append(table.c.key < end)
    if after is not None:
        scope.append(table.c.key > escape_key(after))
    return scope


def _order(event: ObjectEvent) -> tuple[str, str, datetime, str]:
    happened = event.occurred_at or _NO_TIME
    sequence = sequencer_order(event.sequencer) if event.sequencer else ""
    return (escape_key(event.key), sequence, happened, event.version_id or "")


def _chunks(places: Iterable[_Place]) -> Iterator[list[_Place]]:
    rest = iter(places)
    while chunk := list(islice(rest, _CHUNK)):
        yield chunk
