"""The ordering domains below a prefix: which there are, and which are closed.

A domain is a folder; what counts as one is a `DomainRule`. Date folders that nothing was written
to for long are closed: they leave the cursor, and their parent remembers up to which name.
"""

from __future__ import annotations

import re
from bisect import insort
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from stocktake.listing._calendar import ascending_dates
from stocktake.listing._folder_state import FolderState
from stocktake.model import escape_key, folder_of, parent_folder, unescape_key

LAST_IN_FOLDER = "/\U0010ffff"
"""After a folder's name: a place behind all of its keys, to start the next listing from."""


@dataclass(frozen=True, slots=True)
class DomainRule:
    """What an ordering domain is.

    Attributes:
        depth: Folders of that many levels, whole; 0 is everything as one domain.
        pattern: Folders that match it, whole.

    With neither, each folder is the domain of the objects right in it.
    """

    depth: int | None = None
    pattern: re.Pattern[str] | None = None

    def is_whole(self, folder: str) -> bool:
        """The folder is one domain together with everything below it."""
        if self.depth is not None and folder.count("/") >= self.depth:
            return True
        return self.pattern is not None and self.pattern.fullmatch(folder) is not None

    def domain_of(self, key: str) -> str:
        """The domain of a key; both relative to the prefix.

        >>> DomainRule(depth=1).domain_of("a/b/c"), DomainRule().domain_of("a/b/c")
        ('a/', 'a/b/')
        """
        folder = folder_of(key)
        if self.depth is None and self.pattern is None:
            return folder
        for above in _ancestors(folder):
            if self.is_whole(above):
                return above
        return folder


def _ancestors(folder: str) -> Iterator[str]:
    """The folder's ancestors from the root down, and itself."""
    yield ""
    at = folder.find("/")
    while at >= 0:
        yield folder[: at + 1]
        at = folder.find("/", at + 1)


class FolderTree:
    """The open folders of a cursor by path, relative to the prefix; every ancestor is there too."""

    def __init__(self) -> None:
        self.folders: dict[str, FolderState] = {}
        self._children: dict[str, list[str]] = {}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> FolderTree:
        """What `to_json` gave."""
        tree = cls()
        for path, state in raw.items():
            tree.put(unescape_key(path), FolderState.from_json(state))
        return tree

    def to_json(self) -> dict[str, Any]:
        """Path -> state."""
        return {escape_key(path): self.folders[path].to_json() for path in sorted(self.folders)}

    def put(self, path: str, state: FolderState) -> None:
        """Set the state of a folder; ancestors are made if need be."""
        self.add(path)
        self.folders[path] = state

    def add(self, path: str) -> None:
        """Make sure that a folder and its ancestors are there."""
        if path in self.folders:
            return
        self.folders[path] = FolderState()
        if path:
            parent = parent_folder(path)
            self.add(parent)
            insort(self._children.setdefault(parent, []), path[len(parent) : -1])

    def children(self, path: str) -> list[str]:
        """Names of the open children, ascending."""
        return self._children.get(path, [])

    def is_closed(self, path: str) -> bool:
        """The folder lies in what was closed."""
        parent = parent_folder(path)
        above = self.folders.get(parent)
        if above is None:
            return self.is_closed(parent)
        name = path[len(parent) : -1]
        return name <= above.closed and _is_date(path)

    def close_idle(self, parent: str, idle_before_s: float) -> None:
        """Close the first children of a folder as long as they are idle and not the last date."""
        names = self.children(parent)
        while len(names) > 1:
            first = parent + names[0] + "/"
            if not (_is_date(first) and self._is_idle(first, idle_before_s)):
                return
            if not _is_date(parent + names[1] + "/"):
                return
            self.folders[parent].closed = names[0]
            self._drop(first)
            del names[0]

    def _is_idle(self, path: str, before_s: float) -> bool:
        if self.folders[path].news_s >= before_s:
            return False
        return all(self._is_idle(f"{path}{name}/", before_s) for name in self.children(path))

    def _drop(self, path: str) -> None:
        for name in self._children.pop(path, []):
            self._drop(f"{path}{name}/")
        del self.folders[path]


@lru_cache(maxsize=65_536)
def _is_date(path: str) -> bool:
    return ascending_dates(path.split("/")[:-1])
