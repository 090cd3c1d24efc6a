"""How much of what should be below each folder is there: counted while rows go by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from stocktake.reconcile._report import PrefixCoverage

FOLDERS_MAX = 5_000
"""Folders that are counted by themselves; objects of further ones are in the totals only."""

_COLUMNS = ("should", "missing", "extra", "different")


class CoverageTable:
    """Numbers per folder of so many levels. Memory: that of `FOLDERS_MAX` names."""

    def __init__(self, depth: int) -> None:
        self._depth = max(0, depth)
        self._pattern = rf"(?s)\A(?P<folder>(?:[^/]*/){{0,{self._depth}}})"
        self._counts: dict[str, Counter[str]] = {}
        self._beyond: set[int] = set()

    @property
    def left_out(self) -> int:
        """Folders that are not counted by themselves."""
        return len(self._beyond)

    def add(self, column: str, keys: pa.StringArray) -> None:
        """Count keys, ascending, in one of the columns `should, missing, extra, different`."""
        assert column in _COLUMNS, column
        for folder, count in self._folders(keys):
            known = self._counts.get(folder)
            if known is None:
                if len(self._counts) >= FOLDERS_MAX:
                    self._beyond.add(hash(folder))
                    continue
                known = self._counts[folder] = Counter()
            known[column] += count

    def rows(self) -> tuple[PrefixCoverage, ...]:
        """All folders in key order."""
        return tuple(
            PrefixCoverage(
                prefix=folder,
                should=counts["should"],
                found=counts["should"] - counts["missing"],
                extra=counts["extra"],
                different=counts["different"],
            )
            for folder, counts in sorted(self._counts.items())
        )

    def _folders(self, keys: pa.StringArray) -> Iterable[tuple[str, int]]:
        if not len(keys):
            return []
        first = self._folder(keys[0].as_py())
        # ascending keys that begin and end in one folder are all in it, if its name is whole
        if first.count("/") == self._depth and keys[-1].as_py().startswith(first):
            return [(first, len(keys))]
        folders = pc.struct_field(pc.extract_regex(keys, pattern=self._pattern), "folder")
        return [(one["values"], one["counts"]) for one in pc.value_counts(folders).to_pylist()]

    def _folder(self, key: str) -> str:
        names = key.split("/", self._depth)[: self._depth] if self._depth else []
        whole = names if key.count("/") >= self._depth else names[: key.count("/")]
        return "".join(f"{name}/" for name in whole)
