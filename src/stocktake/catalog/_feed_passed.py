"""What a partial strategy should have seen: the yardstick of audits.

An object is missed by a strategy if it is older than the strategy's last run and a full scan finds
it new or modified. Where the strategy says how far it has come in a folder (`StrategyRun.passed`),
objects behind that are not missed yet, and it is known how late the others came.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from stocktake.clock import format_utc, parse_utc
from stocktake.listing import StrategyName
from stocktake.model import escape_key, folder_of, unescape_key

WATCHED = frozenset(
    {
        StrategyName.INCREMENTAL_LEXICAL.value,
        StrategyName.PARTITIONED.value,
        StrategyName.EVENT_DRIVEN.value,
        StrategyName.INCREMENTAL_TIME.value,
    }
)
"""Strategies that later scans check. The last one misses nothing: it has a watermark by time, and
what is dated before it came late."""

EVENT_DELAY = timedelta(minutes=15)
"""So late may an event be and still come."""

_ENDS_MAX = 20_000
Ends = dict[str, list[tuple[str, datetime]]]


@dataclass(frozen=True, slots=True)
class Passed:
    """How far one strategy has come.

    Attributes:
        before: Objects last modified before that are ones it should have seen.
        ends: Folder -> (key up to which it was passed, since when), by key.
    """

    before: datetime
    ends: Ends = field(default_factory=dict)

    def lateness(self, key: str, last_modified: datetime) -> timedelta | None:
        """How long after its place was passed an object appeared, zero if that is not known.

        None if it is not missed: it is younger, or its place has not been passed.
        """
        if last_modified >= self.before:
            return None
        ends = self.ends.get(folder_of(key))
        if not ends:
            return timedelta()
        place = bisect_left(ends, key, key=lambda end: end[0])
        if place == len(ends):
            return None
        return max(last_modified - ends[place][1], timedelta())


def pack_cursor(cursor: dict[str, Any], passed: Iterable[tuple[str, datetime]]) -> dict[str, Any]:
    """What the cursor's row holds: the strategy's cursor, and how far it has come.

    Of more than 20,000 ends none are kept: then objects count by their age alone.
    """
    ends = [[escape_key(key), format_utc(since)] for key, since in passed]
    return {"cursor": cursor, "passed": ends if len(ends) <= _ENDS_MAX else []}


def unpack_cursor(row: dict[str, Any] | None) -> dict[str, Any]:
    """The strategy's cursor; empty at first."""
    return dict(row["cursor"]) if row else {}


def unpack_passed(row: dict[str, Any], strategy: str, started_at: datetime) -> Passed:
    """How far the strategy has come, by its cursor's row and the start of its last run."""
    ends: Ends = {}
    for text, since in row["passed"]:
        key = unescape_key(text)
        ends.setdefault(folder_of(key), []).append((key, parse_utc(since)))
    for own in ends.values():
        own.sort()
    if strategy == StrategyName.INCREMENTAL_TIME:
        return Passed(parse_utc(row["cursor"]["watermark"]))
    delay = EVENT_DELAY if strategy == StrategyName.EVENT_DRIVEN else timedelta()
    return Passed(started_at - delay, ends)
