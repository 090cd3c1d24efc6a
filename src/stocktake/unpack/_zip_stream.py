"""ZIP from the front to the end: an inner one that is too large for memory.

Members are given by their own headers. The central directory comes last and is the truth: a member
that it does not have, or that it describes otherwise, fails the archive.
"""

from __future__ import annotations

import bz2
import hashlib
import lzma
import struct
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import replace

from isal import igzip_lib, isal_zlib

from stocktake.errors import (
    ArchiveCorruptError,
    ArchiveIncompleteError,
    ArchiveUnsupportedError,
)
from stocktake.unpack._dos_time import zip_time
from stocktake.unpack._entry import Entry, Reading
from stocktake.unpack._filters import Decoder
from stocktake.unpack._member import MemberKind
from stocktake.unpack._names import extra_fields
from stocktake.unpack._streams import BLOCK_BYTES, Packed, read_exactly
from stocktake.unpack._zip import (
    DESCRIBED_LATER,
    LOCAL,
    check_record,
    content_of,
    record_kind,
    record_name,
)
from stocktake.unpack._zip_data import BZIP2, DEFLATE, XZ, content_pieces, decoder_pieces
from stocktake.unpack._zip_directory import Record, parse_record

_LOCAL, _RECORD, _DESCRIPTOR = b"PK\x03\x04", b"PK\x01\x02", b"PK\x07\x08"
_END, _END64, _LOCATOR64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_FULL32 = 0xFFFFFFFF
_DIGEST_BYTES = 8


def zip_stream_entries(source: Packed, reading: Reading) -> Iterator[Entry]:
    """The members in the order of their bytes; then the directory is compared."""
    tape = _Tape(source, reading.name)
    seen = _Seen(reading)
    while True:
        offset = tape.at
        signature = tape.exactly(4)
        if signature != _LOCAL:
            break
        member = _Member(tape, offset, reading)
        yield member.entry()
        member.finish()
        seen.add(member.record)
    _compare(tape, signature, seen, reading)


class _Tape:
    """A stream with its position, and with bytes put back."""

    def __init__(self, source: Packed, name: str) -> None:
        self._source = source
        self._name = name
        self._back = b""
        self.at = 0

    @property
    def taken_bytes(self) -> int:
        """As the source says."""
        return self._source.taken_bytes

    def read(self, size_bytes: int = -1, /) -> bytes:
        """Up to that many bytes."""
        wanted = BLOCK_BYTES if size_bytes < 0 else size_bytes
        if self._back:
            data, self._back = self._back[:wanted], self._back[wanted:]
        else:
            data = self._source.read(wanted)
        self.at += len(data)
        return data

    def put_back(self, data: bytes) -> None:
        """These were read too much."""
        self._back = data + self._back
        self.at -= len(data)

    def exactly(self, count: int) -> bytes:
        """That many bytes."""
        data = read_exactly(self, count)
        if len(data) < count:
            raise ArchiveIncompleteError(f"{self._name} ends in the middle", name=self._name)
        return data


class _Part:
    """So many bytes of a tape."""

    def __init__(self, tape: _Tape, size_bytes: int) -> None:
        self._tape = tape
        self._left = size_bytes
        self.taken_bytes = 0

    def read(self, size_bytes: int = -1, /) -> bytes:
        """Up to that many bytes."""
        count = self._left if size_bytes < 0 else min(size_bytes, self._left)
        data = self._tape.read(count) if count else b""
        self._left -= len(data)
        self.taken_bytes += len(data)
        return data

    def finish(self) -> None:
        """Read what is left."""
        while self._left:
            self._tape.exactly(min(self._left, BLOCK_BYTES))
            self._left -= min(self._left, BLOCK_BYTES)


class _Member:
    """One member by its local header; what comes later completes `record`."""

    def __init__(self, tape: _Tape, offset: int, reading: Reading) -> None:
        self._tape = tape
        self._reading = reading
        fields = LOCAL.unpack(_LOCAL + tape.exactly(LOCAL.size - 4))
        _, _, flags, method, time, date, crc, packed, size, name_bytes, extra_bytes = fields
        raw_name, extra = tape.exactly(name_bytes), tape.exactly(extra_bytes)
        self._wide = 1 in extra_fields(extra)
        if self._wide and _FULL32 in (packed, size):
            size, packed = struct.unpack_from("<QQ", extra_fields(extra)[1].ljust(16, b"\0"))
        self.record = Record(
            0, flags, method, time, date, crc, packed, size, 0, offset, raw_name, extra
        )
        check_record(self.record, reading)
        self._name = record_name(self.record, reading)
        self._later = bool(flags & DESCRIBED_LATER)
        self._start = tape.at
        self._pieces = self._described_later() if self._later else self._described()

    def entry(self) -> Entry:
        """What the walk judges."""
        record = self.record
        folder = self._name.endswith("/") and not record.size_bytes
        return Entry(
            record.raw_name,
            self._name,
            MemberKind.FOLDER if folder else MemberKind.FILE,
            None if folder or self._later else record.size_bytes,
            zip_time(record.date, record.time, record.extra),
            None,
            lambda: self._pieces,
            lambda: (0, self._tape.at - self._start),
        )

    def finish(self) -> None:
        """Read what nobody read of it."""
        for piece in self._pieces:
            self._reading.budget.take_bytes(len(piece))

    def _described(self) -> Iterator[bytes]:
        part = _Part(self._tape, self.record.packed_bytes)
        yield from content_pieces(
            content_of(self.record, self._name, self._reading), part, self._reading
        )
        part.finish()

    def _described_later(self) -> Iterator[bytes]:
        """The decoder finds the end, and what follows must describe what was found."""
        decoder = self._decoder()
        size_bytes = crc = 0
        for piece in decoder_pieces(decoder, self._tape, self._reading.name):
            size_bytes += len(piece)
            crc = isal_zlib.crc32(piece, crc)
            yield piece
        if not decoder.eof:
            said = f"{self._reading.name} ends in the middle"
            raise ArchiveIncompleteError(said, name=self._reading.name)
        self._tape.put_back(decoder.unused_data)
        packed_bytes = self._tape.at - self._start
        self._read_descriptor(crc, packed_bytes, size_bytes)
        self.record = replace(
            self.record, crc=crc, packed_bytes=packed_bytes, size_bytes=size_bytes
        )

    def _decoder(self) -> Decoder:
        method = self.record.method
        if method == DEFLATE:
            decoder: Decoder = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_DEFLATE)
            return decoder
        if method == BZIP2:
            return bz2.BZ2Decompressor()
        if method == XZ:
            memory_bytes = self._reading.limits.decoder_memory_bytes
            return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=memory_bytes)
        raise ArchiveUnsupportedError(
            f"{self._reading.name}: {self._name} does not say where it ends",
            hint="unpack the outer archive, or allow more: archive_nested_memory_bytes",
            name=self._reading.name,
        )

    def _read_descriptor(self, crc: int, packed_bytes: int, size_bytes: int) -> None:
        """With or without signature, with sizes of 4 or of 8 bytes: it must fit one way."""
        found = read_exactly(self._tape, 24)
        for signature in (_DESCRIPTOR, b""):
            for form in ("<LLL", "<LQQ"):
                try:
                    expected = signature + struct.pack(form, crc, packed_bytes, size_bytes)
                except struct.error:
                    continue
                if found.startswith(expected):
                    self._tape.put_back(found[len(expected) :])
                    return
        said = f"{self._reading.name}: {self._name} has a wrong CRC-32 or size"
        raise ArchiveCorruptError(said, name=self._reading.name)


class _Seen:
    """The members given, as place and digest: 16 bytes each."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self.offsets = array("Q")
        self._digests = bytearray()
        self._listed = bytearray()

    def add(self, record: Record) -> None:
        """A member was given."""
        self.offsets.append(record.offset)
        self._digests += _digest(record)
        self._listed.append(0)

    def check(self, record: Record) -> None:
        """The directory has this one: it must be one that was given, with the same content."""
        place = bisect_left(self.offsets, record.offset)
        digest = self._digests[place * _DIGEST_BYTES : (place + 1) * _DIGEST_BYTES]
        name = self._reading.name
        known = place < len(self.offsets) and self.offsets[place] == record.offset
        if not known or self._listed[place] or digest != _digest(record):
            said = f"{name}: its directory and its members say different things"
            raise ArchiveCorruptError(said, name=name)
        self._listed[place] = 1
        text = record_name(record, self._reading)
        if record_kind(record, text) not in (MemberKind.FILE, MemberKind.FOLDER):
            raise ArchiveUnsupportedError(
                f"{name}: {text} is a link, which only the end of the archive says",
                hint="unpack the outer archive, or allow more: archive_nested_memory_bytes",
                name=name,
            )


def _digest(record: Record) -> bytes:
    numbers = (record.method, record.crc, record.packed_bytes, record.size_bytes)
    data = struct.pack("<4Q", *numbers) + record.raw_name
    return hashlib.blake2b(data, digest_size=_DIGEST_BYTES).digest()


def _compare(tape: _Tape, signature: bytes, seen: _Seen, reading: Reading) -> None:
    count = 0
    while signature == _RECORD:
        head = signature + tape.exactly(42)
        lengths: tuple[int, ...] = struct.unpack_from("<3H", head, 28)
        seen.check(parse_record(head + tape.exactly(sum(lengths)), reading.name))
        count += 1
        signature = tape.exactly(4)
    _skip_end(tape, signature, reading.name)
    if count != len(seen.offsets):
        said = f"{reading.name} has members that its directory does not have"
        raise ArchiveCorruptError(said, name=reading.name)


def _skip_end(tape: _Tape, signature: bytes, name: str) -> None:
    readers: dict[bytes, Callable[[], int]] = {
        _END64: lambda: int.from_bytes(tape.exactly(8), "little"),
        _LOCATOR64: lambda: 16,
    }
    while signature in readers:
        tape.exactly(readers[signature]())
        signature = tape.exactly(4)
    if signature != _END:
        raise ArchiveCorruptError(f"{name}: what follows its members is no directory", name=name)
    end = tape.exactly(18)
    tape.exactly(struct.unpack_from("<H", end, 16)[0])
    if tape.read(1):
        raise ArchiveCorruptError(f"{name} has bytes after its end", name=name)
