"""Where to cut a range: at hints, at folders that a probe showed, or between the keys seen."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, deque
from collections.abc import Sequence
from fractions import Fraction

from stocktake.listing._folder_names import FolderNames
from stocktake.listing._range_hints import Hints
from stocktake.listing._range_keys import KeySpace, Ruler, common_length, middle_key
from stocktake.listing._range_state import KeyRange, PageKeys
from stocktake.model import successor

_SAMPLES_FIRST, _SAMPLES_LATER = 16, 2
_PAGES_FIRST = 64
_PROBE_PAGES_MIN = 6
_ROWS_MAX = 1e12
_UNLEARNED_MAX = 2_000


class Cuts:
    """Everything learned about the keys of one listing; guesses, which only cost calls."""

    def __init__(self, prefix: str, hints: Hints, *, page_rows: int) -> None:
        self._prefix = prefix
        self._hints = hints
        self._page_rows = page_rows
        self._space = KeySpace(prefix)
        self._pages = 0
        self._points: list[str] = []  # sorted; below each there is at least one key
        self._probed: dict[str, bool] = {}  # folder -> are all its subfolders known?
        self._names = FolderNames(prefix)
        self._unlearned: deque[str] = deque(maxlen=_UNLEARNED_MAX)
        self._beyond_steps = 0
        self._beyond_tried: set[str] = set()
        self._depth_probes: Counter[int] = Counter()
        self._depth_points: Counter[int] = Counter()

    def learn(self, keys: PageKeys) -> None:
        """Look at a few keys of a page."""
        self._pages += 1
        samples = _SAMPLES_FIRST if self._pages <= _PAGES_FIRST else _SAMPLES_LATER
        count = len(keys)
        rows = {count * index // samples for index in range(samples)} | {count - 1}
        self._unlearned.extend(keys.key(row) for row in sorted(rows))

    def add_points(self, folder: str, prefixes: Sequence[str], *, complete: bool) -> None:
        """A probe of a folder showed these subfolders."""
        self._probed[folder] = complete
        depth = folder.count("/", len(self._prefix))
        self._depth_points[depth] += len(prefixes)
        # a range that begins at a folder must begin before its first key
        self._points = sorted({*self._points, *(prefix[:-1] for prefix in prefixes)})
        self._names.learn(prefixes)

    def estimate(self, one: KeyRange) -> float:
        """About how many rows are left in a range of which a page was read."""
        if one.first is None and one.alike is None:
            return 0.0
        cells = self._hints.count(one.after, one.through)
        if cells:
            return self._hints.rows(cells)
        ruler, here, rows_per_unit = self._measure(one)
        guess = float(rows_per_unit * (ruler.number(self._end(one)) - here))
        if one.first is None:
            return min(guess, _ROWS_MAX)
        guess = max(guess, float(min(one.serial_rows, 4 * self._page_rows)))
        return min(guess + self._in_folders_ahead(one, guess), _ROWS_MAX)

    def _in_folders_ahead(self, one: KeyRange, rows: float) -> float:
        """About how many rows are in folders to come, if each is like the current one."""
        shared = one.after[: common_length(one.first or "", one.after)].count(
            "/", len(self._prefix)
        )
        size, total = rows + self._page_rows, 0.0
        levels = list(self._names.ahead(one.after, one.through))[:shared]
        for depth in range(len(levels) - 1, -1, -1):
            total += len(levels[depth][1]) * size
            size *= max(self._names.count(depth), 1)
        return total

    def beyond(self, one: KeyRange) -> str | None:
        """A key far behind an open range, if nobody looked there yet."""
        self._learn_now()
        key = self._space.beyond(self._beyond_steps)
        if key is None or key <= one.after or key in self._beyond_tried:
            return None
        if one.through is not None and key >= one.through:
            return None
        self._beyond_tried.add(key)
        self._beyond_steps += 1
        return key

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
                self._probed[folder] = False
                self._depth_probes[depth] += 1
                return folder, beyond
            folder = one.after[: slash + 1]
            slash = one.after.find("/", slash + 1, shared)
        return None

    def cut_near(self, one: KeyRange, rows: float) -> str | None:
        """A key about so many rows into the range; None if that cannot be guessed."""
        ruler, here, rows_per_unit = self._measure(one)
        guess = ruler.key(min(here + max(int(rows / rows_per_unit), 1), ruler.size - 1))
        known = self._next_folder(one)
        if known is not None and not one.after < guess < known:
            return known  # what is near is guessed, what comes next has been seen elsewhere
        return guess if one.after < guess and (one.through is None or guess < one.through) else None

    def _next_folder(self, one: KeyRange) -> str | None:
        """The folder that probably follows the one the last page was in; None if none is known."""
        first, last, _ = (one.first, one.after, 0) if one.first else one.alike or ("", "", 0)
        shared = last[: common_length(first, last)].count("/", len(self._prefix))
        levels = list(self._names.ahead(one.after, one.through))[:shared]
        following = [folder + ahead[0] for folder, ahead in levels if ahead]
        return following[-1] if following else None

    def cut(self, one: KeyRange) -> str | None:
        """A key inside of the range to begin another one after; None if none is known."""
        for known in (self._hints.keys, self._points):
            start = bisect_right(known, one.after)
            stop = len(known) if one.through is None else bisect_left(known, one.through)
            if start < stop:
                return known[(start + stop) // 2]
        self._learn_now()
        for folder, ahead in self._names.ahead(one.after, one.through):
            if ahead:
                return folder + ahead[len(ahead) // 2]
        guess = self._interpolate(one)
        if guess is not None and one.after < guess and (one.through is None or guess < one.through):
            return guess
        return middle_key(one.after, one.through, self._prefix)

    def _interpolate(self, one: KeyRange) -> str | None:
        ruler, here, rows_per_unit = self._measure(one)
        left = ruler.number(self._end(one)) - here
        if left < 2:
            return None
        step = left // 2
        if one.open_end:
            step = min(step, int(one.reach_rows / rows_per_unit))
        return ruler.key(here + max(step, 1))

    def _measure(self, one: KeyRange) -> tuple[Ruler, int, Fraction]:
        """A ruler for the range, where on it the range stands, and how dense its keys are."""
        self._learn_now()
        if one.first is not None:
            first, last, rows = one.first, one.after, one.page_rows
        else:
            assert one.alike is not None
            first, last, rows = one.alike
        ruler = self._space.ruler(first, last, self._end(one), wide=one.open_end)
        span = max(ruler.number(last) - ruler.number(first), 1)
        return ruler, ruler.number(one.after), Fraction(max(rows, 1), span)

    def _end(self, one: KeyRange) -> str | None:
        """Where the keys end that are like the last one read, at most the end of the range.

        Of a folder whose subfolders are all known, nothing lies behind the current one but those.
        """
        end = one.through
        quiet = {
            folder
            for depth, (folder, ahead) in enumerate(self._names.ahead(one.after, end))
            if not ahead and self._names.is_settled(depth)
        }
        slash = one.after.find("/", len(self._prefix))
        folder = self._prefix
        while slash >= 0:
            child = one.after[: slash + 1]
            if self._probed.get(folder) or folder in quiet:
                beyond = successor(child)
                if beyond is not None and (end is None or beyond < end):
                    end = beyond
            folder = child
            slash = one.after.find("/", slash + 1)
        return end

    def _learn_now(self) -> None:
        if self._unlearned:
            self._space.learn(self._unlearned)
            self._names.learn(self._unlearned)
            self._unlearned.clear()
