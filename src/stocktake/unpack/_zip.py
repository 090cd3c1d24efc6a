"""ZIP in any order: the central directory, judged as a whole before the first member is given."""

from __future__ import annotations

import stat
import struct
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator

import numpy as np

from stocktake.errors import ArchiveCorruptError, ArchiveEncryptedError, ArchiveUnsupportedError
from stocktake.unpack._detect import is_archive_name
from stocktake.unpack._dos_time import zip_time
from stocktake.unpack._entry import Entry, Reading
from stocktake.unpack._member import MemberKind
from stocktake.unpack._names import comparable, decode_name, member_path, zip_name
from stocktake.unpack._streams import Span
from stocktake.unpack._zip_data import AES, READABLE, STORED, Content, content_pieces
from stocktake.unpack._zip_directory import Directory, Record, find_directory, read_records

LOCAL = struct.Struct("<4s5H3L2H")
ENCRYPTED, UTF8, MASKED, DESCRIBED_LATER = 1, 1 << 11, 1 << 13, 1 << 3
_UNIX_MAKERS = (3, 19)
_LINK_BYTES_MAX = 4096


def zip_entries(file: Span, reading: Reading) -> Iterator[Entry]:
    """The members in the directory's order. What only local headers know is no member."""
    directory = find_directory(file, reading.name)
    places, twice = _judge(file, directory, reading)  # None: an inner archive may add any path
    for record in read_records(file, directory, reading.name):
        yield _entry(file, directory, record, places, twice, reading)


def _judge(
    file: Span, directory: Directory, reading: Reading
) -> tuple[array[int], set[int] | None]:
    """Where members begin, in order, and the names (hashed) that are there twice.

    Everything that can be said without decoding is said here: before any member is given.
    """
    places = array("Q")
    names = array("q")
    inner = False
    for record in read_records(file, directory, reading.name):
        check_record(record, reading)
        inner = inner or is_archive_name(record_name(record, reading))
        places.append(record.offset)
        names.append(_name_hash(record, reading))
        if not len(places) % 1024:
            reading.budget.check_time()
        if len(places) > reading.limits.members_max:
            said = f"has more than {reading.limits.members_max:,} members"
            raise reading.budget.stop(said, "archive_members_max")
    if _repeated(places):
        raise _overlap(reading.name)
    ordered = array("Q", np.sort(np.frombuffer(places, np.uint64)).tobytes())
    ordered.append(directory.start - directory.prefix_bytes)
    return ordered, None if inner else _repeated(names)


def _repeated(values: array[int]) -> set[int]:
    """What is there more than once; sorted as numbers, not as objects."""
    ordered = np.sort(np.frombuffer(values, np.int64))
    return set(ordered[1:][ordered[1:] == ordered[:-1]].tolist())


def record_name(record: Record, reading: Reading) -> str:
    """The member's name as text."""
    return zip_name(
        record.raw_name,
        utf8=bool(record.flags & UTF8),
        extra=record.extra,
        code_page=reading.code_page,
    )


def _name_hash(record: Record, reading: Reading) -> int:
    return hash(comparable(member_path(record_name(record, reading), reading.name)))


def check_record(record: Record, reading: Reading) -> None:
    """Refuse what cannot be read, before anything is."""
    name = decode_name(record.raw_name)
    if record.flags & (ENCRYPTED | MASKED) or record.method == AES:
        said = f"{reading.name}: {name} is encrypted"
        raise ArchiveEncryptedError(said, name=reading.name, member=name)
    if record.method not in READABLE:
        raise ArchiveUnsupportedError(
            f"{reading.name}: {name} is compressed by method {record.method}",
            hint="make the archive again with deflate",
            name=reading.name,
        )


def record_kind(record: Record, name: str) -> MemberKind:
    """What the member is, by its name and its Unix mode."""
    if name.endswith("/") and not record.size_bytes:
        return MemberKind.FOLDER
    mode = record.attributes >> 16 if record.made_by >> 8 in _UNIX_MAKERS else 0
    if stat.S_ISLNK(mode):
        return MemberKind.LINK
    if stat.S_ISDIR(mode) and not record.size_bytes:
        return MemberKind.FOLDER
    special = stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISBLK(mode)
    return MemberKind.DEVICE if special or stat.S_ISSOCK(mode) else MemberKind.FILE


def _entry(
    file: Span,
    directory: Directory,
    record: Record,
    places: array[int],
    twice: set[int] | None,
    reading: Reading,
) -> Entry:
    name = record_name(record, reading)
    kind = record_kind(record, name)
    start = _data_start(file, directory, record, places, reading)
    data = Span(file, start, record.packed_bytes)

    def pieces() -> Iterator[bytes]:
        return content_pieces(content_of(record, name, reading), data, reading)

    return Entry(
        record.raw_name,
        name,
        kind,
        record.size_bytes if kind is MemberKind.FILE else None,
        zip_time(record.date, record.time, record.extra),
        _link_target(record, pieces) if kind is MemberKind.LINK else None,
        pieces,
        lambda: (0, record.packed_bytes),
        stored=(start, record.packed_bytes) if record.method == STORED else None,
        unique=twice is not None and (not twice or _name_hash(record, reading) not in twice),
    )


def content_of(record: Record, name: str, reading: Reading) -> Content:
    """What the record says of its bytes."""
    return Content(
        f"{reading.name}: {name}",
        record.method,
        record.flags,
        record.crc,
        record.packed_bytes,
        record.size_bytes,
    )


def _link_target(record: Record, pieces: Callable[[], Iterator[bytes]]) -> str:
    if record.size_bytes > _LINK_BYTES_MAX:
        return ""
    return decode_name(b"".join(pieces()))


def _data_start(
    file: Span, directory: Directory, record: Record, places: array[int], reading: Reading
) -> int:
    """Where the packed bytes begin. The local header must say the same as the directory."""
    at = directory.prefix_bytes + record.offset
    expected_bytes = LOCAL.size + len(record.raw_name)
    head = file.read_at(at, expected_bytes)
    name = decode_name(record.raw_name)
    if len(head) < expected_bytes or not head.startswith(b"PK\x03\x04"):
        said = f"{reading.name}: {name} is not where the directory says"
        raise ArchiveCorruptError(said, name=reading.name)
    fields = LOCAL.unpack_from(head)
    flags, method, name_bytes, extra_bytes = fields[2], fields[3], fields[9], fields[10]
    if flags & ENCRYPTED:
        raise ArchiveEncryptedError(f"{reading.name}: {name} is encrypted", name=reading.name)
    same_name = name_bytes == len(record.raw_name) and head.endswith(record.raw_name)
    if not same_name or method != record.method:
        said = f"{reading.name}: {name} has another name or method in its own header"
        raise ArchiveCorruptError(said, name=reading.name)
    start: int = at + LOCAL.size + name_bytes + extra_bytes
    next_at = places[bisect_right(places, record.offset)] + directory.prefix_bytes
    if start + record.packed_bytes > next_at:
        raise _overlap(reading.name)
    if record.method == STORED and record.packed_bytes != record.size_bytes:
        raise ArchiveCorruptError(f"{reading.name}: {name} has two sizes", name=reading.name)
    return start


def _overlap(name: str) -> ArchiveCorruptError:
    return ArchiveCorruptError(f"{name}: members overlap", name=name)
