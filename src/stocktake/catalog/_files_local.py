"""Catalog files in a local directory: written beside, fsynced, renamed."""

from __future__ import annotations

import errno
import fcntl
import io
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

from stocktake.clock import Clock
from stocktake.errors import CatalogCorruptError, CatalogError, DiskFullError
from stocktake.faults import reached

_LEFTOVER_SUFFIX = ".part"
_NEWBORN_S = 60.0
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class LocalFiles:
    """The files of one catalog below a directory. Implements `CatalogFiles`.

    Attributes:
        location: The directory.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self.location = str(self._root)

    @contextmanager
    def create(self, path: str) -> Iterator[BinaryIO]:
        """A sink for a new file, which appears whole and durable when the block ends normally.

        Written unbuffered: hand it pieces of some size, as Arrow's writers do.

        Raises:
            DiskFullError: No space, or over quota; nothing is left behind.
            CatalogError: The directory may not be written.
        """
        target = self._resolve(path)
        part = target.with_name(f".{target.name}.{secrets.token_hex(8)}{_LEFTOVER_SUFFIX}")
        with _writing(path):
            _make_folders(target.parent, self._root)
            sink = _Sink(part, "xb")
        try:
            # the lock tells `remove_leftovers` that the writer lives; a kill -9 lets it go
            fcntl.flock(sink.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield cast("BinaryIO", sink)
            with _writing(path):
                os.fsync(sink.fileno())
                reached("file.written")
                part.replace(target)
                reached("file.renamed")
                _sync_folder(target.parent)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        finally:
            sink.close()

    def read(self, path: str) -> bytes:
        """A whole small file. Raises `CatalogCorruptError` if it is not there."""
        try:
            return self._resolve(path).read_bytes()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise CatalogCorruptError(
                f"`{path}` is missing in the catalog `{self.location}`", path=path
            ) from error
        except OSError as error:
            raise _failed("read", path, error) from error

    def exists(self, path: str) -> bool:
        """True if the file is there."""
        return self._resolve(path).is_file()

    def listing(self, folder: str) -> Iterator[str]:
        """Every path below a folder, recursively, sorted; files being written are not there yet."""
        for found in sorted(self._walk(folder)):
            if not _is_leftover(found):
                yield found.relative_to(self._root).as_posix()

    def remove(self, path: str) -> None:
        """Delete a file; not an error if it is gone. Folders that become empty go too."""
        target = self._resolve(path)
        try:
            target.unlink(missing_ok=True)
        except NotADirectoryError:
            return
        except OSError as error:
            raise _failed("remove", path, error) from error
        for folder in target.parents:
            if folder == self._root:
                return
            try:
                folder.rmdir()
            except OSError:  # not empty, or somebody is creating in it: either way it stays
                return

    def engine_path(self, path: str) -> str:
        """The absolute path of the file."""
        return str(self._resolve(path))

    def size_bytes(self, path: str) -> int:
        """The stored size."""
        try:
            return self._resolve(path).stat().st_size
        except (FileNotFoundError, NotADirectoryError) as error:
            raise CatalogCorruptError(
                f"`{path}` is missing in the catalog `{self.location}`", path=path
            ) from error

    def remove_leftovers(self, clock: Clock) -> list[str]:
        """Delete what killed writers left behind; files that are being written now stay."""
        removed = []
        for found in sorted(self._walk("")):
            if _is_leftover(found) and _is_abandoned(found, clock):
                found.unlink(missing_ok=True)
                removed.append(found.relative_to(self._root).as_posix())
        return removed

    def _walk(self, folder: str) -> Iterator[Path]:
        top = self._root / folder if folder else self._root
        for parent, _, names in os.walk(top):
            yield from (Path(parent, name) for name in names)

    def _resolve(self, path: str) -> Path:
        parts = PurePosixPath(path).parts
        if not parts or path.startswith("/") or ".." in parts:
            raise CatalogCorruptError(f"`{path}` is not a path inside a catalog", path=path)
        return self._root.joinpath(*parts)


class _Sink(io.FileIO):
    """A file that writes all it is given and says in our words when there is no space."""

    def write(self, data: Any, /) -> int:
        view = memoryview(data).cast("B")
        done = 0
        while done < len(view):
            try:
                done += super().write(view[done:]) or 0
            except OSError as error:
                raise _failed("write", Path(str(self.name)).name, error) from error
        return done


@contextmanager
def _writing(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _failed("write", path, error) from error


def _failed(verb: str, path: str, error: OSError) -> CatalogError:
    reason = error.strerror or str(error)
    if error.errno in _FULL:
        return DiskFullError(f"no space left to write `{path}`: {reason}", path=path)
    return CatalogError(
        f"cannot {verb} `{path}` in the catalog: {reason}",
        hint="check the owner and permissions of the catalog's directory",
        path=path,
    )


def _make_folders(folder: Path, root: Path) -> None:
    """Like `mkdir -p`, durable: a folder's entry in its parent is synced too."""
    missing = [f for f in (folder, *folder.parents) if f.is_relative_to(root) and not f.is_dir()]
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _is_leftover(path: Path) -> bool:
    return path.name.startswith(".") and path.name.endswith(_LEFTOVER_SUFFIX)


def _is_abandoned(path: Path, clock: Clock) -> bool:
    try:
        # between its creation and its lock a file looks abandoned
        if clock.now().timestamp() - path.stat().st_mtime < _NEWBORN_S:
            return False
        handle = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True
