"""Where the files of a Parquet dataset go: a directory, or a prefix of an object store.

A name appears whole or not at all, and the first one who writes it wins: two workers that hold the
same batch, one of them believed dead, leave one file, and both read the same from it afterwards.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import RawIOBase
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

from stocktake.errors import (
    ObjectNotFoundError,
    PreconditionFailedError,
    SinkError,
    UnsupportedOperationError,
)
from stocktake.faults import reached
from stocktake.model import S3Url
from stocktake.store import ByteRange, CompleteOptions, MultipartUpload, PutOptions, Store

_PART_BYTES = 8 << 20
_PARTS_PER_DOUBLING = 1000
_LEFTOVER = ".part"
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EXDEV})


class Dataset(Protocol):
    """The files of one dataset. Names are flat.

    Attributes:
        location: The directory or address, for people.
    """

    location: str

    def create(self, name: str) -> Any:
        """A context manager whose sink becomes the file when the block ends, unless there is one.

        Leaving the block by an exception leaves nothing.
        """

    def tail(self, name: str, size_bytes: int) -> bytes | None:
        """The last bytes of a file, all of them if it is shorter; None if it is not there."""

    def close(self) -> None:
        """Give back connections."""


class LocalDataset:
    """A dataset in a directory: files are written beside, synced, and linked to their name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        # readers of datasets pass over names with a dot
        self._parts = self._folder / ".stocktake"
        self.location = str(self._folder)

    @contextmanager
    def create(self, name: str) -> Iterator[BinaryIO]:
        """A sink for a new file, durable when the block ends.

        What killed writers left behind is removed first.
        """
        with _our_words(self.location):
            self._parts.mkdir(parents=True, exist_ok=True)
            self._remove_leftovers()
            part, sink = self._new_part(name)
        try:
            with sink:
                yield sink
                with _our_words(self.location):
                    sink.flush()
                    os.fsync(sink.fileno())
                    reached("sink.file-written")
                    self._place(part, self._folder / name)
                    reached("sink.file-placed")
        finally:
            part.unlink(missing_ok=True)
        with _our_words(self.location):
            _sync(self._folder)

    def tail(self, name: str, size_bytes: int) -> bytes | None:
        """The last bytes of a file."""
        with _our_words(self.location):
            try:
                with (self._folder / name).open("rb") as file:
                    whole = file.seek(0, os.SEEK_END)
                    file.seek(max(0, whole - size_bytes))
                    return file.read()
            except FileNotFoundError:
                return None

    def close(self) -> None:
        """Nothing to give back."""

    def _place(self, part: Path, target: Path) -> None:
        try:
            target.hardlink_to(part)
        except FileExistsError:
            return
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            self._place_without_links(part, target)

    def _place_without_links(self, part: Path, target: Path) -> None:
        """Some network and FAT file systems have no links: one writer looks and renames at once."""
        with (self._parts / "lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not target.exists():
                part.replace(target)

    def _new_part(self, name: str) -> tuple[Path, BinaryIO]:
        """A new file beside, locked: the lock tells others that its writer lives."""
        while True:
            part = self._parts / f"{name}.{secrets.token_hex(8)}{_LEFTOVER}"
            sink = part.open("xb")
            fcntl.flock(sink, fcntl.LOCK_EX)
            with suppress(FileNotFoundError):
                if part.stat().st_ino == os.fstat(sink.fileno()).st_ino:
                    return part, cast("BinaryIO", sink)
            sink.close()  # taken for a leftover before it was locked

    def _remove_leftovers(self) -> None:
        for path in self._parts.glob(f"*{_LEFTOVER}"):
            with suppress(FileNotFoundError, BlockingIOError), path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()


class S3Dataset:
    """A dataset below a prefix: one PUT or one multipart upload per file, on condition."""

    def __init__(self, store: Store, url: S3Url, *, owns_store: bool = False) -> None:
        self._owned = store if owns_store else None
        self._store = store
        self._bucket = url.bucket
        self._prefix = f"{url.key.rstrip('/')}/" if url.key.strip("/") else ""
        self.location = f"s3://{self._bucket}/{self._prefix}"

    @contextmanager
    def create(self, name: str) -> Iterator[BinaryIO]:
        """A sink for a new object. Buffers one part (8 MiB, more for very large files).

        On a store without conditional writes the last of two writers wins; there is one file still.
        """
        sink = _PartSink(self._store, self._bucket, self._prefix + name)
        try:
            yield cast("BinaryIO", sink)
            reached("sink.file-sending")
            with suppress(PreconditionFailedError):  # it is there: somebody else loaded this batch
                sink.finish()
            reached("sink.file-placed")
        except BaseException:
            sink.abandon()
            raise

    def tail(self, name: str, size_bytes: int) -> bytes | None:
        """The last bytes of an object."""
        key = self._prefix + name
        try:
            whole = self._store.head(self._bucket, key).size_bytes
            start = max(0, whole - size_bytes)
            wanted = ByteRange(start, whole) if start else None
            with self._store.get(self._bucket, key, byte_range=wanted) as body:
                return body.read()
        except ObjectNotFoundError:
            return None

    def close(self) -> None:
        """Close the store, if it is this dataset's own."""
        if self._owned is not None:
            self._owned.close()


class _PartSink(RawIOBase):
    """Collects bytes; up to one part they become a PUT, beyond it a multipart upload."""

    def __init__(self, store: Store, bucket: str, key: str) -> None:
        super().__init__()
        self._store = store
        self._bucket = bucket
        self._key = key
        self._buffer = bytearray()
        self._upload: MultipartUpload | None = None
        self._etags: dict[int, str] = {}

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        view = memoryview(data).cast("B")
        self._buffer += view
        part_bytes = _PART_BYTES << (len(self._etags) // _PARTS_PER_DOUBLING)
        while len(self._buffer) > part_bytes:
            self._send(part_bytes)
        return len(view)

    def finish(self) -> None:
        """Make the object appear, unless there is one."""
        if self._upload is None:
            body = bytes(self._buffer)
            try:
                self._store.put(self._bucket, self._key, body, PutOptions(if_absent=True))
            except UnsupportedOperationError:
                self._store.put(self._bucket, self._key, body)
            return
        if self._buffer:
            self._send(len(self._buffer))
        try:
            self._upload.complete(self._etags, CompleteOptions(if_absent=True))
        except UnsupportedOperationError:
            self._upload.complete(self._etags)
        except PreconditionFailedError:
            self._upload.abort()
            raise

    def abandon(self) -> None:
        """Leave nothing in the store."""
        if self._upload is not None:
            self._upload.abort()

    def _send(self, size_bytes: int) -> None:
        if self._upload is None:
            self._upload = self._store.begin_upload(self._bucket, self._key)
        number = len(self._etags) + 1
        self._etags[number] = self._upload.put_part(number, bytes(self._buffer[:size_bytes]))
        del self._buffer[:size_bytes]


@contextmanager
def _our_words(location: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SinkError(
            f"cannot write to the dataset `{location}`: {error.strerror or error}",
            hint="check that the directory can be written and has space",
            dataset=location,
        ) from error


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
