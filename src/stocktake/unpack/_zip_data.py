"""The bytes of one ZIP member, by its compression method."""

from __future__ import annotations

import bz2
import lzma
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from isal import igzip_lib, isal_zlib

from stocktake.errors import (
    ArchiveCorruptError,
    ArchiveUnsupportedError,
    MissingExtraError,
)
from stocktake.unpack._entry import Header, Reading
from stocktake.unpack._filters import Decoder, decoder_errors, decoding_error, memory_error
from stocktake.unpack._libarchive import ArchiveHandle
from stocktake.unpack._library import need_library
from stocktake.unpack._member import MemberKind
from stocktake.unpack._streams import BLOCK_BYTES, Packed, Pieces, cut, read_exactly
from stocktake.unpack._zstd import zstd_pieces

READ_BYTES = 1 << 18
STORED, DEFLATE, DEFLATE64, BZIP2, LZMA, ZSTD, MP3, XZ, JPEG, WAVPACK, PPMD, AES = (
    0, 8, 9, 12, 14, 93, 94, 95, 96, 97, 98, 99,
)  # fmt: skip
READABLE = frozenset((STORED, DEFLATE, DEFLATE64, BZIP2, LZMA, ZSTD, XZ, PPMD))
_END_MARKED = 2
_DEFLATE64_STEP_BYTES = 512
"""So little input gives at most 14 MB: deflate64 packs 26,000 to 1, and inflate64 gives all."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a ZIP says of a member's bytes.

    Attributes:
        name: The archive and the member, for messages.
        method: Of compression.
        flags: General purpose flags.
        crc: CRC-32 of the bytes.
        packed_bytes: As they lie in the archive.
        size_bytes: Unpacked.
    """

    name: str
    method: int
    flags: int
    crc: int
    packed_bytes: int
    size_bytes: int


def content_pieces(content: Content, packed: Packed, reading: Reading) -> Iterator[bytes]:
    """The bytes, in pieces of at most 1 MiB; they end only when size and CRC-32 are right."""
    decoded = _METHODS[content.method](content, packed, reading)
    count = crc = 0
    for piece in decoded:
        count += len(piece)
        if count > content.size_bytes:
            break
        crc = isal_zlib.crc32(piece, crc)
        yield piece
    if count != content.size_bytes:
        said = f"{content.name} gives {count:,} bytes and should have {content.size_bytes:,}"
        raise ArchiveCorruptError(said, name=content.name)
    if crc != content.crc:
        raise ArchiveCorruptError(f"{content.name} has a wrong CRC-32", name=content.name)


def _stored(_: Content, packed: Packed, __: Reading) -> Iterator[bytes]:
    while piece := packed.read(BLOCK_BYTES):
        yield piece


def _deflate(content: Content, packed: Packed, _: Reading) -> Iterator[bytes]:
    decoder = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_DEFLATE)
    return decoder_pieces(decoder, packed, content.name)


def _bzip2(content: Content, packed: Packed, _: Reading) -> Iterator[bytes]:
    return decoder_pieces(bz2.BZ2Decompressor(), packed, content.name)


def _xz(content: Content, packed: Packed, reading: Reading) -> Iterator[bytes]:
    decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=reading.limits.decoder_memory_bytes)
    return decoder_pieces(decoder, packed, content.name)


def _zstd(content: Content, packed: Packed, reading: Reading) -> Iterator[bytes]:
    return zstd_pieces(packed, content.name, reading.limits.decoder_memory_bytes)


def _lzma(content: Content, packed: Packed, reading: Reading) -> Iterator[bytes]:
    decoder = lzma_decoder(content.name, packed, reading)
    pieces = decoder_pieces(decoder, packed, content.name)
    # without an end marker only the size says where the bytes end
    return pieces if content.flags & _END_MARKED else _first(pieces, content.size_bytes)


def lzma_decoder(name: str, packed: Packed, reading: Reading) -> Any:
    """The decoder of a member, from the properties that stand before its bytes."""
    head = read_exactly(packed, 9)
    if len(head) < 9 or head[2:4] != b"\x05\x00" or head[4] >= 9 * 5 * 5:
        raise ArchiveCorruptError(f"{name} has no LZMA properties", name=name)
    properties, dictionary_bytes = struct.unpack("<BL", head[4:])
    if dictionary_bytes > reading.limits.decoder_memory_bytes:
        raise memory_error(name)
    chosen = {
        "id": lzma.FILTER_LZMA1,
        "dict_size": max(dictionary_bytes, 4096),
        "lc": properties % 9,
        "lp": properties // 9 % 5,
        "pb": properties // 45,
    }
    try:
        return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[chosen])
    except (lzma.LZMAError, ValueError) as error:
        raise decoding_error(name, error) from error


def decoder_pieces(decoder: Decoder, packed: Packed, name: str) -> Iterator[bytes]:
    """What the decoder makes of the packed bytes, up to its own end or theirs."""
    while not decoder.eof:
        data = packed.read(READ_BYTES) if decoder.needs_input else b""
        try:
            piece = decoder.decompress(data, BLOCK_BYTES)
        except decoder_errors() as error:
            raise decoding_error(name, error) from error
        if piece:
            yield piece
        elif not data and decoder.needs_input:
            return


def _deflate64(content: Content, packed: Packed, _: Reading) -> Iterator[bytes]:
    try:
        import inflate64
    except ImportError as error:
        raise MissingExtraError(
            f"{content.name} needs inflate64", hint="pip install 'stocktake[unpack]'"
        ) from error
    decoder = inflate64.Inflater()
    gathered: list[bytes] = []
    count = 0
    while not decoder.eof and (data := packed.read(READ_BYTES)):
        for at in range(0, len(data), _DEFLATE64_STEP_BYTES):
            try:
                piece = decoder.inflate(data[at : at + _DEFLATE64_STEP_BYTES])
            except (ValueError, OSError, RuntimeError) as error:
                raise decoding_error(content.name, error) from error
            gathered.append(piece)
            count += len(piece)
            if count >= BLOCK_BYTES // 2:
                yield from cut(b"".join(gathered))
                gathered, count = [], 0
            if decoder.eof:
                break
    if count:
        yield from cut(b"".join(gathered))


def _ppmd(content: Content, packed: Packed, reading: Reading) -> Iterator[bytes]:
    """libarchive, given a ZIP of this member alone."""
    library = need_library(reading.library, content.name, "PPMd in ZIP")
    wide = struct.pack("<HHQQ", 1, 16, content.size_bytes, content.packed_bytes)
    head = struct.pack(
        "<4s5H3L2H",
        b"PK\x03\x04",
        *(45, 0, PPMD, 0, 0x21),
        *(content.crc, 0xFFFFFFFF, 0xFFFFFFFF, 1, len(wide)),
    )
    alone = Pieces(_after(head + b"x" + wide, packed), packed)
    with ArchiveHandle(library, alone, ("zip",), content.name) as handle:
        header = handle.next_header()
        if header is None or header.kind is not MemberKind.FILE:
            raise ArchiveUnsupportedError(f"{content.name}: libarchive sees no member")
        sized = Header(b"x", "x", header.kind, content.size_bytes, None, None)
        yield from handle.pieces(sized)


def _after(head: bytes, packed: Packed) -> Iterator[bytes]:
    yield head
    while piece := packed.read(READ_BYTES):
        yield piece


def _first(pieces: Iterator[bytes], count: int) -> Iterator[bytes]:
    for piece in pieces:
        if given := piece[:count]:
            yield given
        count -= len(given)
        if not count:
            return


_METHODS: dict[int, Callable[[Content, Packed, Reading], Iterator[bytes]]] = {
    STORED: _stored,
    DEFLATE: _deflate,
    DEFLATE64: _deflate64,
    BZIP2: _bzip2,
    LZMA: _lzma,
    ZSTD: _zstd,
    XZ: _xz,
    PPMD: _ppmd,
}
