"""The header of a 7z: what its coders need, and the names as they are.

The format: DOC/7zFormat.txt of the LZMA SDK.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from stocktake.errors import ArchiveCorruptError

HEADER, ENCODED = 0x01, 0x17
_END, _STREAMS, _FILES, _PACK, _FOLDERS, _PARTS = 0x00, 0x04, 0x05, 0x06, 0x07, 0x08
_SIZES, _DIGESTS, _FOLDER, _UNPACK_SIZES, _PART_COUNTS, _NAMES = 0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x11
_ARCHIVE_PROPERTIES = 0x02


@dataclass(frozen=True, slots=True)
class Coder:
    """One step of decoding."""

    kind: bytes
    properties: bytes


@dataclass(frozen=True, slots=True)
class Streams:
    """Where packed bytes are, and how they are unpacked.

    Attributes:
        place: Offset of the first packed stream, behind the start header.
        sizes: Of the packed streams.
        folders: The coders of each folder (7z's word for a block of members).
        unpacked: Sizes of what all coders give, in order.
        crcs: CRC-32 of what each folder gives, where it has one.
    """

    place: int
    sizes: list[int]
    folders: list[list[Coder]]
    unpacked: list[int]
    crcs: list[int | None]


@dataclass(frozen=True, slots=True)
class SevenHeader:
    """A header, parsed.

    Attributes:
        encoded: It is not the header but says where that is packed.
        streams: None if there are no packed bytes.
        names: All names as UTF-16, each ended by a zero; b"" if there are none to be read.
    """

    encoded: bool
    streams: Streams | None
    names: bytes


def parse_header(data: bytes, archive: str) -> SevenHeader:
    """Parse a header, or an encoded header."""
    cursor = Cursor(data, archive)
    kind = cursor.byte()
    if kind == ENCODED:
        return SevenHeader(encoded=True, streams=_parse_streams(cursor), names=b"")
    if kind != HEADER:
        raise cursor.damaged()
    kind = cursor.byte()
    if kind == _ARCHIVE_PROPERTIES:
        while cursor.byte() != _END:
            cursor.take(cursor.number())
        kind = cursor.byte()
    streams = None
    if kind == _STREAMS:
        streams = _parse_streams(cursor)
        kind = cursor.byte()
    names = _parse_names(cursor) if kind == _FILES else b""
    return SevenHeader(encoded=False, streams=streams, names=names)


def split_names(names: bytes) -> Iterator[bytes]:
    """Each name, as UTF-16 without its zero."""
    start = at = 0
    while (at := names.find(b"\0\0", at)) >= 0:
        if at % 2:
            at += 1
            continue
        yield names[start:at]
        start = at = at + 2


def _parse_names(cursor: Cursor) -> bytes:
    cursor.count()
    while kind := cursor.byte():
        data = cursor.take(cursor.number())
        if kind == _NAMES:
            return b"" if data[:1] != b"\0" else data[1:]
    return b""


def _parse_streams(cursor: Cursor) -> Streams:
    place, sizes = 0, [0]
    folders: list[list[Coder]] = []
    unpacked: list[int] = []
    crcs: list[int | None] = []
    while kind := cursor.byte():
        if kind == _PACK:
            place, sizes = _parse_pack(cursor)
        elif kind == _FOLDERS:
            folders, unpacked, crcs = _parse_folders(cursor)
        elif kind == _PARTS:
            _skip_parts(cursor, crcs)
        else:
            raise cursor.damaged()
    return Streams(place, sizes, folders, unpacked, crcs)


def _skip_parts(cursor: Cursor, crcs: list[int | None]) -> None:
    """How folders are cut into members: only to find what comes after."""
    counts = [1] * len(crcs)
    while kind := cursor.byte():
        if kind == _PART_COUNTS:
            counts = [cursor.number() for _ in crcs]
        elif kind == _SIZES:
            for count in counts:
                for _ in range(count - 1):
                    cursor.number()
        elif kind == _DIGESTS:
            pairs = zip(counts, crcs, strict=True)
            cursor.digests(sum(n for n, own in pairs if n != 1 or own is None))
        else:
            raise cursor.damaged()


def _parse_pack(cursor: Cursor) -> tuple[int, list[int]]:
    place = cursor.number()
    count = cursor.count()
    sizes: list[int] = []
    while (kind := cursor.byte()) != _END:
        if kind == _SIZES:
            sizes = [cursor.number() for _ in range(count)]
        elif kind == _DIGESTS:
            cursor.digests(count)
        else:
            raise cursor.damaged()
    return place, sizes


def _parse_folders(cursor: Cursor) -> tuple[list[list[Coder]], list[int], list[int | None]]:
    """Coders of each folder, sizes of their outputs, and which folder has a checksum."""
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
    unpacked: list[int] = []
    crcs: list[int | None] = [None] * count
    while kind := cursor.byte():
        if kind == _UNPACK_SIZES:
            unpacked = [cursor.number() for _ in range(outputs)]
        elif kind == _DIGESTS:
            crcs = cursor.digests(count)
        else:
            raise cursor.damaged()
    return folders, unpacked, crcs


def _parse_folder(cursor: Cursor) -> tuple[list[Coder], int]:
    coders = []
    streams_in = streams_out = 0
    for _ in range(cursor.count()):
        flags = cursor.byte()
        kind = cursor.take(flags & 0x0F)
        new_in, new_out = (cursor.count(), cursor.count()) if flags & 0x10 else (1, 1)
        properties = cursor.take(cursor.number()) if flags & 0x20 else b""
        streams_in += new_in
        streams_out += new_out
        coders.append(Coder(kind, properties))
    bound = max(streams_out - 1, 0)
    for _ in range(2 * bound):
        cursor.number()
    packed = streams_in - bound
    for _ in range(packed if packed > 1 else 0):
        cursor.number()
    return coders, streams_out


class Cursor:
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

    def digests(self, count: int) -> list[int | None]:
        """CRC-32s of things, None for those that have none."""
        known = [True] * count
        if not self.byte():
            bits = self.take(-(-count // 8))
            known = [bool(bits[at // 8] >> (7 - at % 8) & 1) for at in range(count)]
        return [int.from_bytes(self.take(4), "little") if one else None for one in known]
