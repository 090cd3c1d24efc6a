"""A folder below which files are made, and never outside of it.

Every name is opened relative to the directory above it and no symbolic link is followed, so it does
not matter what a key says or what others put into the folder meanwhile. A file is written under a
name of its own beside its place and gets its name when it is whole and on the disk.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import secrets
import stat
import threading
import unicodedata
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from stocktake.errors import DiskFullError, LocalFolderError, RestoreTargetError
from stocktake.manifests._restore_part import PartFile, no_space, taken_error
from stocktake.manifests._restore_path import PathProblem, names_of, path_error
from stocktake.model import display_key

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PART_NAME = re.compile(rb"\..*\.([0-9a-f]{12})-[0-9a-f]{8}\.part", re.DOTALL)
_PART_STEM_BYTES_MAX = 200
_UNSYNCED_MAX = 512
_NAME_PROBLEMS = {
    errno.ENAMETOOLONG: PathProblem.TOO_LONG,
    errno.EINVAL: PathProblem.ILLEGAL_NAME,
    errno.EILSEQ: PathProblem.ILLEGAL_NAME,
}


def part_tag(run_id: str) -> str:
    """What the unfinished files of a run have in their names, so that a later one knows them."""
    return hashlib.blake2b(run_id.encode(), digest_size=6).hexdigest()


def is_unfinished(path: bytes) -> bool:
    """Whether a path is that of an unfinished file of some run."""
    return _PART_NAME.fullmatch(path.rpartition(b"/")[2]) is not None


class TargetFolder:
    """Makes files below a folder. Safe to use from several threads; a context manager.

    Paths are bytes, relative, with `/` between names. What cannot be done with one of them is a
    `RestoreTargetError` whose attribute `problem` is a `PathProblem`; the folder stays usable.

    Args:
        root: Made if it is not there. A symbolic link here is followed: the user chose it.
        run_id: Goes into the names of unfinished files.

    Raises:
        LocalFolderError: It is no folder, or cannot be opened or made.
        DiskFullError: No space for it.
    """

    def __init__(self, root: Path, run_id: str) -> None:
        self.root = root
        self._tag = part_tag(run_id)
        self._unsynced: set[bytes] = set()
        self._lock = threading.Lock()
        try:
            root.mkdir(parents=True, exist_ok=True)
            self._at = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileExistsError as error:
            raise LocalFolderError(f"`{root}` is no folder", path=root) from error
        except OSError as error:
            if no_space(error):
                raise DiskFullError(f"no space left for the folder `{root}`", path=root) from error
            raise LocalFolderError(
                f"cannot use the folder `{root}`: {error.strerror}", path=root
            ) from error

    def __enter__(self) -> TargetFolder:
        return self

    def __exit__(self, *exc: object) -> None:
        try:
            self.sync()
        finally:
            os.close(self._at)

    def folds_names(self) -> bool:
        """Whether the file system takes two spellings of a name for one; tried with a file."""
        probe = "é-probe"
        name = self._part_name(probe.encode())
        others = [
            name.replace(probe.encode(), probe.upper().encode()),
            name.replace(probe.encode(), unicodedata.normalize("NFD", probe).encode()),
        ]
        try:
            os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=self._at))
        except OSError:
            return False  # then nothing else will be made either
        try:
            return any(_exists(other, self._at) for other in others)
        finally:
            os.unlink(name, dir_fd=self._at)

    def status(self, path: bytes) -> os.stat_result | None:
        """What is at a path, links not followed; None if nothing is, or a folder is missing."""
        *folders, name = names_of(path)
        try:
            with self._opened(path, folders, make=False) as at:
                return os.stat(name, dir_fd=at, follow_symlinks=False)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self.error_of(path, error) from error

    def open_file(self, path: bytes) -> BinaryIO:
        """A regular file, for reading; links and pipes are a `RestoreTargetError`."""
        *folders, name = names_of(path)
        try:
            with self._opened(path, folders, make=False) as at:
                flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
                number = os.open(name, flags, dir_fd=at)
        except OSError as error:
            raise self.error_of(path, error) from error
        if not stat.S_ISREG(os.fstat(number).st_mode):
            os.close(number)
            raise path_error(path, PathProblem.NO_FILE, "what is there is no file")
        return os.fdopen(number, "rb")

    @contextmanager
    def part(self, path: bytes) -> Iterator[PartFile]:
        """An unfinished file beside its place; its folders are made.

        Call `place` on it when it is whole. Without that nothing is left of it after the block.

        Raises:
            DiskFullError: No space; nothing is left behind.
        """
        *folders, name = names_of(path)
        try:
            with self._opened(path, folders, make=True) as at:
                self._look(at, path, name)
                with PartFile.opened(at, path, name, self._part_name(name)) as part:
                    yield part
                if part.is_placed:
                    self._later_synced(b"/".join(folders))
        except OSError as error:
            raise self.error_of(path, error) from error

    def make_folder(self, path: bytes) -> None:
        """Make a folder, and those above it."""
        try:
            with self._opened(path, names_of(path), make=True):
                pass
        except OSError as error:
            raise self.error_of(path, error) from error

    def remove_file(self, path: bytes) -> bool:
        """Remove a file, or a link itself; whether there was one. Folders are never removed."""
        *folders, name = names_of(path)
        try:
            with self._opened(path, folders, make=False) as at:
                os.unlink(name, dir_fd=at)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise self.error_of(path, error) from error
        self._later_synced(b"/".join(folders))
        return True

    def sync(self) -> None:
        """Have the names of everything that was made on the disk."""
        with self._lock:
            paths, self._unsynced = self._unsynced, set()
        for path in paths:
            # a folder that is gone, or replaced by something else, has no names of ours
            with (
                suppress(FileNotFoundError, RestoreTargetError),
                self._opened(path, path.split(b"/") if path else [], make=False) as at,
            ):
                os.fsync(at)

    def remove_parts(self, run_ids: Collection[str]) -> int:
        """Remove what these runs left unfinished; how many. A file that is being written stays."""
        tags = {part_tag(run_id).encode() for run_id in run_ids}
        return self._remove_parts(self._at, tags) if tags else 0

    def _remove_parts(self, at: int, tags: Collection[bytes]) -> int:
        count = 0
        with os.scandir(at) as found:
            entries = [(os.fsencode(one.name), one.is_dir(follow_symlinks=False)) for one in found]
        for name, is_folder in entries:
            match = _PART_NAME.fullmatch(name)
            if is_folder:
                with suppress(OSError), _directory(name, at) as below:
                    count += self._remove_parts(below, tags)
            elif match is not None and match[1] in tags:
                count += _remove_abandoned(at, name)
        return count

    def _part_name(self, name: bytes) -> bytes:
        stem = name[:_PART_STEM_BYTES_MAX].decode("utf-8", "ignore").encode()
        return b".%s.%s-%s.part" % (stem, self._tag.encode(), secrets.token_hex(4).encode())

    def _later_synced(self, folder: bytes) -> None:
        with self._lock:
            self._unsynced.add(folder)
            is_full = len(self._unsynced) >= _UNSYNCED_MAX
        if is_full:
            self.sync()

    @contextmanager
    def _opened(self, path: bytes, folders: list[bytes], *, make: bool) -> Iterator[int]:
        """The directory that these names lead to, each opened in the one before."""
        at = os.dup(self._at)
        try:
            for depth, name in enumerate(folders):
                try:
                    below = self._enter(at, folders[:depth], name, make=make)
                except OSError as error:
                    shown = b"/".join(folders[: depth + 1])
                    raise _way_error(path, shown, name, at, error) from error
                os.close(at)
                at = below
            yield at
        finally:
            os.close(at)

    def _enter(self, at: int, above: list[bytes], name: bytes, *, make: bool) -> int:
        try:
            return os.open(name, _DIRECTORY, dir_fd=at)
        except FileNotFoundError:
            if not make:
                raise
        with suppress(FileExistsError):  # another thread was quicker
            os.mkdir(name, dir_fd=at)
            self._later_synced(b"/".join(above))
        return os.open(name, _DIRECTORY, dir_fd=at)

    def _look(self, at: int, path: bytes, name: bytes) -> None:
        """Refuse early what `place` would refuse late."""
        with suppress(FileNotFoundError):
            mode = os.stat(name, dir_fd=at, follow_symlinks=False).st_mode
            if not stat.S_ISREG(mode):
                raise taken_error(path, mode)

    def error_of(self, path: bytes, error: OSError) -> DiskFullError | RestoreTargetError:
        """What an error of the system means for the file at this path."""
        if no_space(error):
            return DiskFullError(
                f"no space left below `{self.root}`: {error.strerror}", path=self.root
            )
        problem = _NAME_PROBLEMS.get(error.errno or 0, PathProblem.NOT_WRITABLE)
        return path_error(path, problem, error.strerror or str(error))


@contextmanager
def _directory(name: bytes, at: int) -> Iterator[int]:
    number = os.open(name, _DIRECTORY, dir_fd=at)
    try:
        yield number
    finally:
        os.close(number)


def _way_error(path: bytes, folder: bytes, name: bytes, at: int, error: OSError) -> Exception:
    """Why a folder on the way cannot be opened; the error itself if its errno says enough."""
    if error.errno not in (errno.ENOTDIR, errno.ELOOP):
        return error
    shown = display_key(os.fsdecode(folder))
    try:
        is_link = stat.S_ISLNK(os.stat(name, dir_fd=at, follow_symlinks=False).st_mode)
    except OSError:
        is_link = False
    if is_link:
        return path_error(path, PathProblem.SYMLINK, f"`{shown}` is a symbolic link")
    return path_error(path, PathProblem.FILE_IN_THE_WAY, f"`{shown}` is a file, no folder")


def _remove_abandoned(at: int, name: bytes) -> int:
    """Remove an unfinished file, unless somebody is still writing it."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        number = os.open(name, flags, dir_fd=at)
    except OSError:
        return 0
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(name, dir_fd=at)
    except OSError:
        return 0
    finally:
        os.close(number)
    return 1


def _exists(name: bytes, at: int) -> bool:
    try:
        os.stat(name, dir_fd=at, follow_symlinks=False)
    except OSError:
        return False
    return True
