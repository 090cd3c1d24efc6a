"""7Z through libarchive, after its header was asked what it needs.

libarchive takes the memory that a dictionary needs without asking, and gives an empty text for a
cut file: so the start and the coders are read here. The format: DOC/7zFormat.txt of the LZMA SDK.
"""

from __future__ import annotations

import lzma
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from zlib import crc32

from stocktake.errors import (
    ArchiveCorruptError,
    ArchiveEncryptedError,
    ArchiveIncompleteError,
    ArchiveUnsupportedError,
)
from stocktake.unpack._entry import Entry, Flow, Reading
from stocktake.unpack._filters import memory_error
from stocktake.unpack._libarchive import ArchiveHandle
from stocktake.unpack._library import Library, need_library
from stocktake.unpack._streams import Span

_START = struct.Struct("<6s2BLQQL")
_END, _HEADER, _STREAMS, _PACK, _FOLDERS = 0x00, 0x01, 0x04, 0x06, 0x07
_SIZES, _DIGESTS, _FOLDER, _UNPACK_SIZES, _ENCODED = 0x09, 0x0A, 0x0B, 0x0C, 0x17
_ARCHIVE_PROPERTIES = 0x02
_COPY, _LZMA2, _LZMA, _PPMD = b"\x00", b"\x21", b"\x03\x01\x01", b"\x03\x04\x01"
_AES = b"\x06\xf1\x07\x01"
_SINCE_3_7 = {b"\x0a": "the ARM64 filter", b"\x04\xf7\x11\x01": "zstd"}
_VERSION_3_7 = 3_007_000
_HEADER_BYTES_MAX = 64 << 20


def seven_zip_entries(file: Span, reading: Reading) -> Iterator[Entry]:
    """The members in the archive's order."""
    library = need_library(reading.library, reading.name, "7z")
    if not _judge(file, reading, library):
        return
    file.seek(0)
    flow = Flow(file)
    file.taken_bytes = 0
    with ArchiveHandle(library, file, ("7zip",), reading.name) as handle:
        while (header := handle.next_header()) is not None:
            handle.check_encryption()
            yield flow.entry(header, handle.pieces)


@dataclass(frozen=True, slots=True)
class _Coder:
    kind: bytes
    properties: bytes


@dataclass(frozen=True, slots=True)
class _Streams:
    """Where packed bytes are, and how the first folder's are unpacked."""

    place: int
    sizes: list[int]
    folders: list[list[_Coder]]
    unpacked: list[int]


def _judge(file: Span, reading: Reading, library: Library) -> bool:
    """Refuse what cannot be read. False if the archive is empty."""
    header = _read_header(file, reading.name)
    for _ in range(4):
        if not header:
            return False
        cursor = _Cursor(header, reading.name)
        kind = cursor.byte()
        streams = _parse_streams(cursor, kind)
        for coders in streams.folders if streams else []:
            _check_coders(coders, reading, library)
        if kind != _ENCODED or streams is None:
            return True
        header = _decode_header(file, streams, reading)
    raise ArchiveCorruptError(
        f"{reading.name}: a header in a header in a header", name=reading.name
    )


def _read_header(file: Span, name: str) -> bytes:
    start = file.read_at(0, _START.size)
    if len(start) < _START.size:
        raise ArchiveIncompleteError(f"{name} ends after {len(start)} bytes", name=name)
    _, _, _, start_crc, offset, size_bytes, header_crc = _START.unpack(start)
    if crc32(start[12:]) != start_crc:
        raise ArchiveCorruptError(f"{name}: its start is damaged", name=name)
    if _START.size + offset + size_bytes > file.size_bytes:
        raise ArchiveIncompleteError(f"{name} ends before its header", name=name)
    if size_bytes > _HEADER_BYTES_MAX:
        raise memory_error(name)
    header = file.read_at(_START.size + offset, size_bytes)
    if crc32(header) != header_crc:
        raise ArchiveCorruptError(f"{name}: its header has a wrong CRC-32", name=name)
    return header


def _parse_streams(cursor: _Cursor, kind: int) -> _Streams | None:
    """The packed streams of an encoded header, or the main ones of a plain one."""
    if kind == _HEADER:
        kind = cursor.byte()
        if kind == _ARCHIVE_PROPERTIES:
            while cursor.byte() != _END:
                cursor.take(cursor.number())
            kind = cursor.byte()
        if kind != _STREAMS:
            return None
    elif kind != _ENCODED:
        raise cursor.damaged()
    place, sizes = 0, [0]
    kind = cursor.byte()
    if kind == _PACK:
        place, sizes = _parse_pack(cursor)
        kind = cursor.byte()
    if kind != _FOLDERS:
        return _Streams(place, sizes, [], [])
    folders, unpacked = _parse_folders(cursor)
    return _Streams(place, sizes, folders, unpacked)


def _parse_pack(cursor: _Cursor) -> tuple[int, list[int]]:
    place = cursor.number()
    count = cursor.count()
    sizes: list[int] = []
    while (kind := cursor.byte()) != _END:
        if kind == _SIZES:
            sizes = [cursor.number() for _ in range(count)]
        elif kind == _DIGESTS:
            cursor.skip_digests(count)
        else:
            raise cursor.damaged()
    return place, sizes


def _parse_folders(cursor: _Cursor) -> tuple[list[list[_Coder]], list[int]]:
    if cursor.byte() != _FOLDER:
        raise cursor.damaged()
    count = cursor.count()
    if cursor.byte():
        raise cursor.damaged()
    folders = []
    outputs = 0
    for _ in range(count):
        coders, streams_out = _parse_folder(cursor)
        folders.append(coders)
        outputs += streams_out
    if cursor.byte() != _UNPACK_SIZES:
        raise cursor.damaged()
    return folders, [cursor.number() for _ in range(outputs)]


def _parse_folder(cursor: _Cursor) -> tuple[list[_Coder], int]:
    coders = []
    streams_in = streams_out = 0
    for _ in range(cursor.count()):
        flags = cursor.byte()
        kind = cursor.take(flags & 0x0F)
        new_in, new_out = (cursor.count(), cursor.count()) if flags & 0x10 else (1, 1)
        properties = cursor.take(cursor.number()) if flags & 0x20 else b""
        streams_in += new_in
        streams_out += new_out
        coders.append(_Coder(kind, properties))
    bound = max(streams_out - 1, 0)
    for _ in range(2 * bound):
        cursor.number()
    packed = streams_in - bound
    for _ in range(packed if packed > 1 else 0):
        cursor.number()
    return coders, streams_out


def _check_coders(coders: list[_Coder], reading: Reading, library: Library) -> None:
    memory_bytes = 0
    for coder in coders:
        if coder.kind == _AES:
            raise ArchiveEncryptedError(f"{reading.name} is encrypted", name=reading.name)
        lacking = _SINCE_3_7.get(coder.kind)
        if lacking is not None and library.version < _VERSION_3_7:
            said = f"{reading.name} needs {lacking}, which libarchive has from 3.7 on"
            hint = f"install a newer libarchive than {library.version_text}"
            raise ArchiveUnsupportedError(said, hint=hint, name=reading.name)
        memory_bytes += _memory_bytes(coder)
    if memory_bytes > reading.limits.decoder_memory_bytes:
        raise memory_error(reading.name)


def _memory_bytes(coder: _Coder) -> int:
    """What the decoder will take, mostly its dictionary."""
    if coder.kind in (_LZMA, _PPMD) and len(coder.properties) >= 5:
        return int.from_bytes(coder.properties[1:5], "little")
    if coder.kind == _LZMA2 and coder.properties:
        bits = coder.properties[0]
        return 0xFFFFFFFF if bits >= 40 else (2 | bits & 1) << (bits // 2 + 11)
    return 0


def _decode_header(file: Span, streams: _Streams, reading: Reading) -> bytes:
    """An encoded header, decoded."""
    name = reading.name
    if not (streams.folders and streams.sizes and streams.unpacked):
        raise ArchiveCorruptError(f"{name}: its header is damaged", name=name)
    size_bytes = streams.unpacked[0]
    if max(size_bytes, streams.sizes[0]) > _HEADER_BYTES_MAX:
        raise memory_error(name)
    packed = file.read_at(_START.size + streams.place, streams.sizes[0])
    coder = streams.folders[0][0]
    if coder.kind == _COPY:
        return packed
    try:
        decoder = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[_lzma_filter(coder)])
        return decoder.decompress(packed, size_bytes)
    except (lzma.LZMAError, ValueError, KeyError, IndexError) as error:
        raise ArchiveCorruptError(f"{name}: its header is damaged: {error}", name=name) from error


def _lzma_filter(coder: _Coder) -> dict[str, int]:
    dictionary_bytes = max(_memory_bytes(coder), 4096)
    if coder.kind == _LZMA2:
        return {"id": lzma.FILTER_LZMA2, "dict_size": dictionary_bytes}
    if coder.kind != _LZMA:
        raise ValueError(f"coder {coder.kind.hex()}")
    chosen = coder.properties[0]
    return {
        "id": lzma.FILTER_LZMA1,
        "dict_size": dictionary_bytes,
        "lc": chosen % 9,
        "lp": chosen // 9 % 5,
        "pb": chosen // 45,
    }


class _Cursor:
    """Reads a header from the front to the end."""

    def __init__(self, data: bytes, name: str) -> None:
        self._data = data
        self._name = name
        self._at = 0

    def damaged(self) -> ArchiveCorruptError:
        """The header says what no header says."""
        return ArchiveCorruptError(f"{self._name}: its header is damaged", name=self._name)

    def take(self, count: int) -> bytes:
        """The next bytes."""
        if self._at + count > len(self._data):
            raise self.damaged()
        self._at += count
        return self._data[self._at - count : self._at]

    def byte(self) -> int:
        """The next byte."""
        return self.take(1)[0]

    def number(self) -> int:
        """A number of 1 to 9 bytes: leading one bits of the first say how many follow."""
        first = self.byte()
        mask, value = 0x80, 0
        for place in range(8):
            if not first & mask:
                return value | (first & (mask - 1)) << (8 * place)
            value |= self.byte() << (8 * place)
            mask >>= 1
        return value

    def count(self) -> int:
        """A number of things that take at least a byte each."""
        value = self.number()
        if value > len(self._data):
            raise self.damaged()
        return value

    def skip_digests(self, count: int) -> None:
        """Leave CRCs out."""
        defined = count
        if not self.byte():
            bits = int.from_bytes(self.take(-(-count // 8)), "big")
            defined = bits.bit_count()
        self.take(4 * defined)
