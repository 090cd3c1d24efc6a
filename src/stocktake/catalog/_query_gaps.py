"""Where in the files a folder's own objects can be, between those of its subfolders.

In a row group that is sorted by key, everything between two keys of one subfolder is in that
subfolder. So the bounds alone tell which row groups can hold objects that lie directly in a folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from stocktake.catalog._format import ObjectFile
from stocktake.catalog._ranges import overlaps, prefix_range

_RANGES_MAX = 8


@dataclass(frozen=True, slots=True)
class DirectRanges:
    """Every file with the row groups that count, and the predicate of the keys to look at."""

    files: tuple[ObjectFile, ...]
    predicate: str
    parameters: tuple[str, ...]


def direct_ranges(files: Sequence[ObjectFile], folder: str) -> DirectRanges:
    """Where the objects directly in `folder` can be: a superset, narrow if that is possible."""
    wanted = prefix_range(folder)
    narrowed: list[ObjectFile] = []
    groups: list[tuple[str, str, bool]] = []
    for file in files:
        near = []
        for group in file.row_groups:
            if overlaps(group.min_key, group.max_key, wanted):
                may_hold = not _in_one_subfolder(group.min_key, group.max_key, folder)
                groups.append((group.min_key, group.max_key, may_hold))
                if may_hold:
                    near.append(group)
        narrowed.append(replace(file, row_groups=tuple(near)))
    low, high = wanted
    ranges = [(max(first, low or ""), last) for first, last in _stretches(groups)]
    predicate = " OR ".join("(key >= ? AND key <= ?)" for _ in ranges) or "false"
    parameters = [bound for pair in ranges for bound in pair]
    if high is not None:
        predicate, parameters = f"({predicate}) AND key < ?", [*parameters, high]
    return DirectRanges(tuple(narrowed), predicate, tuple(parameters))


def _stretches(groups: list[tuple[str, str, bool]]) -> list[tuple[str, str]]:
    """Key ranges that cover the groups that count; one range as long as none is left out between.

    Each range costs two comparisons per row, so there are few.
    """
    ranges: list[tuple[str, str]] = []
    follows = False
    for low, high, counts in sorted(groups):
        if counts:
            if ranges and (follows or low <= ranges[-1][1]):
                ranges[-1] = (ranges[-1][0], max(high, ranges[-1][1]))
            else:
                ranges.append((low, high))
        follows = counts
    if len(ranges) > _RANGES_MAX:
        return [(ranges[0][0], ranges[-1][1])]
    return ranges


def _in_one_subfolder(min_key: str, max_key: str, folder: str) -> bool:
    if not (min_key.startswith(folder) and max_key.startswith(folder)):
        return False
    end = min_key.find("/", len(folder))
    return end >= 0 and max_key.startswith(min_key[: end + 1])
