"""Where a lexical cursor stands in one ordering domain, and how a listing of it moves that.

The next run looks again at everything after the smallest of three places: the last `lookback_keys`
keys, what the domain's end was `lookback` before this run, and the first unfinished object.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from stocktake.model import escape_key, unescape_key

MARKS_MAX = 6
"""Most earlier ends of a domain that are remembered; leaving one out only looks back further."""


@dataclass(frozen=True, slots=True)
class Lookback:
    """How a run looks back, and what it takes for unfinished.

    Attributes:
        keys: How many keys before the end are looked at again.
        time_s: How late an object may appear and still be seen.
        settle_s: Younger objects are unfinished.
        size_min_bytes: Smaller objects are unfinished, up to an age of `unfinished_max_s`.
        unfinished_max_s: See there.
    """

    keys: int
    time_s: float
    settle_s: float = 0.0
    size_min_bytes: int = 0
    unfinished_max_s: float = 0.0

    @property
    def checks_items(self) -> bool:
        """There are rules by which an object is unfinished."""
        return self.settle_s > 0 or self.size_min_bytes > 0

    def is_unfinished(self, size_bytes: int, modified_s: float, now_s: float) -> bool:
        """The object may still change, so no cursor may pass it."""
        age_s = now_s - modified_s
        if age_s < self.settle_s:
            return True
        return size_bytes < self.size_min_bytes and age_s < self.unfinished_max_s


@dataclass(slots=True)
class FolderState:
    """One domain in the cursor. Keys are relative to it; '' is before its first key.

    Attributes:
        start: The next listing begins after this key.
        through: Everything up to here was seen, finished.
        marks: (through, when), ascending in time: earlier ends, for looking back in time.
        news_s: When something new was seen last, seconds since 1970.
        direct: About how many keys lie right in it.
        closed: Children up to this one are not looked at again; '' is none.
    """

    start: str = ""
    through: str = ""
    marks: list[tuple[str, float]] = field(default_factory=list)
    news_s: float = 0.0
    direct: int = 0
    closed: str = ""

    def to_json(self) -> list[Any]:
        """As a list, keys escaped: the shortest form that JSON and every database can hold."""
        marks = [[escape_key(key), at_s] for key, at_s in self.marks]
        closed = escape_key(self.closed)
        start, through = escape_key(self.start), escape_key(self.through)
        return [start, through, marks, self.news_s, self.direct, closed]

    @classmethod
    def from_json(cls, raw: Sequence[Any]) -> FolderState:
        """What `to_json` gave."""
        start, through, marks, news_s, direct, closed = raw
        return cls(
            unescape_key(start),
            unescape_key(through),
            [(unescape_key(key), float(at_s)) for key, at_s in marks],
            float(news_s),
            int(direct),
            unescape_key(closed),
        )


class FolderListing:
    """The keys of one domain as one run sees them, in key order; `finish` gives the new state.

    It holds `lookback_keys` keys.
    """

    def __init__(
        self,
        before: FolderState | None,
        *,
        began: str,
        run_s: float,
        look: Lookback,
        last_run_s: float = 0.0,
    ) -> None:
        """A listing that starts after `began`, in a run that started at `run_s`.

        `before` is the domain's state in the cursor, None for a new domain; `last_run_s` is when
        the run that left the cursor started.
        """
        self._before = before
        self._began = began
        self._run_s = run_s
        self._look = look
        self._last_run_s = last_run_s
        self._tail: deque[str] = deque(maxlen=look.keys + 1)
        self._finished = began
        self._held = False
        self._settled = ""
        self._last = ""
        self._count = 0
        self._newest_s = 0.0
        self.new = 0
        self.late = 0
        self.lateness_max_s = 0.0

    def see(self, key: str, size_bytes: int, modified_s: float) -> None:
        """Take the next key."""
        self._count += 1
        self._tail.append(key)
        self._last = key
        self._newest_s = max(self._newest_s, modified_s)
        look = self._look
        if look.checks_items and look.is_unfinished(size_bytes, modified_s, self._run_s):
            self._held = True
        elif not self._held:
            self._finished = key
        before = self._before
        if before is None:
            if modified_s <= self._run_s - look.time_s:
                self._settled = key
        elif key > before.through:
            self.new += 1
        elif modified_s > self._last_run_s:
            # changed after the cursor had passed it: it came late, or was written again
            self.late += 1
            passed_s = next((at_s for end, at_s in before.marks if end >= key), self._run_s)
            self.lateness_max_s = max(self.lateness_max_s, modified_s - passed_s)

    def finish(self) -> FolderState:
        """The state for the next run, once all keys were seen."""
        look, before = self._look, self._before or FolderState()
        marks = list(before.marks)
        if self._before is None and self._settled and look.time_s > 0:
            marks.append((self._settled, self._run_s - look.time_s))
        through = self._finished if self._held else max(self._last, before.through)
        if not marks or marks[-1][0] != through:  # the earlier of two equal ends says it all
            marks.append((through, self._run_s))
        horizon_s = self._run_s - look.time_s
        old = [number for number, (_, at_s) in enumerate(marks) if at_s <= horizon_s]
        by_time = marks[old[-1]][0] if old else ""
        by_keys = self._tail[0] if len(self._tail) > look.keys else self._began
        if self.new or self.late:
            news_s = self._run_s
        else:
            news_s = before.news_s if self._before else self._newest_s
        return FolderState(
            start=min(by_time, by_keys, through),
            through=through,
            marks=_thin(marks[old[-1] :] if old else marks),
            news_s=news_s,
            direct=self._count if not self._began else before.direct + self.new,
            closed=before.closed,
        )


def _thin(marks: list[tuple[str, float]]) -> list[tuple[str, float]]:
    """At most `MARKS_MAX` marks: of the inner ones, those that leave the smallest gaps go."""
    kept = list(marks)
    while len(kept) > MARKS_MAX:
        gaps = [kept[at + 1][1] - kept[at - 1][1] for at in range(1, len(kept) - 1)]
        del kept[gaps.index(min(gaps)) + 1]
    return kept
