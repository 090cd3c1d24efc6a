"""A part of a report as a random-access file over ranged GET requests, with a small block cache."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Sequence

from isal import isal_zlib

from stocktake.errors import PartCorruptError, StocktakeError
from stocktake.inventory._part_access import PartAccess

BLOCK_BYTES = 2 << 20
BLOCKS_MAX = 32
FOOTER_BLOCK_BYTES = 256 << 10


class RangedFile:
    """Reads ranges of one version of a part; what `pyarrow` needs of a file, and no more.

    Columns of a Parquet row group and streams of an ORC stripe are read side by side, each forward:
    a block is kept until all of it was read, so nearly every byte travels once. Memory: about one
    block of 2 MiB per column, at most 32.

    Args:
        access: The part.
        etag: The version to read; None reads whatever is there.
        block_bytes: Size of one request.
        checksums: CRC-32 of each block; None takes the bytes as they come.

    Attributes:
        failure: The error that a read raised, for callers whose parser hides exceptions.
    """

    def __init__(
        self,
        access: PartAccess,
        etag: str | None,
        *,
        block_bytes: int = BLOCK_BYTES,
        checksums: Sequence[int] | None = None,
    ) -> None:
        self.failure: StocktakeError | None = None
        self._access = access
        self._etag = etag
        self._block_bytes = block_bytes
        self._checksums = checksums
        self._size_bytes = access.part.size_bytes
        self._position = 0
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._unread_bytes: dict[int, int] = {}

    def read(self, size_bytes: int = -1) -> bytes:
        """Exactly `size_bytes` bytes, fewer only at the end; all the rest for -1."""
        wanted = self._size_bytes if size_bytes < 0 else self._position + size_bytes
        stop = min(wanted, self._size_bytes)
        pieces = []
        while self._position < stop:
            number, offset = divmod(self._position, self._block_bytes)
            piece = self._block(number)[offset : offset + stop - self._position]
            self._spend(number, offset + len(piece), len(piece))
            self._position += len(piece)
            pieces.append(piece)
        return b"".join(pieces)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move; returns the new position."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size_bytes}
        self._position = max(start[whence] + offset, 0)
        return self._position

    def tell(self) -> int:
        """Where the next read begins."""
        return self._position

    def size(self) -> int:
        """Bytes of the whole part."""
        return self._size_bytes

    @property
    def closed(self) -> bool:
        """False: there is nothing to close, every request is its own."""
        return False

    def close(self) -> None:
        """Forget the cached blocks."""
        self._blocks.clear()
        self._unread_bytes.clear()

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def writable(self) -> bool:
        """False."""
        return False

    def _block(self, number: int) -> bytes:
        block = self._blocks.get(number)
        if block is None:
            block = self._fetch(number)
            while len(self._blocks) >= BLOCKS_MAX:
                self._forget(next(iter(self._blocks)))
            self._blocks[number] = block
            self._unread_bytes[number] = len(block)
        self._blocks.move_to_end(number)
        return block

    def _spend(self, number: int, stop: int, size_bytes: int) -> None:
        """Count what was read of a block; forget it when it was read as often as it is long.

        Only a read to its end forgets: those before it may read some bytes twice.
        """
        self._unread_bytes[number] -= size_bytes
        if self._unread_bytes[number] <= 0 and stop == len(self._blocks[number]):
            self._forget(number)

    def _forget(self, number: int) -> None:
        del self._blocks[number], self._unread_bytes[number]

    def _fetch(self, number: int) -> bytes:
        start = number * self._block_bytes
        stop = min(start + self._block_bytes, self._size_bytes)
        try:
            block = self._access.read_range(start, stop, etag=self._etag)
            self._check(number, block)
        except StocktakeError as error:
            self.failure = error
            raise
        return block

    def _check(self, number: int, block: bytes) -> None:
        if self._checksums is not None and isal_zlib.crc32(block) != self._checksums[number]:
            name = self._access.part.name
            raise PartCorruptError(
                f"part {name} has other bytes than a moment ago, when its MD5 was right", part=name
            )
