"""What an event means beside what is known of its key: a pure decision, key by key.

Events arrive twice, late and out of order, and tell of one key only. Sequencers order them among
each other. Against what a listing or a HEAD saw, only time can: what happened well before it began
is in it, what happened well after it ended is not, and in between only the store can tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from stocktake.catalog._feed_known import CLOCK_SKEW
from stocktake.events import EventKind, ObjectEvent, sequencer_order

_TICK = timedelta(seconds=2)
"""By how much times of one store may be rounded."""


@dataclass(frozen=True, slots=True)
class Fact:
    """What is known of one key, or seen of it now.

    Attributes:
        present: False: there is no object.
        version_id: Of the object; None if nobody said.
        etag: None if nobody said.
        size_bytes: None if nobody said.
        last_modified: None if only an event told of it.
        sequencer: Of the event that told of it.
        occurred_at: When that event happened, by the store's clock; None if the store was asked.
        seen_from: It was so at some instant after this
        seen_to: and before this. None: nobody has ever looked.
    """

    present: bool
    version_id: str | None = None
    etag: str | None = None
    size_bytes: int | None = None
    last_modified: datetime | None = None
    sequencer: str | None = None
    occurred_at: datetime | None = None
    seen_from: datetime | None = None
    seen_to: datetime | None = None


class Order(Enum):
    """When an event happened, measured by what is known."""

    NEWER = "newer"
    OLDER = "older"
    """Also: it is the very event that is known."""
    UNSURE = "unsure"


class NeedsLook(Exception):  # noqa: N818 - not a failure: it leaves the judging of a key
    """Only the store can tell what is there."""


def judge(fact: Fact, events: Iterable[ObjectEvent], now: datetime) -> list[tuple[str, Fact]]:
    """The changes that the events of one key make, in order, as (change, what is known then).

    Args:
        fact: What is known.
        events: In the order of their sequencers, or times without them.
        now: When they are absorbed.

    Raises:
        NeedsLook: Only the store can tell.
    """
    changes: list[tuple[str, Fact]] = []
    for event in events:
        following = _apply(fact, event, now)
        if following is None:
            continue
        if following.present:
            changes.append(("modified" if fact.present else "new", following))
        elif fact.present:
            changes.append(("deleted", following))
        fact = following
    return changes


def order_of(event: ObjectEvent, fact: Fact) -> Order:
    """Whether the event happened after what is known."""
    if fact.seen_to is None or fact.seen_from is None:
        return Order.NEWER
    if event.sequencer is not None and fact.sequencer is not None:
        later = sequencer_order(event.sequencer) > sequencer_order(fact.sequencer)
        return Order.NEWER if later else Order.OLDER
    at = event.occurred_at
    if at is None:
        return Order.UNSURE
    if fact.occurred_at is not None and fact.occurred_at != at:
        return Order.NEWER if at > fact.occurred_at else Order.OLDER
    if at <= fact.seen_from - CLOCK_SKEW:
        return Order.OLDER
    return Order.NEWER if at >= fact.seen_to + CLOCK_SKEW else Order.UNSURE


def same_object(one: Fact, other: Fact) -> bool:
    """True if both are the same version of an object; what only one side knows is no difference.

    A version id alone decides, but for 'null'. An ETag is not a hash of the content, so the date
    counts too, by the second: HEAD has no more. The engine's SQL has the same rule.
    """
    a, b = one.version_id, other.version_id
    if a is not None and b is not None and not a == b == "null":
        return a == b
    return all(
        x is None or y is None or x == y
        for x, y in (
            (one.size_bytes, other.size_bytes),
            (one.etag, other.etag),
            (_second(one.last_modified), _second(other.last_modified)),
        )
    )


def fact_of(row: Mapping[str, Any] | None, unseen: Fact) -> Fact:
    """The fact in the `old_` columns of a row of NET_CHANGE (aware times), or `unseen`."""
    if row is None or row["old_gone"] is None:
        return unseen
    told = row["old_sequencer"] is not None
    told |= row["old_last_modified"] is None and not row["old_gone"]
    return Fact(
        present=not row["old_gone"],
        version_id=row["old_version_id"],
        etag=row["old_etag"],
        size_bytes=row["old_size_bytes"],
        last_modified=row["old_last_modified"],
        sequencer=row["old_sequencer"],
        occurred_at=row["old_seen_from"] if told else None,
        seen_from=row["old_seen_from"],
        seen_to=row["old_seen_to"],
    )


def _apply(fact: Fact, event: ObjectEvent, now: datetime) -> Fact | None:
    """What is known after the event; None if it changes nothing. Raises `NeedsLook`."""
    if event.kind is EventKind.ATTRIBUTES:
        if fact.present:
            return None
        raise NeedsLook
    if event.needs_head:
        raise NeedsLook
    told = Fact(
        present=event.kind is EventKind.CREATED,
        version_id=event.version_id,
        etag=event.etag,
        size_bytes=event.size_bytes,
        sequencer=event.sequencer,
        occurred_at=event.occurred_at,
        seen_from=event.occurred_at or now,
        seen_to=now,
    )
    if not told.present:
        told = replace(told, version_id=None, etag=None, size_bytes=None)
    order = order_of(event, fact)
    if fact.present and told.present and _settled(fact, event, order):
        return None
    if order is Order.OLDER or (order is Order.UNSURE and _written_after(fact, event)):
        return None
    if order is Order.UNSURE:
        if not fact.present and not told.present:
            return None
        raise NeedsLook
    if told.present and (event.etag is None or event.size_bytes is None):
        raise NeedsLook
    return told


def _settled(fact: Fact, event: ObjectEvent, order: Order) -> bool:
    """True if the event tells of the very write that is known."""
    a, b = fact.version_id, event.version_id
    if a is not None and b is not None and not a == b == "null":
        return a == b
    same = (fact.etag, fact.size_bytes) == (event.etag, event.size_bytes)
    if not same or order is not Order.UNSURE or event.occurred_at is None:
        return False
    if fact.last_modified is not None:
        return fact.last_modified >= event.occurred_at - _TICK
    return fact.occurred_at == event.occurred_at


def _written_after(fact: Fact, event: ObjectEvent) -> bool:
    """True if the known object was begun after the event: both times are the store's."""
    if fact.last_modified is None or event.occurred_at is None:
        return False
    return fact.last_modified > event.occurred_at + _TICK


def _second(at: datetime | None) -> datetime | None:
    return at.replace(microsecond=0) if at is not None else None
