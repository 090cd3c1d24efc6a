"""Some bytes of a larger buffer, without a copy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """`data[start:stop]`; places are counted in `data`.

    >>> span = Span(b"..abcabc..", 2, 8)
    >>> span.find(b"c"), span.rfind(b"c"), span.find(b"."), span.to_bytes()
    (4, 7, -1, b'abcabc')
    """

    data: bytes | bytearray
    start: int
    stop: int

    @classmethod
    def of(cls, data: bytes) -> Span:
        """All of it."""
        return cls(data, 0, len(data))

    def find(self, mark: bytes) -> int:
        """Where `mark` is first, or -1."""
        return self.data.find(mark, self.start, self.stop)

    def rfind(self, mark: bytes) -> int:
        """Where `mark` is last, or -1."""
        return self.data.rfind(mark, self.start, self.stop)

    def view(self, start: int, stop: int) -> memoryview:
        """A part of it, not copied: valid as long as the buffer keeps it."""
        return memoryview(self.data)[start:stop]

    def to_bytes(self) -> bytes:
        """A copy of it."""
        return bytes(memoryview(self.data)[self.start : self.stop])
