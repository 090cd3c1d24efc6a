"""Where catalog files live: a local directory or an S3 prefix, behind one small port.

Files are write-once: a name appears whole or not at all, and is never written again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO, Protocol

from stocktake.clock import Clock


class CatalogFiles(Protocol):
    """The files of one catalog. Paths are relative, with `/`.

    Attributes:
        location: The directory or `s3://` address, for people.
    """

    location: str

    def create(self, path: str) -> AbstractContextManager[BinaryIO]:
        """A sink for a new file, which appears whole and durable when the block ends normally.

        Leaving the block by an exception leaves nothing. Raises `DiskFullError` without space.
        """

    def read(self, path: str) -> bytes:
        """A whole small file. Raises `CatalogCorruptError` if it is not there."""

    def exists(self, path: str) -> bool:
        """True if the file is there."""

    def listing(self, folder: str) -> Iterator[str]:
        """Every path below a folder, recursively."""

    def remove(self, path: str) -> None:
        """Delete a file; not an error if it is gone."""

    def engine_path(self, path: str) -> str:
        """The name under which the engine (DuckDB) opens this file."""

    def size_bytes(self, path: str) -> int:
        """The stored size. Raises `CatalogCorruptError` if it is not there."""

    def remove_leftovers(self, clock: Clock) -> list[str]:
        """Delete what killed writers left half-written; returns the paths. Live ones stay."""
