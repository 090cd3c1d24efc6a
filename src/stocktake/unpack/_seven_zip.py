"""7Z through libarchive, after its header was asked what it needs.

libarchive takes the memory that a dictionary needs without asking, gives an empty text for a cut
file, and composes names: so the start, the coders and the names are read here.
"""

from __future__ import annotations

import lzma
import struct
from collections.abc import Iterator
from zlib import crc32

from stocktake.errors import (
    ArchiveCorruptError,
    ArchiveEncryptedError,
    ArchiveIncompleteError,
    ArchiveUnsupportedError,
)
from stocktake.unpack._entry import Entry, Flow, Reading, with_raw_name
from stocktake.unpack._filters import memory_error
from stocktake.unpack._libarchive import ArchiveHandle
from stocktake.unpack._library import Library, need_library
from stocktake.unpack._seven_header import Coder, SevenHeader, Streams, parse_header, split_names
from stocktake.unpack._streams import Span

_START = struct.Struct("<6s2BLQQL")
_COPY, _LZMA2, _LZMA, _PPMD = b"\x00", b"\x21", b"\x03\x01\x01", b"\x03\x04\x01"
_AES = b"\x06\xf1\x07\x01"
_SINCE_3_7 = {b"\x0a": "the ARM64 filter", b"\x04\xf7\x11\x01": "zstd"}
_VERSION_3_7 = 3_007_000
_ENCODED_MAX = 4
_HEADER_BYTES_MAX = 64 << 20
_EMPTY_HEADERS = (b"", b"\x01\x00", b"\x01\x05\x00\x00\x00")


def seven_zip_entries(file: Span, reading: Reading) -> Iterator[Entry]:
    """The members in the archive's order."""
    library = need_library(reading.library, reading.name, "7z")
    parsed = _judge(file, reading, library)
    if parsed is None:
        return
    names = split_names(parsed.names)
    file.seek(0)
    flow = Flow(file)
    file.taken_bytes = 0
    with ArchiveHandle(library, file, ("7zip",), reading.name) as handle:
        while (header := handle.next_header()) is not None:
            handle.check_encryption()
            raw_name = _as_utf8(next(names, None), reading.name)
            yield flow.entry(with_raw_name(header, raw_name), handle.pieces)


def _as_utf8(name: bytes | None, archive: str) -> bytes | None:
    try:
        return None if name is None else name.decode("utf-16-le").encode()
    except UnicodeDecodeError as error:
        said = f"{archive} has a name that is no text"
        raise ArchiveCorruptError(said, name=archive) from error


def _judge(file: Span, reading: Reading, library: Library) -> SevenHeader | None:
    """Refuse what cannot be read. None if it is empty, which libarchive takes for damage."""
    header = _read_header(file, reading.name)
    for _ in range(_ENCODED_MAX):
        if header in _EMPTY_HEADERS:
            return None
        parsed = parse_header(header, reading.name)
        for coders in parsed.streams.folders if parsed.streams else []:
            _check_coders(coders, reading, library)
        if not parsed.encoded or parsed.streams is None:
            return parsed
        header = _decode_header(file, parsed.streams, reading)
    said = f"{reading.name}: a header in a header in a header"
    raise ArchiveCorruptError(said, name=reading.name)


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


def _check_coders(coders: list[Coder], reading: Reading, library: Library) -> None:
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


def _memory_bytes(coder: Coder) -> int:
    """What the decoder will take, mostly its dictionary."""
    if coder.kind in (_LZMA, _PPMD) and len(coder.properties) >= 5:
        return int.from_bytes(coder.properties[1:5], "little")
    if coder.kind == _LZMA2 and coder.properties:
        bits = coder.properties[0]
        return 0xFFFFFFFF if bits >= 40 else (2 | bits & 1) << (bits // 2 + 11)
    return 0


def _decode_header(file: Span, streams: Streams, reading: Reading) -> bytes:
    """An encoded header, decoded."""
    name = reading.name
    if not (streams.folders and streams.sizes and streams.unpacked):
        raise ArchiveCorruptError(f"{name}: its header is damaged", name=name)
    size_bytes = streams.unpacked[0]
    if max(size_bytes, streams.sizes[0]) > _HEADER_BYTES_MAX:
        raise memory_error(name)
    packed = file.read_at(_START.size + streams.place, streams.sizes[0])
    coder = streams.folders[0][0]
    try:
        header = packed if coder.kind == _COPY else _unlzma(coder, packed, size_bytes)
    except (lzma.LZMAError, ValueError, KeyError, IndexError) as error:
        raise ArchiveCorruptError(f"{name}: its header is damaged: {error}", name=name) from error
    if len(header) != size_bytes or streams.crcs[0] not in (None, crc32(header)):
        raise ArchiveCorruptError(f"{name}: its header has a wrong CRC-32", name=name)
    return header


def _unlzma(coder: Coder, packed: bytes, size_bytes: int) -> bytes:
    decoder = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[_lzma_filter(coder)])
    return decoder.decompress(packed, size_bytes)


def _lzma_filter(coder: Coder) -> dict[str, int]:
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
