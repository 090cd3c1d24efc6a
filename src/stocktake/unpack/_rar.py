"""RAR through libarchive, after every header was asked for what libarchive would get wrong.

libarchive before 3.8 gives out encrypted RAR5 data as it is, all versions give nothing for copies
of files and take a single volume for a whole archive, and none reads solid RAR4. The formats:
https://www.rarlab.com/technote.htm (5.0) and unrar's sources (1.5 to 4.x).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
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
from stocktake.unpack._library import need_library
from stocktake.unpack._streams import Span

RAR5 = b"Rar!\x1a\x07\x01\x00"
UNRAR_HINT = "unpack it with unrar (apt-get install unrar, non-free) and ship the files"
_BLOCK_BYTES_MAX = 2 << 20


def rar_entries(file: Span, reading: Reading) -> Iterator[Entry]:
    """The members in the archive's order."""
    library = need_library(reading.library, reading.name, "rar")
    new = file.read_at(0, len(RAR5)) == RAR5
    (_judge5 if new else _judge4)(file, reading)
    file.seek(0)
    file.taken_bytes = 0
    flow = Flow(file)
    with ArchiveHandle(library, file, ("rar5",) if new else ("rar",), reading.name) as handle:
        while (header := handle.next_header()) is not None:
            handle.check_encryption()
            yield flow.entry(header, handle.pieces)


def _lacking(name: str, what: str) -> ArchiveUnsupportedError:
    return ArchiveUnsupportedError(f"{name} {what}", hint=UNRAR_HINT, name=name)


def _incomplete(name: str) -> ArchiveIncompleteError:
    return ArchiveIncompleteError(f"{name} ends without its end record", name=name)


def _judge4(file: Span, reading: Reading) -> None:
    """RAR 1.5 to 4.x: blocks of 7 bytes and more."""
    name = reading.name
    at = 7
    while True:
        head = file.read_at(at, 7)
        if len(head) < 7:
            raise _incomplete(name)
        _, kind, flags, size_bytes = struct.unpack("<HBHH", head)
        if size_bytes < 7:
            raise ArchiveCorruptError(f"{name}: a header is damaged", name=name)
        block = file.read_at(at, size_bytes)
        if len(block) < size_bytes:
            raise _incomplete(name)
        if kind == 0x73:
            _check_main4(name, flags)
        data_bytes = (
            struct.unpack_from("<L", block, 7)[0] if flags & 0x8000 and size_bytes > 10 else 0
        )
        if kind == 0x74:
            reading.budget.check_time()
            data_bytes = _check_file4(name, flags, block)
        if kind == 0x7B:
            if flags & 1:
                raise _lacking(name, "is one of several volumes")
            return
        at += size_bytes + data_bytes
        if at > file.size_bytes:
            raise _incomplete(name)


def _check_main4(name: str, flags: int) -> None:
    if flags & 0x0080:
        raise ArchiveEncryptedError(f"{name} has encrypted headers", name=name)
    if flags & 0x0001:
        raise _lacking(name, "is one of several volumes")
    if flags & 0x0008:
        raise _lacking(name, "is a solid RAR of version 4 or older")


def _check_file4(name: str, flags: int, block: bytes) -> int:
    """Refuse what libarchive cannot read; gives the bytes of data behind the header."""
    if len(block) < 32:
        raise ArchiveCorruptError(f"{name}: a header is damaged", name=name)
    packed_bytes, _, _, _, _, version, method = struct.unpack_from("<LLBLLBB", block, 7)
    if flags & 0x100 and len(block) >= 40:
        packed_bytes |= struct.unpack_from("<L", block, 32)[0] << 32
    if flags & 0x04:
        raise ArchiveEncryptedError(f"{name} has encrypted members", name=name)
    if flags & 0x03:
        raise _lacking(name, "is one of several volumes")
    if flags & 0x10:
        raise _lacking(name, "is a solid RAR of version 4 or older")
    if method != 0x30 and version < 29:
        raise _lacking(name, f"is a RAR of version {version / 10:g}")
    return int(packed_bytes)


def _judge5(file: Span, reading: Reading) -> None:
    """RAR 5: blocks with a CRC-32, lengths of variable size."""
    name = reading.name
    at = len(RAR5)
    while True:
        start = file.read_at(at, 7)
        if len(start) < 7:
            raise _incomplete(name)
        size_bytes, used = _vint(start, 4, name)
        if size_bytes > _BLOCK_BYTES_MAX:
            raise ArchiveCorruptError(f"{name}: a header is damaged", name=name)
        block = file.read_at(at + used, size_bytes)
        if len(block) < size_bytes:
            raise _incomplete(name)
        if crc32(start[4:used] + block) != struct.unpack_from("<L", start)[0]:
            raise ArchiveCorruptError(f"{name}: a header has a wrong CRC-32", name=name)
        header = _Block5(block, name)
        if header.kind == 5:
            if header.vint() & 1:
                raise _lacking(name, "is one of several volumes")
            return
        _check5(header, reading)
        at += used + size_bytes + header.data_bytes
        if at > file.size_bytes:
            raise _incomplete(name)


class _Block5:
    """One block of a RAR 5."""

    def __init__(self, data: bytes, name: str) -> None:
        self._data = data
        self._name = name
        self._at = 0
        self.kind = self.vint()
        self.flags = self.vint()
        self.extra_bytes = self.vint() if self.flags & 1 else 0
        self.data_bytes = self.vint() if self.flags & 2 else 0

    def vint(self) -> int:
        """The next number."""
        value, self._at = _vint(self._data, self._at, self._name)
        return value

    def skip(self, count: int) -> None:
        """Leave bytes out."""
        self._at += count

    def extras(self) -> Iterator[tuple[int, bytes]]:
        """The records at the end, by kind."""
        at = len(self._data) - self.extra_bytes
        while at < len(self._data):
            size_bytes, at = _vint(self._data, at, self._name)
            kind, body_at = _vint(self._data, at, self._name)
            yield kind, self._data[body_at : at + size_bytes]
            at += size_bytes


def _check5(block: _Block5, reading: Reading) -> None:
    name = reading.name
    if block.kind == 4:
        raise ArchiveEncryptedError(f"{name} has encrypted headers", name=name)
    if block.kind == 1 and block.vint() & 1:
        raise _lacking(name, "is one of several volumes")
    if block.kind not in (2, 3):
        return
    reading.budget.check_time()
    if block.flags & 0x18:
        raise _lacking(name, "is one of several volumes")
    for kind, body in block.extras():
        if kind == 1:
            raise ArchiveEncryptedError(f"{name} has encrypted members", name=name)
        if kind == 5 and block.kind == 2 and _vint(body, 0, name)[0] == 5:
            raise _lacking(name, "keeps a file as a reference to an equal one")
    if block.kind == 2:
        _check_method5(block, reading)


def _check_method5(block: _Block5, reading: Reading) -> None:
    file_flags = block.vint()
    block.vint()  # unpacked size
    block.vint()  # attributes
    block.skip(4 * bool(file_flags & 2) + 4 * bool(file_flags & 4))
    method = block.vint()
    if method & 0x3F:
        raise _lacking(reading.name, "is a RAR of version 7")
    packed = bool(method >> 7 & 7)
    if packed and (128 << 10) << (method >> 10 & 15) > reading.limits.decoder_memory_bytes:
        raise memory_error(reading.name)


def _vint(data: bytes, at: int, name: str) -> tuple[int, int]:
    """A number of 7 bits per byte, and where it ends."""
    value = shift = 0
    while at < len(data) and shift < 64:
        value |= (data[at] & 0x7F) << shift
        at += 1
        if not data[at - 1] & 0x80:
            return value, at
        shift += 7
    raise ArchiveCorruptError(f"{name}: a header is damaged", name=name)
