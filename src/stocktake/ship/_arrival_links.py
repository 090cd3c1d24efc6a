"""Symbolic links: not followed by default; if they are, only to what lies inside the folder."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from stocktake.errors import SourceSkippedError, StocktakeError
from stocktake.ship._keys import escape_path
from stocktake.ship._scan import FolderSight, fingerprint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stocktake.ship._settings import ShipSettings

_Status = os.stat_result


class LinkPolicy:
    """What is done with the links of a directory, and which directories are passed over."""

    def __init__(self, settings: ShipSettings) -> None:
        self._follow = settings.follow_links
        self._root = os.path.realpath(os.fsencode(settings.folder))
        own = (settings.error_folder, settings.state_folder)
        self._own = tuple(os.path.realpath(os.fsencode(path)) for path in own)

    def is_own(self, below: bytes) -> bool:
        """Whether this directory is the error folder or the ledger's."""
        return self._root + b"/" + below in self._own

    def resolve(
        self,
        below: bytes,
        sight: FolderSight,
        known: Mapping[bytes, int],
        problems: dict[bytes, StocktakeError],
        *,
        linked: bool,
    ) -> list[tuple[bytes, _Status]]:
        """Add the files that links lead to; gives the directories that they lead to.

        `linked`: this directory was itself reached through a link. A link below it is not followed,
        so that the number of paths stays bounded whatever the links are.
        """
        folders = []
        for name in sight.links:
            target, why = self._target(below, name, linked=linked)
            if target is None:
                if why:
                    problems[below + name] = _skipped(below + name, why)
            elif stat.S_ISDIR(target.st_mode):
                folders.append((name, target))
            elif stat.S_ISREG(target.st_mode):
                sight.known_seen += name in known
                if known.get(name) != fingerprint(target):
                    sight.changed.append((name, target))
        return folders

    def _target(self, below: bytes, name: bytes, *, linked: bool) -> tuple[_Status | None, str]:
        """What the link leads to, or why it is not followed."""
        if not self._follow:
            return None, "a symbolic link"
        path = self._root + b"/" + below + name
        try:
            real = os.path.realpath(path, strict=True)
            status = os.lstat(real)
        except OSError as error:
            return None, f"a symbolic link that leads nowhere ({error.strerror})"
        if not real.startswith(self._root.rstrip(b"/") + b"/") and real != self._root:
            return None, "a symbolic link that leads outside the folder"
        if any(real == own or real.startswith(own + b"/") for own in self._own):
            return None, ""
        if stat.S_ISDIR(status.st_mode):
            if linked:
                return None, "a symbolic link below a linked folder"
            if path.startswith(real.rstrip(b"/") + b"/"):
                return None, "a symbolic link to a folder that it lies in"
        return status, ""


def _skipped(path: bytes, why: str) -> SourceSkippedError:
    shown = escape_path(path)
    hint = "--follow-links follows those that stay inside the folder"
    return SourceSkippedError(
        f"`{shown}` is {why}: not followed",
        hint=hint if why == "a symbolic link" else None,
        path=shown,
    )
