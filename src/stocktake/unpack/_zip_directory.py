"""The central directory of a ZIP: where it is, and what it says. It is the truth about a ZIP.

https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, sections 4.3.12 to 4.3.16
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from stocktake.errors import (
    ArchiveCorruptError,
    ArchiveIncompleteError,
    ArchiveUnsupportedError,
    NotAnArchiveError,
)
from stocktake.unpack._names import extra_fields
from stocktake.unpack._streams import Span

_END = struct.Struct("<4s4H2LH")
_END64_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_RECORD = struct.Struct("<4s6H3L5H2L")
_END_SIGNATURE = b"PK\x05\x06"
_RECORD_SIGNATURE = b"PK\x01\x02"
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF
_TAIL_BYTES = _END.size + 0xFFFF
_WINDOW_BYTES = 1 << 20
_LOCALS = (b"PK\x03\x04", b"PK\x07\x08")


@dataclass(frozen=True, slots=True)
class Directory:
    """Where the central directory is.

    Attributes:
        start: Offset in the file.
        size_bytes: Of its records.
        count: Records it has.
        prefix_bytes: What stands before the ZIP (a self-extractor); offsets begin behind it.
    """

    start: int
    size_bytes: int
    count: int
    prefix_bytes: int


@dataclass(frozen=True, slots=True)
class Record:
    """One member as the central directory describes it."""

    made_by: int
    flags: int
    method: int
    time: int
    date: int
    crc: int
    packed_bytes: int
    size_bytes: int
    attributes: int
    offset: int
    raw_name: bytes
    extra: bytes


def find_directory(file: Span, name: str) -> Directory:
    """Find the end record, which must be the last thing in the file."""
    end_at, end = _find_end(file, name)
    _, disk, first_disk, here, count, size_bytes, offset, _ = _END.unpack(end)
    directory_end = end_at
    if _FULL16 in (disk, first_disk, here, count) or _FULL32 in (size_bytes, offset):
        found = _find_end64(file, end_at, name)
        if found is not None:
            directory_end, disk, first_disk, here, count, size_bytes, offset = found
    if disk or first_disk or here != count:
        raise ArchiveUnsupportedError(
            f"{name} is one of several volumes", hint="join them first: zip -s 0", name=name
        )
    start = directory_end - size_bytes
    if start < offset:
        raise ArchiveIncompleteError(f"{name}: bytes are missing before its directory", name=name)
    return Directory(start, size_bytes, count, start - offset)


def _find_end(file: Span, name: str) -> tuple[int, bytes]:
    tail_at = max(file.size_bytes - _TAIL_BYTES, 0)
    tail = file.read_at(tail_at, _TAIL_BYTES)
    at = len(tail)
    cut = False
    while (at := tail.rfind(_END_SIGNATURE, 0, at)) >= 0:
        end = tail[at : at + _END.size]
        if len(end) == _END.size:
            comment_end = at + _END.size + struct.unpack_from("<H", end, 20)[0]
            if comment_end == len(tail):
                return tail_at + at, end
            cut = cut or comment_end > len(tail)
        else:
            cut = True
    head = file.read_at(0, 4)
    if _END_SIGNATURE in tail and not cut:
        raise ArchiveCorruptError(f"{name} has bytes after its end", name=name)
    if head in _LOCALS or cut:
        raise ArchiveIncompleteError(f"{name} ends without its directory", name=name)
    raise NotAnArchiveError(f"{name} is not zip: it has no directory", name=name)


def _find_end64(
    file: Span, end_at: int, name: str
) -> tuple[int, int, int, int, int, int, int] | None:
    locator = file.read_at(max(end_at - _END64_LOCATOR.size, 0), _END64_LOCATOR.size)
    if not locator.startswith(b"PK\x06\x07"):
        return None
    told_at = _END64_LOCATOR.unpack(locator)[2]
    # with something in front of the ZIP the place told is too small; then it ends at the locator
    for at in (told_at, end_at - _END64_LOCATOR.size - _END64.size):
        end = file.read_at(at, _END64.size) if at >= 0 else b""
        if len(end) == _END64.size and end.startswith(b"PK\x06\x06"):
            _, _, _, _, disk, first_disk, here, count, size_bytes, offset = _END64.unpack(end)
            return at, disk, first_disk, here, count, size_bytes, offset
    raise ArchiveCorruptError(f"{name}: its zip64 end record is missing", name=name)


def read_records(file: Span, directory: Directory, name: str) -> Iterator[Record]:
    """All records, in order; a window of the directory is in memory, never all of it."""
    end = directory.start + directory.size_bytes
    at, window_at, window = directory.start, directory.start, b""
    count = 0
    while at < end:
        inside = at - window_at
        size_bytes = _record_bytes(window, inside)
        if size_bytes is None or inside + size_bytes > len(window):
            window_at, inside = at, 0
            window = file.read_at(at, min(_WINDOW_BYTES, end - at))
            size_bytes = _record_bytes(window, 0)
        if size_bytes is None or inside + size_bytes > len(window):
            raise ArchiveCorruptError(f"{name}: its directory ends too early", name=name)
        yield parse_record(window[inside : inside + size_bytes], name)
        at += size_bytes
        count += 1
    if count != directory.count:
        said = f"{name}: its directory has {count:,} members and says {directory.count:,}"
        raise ArchiveCorruptError(said, name=name)


def _record_bytes(window: bytes, at: int) -> int | None:
    if at + _RECORD.size > len(window):
        return None
    lengths: tuple[int, ...] = struct.unpack_from("<3H", window, at + 28)
    return _RECORD.size + sum(lengths)


def parse_record(data: bytes, name: str) -> Record:
    """One record with its name and fields."""
    fields = _RECORD.unpack_from(data)
    if fields[0] != _RECORD_SIGNATURE:
        raise ArchiveCorruptError(f"{name}: its directory is damaged", name=name)
    _, made_by, _, flags, method, time, date, crc, packed, size = fields[:10]
    name_bytes, extra_bytes, _, disk, _, attributes, offset = fields[10:]
    raw_name = data[_RECORD.size : _RECORD.size + name_bytes]
    extra = data[_RECORD.size + name_bytes :][:extra_bytes]
    if _FULL32 in (packed, size, offset):
        size, packed, offset = _wide(extra, (size, packed, offset), name)
    if disk not in (0, _FULL16):
        raise ArchiveUnsupportedError(
            f"{name} is one of several volumes", hint="join them first: zip -s 0", name=name
        )
    return Record(
        made_by, flags, method, time, date, crc, packed, size, attributes, offset, raw_name, extra
    )


def _wide(extra: bytes, narrow: tuple[int, int, int], name: str) -> tuple[int, int, int]:
    """Size, packed size and offset, from the zip64 field where 32 bits are not enough."""
    field = extra_fields(extra).get(1)
    if field is None:
        return narrow
    at = 0
    wide = []
    for value in narrow:
        if value == _FULL32:
            if at + 8 > len(field):
                raise ArchiveCorruptError(f"{name}: a zip64 field is too short", name=name)
            value = struct.unpack_from("<Q", field, at)[0]
            at += 8
        wide.append(value)
    return wide[0], wide[1], wide[2]
