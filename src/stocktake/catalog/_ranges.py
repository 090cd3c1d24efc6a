"""Key ranges: how big work over a snapshot is cut into pieces of bounded memory.

A range is `(low, high)`: keys with `low <= key < high`; None is an open end. Ranges of one plan are
disjoint, in order, and cover every key.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from stocktake.catalog._format import ObjectFile
from stocktake.model import successor

KeyRange = tuple[str | None, str | None]

WHOLE: KeyRange = (None, None)


def plan_ranges(quantiles: Sequence[str], rows: int, rows_per_range: int) -> list[KeyRange]:
    """Ranges of about `rows_per_range` of `rows` rows whose sorted quantile keys are given."""
    pieces = min(-(-rows // rows_per_range), len(quantiles) + 1)
    if pieces <= 1:
        return [WHOLE]
    step = len(quantiles) / pieces
    cuts = sorted({quantiles[int(step * index)] for index in range(1, pieces)})
    bounds: list[str | None] = [None, *cuts, None]
    return list(itertools.pairwise(bounds))


def prefix_range(prefix: str) -> KeyRange:
    """The range of all keys that start with `prefix`."""
    return (prefix or None, successor(prefix))


def intersect(one: KeyRange, other: KeyRange) -> KeyRange | None:
    """The keys in both ranges, or None if there can be none."""
    low = max((bound for bound in (one[0], other[0]) if bound is not None), default=None)
    high = min((bound for bound in (one[1], other[1]) if bound is not None), default=None)
    if low is not None and high is not None and low >= high:
        return None
    return (low, high)


def overlaps(min_key: str, max_key: str, wanted: KeyRange) -> bool:
    """True if some key between the inclusive bounds may lie in the range."""
    low, high = wanted
    return (low is None or max_key >= low) and (high is None or min_key < high)


def files_in_range(files: Iterable[ObjectFile], wanted: KeyRange) -> list[int]:
    """Indexes of the files that have a row group which may hold a key of the range."""
    return [
        index
        for index, file in enumerate(files)
        if overlaps(file.min_key, file.max_key, wanted)
        and any(overlaps(group.min_key, group.max_key, wanted) for group in file.row_groups)
    ]


def thin(samples: list[str], most: int) -> list[str]:
    """At most that many of the sorted samples, evenly spaced, without repeats."""
    ordered = sorted(samples)
    if len(ordered) > most:
        step = len(ordered) / most
        ordered = [ordered[int(step * index)] for index in range(most)]
    return sorted(set(ordered))
