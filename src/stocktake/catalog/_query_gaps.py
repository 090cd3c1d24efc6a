"""Where in the files a folder's own objects can be, between those of its subfolders.

In a row group that is sorted by key, everything between two keys of one subfolder is in that
subfolder. So the bounds alone tell which row groups can hold objects that lie directly in a folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from stocktake.catalog._format import ObjectFile
from stocktake.catalog._ranges import overlaps, prefix_range

_RANGES_MAX = 64


@dataclass(frozen=True, slots=True)
class DirectRanges:
    """Every file with the row groups that count, and the predicate of the keys to look at."""

    files: tuple[ObjectFile, ...]
    predicate: str
    parameters: tuple[str, ...]


def direct_ranges(files: Sequence[ObjectFile], folder: str) -> DirectRanges:
    """Where the objects directly in `folder` can be: a superset, narrow if that is possible."""
    wanted = prefix_range(folder)
    narrowed = [
        replace(
            file,
            row_groups=tuple(
                group
                for group in file.row_groups
                if overlaps(group.min_key, group.max_key, wanted)
                and not _in_one_subfolder(group.min_key, group.max_key, folder)
            ),
        )
        for file in files
    ]
    merged = _merged([(g.min_key, g.max_key) for file in narrowed for g in file.row_groups])
    if not merged or len(merged) > _RANGES_MAX:
        merged = [(merged[0][0], merged[-1][1])] if merged else []
    low, high = wanted
    clipped = [(max(a, low) if low else a, b) for a, b in merged]
    predicate = " OR ".join("(key >= ? AND key <= ?)" for _ in clipped) or "false"
    if high is not None:
        predicate = f"({predicate}) AND key < ?"
    parameters = [bound for pair in clipped for bound in pair]
    return DirectRanges(
        tuple(narrowed), predicate, tuple(parameters if high is None else [*parameters, high])
    )


def _in_one_subfolder(min_key: str, max_key: str, folder: str) -> bool:
    if not (min_key.startswith(folder) and max_key.startswith(folder)):
        return False
    end = min_key.find("/", len(folder))
    return end >= 0 and max_key.startswith(min_key[: end + 1])


def _merged(bounds: list[tuple[str, str]]) -> list[tuple[str, str]]:
    merged: list[tuple[str, str]] = []
    for low, high in sorted(bounds):
        if merged and low <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return merged
