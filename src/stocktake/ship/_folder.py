"""The watched folder's files: their identity, and how they are opened."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, BinaryIO

from stocktake.errors import (
    SourceChangedError,
    SourceUnreadableError,
    SourceVanishedError,
    StocktakeError,
    WatchedFolderError,
)
from stocktake.ship._keys import escape_path
from stocktake.ship._records import Identity

if TYPE_CHECKING:
    from stocktake.ship._settings import ShipSettings

_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR})
_NO_FILE = frozenset({errno.ELOOP, errno.ENXIO, errno.ENODEV, errno.EISDIR})


def identity_of(status: os.stat_result) -> Identity:
    """What tells this content of a path from another one without reading it."""
    return Identity(
        status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
    )


def open_source(settings: ShipSettings, path: bytes) -> BinaryIO:
    """Open a file of the folder, never through a symbolic link and never waiting for a writer.

    With `follow_links` a link is followed if what it leads to lies inside the folder.

    Raises:
        SourceVanishedError: It is not there any more.
        SourceUnreadableError: It cannot be opened.
        SourceChangedError: It is not a regular file any more.
        WatchedFolderError: The folder itself is not there.
    """
    try:
        descriptor = open_below(settings.folder, path, follow_links=settings.follow_links)
    except OSError as error:
        if not settings.folder.is_dir():
            raise WatchedFolderError(
                f"the watched folder `{settings.folder}` is not there", folder=str(settings.folder)
            ) from error
        raise open_error(path, error) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _changed(path)
    return os.fdopen(descriptor, "rb")


def open_below(root: os.PathLike[str], path: bytes, *, follow_links: bool) -> int:
    """A descriptor of the file `path` below `root`; it may be of something else than a file.

    Raises:
        OSError: As `open` does; ELOOP for a link, or for one that leads outside the folder.
    """
    top = os.fsencode(root)
    if follow_links:
        real_top = os.path.realpath(top)
        real = os.path.realpath(top + b"/" + path, strict=True)
        if not real.startswith(real_top.rstrip(b"/") + b"/"):
            raise OSError(errno.ELOOP, "the link leads outside the folder")
        top, path = real_top, os.path.relpath(real, real_top)
    at, name = open_parent(top, path)
    try:
        return os.open(name, _FILE, dir_fd=at)
    finally:
        os.close(at)


def open_parent(root: bytes | os.PathLike[str], path: bytes) -> tuple[int, bytes]:
    """A descriptor of the directory that holds `path` below `root`, and the name in it.

    Raises:
        OSError: It is not there, or a part of the path is a symbolic link.
    """
    *folders, name = path.split(b"/")
    if b".." in folders or name in (b"", b".", b".."):
        raise OSError(errno.ELOOP, "the path leads outside the folder")
    at = os.open(root, _FOLDER & ~os.O_NOFOLLOW)
    try:
        for folder in folders:
            deeper = os.open(folder, _FOLDER, dir_fd=at)
            os.close(at)
            at = deeper
    except OSError:
        os.close(at)
        raise
    return at, name


def open_error(path: bytes, error: OSError) -> StocktakeError:
    """What it means that this file could not be opened or read."""
    shown = escape_path(path)
    if error.errno in _GONE:
        return SourceVanishedError(f"`{shown}` is not there any more", path=shown)
    if error.errno in _NO_FILE:
        return _changed(path)
    return SourceUnreadableError(f"`{shown}` cannot be read: {error.strerror}", path=shown)


def _changed(path: bytes) -> SourceChangedError:
    shown = escape_path(path)
    return SourceChangedError(f"`{shown}` is not a regular file any more", path=shown)
