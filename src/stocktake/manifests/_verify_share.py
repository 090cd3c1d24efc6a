"""What a sample of a manifest's entries says of all of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import exp, lgamma, log
from typing import Any

from stocktake.manifests._dataset_values import Entry

CONFIDENCE = 0.95
_BISECTIONS = 60


@dataclass(frozen=True, slots=True)
class SampledShare:
    """A share of the entries, as a sample shows it.

    Attributes:
        drawn: Entries that were looked at.
        of: All entries.
        found: Of those that were looked at, how many have it.
        low: Lower end of the interval that holds the true share with `CONFIDENCE`.
        high: Its upper end.
    """

    drawn: int
    of: int
    found: int
    low: float
    high: float

    def to_dict(self) -> dict[str, Any]:
        """Its JSON form."""
        return {
            "drawn": self.drawn,
            "of": self.of,
            "found": self.found,
            "low": self.low,
            "high": self.high,
            "confidence": CONFIDENCE,
        }


def share_of(found: int, drawn: int, of: int) -> SampledShare:
    """The share and its exact interval (Clopper and Pearson 1934), which is rather too wide.

    >>> one = share_of(0, 100, 10_000)
    >>> one.low, round(one.high, 4)
    (0.0, 0.0362)
    """
    if drawn >= of:
        exact = found / of if of else 0.0
        return SampledShare(drawn, of, found, exact, exact)
    tail = (1 - CONFIDENCE) / 2
    low = _solved(lambda p: 1 - _at_most(found - 1, drawn, p) < tail) if found else 0.0
    high = _solved(lambda p: _at_most(found, drawn, p) > tail) if found < drawn else 1.0
    return SampledShare(drawn, of, found, max(low, found / of), min(high, 1 - (drawn - found) / of))


def draw_entries(entries: Iterable[Entry], count: int, seed: int) -> tuple[list[Entry], int]:
    """So many entries, each with the same chance, in key order; and how many there are.

    One pass; memory: those that are drawn. The same seed draws the same of the same entries.
    """
    chance = random.Random(seed)  # noqa: S311 - a sample, no secret
    drawn: list[Entry] = []
    total = 0
    for total, entry in enumerate(entries, 1):
        if len(drawn) < count:
            drawn.append(entry)
        else:
            place = chance.randrange(total)
            if place < count:
                drawn[place] = entry
    return sorted(drawn, key=lambda one: one.record.s3_key.encode()), total


def _at_most(found: int, drawn: int, share: float) -> float:
    """The chance to find that many or fewer."""
    if found < 0:
        return 0.0
    if share <= 0:
        return 1.0
    if share >= 1:
        return float(found >= drawn)
    whole = lgamma(drawn + 1)
    return sum(
        exp(
            whole
            - lgamma(count + 1)
            - lgamma(drawn - count + 1)
            + count * log(share)
            + (drawn - count) * log(1 - share)
        )
        for count in range(found + 1)
    )


def _solved(is_low: Callable[[float], bool]) -> float:
    """Where a condition that holds for small shares ends to hold."""
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if is_low(middle):
            low = middle
        else:
            high = middle
    return high
