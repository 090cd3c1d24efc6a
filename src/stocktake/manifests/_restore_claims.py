"""Which paths of one restore exclude each other: a file and a folder of one name, or two spellings.

What is written by several threads has no order; what is refused here is refused in every run alike.
"""

from __future__ import annotations

import hashlib
import os
import unicodedata

from stocktake.manifests._restore_path import PathProblem, path_error
from stocktake.model import display_key


class PathClaims:
    """Says of each path, in the order of keys, whether an earlier one excludes it.

    Memory: the path's own beginnings, and a digest of each path that could be that of two keys:
    those with characters that keys escape, and on file systems that ignore case or spelling all.

    Args:
        folds: The file system takes `A` for `a`, or `é` for another spelling of it.
    """

    def __init__(self, *, folds: bool) -> None:
        self._folds = folds
        self._above: list[bytes] = []
        self._taken: set[bytes] = set()

    def claim(self, path: bytes) -> None:
        """Claim a file's path.

        Raises:
            RestoreTargetError: A file of this run has that name, or that of a folder on the way.
        """
        while self._above and not path.startswith(self._above[-1]):
            self._above.pop()
        for above in self._above:
            if path.startswith(above + b"/"):
                shown = display_key(os.fsdecode(above))
                why = f"the manifest has `{shown}` as a file too"
                raise path_error(path, PathProblem.FILE_IN_THE_WAY, why)
        text = os.fsdecode(path)
        if self._folds or not text.isprintable():
            self._spell(path, text)
        self._above.append(path)

    def _spell(self, path: bytes, text: str) -> None:
        spelling = path
        if self._folds:
            folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
            spelling = os.fsencode(folded)
        digest = hashlib.blake2b(spelling, digest_size=16).digest()
        if digest in self._taken:
            why = "another file of this restore has the same name here"
            raise path_error(path, PathProblem.SAME_NAME, why)
        self._taken.add(digest)
