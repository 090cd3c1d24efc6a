"""A source file that is read, and proof that it was one content from the first byte to the last."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

from stocktake.errors import SourceChangedError, SourceVanishedError
from stocktake.ship._folder import identity_of, open_error, open_source
from stocktake.ship._keys import escape_path
from stocktake.ship._records import Identity, SourceJob
from stocktake.ship._settings import ShipSettings

PIECE_BYTES = 512 << 10


class SourceFile:
    """An open source, the same one that the job is about."""

    def __init__(self, settings: ShipSettings, job: SourceJob, file: BinaryIO) -> None:
        self._path = os.path.join(os.fsencode(settings.folder), job.path)  # noqa: PTH118 - bytes
        self._name = job.path
        self._follow = settings.follow_links
        self.shown = escape_path(job.path)
        self.identity: Identity = job.identity
        self.file = file
        self._check(os.fstat(file.fileno()))

    @property
    def size_bytes(self) -> int:
        """As the scan saw it."""
        return self.identity.size_bytes

    def recheck(self) -> None:
        """Raise unless what was read is still what stands at the path, unchanged.

        Raises:
            SourceVanishedError: It was deleted.
            SourceChangedError: It was written to, or another file stands there.
        """
        self._check(os.fstat(self.file.fileno()))
        try:
            there = os.stat(self._path, follow_symlinks=self._follow)  # noqa: PTH116 - bytes
        except OSError as error:
            raise open_error(self._name, error) from error
        self._check(there)

    def _check(self, status: os.stat_result) -> None:
        if identity_of(status) == self.identity:
            return
        if status.st_nlink == 0:
            try:
                os.stat(self._path, follow_symlinks=False)  # noqa: PTH116 - bytes
            except FileNotFoundError:
                raise SourceVanishedError(
                    f"`{self.shown}` was removed while it was read", path=self.shown
                ) from None
        raise self.changed()

    def changed(self) -> SourceChangedError:
        """It is not what it was."""
        return SourceChangedError(f"`{self.shown}` changed while it was read", path=self.shown)

    def read_whole(self) -> bytes:
        """All of a small file."""
        descriptor, size_bytes = self.file.fileno(), self.size_bytes
        data = os.pread(descriptor, size_bytes + 1, 0)
        while len(data) < size_bytes:
            more = os.pread(descriptor, size_bytes + 1 - len(data), len(data))
            if not more:
                raise self.changed()
            data += more
        if len(data) != size_bytes:
            raise self.changed()
        return data

    def pieces(self, piece_bytes: int = PIECE_BYTES) -> Iterator[bytes]:
        """All of it, in pieces of that size but the last, by position: `file` stays where it is."""
        descriptor, offset = self.file.fileno(), 0
        while offset < self.size_bytes:
            wanted = min(piece_bytes, self.size_bytes - offset)
            piece = os.pread(descriptor, wanted, offset)
            while len(piece) < wanted:
                more = os.pread(descriptor, wanted - len(piece), offset + len(piece))
                if not more:
                    raise self.changed()
                piece += more
            offset += wanted
            yield piece
        if os.pread(descriptor, 1, offset):
            raise self.changed()

    def views(self, piece_bytes: int = PIECE_BYTES, kept: int = 8) -> Iterator[memoryview]:
        """All of it, read into the same few buffers: each view holds until `kept` - 1 more came."""
        descriptor, offset = self.file.fileno(), 0
        ring: list[memoryview] = []
        while offset < self.size_bytes:
            wanted = min(piece_bytes, self.size_bytes - offset)
            buffer = ring.pop(0) if len(ring) == kept else memoryview(bytearray(wanted))
            ring.append(buffer)
            view = buffer[:wanted]
            filled = 0
            while filled < wanted:
                count = os.preadv(descriptor, [view[filled:]], offset + filled)
                if not count:
                    raise self.changed()
                filled += count
            offset += wanted
            yield view
        if os.pread(descriptor, 1, offset):
            raise self.changed()


class SourceStream:
    """A source as a stream whose progress is told: for tables."""

    def __init__(self, source: SourceFile, told: Callable[[int], None]) -> None:
        self._pieces = source.pieces()
        self._told = told
        self._left = memoryview(b"")
        self._done_bytes = 0

    def read(self, size_bytes: int = -1, /) -> bytes:
        """Up to that many bytes; b"" at the end only."""
        if size_bytes < 0:
            left, self._left = bytes(self._left), memoryview(b"")
            return left + b"".join(self._pieces)
        if not self._left:
            piece = next(self._pieces, b"")
            self._done_bytes += len(piece)
            self._told(self._done_bytes)
            if len(piece) <= size_bytes:
                return piece
            self._left = memoryview(piece)
        taken, self._left = self._left[:size_bytes], self._left[size_bytes:]
        return bytes(taken)


@contextmanager
def opened(settings: ShipSettings, job: SourceJob) -> Iterator[SourceFile]:
    """The job's file, if it is still the one.

    Raises:
        SourceVanishedError: It is gone.
        SourceChangedError: It is another one.
        SourceUnreadableError: It cannot be opened.
    """
    with open_source(settings, job.path) as file:
        yield SourceFile(settings, job, file)
