"""Names of folders by depth: trees repeat themselves, so names seen in one folder cut the next."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

_NAMES_MAX = 512
_PARENTS_MIN = 3


class FolderNames:
    """Which names folders have at each depth below a prefix; a depth with too many is dropped."""

    def __init__(self, prefix: str) -> None:
        self._start = len(prefix)
        self._names: list[list[str] | None] = []
        self._parents: list[set[str]] = []  # a few of each depth

    def learn(self, keys: Iterable[str]) -> None:
        """Take note of the folders that keys (or folders, with their `/`) are in."""
        for key in keys:
            parent = ""
            for depth, name in enumerate(key[self._start :].split("/")[:-1]):
                if depth == len(self._names):
                    self._names.append([])
                    self._parents.append(set())
                if len(self._parents[depth]) < _PARENTS_MIN:
                    self._parents[depth].add(parent)
                parent = f"{parent}{name}/"
                names = self._names[depth]
                if names is not None:
                    place = bisect_left(names, name)
                    if place == len(names) or names[place] != name:
                        names.insert(place, name)
                        if len(names) > _NAMES_MAX:
                            self._names[depth] = None

    def ahead(self, after: str, through: str | None) -> Iterator[tuple[str, list[str]]]:
        """For each folder that `after` is in, outermost first: the folder, and names to come.

        Names that were seen at this depth, greater than the current one, with keys up to `through`.
        Stops at the first depth of which too many names are known, or only those of few folders.
        """
        folder = after[: self._start]
        for depth, name in enumerate(after[self._start :].split("/")[:-1]):
            names = self._names[depth] if depth < len(self._names) else None
            if names is None:
                return
            if not self.is_settled(depth):
                yield folder, []
                folder = f"{folder}{name}/"
                continue
            ahead = names[bisect_right(names, name) :]
            if through is not None and ahead:
                if through.startswith(folder):
                    # `folder + other` must be smaller than `through` itself
                    ahead = ahead[: bisect_left(ahead, through[len(folder) :])]
                elif through < folder:
                    ahead = []
            yield folder, ahead
            folder = f"{folder}{name}/"

    def is_settled(self, depth: int) -> bool:
        """Have the names of a depth been seen below several folders, so that few are missing?"""
        return depth < len(self._parents) and len(self._parents[depth]) >= _PARENTS_MIN

    def count(self, depth: int) -> int:
        """How many names a depth has; 0 if too many or none."""
        names = self._names[depth] if depth < len(self._names) else None
        return len(names) if names else 0
