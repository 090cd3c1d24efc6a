"""The headers of a RAR, read by us: what libarchive would get wrong is refused here.

The formats: https://www.rarlab.com/technote.htm (5.0) and the sources of unrar (1.5 to 4.x). Only
what is needed is read: encryption, volumes, solid RAR4, references to equal files, checksums.
"""

from __future__ import annotations

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
from stocktake.unpack._entry import Reading
from stocktake.unpack._filters import memory_error
from stocktake.unpack._streams import Span

RAR5 = b"Rar!\x1a\x07\x01\x00"
UNRAR_HINT = "unpack it with unrar (apt-get install unrar, non-free) and ship the files"
_BLOCK_BYTES_MAX = 2 << 20
_STORED4, _VERSION4_READABLE = 0x30, 29


@dataclass(frozen=True, slots=True)
class RarRecord:
    """What a header says of its member.

    Attributes:
        raw_name: UTF-8; None where only libarchive decodes it (RAR4).
        size_bytes: None if it does not say.
        crc: CRC-32 of the content, if there is one.
        blake2sp: The same by BLAKE2sp.
    """

    raw_name: bytes | None
    size_bytes: int | None
    crc: int | None
    blake2sp: bytes | None = None


def rar_records(file: Span, reading: Reading) -> Iterator[RarRecord]:
    """The members' headers, in order, up to the end record, which must be there."""
    new = file.read_at(0, len(RAR5)) == RAR5
    return _records5(file, reading) if new else _records4(file, reading)


def _lacking(name: str, what: str) -> ArchiveUnsupportedError:
    return ArchiveUnsupportedError(f"{name} {what}", hint=UNRAR_HINT, name=name)


def _volumes(name: str) -> ArchiveUnsupportedError:
    return _lacking(name, "is one of several volumes")


def _encrypted(name: str, what: str) -> ArchiveEncryptedError:
    return ArchiveEncryptedError(f"{name} has encrypted {what}", name=name)


def _incomplete(name: str) -> ArchiveIncompleteError:
    return ArchiveIncompleteError(f"{name} ends without its end record", name=name)


def _damaged(name: str) -> ArchiveCorruptError:
    return ArchiveCorruptError(f"{name}: a header is damaged", name=name)


def _records4(file: Span, reading: Reading) -> Iterator[RarRecord]:
    """RAR 1.5 to 4.x: blocks of 7 bytes and more."""
    name = reading.name
    at = 7
    while True:
        head = file.read_at(at, 7)
        if len(head) < 7:
            raise _incomplete(name)
        _, kind, flags, size_bytes = struct.unpack("<HBHH", head)
        block = file.read_at(at, size_bytes)
        if size_bytes < 7:
            raise _damaged(name)
        if len(block) < size_bytes:
            raise _incomplete(name)
        if kind == 0x7B:
            if flags & 1:
                raise _volumes(name)
            return
        data_bytes = 0
        if kind == 0x73:
            _check_main4(name, flags)
        elif kind == 0x74:
            reading.budget.check_time()
            record, data_bytes = _file4(name, flags, block)
            yield record
        elif flags & 0x8000 and size_bytes >= 11:
            data_bytes = struct.unpack_from("<L", block, 7)[0]
        at += size_bytes + data_bytes
        if at > file.size_bytes:
            raise _incomplete(name)


def _check_main4(name: str, flags: int) -> None:
    if flags & 0x0080:
        raise _encrypted(name, "headers")
    if flags & 0x0001:
        raise _volumes(name)
    if flags & 0x0008:
        raise _lacking(name, "is a solid RAR of version 4 or older")


def _file4(name: str, flags: int, block: bytes) -> tuple[RarRecord, int]:
    """A member, and how many bytes of data follow; refuses what libarchive cannot read."""
    if len(block) < 32:
        raise _damaged(name)
    packed_bytes, size_bytes, _, crc, _, version, method = struct.unpack_from("<LLBLLBB", block, 7)
    if flags & 0x100 and len(block) >= 40:
        high_packed, high = struct.unpack_from("<LL", block, 32)
        packed_bytes |= high_packed << 32
        size_bytes |= high << 32
    if flags & 0x04:
        raise _encrypted(name, "members")
    if flags & 0x03:
        raise _volumes(name)
    if flags & 0x10:
        raise _lacking(name, "is a solid RAR of version 4 or older")
    if method != _STORED4 and version < _VERSION4_READABLE:
        raise _lacking(name, f"is a RAR of version {version / 10:g}")
    return RarRecord(None, size_bytes, crc), packed_bytes


def _records5(file: Span, reading: Reading) -> Iterator[RarRecord]:
    """RAR 5: blocks with a CRC-32, numbers of variable length."""
    name = reading.name
    at = len(RAR5)
    while True:
        start = file.read_at(at, 7)
        if len(start) < 7:
            raise _incomplete(name)
        size_bytes, used = _vint(start, 4, name)
        if size_bytes > _BLOCK_BYTES_MAX:
            raise _damaged(name)
        block = file.read_at(at + used, size_bytes)
        if len(block) < size_bytes:
            raise _incomplete(name)
        if crc32(start[4:used] + block) != struct.unpack_from("<L", start)[0]:
            raise ArchiveCorruptError(f"{name}: a header has a wrong CRC-32", name=name)
        header = _Block5(block, name)
        if header.kind == 5:
            if header.vint() & 1:
                raise _volumes(name)
            return
        record = _judge5(header, reading)
        if record is not None:
            yield record
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

    def take(self, count: int) -> bytes:
        """The next bytes."""
        self._at += count
        return self._data[self._at - count : self._at]

    def extras(self) -> Iterator[tuple[int, bytes]]:
        """The records at the end, by kind."""
        at = max(len(self._data) - self.extra_bytes, 0)
        while at < len(self._data):
            size_bytes, at = _vint(self._data, at, self._name)
            kind, body_at = _vint(self._data, at, self._name)
            yield kind, self._data[body_at : at + size_bytes]
            at += max(size_bytes, 1)


def _judge5(block: _Block5, reading: Reading) -> RarRecord | None:
    """The member that this block is of, if any; refuses what libarchive cannot read."""
    name = reading.name
    if block.kind == 4:
        raise _encrypted(name, "headers")
    if block.kind == 1 and block.vint() & 1:
        raise _volumes(name)
    if block.kind not in (2, 3):
        return None
    reading.budget.check_time()
    if block.flags & 0x18:
        raise _volumes(name)
    blake2sp = None
    for kind, body in block.extras():
        if kind == 1:
            raise _encrypted(name, "members")
        if kind == 2 and body[:1] == b"\0":
            blake2sp = body[1:33]
        if kind == 5 and block.kind == 2 and _vint(body, 0, name)[0] == 5:
            raise _lacking(name, "keeps a file as a reference to an equal one")
    return _file5(block, blake2sp, reading) if block.kind == 2 else None


def _file5(block: _Block5, blake2sp: bytes | None, reading: Reading) -> RarRecord:
    flags = block.vint()
    size_bytes = block.vint()
    block.vint()  # attributes
    block.take(4 if flags & 2 else 0)  # time
    crc = int.from_bytes(block.take(4), "little") if flags & 4 else None
    method = block.vint()
    block.vint()  # operating system
    raw_name = block.take(block.vint())
    if method & 0x3F:
        raise _lacking(reading.name, "is a RAR of version 7")
    packed = bool(method >> 7 & 7)
    if packed and (128 << 10) << (method >> 10 & 15) > reading.limits.decoder_memory_bytes:
        raise memory_error(reading.name)
    return RarRecord(raw_name, None if flags & 8 else size_bytes, crc, blake2sp)


def _vint(data: bytes, at: int, name: str) -> tuple[int, int]:
    """A number of 7 bits per byte, and where it ends."""
    value = shift = 0
    while at < len(data) and shift < 64:
        value |= (data[at] & 0x7F) << shift
        at += 1
        if not data[at - 1] & 0x80:
            return value, at
        shift += 7
    raise _damaged(name)
