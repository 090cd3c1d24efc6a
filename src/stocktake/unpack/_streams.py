"""Bytes that archives are read from: a file, a part of one, memory, or another decoder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

BLOCK_BYTES = 1 << 20


class Packed(Protocol):
    """Bytes from the front to the end, and how many packed ones they took so far."""

    @property
    def taken_bytes(self) -> int:
        """Bytes read from the lowest level below."""

    def read(self, size_bytes: int = -1, /) -> bytes:
        """Up to that many bytes, also fewer; b"" at the end only."""


class SeekableFile(Protocol):
    """What is read in any order: a file opened with "rb", BytesIO."""

    def read(self, size_bytes: int = -1, /) -> bytes:
        """Up to that many bytes."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go there; gives the new place."""


class Span:
    """A part of a file as a file of its own. Spans of one file do not disturb each other."""

    def __init__(self, file: SeekableFile, start: int = 0, size_bytes: int | None = None) -> None:
        self.file = file
        self.start = start
        self.size_bytes = file.seek(0, 2) - start if size_bytes is None else size_bytes
        self._at = 0
        self.taken_bytes = 0

    def read(self, size_bytes: int = -1, /) -> bytes:
        """Up to that many bytes from where it is."""
        left = max(self.size_bytes - self._at, 0)
        count = left if size_bytes < 0 else min(size_bytes, left)
        if not count:
            return b""
        self.file.seek(self.start + self._at)
        data = self.file.read(count)
        self._at += len(data)
        self.taken_bytes += len(data)
        return data

    def read_at(self, offset: int, size_bytes: int) -> bytes:
        """All of these bytes, or fewer at the end."""
        self.seek(offset)
        pieces = bytearray()
        while len(pieces) < size_bytes and (piece := self.read(size_bytes - len(pieces))):
            pieces += piece
        return bytes(pieces)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go there; gives the new place."""
        origin = (0, self._at, self.size_bytes)[whence]
        self._at = max(origin + offset, 0)
        return self._at

    def tell(self) -> int:
        """Where it is."""
        return self._at

    def again(self) -> Span:
        """The same bytes with a place of its own."""
        return Span(self.file, self.start, self.size_bytes)


class Pieces:
    """Pieces of bytes as a stream, with their beginning looked at first."""

    def __init__(self, pieces: Iterator[bytes], below: Packed | None = None) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")
        self._below = below
        self.given_bytes = 0

    @property
    def taken_bytes(self) -> int:
        """Packed bytes below; its own where nothing is below."""
        return self.given_bytes if self._below is None else self._below.taken_bytes

    def peek(self, size_bytes: int) -> bytes:
        """The next bytes, which stay there; fewer at the end."""
        if len(self._rest) < size_bytes:
            gathered = bytearray(self._rest)
            while len(gathered) < size_bytes and (piece := next(self._pieces, b"")):
                gathered += piece
            self._rest = memoryview(bytes(gathered))
        return bytes(self._rest[:size_bytes])

    def read(self, size_bytes: int = -1, /) -> bytes:
        """Up to that many bytes; with -1 the next piece as it is. b"" at the end only."""
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            if size_bytes < 0 or len(piece) <= size_bytes:
                self.given_bytes += len(piece)
                if piece:
                    return piece
                continue
            self._rest = memoryview(piece)
        count = len(self._rest) if size_bytes < 0 else min(size_bytes, len(self._rest))
        given = bytes(self._rest[:count])
        self._rest = self._rest[count:]
        self.given_bytes += count
        return given


def read_exactly(stream: Packed, size_bytes: int) -> bytes:
    """That many bytes, fewer at the end of the stream only."""
    gathered = bytearray()
    while len(gathered) < size_bytes and (piece := stream.read(size_bytes - len(gathered))):
        gathered += piece
    return bytes(gathered)


def cut(piece: bytes, size_bytes: int = BLOCK_BYTES) -> Iterator[bytes]:
    """The same bytes in pieces of at most this size."""
    if len(piece) <= size_bytes:
        yield piece
        return
    view = memoryview(piece)
    for at in range(0, len(view), size_bytes):
        yield bytes(view[at : at + size_bytes])


def zeros(count: int) -> Iterator[bytes]:
    """A hole, in pieces."""
    while count > 0:
        yield bytes(min(count, BLOCK_BYTES))
        count -= BLOCK_BYTES
