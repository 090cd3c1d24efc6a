"""How DuckDB reads catalog files that lie in an object store: ranged GETs behind a block cache.

Files are write-once, so sizes and blocks never go stale.
"""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from datetime import UTC, datetime
from typing import Any, Protocol

from fsspec.spec import AbstractFileSystem

from stocktake.errors import CatalogCorruptError, StocktakeError

_BLOCK_BYTES = 1 << 20
_BLOCKS_MAX = 24
# any fixed instant: a write-once file has no other version to be told from
_MODIFIED = datetime(2000, 1, 1, tzinfo=UTC)


class RangedFiles(Protocol):
    """What the file system needs from `CatalogFiles` in a store."""

    def size_bytes(self, path: str) -> int:
        """The stored size."""

    def read_range(self, path: str, start: int, stop: int) -> bytes:
        """Bytes `start` up to `stop`, or fewer at the end."""


class BlockCache:
    """The blocks read last, over all files: at most 24 MiB. Safe to share between threads."""

    def __init__(self, files: RangedFiles) -> None:
        self._files = files
        self._lock = threading.Lock()
        self._blocks: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._sizes: dict[str, int] = {}

    def size_bytes(self, path: str) -> int:
        """The file's size; asked for once."""
        size = self._sizes.get(path)
        if size is None:
            size = self._sizes[path] = self._files.size_bytes(path)
        return size

    def read(self, path: str, start: int, stop: int) -> bytes:
        """Bytes `start` up to `stop`, or fewer at the end. Blocks missing in a row are one GET."""
        stop = min(stop, self.size_bytes(path))
        if start >= stop:
            return b""
        first, last = start // _BLOCK_BYTES, (stop - 1) // _BLOCK_BYTES
        blocks = self._gather(path, first, last)
        joined = blocks[0] if len(blocks) == 1 else b"".join(blocks)
        offset = start - first * _BLOCK_BYTES
        return joined[offset : offset + stop - start]

    def _gather(self, path: str, first: int, last: int) -> list[bytes]:
        with self._lock:
            known = {n: self._blocks.get((path, n)) for n in range(first, last + 1)}
            for number, block in known.items():
                if block is not None:
                    self._blocks.move_to_end((path, number))
        missing = [n for n, block in known.items() if block is None]
        for run_first, run_last in _runs(missing):
            known.update(self._fetch(path, run_first, run_last))
        return [block for block in known.values() if block is not None]

    def _fetch(self, path: str, first: int, last: int) -> list[tuple[int, bytes]]:
        start = first * _BLOCK_BYTES
        stop = min((last + 1) * _BLOCK_BYTES, self.size_bytes(path))
        data = self._files.read_range(path, start, stop)
        if len(data) != stop - start:
            raise CatalogCorruptError(
                f"`{path}` gave {len(data)} bytes where {stop - start} were expected", path=path
            )
        blocks = [
            (number, data[(number - first) * _BLOCK_BYTES : (number - first + 1) * _BLOCK_BYTES])
            for number in range(first, last + 1)
        ]
        with self._lock:
            for number, block in blocks:
                self._blocks[path, number] = block
            while len(self._blocks) > _BLOCKS_MAX:
                self._blocks.popitem(last=False)
        return blocks


def _runs(numbers: list[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs


class StoreFileSystem(AbstractFileSystem):  # type: ignore[misc]
    """The four calls DuckDB makes, and the failure of the last one that failed."""

    cachable = False

    def __init__(self, files: RangedFiles, scheme: str) -> None:
        super().__init__()
        self.protocol = scheme
        self._failure: StocktakeError | None = None
        self._cache = BlockCache(files)
        self._start = f"{scheme}://"

    def glob(self, path: str, **_options: Any) -> list[str]:
        """The path itself: names are exact, whatever characters they have."""
        return [path]

    def size(self, path: str) -> int:
        """The file's size."""
        return self._cache.size_bytes(path.removeprefix(self._start))

    def modified(self, path: str) -> datetime:
        """A fixed instant."""
        return _MODIFIED

    def open(self, path: str, mode: str = "rb", **_options: Any) -> RangedFile:
        """A file open for reading."""
        name = path.removeprefix(self._start)
        try:
            self._cache.size_bytes(name)
        except StocktakeError as error:
            self.keep_failure(error)
            raise
        return RangedFile(self._cache, name, self)

    def keep_failure(self, error: StocktakeError) -> None:
        """Remember an error: DuckDB passes on its text alone."""
        self._failure = error

    def take_failure(self) -> StocktakeError | None:
        """The error that a query has just failed for, if it came from here."""
        error, self._failure = self._failure, None
        return error


class RangedFile(io.RawIOBase):
    """One file open for reading at any position."""

    def __init__(self, cache: BlockCache, path: str, owner: StoreFileSystem) -> None:
        super().__init__()
        self._cache = cache
        self._path = path
        self._owner = owner
        self._position = 0

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """The position."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move."""
        origin = {
            io.SEEK_SET: 0,
            io.SEEK_CUR: self._position,
            io.SEEK_END: self._cache.size_bytes(self._path),
        }[whence]
        self._position = origin + offset
        return self._position

    def read(self, size_bytes: int = -1, /) -> bytes:
        """That many bytes, or fewer at the end."""
        whole = self._cache.size_bytes(self._path)
        stop = whole if size_bytes < 0 else self._position + size_bytes
        try:
            data = self._cache.read(self._path, self._position, stop)
        except StocktakeError as error:
            self._owner.keep_failure(error)
            raise
        self._position += len(data)
        return data
