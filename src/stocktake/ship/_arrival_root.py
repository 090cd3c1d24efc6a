"""Is the watched folder the one that it was? Nothing is concluded while that is not certain.

The folder is known by device and inode. When they change it was unmounted, mounted over, deleted or
made anew, and the arrival pauses. It goes on when

* the same device and inode are back, or
* a file that is known is there, unchanged: the same volume, mounted again with other numbers, or
* nothing had been seen in the former one, so nothing can be missing, or
* it is another folder at the same mount, and still is after a while: somebody made it anew.

What was known of the former folder stays known, but is never called vanished.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

from stocktake.clock import Clock
from stocktake.errors import WatchedFolderError

_Place = tuple[int, int]


class FolderGuard:
    """Watches over the identity of one folder.

    Args:
        folder: The watched one.
        confirm_s: How long a folder made anew at the same mount must be there.
        evidence: Whether a known file is there, unchanged.
    """

    def __init__(
        self, folder: Path, *, clock: Clock, confirm_s: float, evidence: Callable[[], bool]
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._confirm_s = confirm_s
        self._evidence = evidence
        self._place: _Place | None = None
        self._mount: bytes | None = None
        self._other: tuple[_Place, float] | None = None
        self.proven = False
        """Something was seen in this folder: another one in its place is not the same."""

    @property
    def device(self) -> int:
        """The folder's device at the last check."""
        return self._place[0] if self._place else 0

    def check(self) -> bool:
        """True if it is the folder of the last check, False if it is an accepted other one.

        Raises:
            WatchedFolderError: It is gone, unreadable, or another one.
        """
        place = self._stat()
        if place == self._place:
            self._other = None
            return True
        first = self._place is None
        if not (first or self._accepted(place)):
            raise self._lost("is another folder than before: unmounted, or replaced")
        self._place, self._other, self.proven = place, None, False
        self._mount = mount_point(self._folder)
        return first

    def recheck(self) -> None:
        """After a scan: was it the same folder all the time?

        Raises:
            WatchedFolderError: No; the scan says nothing.
        """
        if self._stat() != self._place:
            raise self._lost("was unmounted or replaced during a scan")

    def _stat(self) -> _Place:
        try:
            status = self._folder.stat()
        except OSError as error:
            gone = error.errno in (errno.ENOENT, errno.ENOTDIR)
            why = "is not there" if gone else f"cannot be reached: {error.strerror}"
            raise self._lost(why) from error
        if not stat.S_ISDIR(status.st_mode):
            raise self._lost("is not a folder any more")
        return status.st_dev, status.st_ino

    def _accepted(self, place: _Place) -> bool:
        if not self.proven or self._evidence():
            return True
        if self._other is None or self._other[0] != place:
            self._other = (place, self._clock.monotonic_s())
        same_mount = self._place is not None and place[0] == self._place[0]
        if not (same_mount and mount_point(self._folder) == self._mount):
            return False
        return self._clock.monotonic_s() - self._other[1] >= self._confirm_s

    def _lost(self, why: str) -> WatchedFolderError:
        return WatchedFolderError(
            f"the watched folder `{self._folder}` {why}", folder=str(self._folder)
        )


def mount_point(folder: Path) -> bytes | None:
    """The place where the file system that holds `folder` is mounted; None if nobody knows."""
    try:
        table = Path("/proc/self/mountinfo").read_bytes()
    except OSError:
        return None
    path = os.path.realpath(os.fsencode(folder))
    points = (_unescaped(line.split(b" ")[4]) for line in table.splitlines())
    return max(
        (p for p in points if path == p or path.startswith(p.rstrip(b"/") + b"/")),
        key=len,
        default=None,
    )


def _unescaped(point: bytes) -> bytes:
    """The kernel writes blanks, tabs, newlines and backslashes as octal escapes."""
    return point.decode("latin-1").encode("latin-1").decode("unicode_escape").encode("latin-1")
