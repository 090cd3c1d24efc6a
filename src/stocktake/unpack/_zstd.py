"""Zstandard frames, block by block, so that memory is bounded and a missing end is seen.

python-zstandard's stream reader takes a cut stream for a whole one, and its other decoders give
out whatever one call's input decodes to. A frame's blocks give 128 KiB each at most, and they say
their length: they are fed one by one. https://www.rfc-editor.org/rfc/rfc8878
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stocktake.errors import (
    ArchiveCorruptError,
    ArchiveIncompleteError,
    ArchiveLimitError,
    MissingExtraError,
)
from stocktake.unpack._streams import BLOCK_BYTES, Packed

_MAGIC = b"\x28\xb5\x2f\xfd"
_READ_BYTES = 1 << 18
_DICTIONARY_ID_BYTES = (0, 1, 2, 4)
_CONTENT_SIZE_BYTES = (0, 2, 4, 8)
_RAW_BYTES_PER_CALL = 1 << 16


def zstd_pieces(source: Packed, name: str, memory_bytes: int) -> Iterator[bytes]:
    """The decoded bytes of all frames of a stream."""
    zstandard = _library()
    reader = _Bytes(source, name)
    while magic := reader.up_to(4):
        if len(magic) == 4 and magic[1:] == b"\x2a\x4d\x18" and magic[0] >> 4 == 5:
            reader.skip(int.from_bytes(reader.exactly(4), "little"))
        elif magic == _MAGIC:
            yield from _joined(_frame(reader, zstandard, name, memory_bytes))
        elif len(magic) < 4 and _MAGIC.startswith(magic):
            raise ArchiveIncompleteError(f"{name} ends in the middle", name=name)
        else:
            raise ArchiveCorruptError(f"{name} has bytes after its end", name=name)


def _library() -> Any:
    try:
        import zstandard
    except ImportError as error:
        raise MissingExtraError(
            "zst needs zstandard", hint="pip install 'stocktake[unpack]'"
        ) from error
    return zstandard


def _frame(reader: _Bytes, zstandard: Any, name: str, memory_bytes: int) -> Iterator[bytes]:
    header, window_bytes, checksum = _frame_header(reader)
    if window_bytes > memory_bytes:
        raise ArchiveLimitError(
            f"{name} needs a window of {window_bytes:,} bytes to decode",
            hint="compress it without --long, or allow more: archive_decoder_memory_bytes",
            name=name,
        )
    window_max = max(1 << (memory_bytes.bit_length()), 1 << 10)
    decoder = zstandard.ZstdDecompressor(max_window_size=window_max).decompressobj()
    try:
        decoder.decompress(_MAGIC + header)
        last = False
        while not last:
            head = reader.exactly(3)
            block = int.from_bytes(head, "little")
            last = bool(block & 1)
            size_bytes = 1 if (block >> 1) & 3 == 1 else block >> 3
            if piece := decoder.decompress(head + reader.exactly(size_bytes)):
                yield piece
        if checksum and (piece := decoder.decompress(reader.exactly(4))):
            yield piece
    except zstandard.ZstdError as error:
        raise ArchiveCorruptError(f"{name} cannot be decoded: {error}", name=name) from error
    if not decoder.eof:
        raise ArchiveCorruptError(f"{name} cannot be decoded: a frame has no end", name=name)


def _frame_header(reader: _Bytes) -> tuple[bytes, int, bool]:
    """The header after the magic number, the window it asks for, and whether a checksum follows."""
    first = reader.exactly(1)
    descriptor = first[0]
    single = bool(descriptor & 0x20)
    window = b"" if single else reader.exactly(1)
    dictionary = reader.exactly(_DICTIONARY_ID_BYTES[descriptor & 3])
    size_of_size = _CONTENT_SIZE_BYTES[descriptor >> 6] or (1 if single else 0)
    content = reader.exactly(size_of_size)
    if window:
        exponent, mantissa = window[0] >> 3, window[0] & 7
        window_bytes = (1 << (10 + exponent)) // 8 * (8 + mantissa)
    else:
        window_bytes = int.from_bytes(content, "little") + (256 if size_of_size == 2 else 0)
    return first + window + dictionary + content, window_bytes, bool(descriptor & 4)


def _joined(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Larger pieces: blocks of 128 KiB are small for what comes after."""
    gathered: list[bytes] = []
    count = 0
    for piece in pieces:
        if count + len(piece) > BLOCK_BYTES:
            yield b"".join(gathered)
            gathered, count = [], 0
        gathered.append(piece)
        count += len(piece)
    if count:
        yield b"".join(gathered)


class _Bytes:
    """Bytes of a stream in the lengths asked for."""

    def __init__(self, source: Packed, name: str) -> None:
        self._source = source
        self._name = name
        self._data = b""
        self._at = 0

    def up_to(self, count: int) -> bytes:
        """That many bytes, fewer at the end."""
        if self._at + count > len(self._data):
            pieces = [self._data[self._at :]]
            have = len(pieces[0])
            while have < count and (piece := self._source.read(_READ_BYTES)):
                pieces.append(piece)
                have += len(piece)
            self._data, self._at = b"".join(pieces), 0
        given = self._data[self._at : self._at + count]
        self._at += len(given)
        return given

    def exactly(self, count: int) -> bytes:
        """That many bytes."""
        given = self.up_to(count)
        if len(given) < count:
            raise ArchiveIncompleteError(f"{self._name} ends in the middle", name=self._name)
        return given

    def skip(self, count: int) -> None:
        """Leave that many bytes out."""
        while count:
            count -= len(self.exactly(min(count, _RAW_BYTES_PER_CALL)))
