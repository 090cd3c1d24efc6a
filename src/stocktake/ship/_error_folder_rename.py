"""Moving a file without ever replacing another one, and without writing its bytes again."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

_NO_REPLACE = 1
_UNSUPPORTED = frozenset({errno.ENOSYS, errno.EINVAL, errno.ENOTSUP})
_LIBC = ctypes.CDLL(None, use_errno=True)
_RENAMEAT2 = getattr(_LIBC, "renameat2", None)


def rename_new(source_at: int, source: bytes, target_at: int, target: bytes) -> None:
    """Rename within one file system; names are relative to the two directories.

    Where the kernel or the file system cannot refuse to replace, it is looked first: a name that
    somebody makes in between would be lost, which needs two writers in one error folder.

    Raises:
        FileExistsError: The target is there.
        OSError: EXDEV on another file system; anything else that renaming raises.
    """
    if _RENAMEAT2 is not None:
        if _RENAMEAT2(source_at, source, target_at, target, _NO_REPLACE) == 0:
            return
        number = ctypes.get_errno()
        if number not in _UNSUPPORTED:
            raise OSError(number, os.strerror(number), os.fsdecode(source))
    if exists_at(target_at, target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fsdecode(target))
    os.rename(source, target, src_dir_fd=source_at, dst_dir_fd=target_at)


def exists_at(folder_at: int, name: bytes) -> bool:
    """Whether the name is taken, be it by a link that leads nowhere."""
    try:
        os.stat(name, dir_fd=folder_at, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def open_folder(path: Path) -> int:
    """A descriptor of a directory, for names relative to it."""
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
