"""The bytes of stored objects: in memory, or a file that is already there."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class Blob(Protocol):
    """Bytes that can be read in pieces, from several threads."""

    @property
    def size_bytes(self) -> int:
        """How many there are."""

    def read(self, start: int, stop: int) -> bytes:
        """Bytes `start` up to, not including, `stop`."""


@dataclass(frozen=True, slots=True)
class BytesBlob:
    """Bytes in memory."""

    data: bytes

    @property
    def size_bytes(self) -> int:
        """How many there are."""
        return len(self.data)

    def read(self, start: int, stop: int) -> bytes:
        """A slice; no copy if it is everything."""
        return self.data if start == 0 and stop >= len(self.data) else self.data[start:stop]


@dataclass(frozen=True, slots=True)
class FileBlob:
    """A file, read when asked for: large reports are served without holding them."""

    path: Path
    size_bytes: int

    def read(self, start: int, stop: int) -> bytes:
        """Read that slice of the file."""
        with self.path.open("rb") as file:
            file.seek(start)
            return file.read(stop - start)


def md5_hex(data: bytes) -> str:
    """The ETag of an object of one part."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
