"""Where to cut a range: at hints, at folders that a probe showed, or between the keys seen."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence

from stocktake.listing._range_hints import Hints
from stocktake.listing._range_keys import KeySpace, common_length, middle_key
from stocktake.listing._range_state import KeyRange, PageKeys
from stocktake.model import successor

_SAMPLES_FIRST, _SAMPLES_LATER = 16, 2
_PAGES_FIRST = 64
_PROBE_PAGES_MIN = 6


class Cuts:
    """Everything learned about the keys of one listing; guesses, which only cost calls."""

    def __init__(self, prefix: str, hints: Hints, *, page_rows: int) -> None:
        self._prefix = prefix
        self._hints = hints
        self._page_rows = page_rows
        self._space = KeySpace(prefix)
        self._pages = 0
        self._points: list[str] = []  # sorted; below each there is at least one key
        self._probed: set[str] = set()
        self._depth_probes: Counter[int] = Counter()
        self._depth_points: Counter[int] = Counter()

    def learn(self, keys: PageKeys) -> None:
        """Look at a few keys of a page."""
        self._pages += 1
        samples = _SAMPLES_FIRST if self._pages <= _PAGES_FIRST else _SAMPLES_LATER
        count = len(keys)
        rows = {count * index // samples for index in range(samples)} | {count - 1}
        self._space.learn(keys.key(row) for row in sorted(rows))

    def add_points(self, folder: str, prefixes: Sequence[str]) -> None:
        """A probe of a folder showed these subfolders."""
        depth = folder.count("/", len(self._prefix))
        self._depth_points[depth] += len(prefixes)
        # a range that begins at a folder must begin before its first key
        self._points = sorted({*self._points, *(prefix[:-1] for prefix in prefixes)})

    def estimate(self, one: KeyRange) -> float:
        """About how many rows are left in a range of which a page was read."""
        if one.first is None:
            return 0.0
        cells = self._hints.count(one.after, one.through)
        if cells:
            return self._hints.rows(cells)
        ruler = self._space.ruler(one.first, one.after, one.through)
        here = ruler.number(one.after)
        span = max(here - ruler.number(one.first), 1)
        guess = one.page_rows * (ruler.number(one.through) - here) / span
        return max(guess, float(min(one.rows, 4 * self._page_rows)))

    def probe(self, one: KeyRange, rows: float) -> tuple[str, str] | None:
        """A folder whose subfolders are worth a call, and the key to begin after."""
        if one.first is None or rows < _PROBE_PAGES_MIN * self._page_rows:
            return None
        shared = common_length(one.first, one.after)
        slash = one.after.find("/", len(self._prefix), shared)
        folder = self._prefix
        while slash >= 0:
            beyond = successor(one.after[: slash + 1])
            depth = folder.count("/", len(self._prefix))
            useless = self._depth_probes[depth] and not self._depth_points[depth]
            within = one.through is None or (beyond is not None and beyond < one.through)
            if folder not in self._probed and within and not useless and beyond is not None:
                self._probed.add(folder)
                self._depth_probes[depth] += 1
                return folder, beyond
            folder = one.after[: slash + 1]
            slash = one.after.find("/", slash + 1, shared)
        return None

    def cut(self, one: KeyRange) -> str | None:
        """A key inside of the range to begin another one after; None if none is known."""
        for known in (self._hints.keys, self._points):
            start = bisect_right(known, one.after)
            stop = len(known) if one.through is None else bisect_left(known, one.through)
            if start < stop:
                return known[(start + stop) // 2]
        guess = self._interpolate(one)
        if guess is not None and one.after < guess and (one.through is None or guess < one.through):
            return guess
        return middle_key(one.after, one.through, self._prefix)

    def _interpolate(self, one: KeyRange) -> str | None:
        assert one.first is not None
        ruler = self._space.ruler(one.first, one.after, one.through)
        here = ruler.number(one.after)
        span = max(here - ruler.number(one.first), 1)
        left = ruler.number(one.through) - here
        if left < 2:
            return None
        step = left // 2
        if one.open_end:
            step = min(step, int(one.reach_rows * span / max(one.page_rows, 1)))
        return ruler.key(here + max(step, 1))
