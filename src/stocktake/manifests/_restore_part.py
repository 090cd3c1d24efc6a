"""A file that is being written beside its place, and gets its name when it is whole."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from stocktake import faults
from stocktake.errors import RestoreTargetError
from stocktake.manifests._restore_path import PathProblem, path_error

_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS})
_MODE = 0o666


class PartFile:
    """An unfinished file. It holds a lock on it, so that nobody takes it for abandoned."""

    def __init__(self, at: int, path: bytes, names: tuple[bytes, bytes], number: int) -> None:
        """`names`: that of its place, and its own until then, both in the directory `at`."""
        self._at = at
        self._path = path
        self._name, self._part_name = names
        self._number = number
        self.is_placed = False

    @classmethod
    @contextmanager
    def opened(cls, at: int, path: bytes, name: bytes, part_name: bytes) -> Iterator[PartFile]:
        """Make it; unless it is placed, nothing is left of it after the block."""
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        number = os.open(part_name, flags, _MODE, dir_fd=at)
        try:
            with suppress(OSError):  # file systems without locks: nothing abandoned is removed
                fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            faults.reached("restore.part-opened")
            yield cls(at, path, (name, part_name), number)
        finally:
            with suppress(FileNotFoundError):  # it was renamed
                os.unlink(part_name, dir_fd=at)
            os.close(number)

    def write(self, data: bytes | memoryview) -> None:
        """The next bytes. Raises OSError, which `TargetFolder.part` explains."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._number, rest) :]

    def pieces(self, piece_bytes: int) -> Iterator[bytes]:
        """What the disk has of it so far, not what the system still remembers."""
        os.fsync(self._number)
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self._number, 0, 0, os.POSIX_FADV_DONTNEED)
        at = 0
        while piece := os.pread(self._number, piece_bytes, at):
            at += len(piece)
            yield piece

    def place(self, *, over: os.stat_result | None = None, mtime_ns: int | None = None) -> None:
        """Give it its name, once its bytes are on the disk.

        Args:
            over: The file that it replaces, as `TargetFolder.status` said. None: nothing may be
                there, and whatever somebody puts there meanwhile is not replaced.
            mtime_ns: Its time of change; a time that the file system cannot have is left out.

        Raises:
            RestoreTargetError: Something else is there.
        """
        if mtime_ns is not None:
            with suppress(OverflowError, OSError):
                os.utime(self._number, ns=(mtime_ns, mtime_ns))
        os.fsync(self._number)
        faults.reached("restore.part-written")
        faults.reached("restore.renaming")
        if over is None:
            self._link()
        else:
            self._replace(over)
        self.is_placed = True
        faults.reached("restore.renamed")

    def _link(self) -> None:
        try:
            os.link(
                self._part_name,
                self._name,
                src_dir_fd=self._at,
                dst_dir_fd=self._at,
                follow_symlinks=False,
            )
        except FileExistsError as error:
            raise self._taken() from error
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            # no links here: looked at first, so a name made this very instant would be lost
            if self._status() is not None:
                raise self._taken() from error
            self._rename()

    def _replace(self, over: os.stat_result) -> None:
        now = self._status()
        if now is None or identity(now) != identity(over):
            raise path_error(self._path, PathProblem.EXISTS, "the file there changed meanwhile")
        self._rename()

    def _rename(self) -> None:
        os.rename(self._part_name, self._name, src_dir_fd=self._at, dst_dir_fd=self._at)

    def _status(self) -> os.stat_result | None:
        try:
            return os.stat(self._name, dir_fd=self._at, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def _taken(self) -> RestoreTargetError:
        now = self._status()
        return taken_error(self._path, stat.S_IFREG if now is None else now.st_mode)


def identity(status: os.stat_result) -> tuple[int, int, int, int, int]:
    """What says that a file is still the one that was looked at."""
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


def taken_error(path: bytes, mode: int) -> RestoreTargetError:
    """The error of a place where something is, by what it is."""
    if stat.S_ISLNK(mode):
        return path_error(path, PathProblem.SYMLINK, "a symbolic link is in its place")
    if stat.S_ISDIR(mode):
        return path_error(path, PathProblem.FOLDER_IN_THE_WAY, "a folder is in its place")
    if stat.S_ISREG(mode):
        return path_error(path, PathProblem.EXISTS, "another file is in its place")
    return path_error(path, PathProblem.NO_FILE, "what is in its place is no file")


def no_space(error: OSError) -> bool:
    """Whether the disk, or the user's share of it, is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)
