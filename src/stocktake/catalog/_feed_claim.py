"""What a feed may say about its own completeness.

>>> Claim(at(18, 0, 3), 812, at(18, 7, 41), "event_driven").sentence(at(19))
'complete through 2026-11-20T18:00:03Z (scan #812), fresh to 18:07:41Z (events), next audit 19:00'
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from stocktake.clock import format_utc
from stocktake.listing import StrategyName


@dataclass(frozen=True, slots=True)
class Claim:
    """How far a feed knows its prefix.

    Attributes:
        complete_through: Every object that existed at this instant and still does is in the feed:
            the start of the newest full scan that finished. None before the first.
        scan: Number of that scan; 0 before the first.
        fresh_to: The newest instant that anything absorbed speaks of, without proof that it is all;
            never before `complete_through`.
        fresh_by: The strategy that `fresh_to` comes from; None if it is the scan.
    """

    complete_through: datetime | None
    scan: int
    fresh_to: datetime | None
    fresh_by: str | None = None

    def sentence(self, next_audit: datetime | None = None) -> str:
        """The claim as one line, with the next audit if there is one planned."""
        if self.complete_through is None:
            parts = ["not complete yet: no full scan has finished"]
            day = None
        else:
            through = format_utc(self.complete_through.replace(microsecond=0))
            parts = [f"complete through {through} (scan #{self.scan})"]
            day = self.complete_through
        if self.fresh_to is not None and self.fresh_to != self.complete_through:
            by = "events" if self.fresh_by == StrategyName.EVENT_DRIVEN else self.fresh_by
            source = f" ({by})" if by else ""
            parts.append(f"fresh to {_short(self.fresh_to, day, seconds=True)}{source}")
        if next_audit is not None:
            parts.append(f"next audit {_short(next_audit, day, seconds=False)}")
        return ", ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """Its JSON form."""
        return {
            "complete_through": _text(self.complete_through),
            "scan": self.scan,
            "fresh_to": _text(self.fresh_to),
            "fresh_by": self.fresh_by,
        }


def _text(at: datetime | None) -> str | None:
    return format_utc(at) if at is not None else None


def _short(at: datetime, day: datetime | None, *, seconds: bool) -> str:
    """The time alone if it is of the same day."""
    at = at.astimezone(UTC)
    same_day = day is not None and at.date() == day.astimezone(UTC).date()
    if same_day:
        return f"{at:%H:%M:%SZ}" if seconds else f"{at:%H:%M}"
    return format_utc(at.replace(microsecond=0))
