"""Numbers of a comparison, added up piece by piece."""

from __future__ import annotations

from dataclasses import dataclass, fields

from stocktake.reconcile._report import Totals


@dataclass(slots=True)
class Tally:
    """The same numbers as `Totals`, while they grow."""

    should: int = 0
    have: int = 0
    identical: int = 0
    unproven: int = 0
    missing: int = 0
    extra: int = 0
    different: int = 0
    should_bytes: int = 0
    have_bytes: int = 0
    missing_bytes: int = 0
    extra_bytes: int = 0

    def add(self, other: Tally) -> None:
        """Add another one's numbers."""
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))

    def totals(self, *, excluded: int, outside: int) -> Totals:
        """The numbers as a report has them."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        return Totals(**values, excluded=excluded, outside=outside)
