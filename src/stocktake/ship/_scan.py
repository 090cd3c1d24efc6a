"""One look at one directory: what changed there since the last look.

Files whose fingerprint is known cost a stat and a look into a dict, nothing else.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field

from stocktake.ship._records import Identity
from stocktake.ship._scan_names import is_ignored

Fingerprint = int
"""64 bits of an identity without its device: numbers of devices change when a machine restarts."""

_FILE, _FOLDER, _LINK = stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK


@dataclass(slots=True)
class FolderSight:
    """What a directory holds that is not known.

    Attributes:
        changed: New and changed files.
        folders: Directories below, with their device and inode.
        links: Names of symbolic links.
        known_seen: How many of the known files are there, changed or not.
    """

    changed: list[tuple[bytes, os.stat_result]] = field(default_factory=list)
    folders: list[tuple[bytes, os.stat_result]] = field(default_factory=list)
    links: list[bytes] = field(default_factory=list)
    known_seen: int = 0


def fingerprint(status: os.stat_result) -> Fingerprint:
    """What tells this content of a path from another one."""
    return hash((status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns))


def fingerprint_of(identity: Identity) -> Fingerprint:
    """The same of a recorded identity."""
    return hash((identity.ino, identity.size_bytes, identity.mtime_ns, identity.ctime_ns))


def look(folder: bytes, known: Mapping[bytes, Fingerprint]) -> FolderSight:
    """One look at `folder`, not below it.

    Raises:
        OSError: It cannot be read.
    """
    sight = FolderSight()
    get, seen = known.get, 0
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:  # removed since it was listed
                continue
            kind = status.st_mode & 0o170000
            if kind == _FILE:
                before = get(entry.name)
                if before == hash(
                    (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
                ):
                    seen += 1
                    continue
                if before is not None:
                    seen += 1
                elif is_ignored(entry.name):
                    continue
                sight.changed.append((entry.name, status))
            elif kind == _FOLDER and not is_ignored(entry.name):
                sight.folders.append((entry.name, status))
            elif kind == _LINK and not is_ignored(entry.name):
                sight.links.append(entry.name)
    sight.known_seen = seen
    return sight
