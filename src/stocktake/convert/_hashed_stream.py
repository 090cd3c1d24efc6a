"""A stream that knows the SHA-256 and the length of what was read from it."""

from __future__ import annotations

import hashlib

from stocktake.convert._plan import ByteStream

_DRAIN_BYTES = 1 << 20


class HashedStream:
    """Reads from another stream, whose bytes it counts and hashes.

    Attributes:
        size_bytes: Read so far.
    """

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._sha256 = hashlib.sha256()
        self.size_bytes = 0

    def read(self, size_bytes: int = -1, /) -> bytes:
        """As the stream below: b"" at the end only."""
        data = self._stream.read(size_bytes)
        self._sha256.update(data)
        self.size_bytes += len(data)
        return data

    def drain(self) -> None:
        """Read the rest and forget it."""
        while self.read(_DRAIN_BYTES):
            pass

    @property
    def sha256(self) -> str:
        """Hex digest of what was read so far."""
        return self._sha256.hexdigest()
