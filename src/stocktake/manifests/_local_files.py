"""The files of a local folder in the order of their keys, each opened never through a link."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

from stocktake.errors import (
    LocalFolderError,
    SourceChangedError,
    SourceUnreadableError,
    SourceVanishedError,
)
from stocktake.manifests._local_names import (
    Exclusions,
    local_key,
    local_name_key,
    unescaped_name,
)

OWN_FOLDER = ".stocktake"
"""Where stocktake's own objects and files are: never part of a dataset."""

DEPTH_MAX = 512
"""Folders in folders. A key of 1,024 bytes cannot have more names."""

_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR})
_NO_FILE = frozenset({errno.ELOOP, errno.ENXIO, errno.ENODEV, errno.EISDIR})


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A regular file of a folder and what tells this content of it from another one.

    Attributes:
        path: Below the folder, its bytes, with `/` between names.
    """

    path: bytes
    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    device: int
    inode: int

    @property
    def key(self) -> str:
        """Its key, without the prefix of the dataset."""
        return local_key(self.path)


class SkipReason(StrEnum):
    """Why something of a folder is not among its files."""

    SYMLINK = "symlink"
    SPECIAL = "special"
    UNREADABLE = "unreadable"
    COLLISION = "collision"
    TOO_DEEP = "too-deep"


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something of a folder that is not among its files.

    Attributes:
        path: Below the folder, its bytes.
        reason: Why.
        is_folder: What is below it is not known: nothing there may be taken for deleted.
    """

    path: bytes
    reason: SkipReason
    is_folder: bool = False


def walk_folder(
    root: Path,
    *,
    exclude: Sequence[str] = (),
    skipped: Callable[[Skipped], None] | None = None,
) -> Iterator[LocalFile]:
    """The regular files below `root`, in the byte order of their keys.

    Links and special files are not followed. `.stocktake` at the top is left out. Memory: the names
    in one folder of each level. A file that is removed meanwhile is not there.

    Args:
        root: The folder.
        exclude: Globs of what is left out, see `Exclusions`.
        skipped: Is told of everything else that is left out, at its place in the order.

    Raises:
        LocalFolderError: `root` is not there, no folder, or cannot be read. At once, not later.
        InvalidSettingError: A glob makes no sense.
    """
    walk = _Walk(root, Exclusions.of(exclude), skipped or (lambda _: None))
    os.close(_open_top(root))
    return walk.files()


def find_local(root: Path, key: str) -> LocalFile | None:
    """The file that a walk would give this key, as it is now; None if there is none.

    Raises:
        LocalFolderError: The folder itself is not there, or cannot be read.
    """
    at = _open_top(root)
    path = b""
    try:
        *folders, last = key.encode().split(b"/")
        for folder in folders:
            name = _name_there(at, folder, stat.S_ISDIR)
            if name is None:
                return None
            deeper = os.open(name, _FOLDER, dir_fd=at)
            os.close(at)
            at, path = deeper, path + name + b"/"
        name = _name_there(at, last, stat.S_ISREG)
        if name is None:
            return None
        return _local_file(path + name, os.stat(name, dir_fd=at, follow_symlinks=False))
    except OSError:
        return None  # gone or replaced this moment, or no name that a file can have
    finally:
        os.close(at)


def open_local(root: Path, file: LocalFile) -> BinaryIO:
    """Open a file of the folder for reading, never through a link and never waiting.

    Raises:
        SourceVanishedError: It is not there any more.
        SourceUnreadableError: It cannot be opened.
        SourceChangedError: Another file, or other content, stands there.
        LocalFolderError: The folder itself is not there.
    """
    return os.fdopen(open_descriptor(root, file), "rb")


def open_descriptor(root: Path, file: LocalFile) -> int:
    """The same as a descriptor, which the caller closes."""
    try:
        descriptor = _open_below(root, file.path)
    except OSError as error:
        raise _open_error(root, file, error) from error
    try:
        _check(file, os.fstat(descriptor))
    except SourceChangedError:
        os.close(descriptor)
        raise
    return descriptor


def recheck_local(root: Path, file: LocalFile, opened: BinaryIO | int) -> None:
    """Raise unless what was read is still what stands at the path, unchanged.

    Looks at the path without opening it: whatever led there, it must be the file that was walked.

    Raises:
        SourceVanishedError: It was removed.
        SourceChangedError: It was written to, or another file stands there.
        SourceUnreadableError: It cannot be looked at.
    """
    _check(file, os.fstat(opened if isinstance(opened, int) else opened.fileno()))
    try:
        stands = os.lstat(os.fsencode(root) + b"/" + file.path)
    except OSError as error:
        raise _open_error(root, file, error) from error
    _check(file, stands)


def changed_error(file: LocalFile) -> SourceChangedError:
    """It is not what it was when the folder was walked."""
    return SourceChangedError(
        f"`{file.key}` changed while it was read",
        hint="run it again when nothing writes to it",
        path=file.key,
    )


def _check(file: LocalFile, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode) or _local_file(file.path, status) != file:
        raise changed_error(file)


def _local_file(path: bytes, status: os.stat_result) -> LocalFile:
    return LocalFile(
        path,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_dev,
        status.st_ino,
    )


def _open_below(root: Path, path: bytes) -> int:
    *folders, name = path.split(b"/")
    if name in (b"", b".", b"..") or any(one in (b"", b".", b"..") for one in folders):
        raise OSError(errno.ELOOP, "the path leads outside the folder")
    at = os.open(root, _FOLDER & ~os.O_NOFOLLOW)
    try:
        for folder in folders:
            deeper = os.open(folder, _FOLDER, dir_fd=at)
            os.close(at)
            at = deeper
        return os.open(name, _FILE, dir_fd=at)
    finally:
        os.close(at)


def _name_there(at: int, wanted: bytes, kind: Callable[[int], bool]) -> bytes | None:
    """The name in a folder that has this name in a key: itself, or what is escaped to it."""
    if wanted in (b"", b".", b"..") or b"\0" in wanted:
        return None
    for name in dict.fromkeys((wanted, unescaped_name(wanted))):
        if local_name_key(name) != wanted:
            continue
        try:
            if kind(os.stat(name, dir_fd=at, follow_symlinks=False).st_mode):
                return name
        except OSError:
            continue
    return None


def _open_error(
    root: Path, file: LocalFile, error: OSError
) -> SourceVanishedError | SourceChangedError | SourceUnreadableError | LocalFolderError:
    if not root.is_dir():
        return _folder_error(root, error)
    if error.errno in _GONE:
        return SourceVanishedError(f"`{file.key}` is not there any more", path=file.key)
    if error.errno in _NO_FILE:
        return changed_error(file)
    return SourceUnreadableError(f"`{file.key}` cannot be read: {error.strerror}", path=file.key)


def _open_top(root: Path) -> int:
    try:
        return os.open(root, _FOLDER & ~os.O_NOFOLLOW)
    except OSError as error:
        raise _folder_error(root, error) from error


def _folder_error(root: Path, error: OSError) -> LocalFolderError:
    why = {
        errno.ENOENT: "is not there",
        errno.ENOTDIR: "is no folder",
        errno.EACCES: "cannot be read: permission denied",
    }.get(error.errno or 0, f"cannot be read: {error.strerror}")
    return LocalFolderError(f"the folder `{root}` {why}", folder=str(root))


@dataclass(slots=True)
class _Level:
    """A folder that the walk is in: `names` are still to come, the next one last."""

    descriptor: int
    path: bytes
    names: list[bytes]


class _Walk:
    """One walk. Folders are gone into by descriptors, so a folder that becomes a link stays out."""

    def __init__(
        self, root: Path, exclusions: Exclusions, skipped: Callable[[Skipped], None]
    ) -> None:
        self._root = root
        self._exclusions = exclusions
        self._skipped = skipped

    def files(self) -> Iterator[LocalFile]:
        """Depth first: a folder stands where its name with `/` belongs."""
        levels = [_Level(_open_top(self._root), b"", [])]
        try:
            levels[0].names = self._top_names(levels[0].descriptor)
            while levels:
                level = levels[-1]
                if not level.names:
                    os.close(level.descriptor)
                    levels.pop()
                    continue
                name = level.names.pop()
                if name.endswith(b"/"):
                    self._enter(levels, name[:-1])
                else:
                    yield from self._file(level, name)
        finally:
            for level in levels:
                os.close(level.descriptor)

    def _top_names(self, descriptor: int) -> list[bytes]:
        try:
            return self._names(descriptor, b"")
        except OSError as error:
            raise _folder_error(self._root, error) from error

    def _enter(self, levels: list[_Level], name: bytes) -> None:
        path = levels[-1].path + name
        if len(levels) >= DEPTH_MAX:
            self._skipped(Skipped(path, SkipReason.TOO_DEEP, is_folder=True))
            return
        try:
            folder = os.open(name, _FOLDER, dir_fd=levels[-1].descriptor)
        except OSError as error:
            if error.errno != errno.ENOENT:
                is_other = error.errno in (errno.ELOOP, errno.ENOTDIR)
                reason = SkipReason.SYMLINK if is_other else SkipReason.UNREADABLE
                self._skipped(Skipped(path, reason, is_folder=True))
            return
        try:
            levels.append(_Level(folder, path + b"/", self._names(folder, path + b"/")))
        except OSError:
            os.close(folder)
            self._skipped(Skipped(path, SkipReason.UNREADABLE, is_folder=True))

    def _file(self, level: _Level, name: bytes) -> Iterator[LocalFile]:
        path = level.path + name
        try:
            status = os.stat(name, dir_fd=level.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return
        except OSError:
            self._skipped(Skipped(path, SkipReason.UNREADABLE))
            return
        if stat.S_ISREG(status.st_mode):
            yield _local_file(path, status)
            return
        # what was a file or unknown a moment ago: a folder is known to be one when it is listed
        is_link = stat.S_ISLNK(status.st_mode)
        reason = SkipReason.SYMLINK if is_link else SkipReason.SPECIAL
        self._skipped(Skipped(path, reason, is_folder=stat.S_ISDIR(status.st_mode)))

    def _names(self, descriptor: int, below: bytes) -> list[bytes]:
        """What a folder holds, folders with `/`, in reverse order of their keys."""
        found: list[tuple[bytes, bytes]] = []
        with os.scandir(descriptor) as entries:
            for entry in entries:
                name = os.fsencode(entry.name)
                if self._is_left_out(below, name):
                    continue
                ending = b"/" if entry.is_dir(follow_symlinks=False) else b""
                found.append((local_name_key(name) + ending, name + ending))
        found.sort()
        return [name for _, name in reversed(self._without_twins(found, below))]

    def _without_twins(
        self, found: list[tuple[bytes, bytes]], below: bytes
    ) -> list[tuple[bytes, bytes]]:
        kept: list[tuple[bytes, bytes]] = []
        for key, name in found:
            if kept and kept[-1][0] == key:
                path, is_folder = below + name.rstrip(b"/"), name.endswith(b"/")
                self._skipped(Skipped(path, SkipReason.COLLISION, is_folder=is_folder))
            else:
                kept.append((key, name))
        return kept

    def _is_left_out(self, below: bytes, name: bytes) -> bool:
        if not below and name == OWN_FOLDER.encode():
            return True
        return bool(self._exclusions.globs) and self._exclusions.matches(local_key(below + name))
