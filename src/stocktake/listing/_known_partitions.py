"""Which partitions are known: ranges of numbers, one list per chain of partitions.

Ten years of daily partitions without a gap are one range. A partition that appears late is one
whose number is missing: exact, and cheaper than a hash of names.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Mapping, Sequence
from typing import Any

from stocktake.model import escape_key, successor, unescape_key

RANGES_MAX = 2_000
"""Most ranges of one chain. Beyond it the closest two are joined: what then appears between them is
found by audits only."""


class IndexRanges:
    """A set of integers as disjoint ascending ranges."""

    def __init__(self, ranges: Sequence[Sequence[int]] = ()) -> None:
        self._first = [int(pair[0]) for pair in ranges]
        self._last = [int(pair[1]) for pair in ranges]

    def add(self, number: int) -> None:
        """Put a number in."""
        at = bisect_right(self._first, number)
        if at and self._last[at - 1] >= number:
            return
        joins_left = at > 0 and self._last[at - 1] == number - 1
        joins_right = at < len(self._first) and self._first[at] == number + 1
        if joins_left and joins_right:
            self._last[at - 1] = self._last.pop(at)
            del self._first[at]
        elif joins_left:
            self._last[at - 1] = number
        elif joins_right:
            self._first[at] = number
        else:
            self._first.insert(at, number)
            self._last.insert(at, number)
            self._join_closest()

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._first, number)
        return at > 0 and self._last[at - 1] >= number

    def __len__(self) -> int:
        return sum(self._last) - sum(self._first) + len(self._first)

    def meets(self, first: int, last: int) -> bool:
        """Some number between these two, both included, is in."""
        at = bisect_right(self._first, last)
        return at > 0 and self._last[at - 1] >= first

    def to_json(self) -> list[list[int]]:
        """The ranges."""
        return [list(pair) for pair in zip(self._first, self._last, strict=True)]

    def _join_closest(self) -> None:
        if len(self._first) <= RANGES_MAX:
            return
        gaps = [self._first[at + 1] - self._last[at] for at in range(len(self._first) - 1)]
        at = gaps.index(min(gaps))
        self._last[at] = self._last.pop(at + 1)
        del self._first[at + 1]


class KnownPartitions:
    """Known partitions by chain."""

    def __init__(self, raw: Mapping[str, Any] | None = None) -> None:
        """From what `to_json` gave."""
        self._chains = {
            unescape_key(chain): IndexRanges(ranges) for chain, ranges in (raw or {}).items()
        }
        self._sorted = sorted(self._chains)

    def add(self, chain: str, index: int) -> None:
        """A partition is known from now on."""
        if chain not in self._chains:
            self._chains[chain] = IndexRanges()
            insort(self._sorted, chain)
        self._chains[chain].add(index)

    def has(self, chain: str, index: int) -> bool:
        """This very partition is known."""
        return chain in self._chains and index in self._chains[chain]

    def has_below(self, shape: str, first: int, last: int) -> bool:
        """A partition with these numbers is known below a folder of this shape (with its `/`)."""
        return any(self._chains[chain].meets(first, last) for chain in self.below(shape))

    def count_below(self, shape: str) -> int:
        """How many partitions are known below folders of this shape (with its `/`)."""
        return sum(len(self._chains[chain]) for chain in self.below(shape))

    def below(self, shape: str) -> list[str]:
        """The chains that begin with a shape, sorted; all of them for ''."""
        end = successor(shape)
        first = bisect_left(self._sorted, shape)
        last = len(self._sorted) if end is None else bisect_left(self._sorted, end)
        return self._sorted[first:last]

    def to_json(self) -> dict[str, list[list[int]]]:
        """Chain -> ranges."""
        return {escape_key(chain): self._chains[chain].to_json() for chain in self._sorted}
