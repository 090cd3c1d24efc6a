"""Messages that could not be understood: kept whole, out of the way, until somebody decides.

A message comes here in the transaction that would have kept its events, and then leaves its queue:
it is neither lost nor does it come back for ever. `release` tries again, after an upgrade.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from stocktake.clock import Clock, format_utc, parse_utc
from stocktake.events._decode import decode_message
from stocktake.events._hold import Held, hold
from stocktake.events._records import Refusal
from stocktake.model import escape_key, new_id, unescape_key
from stocktake.state import State
from stocktake.state import event_quarantine as table

_REASONS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Poison:
    """A message that was not understood, or not wholly.

    Attributes:
        queue: Where it came from: a queue's address, or `webhook`.
        message_id: The queue's own id of it.
        body: As it came.
        refusals: What is wrong with it.
    """

    queue: str
    message_id: str
    body: str | bytes
    refusals: tuple[Refusal, ...]

    @property
    def reason(self) -> str:
        """The first few refusals, in words."""
        shown = "; ".join(str(refusal) for refusal in self.refusals[:_REASONS_SHOWN])
        more = len(self.refusals) - _REASONS_SHOWN
        return f"{shown}; and {more} more" if more > 0 else shown


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A message in quarantine.

    Attributes:
        id: Ours.
        queue: Where it came from.
        message_id: The queue's id of it.
        reason: What is wrong with it, in words.
        body: The whole message.
        received_at: When it came first.
        attempts: How often it came, and was tried again.
    """

    id: str
    queue: str
    message_id: str
    reason: str
    body: bytes
    received_at: datetime
    attempts: int


@dataclass(frozen=True, slots=True)
class Released:
    """What came of trying again.

    Attributes:
        released: Ids of messages that are understood now; their events are on hold.
        kept: Ids of messages that are still not understood.
        held: What became of the events.
    """

    released: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    held: Held = field(default_factory=Held)


def quarantine(connection: Connection, messages: Iterable[Poison], clock: Clock) -> int:
    """Keep messages inside the caller's transaction. One that came before is counted, not doubled.

    Returns how many were not there before.
    """
    fresh = 0
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    for poison in sorted(messages, key=lambda item: (item.queue, item.message_id)):
        fresh_id = new_id("evq", clock)
        row = {
            "id": fresh_id,
            "queue": escape_key(poison.queue),
            "message_id": escape_key(poison.message_id),
            "reason": poison.reason,
            "body": _stored(poison.body),
            "received_at": format_utc(clock.now()),
        }
        statement = dialect.insert(table).values(row)
        statement = statement.on_conflict_do_update(
            index_elements=[table.c.queue, table.c.message_id],
            set_={"attempts": table.c.attempts + 1, "reason": poison.reason},
        )
        kept_id = connection.execute(statement.returning(table.c.id)).scalar_one()
        fresh += kept_id == fresh_id
    return fresh


def list_quarantined(
    state: State, *, queue: str | None = None, limit: int = 100
) -> list[Quarantined]:
    """Messages in quarantine, of one queue or of all; those that came first are first."""
    statement = select(table).order_by(table.c.id).limit(limit)
    if queue is not None:
        statement = statement.where(table.c.queue == escape_key(queue))
    with state.read() as connection:
        return [_quarantined(row) for row in connection.execute(statement)]


def count_quarantined(state: State, *, queue: str | None = None) -> int:
    """How many messages are in quarantine; of one queue, or of all."""
    statement = select(func.count()).select_from(table)
    if queue is not None:
        statement = statement.where(table.c.queue == escape_key(queue))
    with state.read() as connection:
        return int(connection.execute(statement).scalar_one())


def release(state: State, ids: Sequence[str], clock: Clock) -> Released:
    """Try messages again: what is understood now goes on hold and leaves the quarantine.

    One transaction. An id that is not there is passed over: somebody else released it.

    Raises:
        StateError: The database failed; everything is as it was.
    """
    with state.write() as connection:
        statement = select(table).where(table.c.id.in_(ids)).order_by(table.c.id)
        rows = connection.execute(statement).all()
        opened = {row.id: decode_message(_quarantined(row).body) for row in rows}
        good = [row_id for row_id, decoded in opened.items() if not decoded.refusals]
        kept = [row_id for row_id in opened if row_id not in good]
        # in the order of receivers: first what is on hold, then the quarantine
        held = hold(connection, [e for row_id in good for e in opened[row_id].events], clock)
        connection.execute(delete(table).where(table.c.id.in_(good)))
        again = update(table).where(table.c.id.in_(kept))
        connection.execute(again.values(attempts=table.c.attempts + 1))
    return Released(tuple(good), tuple(kept), held)


def discard(state: State, ids: Sequence[str]) -> int:
    """Throw messages away for good. Returns how many there were."""
    with state.write() as connection:
        return connection.execute(delete(table).where(table.c.id.in_(ids))).rowcount


def _stored(body: str | bytes) -> str:
    raw = _raw(body)
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        # marked by a control character, which an escaped text cannot begin with
        return f"\t{escape_key(raw.decode('latin-1'))}"
    return escape_key(text)


def _raw(body: str | bytes) -> bytes:
    return body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body


def _quarantined(row: Row[Any]) -> Quarantined:
    binary = row.body.startswith("\t")
    text = unescape_key(row.body.removeprefix("\t"))
    return Quarantined(
        id=row.id,
        queue=unescape_key(row.queue),
        message_id=unescape_key(row.message_id),
        reason=row.reason,
        body=text.encode("latin-1" if binary else "utf-8"),
        received_at=parse_utc(row.received_at),
        attempts=row.attempts,
    )
