"""A small file that is there whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from stocktake.errors import DiskFullError, UsageError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def check_writable(path: Path) -> None:
    """Refuse a place that no file can be written to, before any work is done.

    Raises:
        UsageError: It is a folder, or its folder is not there or not writable.
    """
    folder = path.absolute().parent
    if path.is_dir():
        raise UsageError(f"`{path}` is a folder", hint="name a file in it")
    if not folder.is_dir():
        raise UsageError(f"there is no folder `{folder}`", hint="make it, or name another file")
    if not os.access(folder, os.W_OK):
        raise UsageError(f"`{folder}` cannot be written to", hint="name a file elsewhere")


def write_whole(path: Path, data: bytes) -> None:
    """Write a file under another name, sync it, then give it its own; replaces what is there.

    Raises:
        DiskFullError: It does not fit; what was there before is untouched.
        UsageError: It cannot be written.
    """
    with whole_file(path) as file:
        file.write(data)


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write to that gets its name when the block ends well, and is gone otherwise.

    Raises:
        DiskFullError: It does not fit; what was there before is untouched.
        UsageError: It cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFullError(f"no space left for `{path}`", path=str(path)) from error
        raise UsageError(
            f"`{path}` cannot be written: {error.strerror}", hint="name another file"
        ) from error
    finally:
        with suppress(OSError):
            part.unlink()
