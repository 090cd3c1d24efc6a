"""How a listing of unknown size is cut into parts that can be taken up again.

The parts of a source must be known before it is read, but how many objects a bucket holds is only
known afterwards. So there are always the same slots, filled in key order: each of the first takes
100,000 rows, later ones more, and the last one the rest. A killed scan loses what was read of the
slots under way, at most a quarter of what it had done, or 200,000 rows.

Which keys a finished slot holds is known from its file; what lies between finished slots is listed
again. So nothing but the parts' own records is needed to go on, and it does not matter that the
bucket has changed meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stocktake.listing._lister import KeySpan

SLOT_ROWS = 100_000
SLOTS = 80
_SLOTS_PER_DOUBLING = 8


@dataclass(frozen=True, slots=True)
class KeyBounds:
    """The smallest and the greatest key of some rows."""

    first: str
    last: str


@dataclass(frozen=True, slots=True)
class Stretch:
    """Keys that were not listed yet, and the slots that they go to, in order."""

    span: KeySpan
    slots: tuple[int, ...]


def slot_rows(slot: int, unit_rows: int = SLOT_ROWS) -> int:
    """How many rows go into a slot; the last slot of a stretch takes any number."""
    return unit_rows << (slot // _SLOTS_PER_DOUBLING)


def stretches(finished: Mapping[int, KeyBounds | None], slots: int = SLOTS) -> list[Stretch]:
    """What is left to list, in key order.

    Args:
        finished: The bounds of every finished slot; None for one without rows.
        slots: How many there are.
    """
    spans: dict[KeySpan, list[int]] = {}
    for slot in range(slots):
        if slot not in finished:
            spans.setdefault(_span_around(slot, finished), []).append(slot)
    return [Stretch(span, tuple(members)) for span, members in spans.items()]


def _span_around(slot: int, finished: Mapping[int, KeyBounds | None]) -> KeySpan:
    """The keys between the finished rows before a slot and those after it."""
    lasts = [bounds.last for at, bounds in finished.items() if bounds and at < slot]
    firsts = [bounds.first for at, bounds in finished.items() if bounds and at > slot]
    return KeySpan(max(lasts, default=""), min(firsts, default=None))
