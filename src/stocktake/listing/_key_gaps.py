"""What a sample knows of a key space: pages that were read, and the gaps between them.

Of a gap only its ends are known. How many keys it holds is a guess from the pages beside it; the
guess steers where to look and how likely, never the estimate itself.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt

from stocktake.listing._range_keys import KeySpace, Ruler, common_length, middle_key

_PLACES = 40
_CUTS_LEAST = 4
LAST_CHAR = "\U0010ffff"
LANDMARKS = (
    "".join(map(chr, range(0x21, 0x7F)))
    + "\x80\u0100\u0400\u0900\u3000\u6000\uac00\uff00\U0001f600"
)
"""Characters to look behind where nothing is known: printable ASCII, then the great scripts."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Keys that were read: `rows` of them, after `start` up to `end` (None: to the very end)."""

    start: str
    end: str | None
    rows: int


@dataclass(slots=True)
class Gap:
    """Keys that were not read: after `low` up to `high` (None: to the very end).

    Attributes:
        low: See there.
        high: See there.
        left: What was read right before it.
        right: What was read right behind it.
        mass: How many keys it holds, by guess.
    """

    low: str
    high: str | None
    left: Stretch | None = None
    right: Stretch | None = None
    mass: float = 0.0

    @property
    def is_unseen(self) -> bool:
        """No key right beside it was read."""
        return not any(side is not None and side.rows for side in (self.left, self.right))


class Measure:
    """Positions of keys in a gap, from 0 to 1, and the keys at positions.

    By the names of folders if several lie in the gap, else by the characters that occur at each
    place. Positions never descend with keys; that is all that the estimate relies on.
    """

    def __init__(
        self,
        space: KeySpace,
        prefix: str,
        cuts: Sequence[str],
        span: tuple[str, str | None],
        *,
        landmarks: bool = False,
    ) -> None:
        self._low, self._high = span
        first = bisect_right(cuts, self._low)
        last = len(cuts) if self._high is None else bisect_left(cuts, self._high)
        self._cuts = cuts[first:last]
        self._prefix = prefix
        shared = 0 if self._high is None else common_length(self._low, self._high)
        stem = self._low[: max(shared, len(prefix))] or prefix
        places = _places(self._low, len(stem), len(prefix))
        alphabets = [space.narrow(place) for place in places]
        alphabets[0] = space.wide(places[0])
        if landmarks:
            alphabets[0] = "".join(sorted({*alphabets[0], *LANDMARKS}))
        self._ruler = Ruler(stem, alphabets)
        self._first = self._ruler.number(self._low)
        self._last = self._ruler.size if self._high is None else self._ruler.number(self._high)

    @property
    def _by_cuts(self) -> bool:
        return len(self._cuts) >= _CUTS_LEAST

    @property
    def least(self) -> float:
        """What cannot be told apart: half a folder, or next to nothing."""
        return 0.5 / (len(self._cuts) + 1) if self._by_cuts else 1e-18

    def position(self, key: str | None) -> float:
        """Where a key of the gap is; None is the very end."""
        if key is None:
            return 1.0
        if self._by_cuts:
            return bisect_right(self._cuts, key) / (len(self._cuts) + 1)
        width = self._last - self._first
        if width <= 0:
            return 0.5
        return min(1.0, max(0.0, (self._ruler.number(key) - self._first) / width))

    def key(self, position: float) -> str | None:
        """A key strictly within the gap near a position; None if there is no room."""
        if self._by_cuts:
            number = min(int(position * (len(self._cuts) + 1)), len(self._cuts)) - 1
            return self._cuts[number] if number >= 0 else self._cuts[0]
        number = self._first + int(position * (self._last - self._first))
        found = self._ruler.key(number)
        if found > self._low and (self._high is None or found < self._high):
            return found
        return None

    def middle(self) -> str | None:
        """A key somewhere in the gap, if the measure has none."""
        return middle_key(self._low, self._high, self._prefix)

    def cells(self, count: int) -> list[tuple[str, str | None]]:
        """The gap as up to that many pieces, in order: (after, through)."""
        cuts: list[str] = []
        for number in range(1, count):
            key = self.key(number / count)
            if key is not None and (not cuts or key > cuts[-1]):
                cuts.append(key)
        lows = [self._low, *cuts]
        return list(zip(lows, [*cuts, self._high], strict=True))


def _places(key: str, start: int, base: int) -> list[tuple[int, int]]:
    """The places after the first `start` characters of a key, as `KeySpace` names them."""
    depth = key.count("/", base, start)
    slash = key.rfind("/", base, start)
    offset = start - (slash + 1 if slash >= 0 else base)
    places: list[tuple[int, int]] = []
    for at in range(start, start + _PLACES):
        places.append((depth, offset))
        depth, offset = (depth + 1, 0) if key[at : at + 1] == "/" else (depth, offset + 1)
    return places


class KeyLine:
    """The whole key space of a prefix as gaps, from left to right; what was read is between them.

    Holds what characters occur where, and the names of folders, to guess how full gaps are.
    """

    def __init__(self, prefix: str) -> None:
        self.space = KeySpace(prefix)
        self.cuts: list[str] = []
        self.gaps: list[Gap] = [Gap(prefix, None)]
        self._prefix = prefix

    def measure(self, low: str, high: str | None, *, landmarks: bool = False) -> Measure:
        """A measure of the keys between two; with `landmarks` for characters not seen yet."""
        cuts = [] if landmarks else self.cuts
        return Measure(self.space, self._prefix, cuts, (low, high), landmarks=landmarks)

    def read(self, stretch: Stretch) -> None:
        """Take out of the gap that holds it what was read."""
        at = bisect_right([gap.low for gap in self.gaps], stretch.start) - 1
        gap = self.gaps[at]
        parts: list[Gap] = []
        if stretch.start > gap.low:
            parts.append(Gap(gap.low, stretch.start, gap.left, stretch))
        elif at and self.gaps[at - 1].high == gap.low:
            self.gaps[at - 1].right = stretch
        if stretch.end is not None and (gap.high is None or stretch.end < gap.high):
            parts.append(Gap(stretch.end, gap.high, stretch, gap.right))
        for part in parts:
            self.guess(part)
        self.gaps[at : at + 1] = parts

    def gap_at(self, key: str) -> Gap | None:
        """The gap that holds the keys right behind one."""
        at = bisect_right([gap.low for gap in self.gaps], key) - 1
        gap = self.gaps[at] if at >= 0 else None
        return gap if gap is not None and (gap.high is None or key < gap.high) else None

    def fence(self, folders: Sequence[str]) -> None:
        """These are all folders of their level, and nothing lies between them."""
        for one, following in pairwise(folders):
            start, end = one + LAST_CHAR, following[:-1] + "."
            gap = self.gap_at(start)
            if gap is not None and start < end and (gap.high is None or end < gap.high):
                self.read(Stretch(start, end, 0))

    def guess(self, gap: Gap) -> None:
        """Guess anew how many keys a gap holds: from the density of what was read beside it."""
        low = gap.left.start if gap.left is not None else gap.low
        high = gap.right.end if gap.right is not None else gap.high
        measure = self.measure(low, high)
        densities: list[float] = []
        for side in (gap.left, gap.right):
            if side is not None and side.rows:
                width = measure.position(side.end) - measure.position(side.start)
                densities.append(side.rows / max(width, measure.least))
        if not densities:  # nothing is known right beside it: as much as in the others
            others = [one.mass for one in self.gaps if one is not gap and one.mass > 1]
            gap.mass = sum(others) / len(others) if others else 1.0
            return
        width = measure.position(gap.high) - measure.position(gap.low)
        density = sqrt(densities[0] * densities[-1])
        gap.mass = max(1.0, max(width, measure.least) * density)
