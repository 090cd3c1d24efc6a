"""RAR through libarchive, after every header was asked for what libarchive would get wrong.

libarchive before 3.8 gives out encrypted RAR5 data as it is; all versions give nothing for copies
of files, take a single volume for a whole archive, do not check the CRC-32 of stored members, and
compose names. So the headers go along: names and checksums are theirs.
"""

from __future__ import annotations

from collections.abc import Iterator

from isal import isal_zlib

from stocktake.errors import ArchiveCorruptError
from stocktake.unpack._blake2sp import Blake2sp
from stocktake.unpack._entry import Entry, Flow, Header, Reading, with_raw_name
from stocktake.unpack._libarchive import ArchiveHandle
from stocktake.unpack._library import need_library
from stocktake.unpack._member import MemberKind
from stocktake.unpack._rar_headers import RAR5, UNRAR_HINT, RarRecord, rar_records
from stocktake.unpack._streams import Span


def rar_entries(file: Span, reading: Reading) -> Iterator[Entry]:
    """The members in the archive's order."""
    library = need_library(reading.library, reading.name, "rar")
    for _ in rar_records(file, reading):
        pass  # all of them are judged before the first member is given
    records = rar_records(file.again(), reading)
    new = file.read_at(0, len(RAR5)) == RAR5
    file.seek(0)
    file.taken_bytes = 0
    flow = Flow(file)
    formats = ("rar5",) if new else ("rar",)
    with ArchiveHandle(library, file, formats, reading.name, UNRAR_HINT) as handle:
        while (header := handle.next_header()) is not None:
            handle.check_encryption()
            record = next(records, None)
            if record is None or _sizes_differ(header, record):
                raise _disagree(reading.name)
            member = _Checked(handle, record, reading.name)
            yield flow.entry(with_raw_name(header, record.raw_name), member.pieces)
    if next(records, None) is not None:
        raise _disagree(reading.name)


def _sizes_differ(header: Header, record: RarRecord) -> bool:
    if header.kind is not MemberKind.FILE or record.size_bytes is None:
        return False
    return header.size_bytes != record.size_bytes


def _disagree(name: str) -> ArchiveCorruptError:
    said = f"{name}: its headers and what libarchive makes of them say different things"
    return ArchiveCorruptError(said, name=name)


class _Checked:
    """The bytes of one member, checked by its own header."""

    def __init__(self, handle: ArchiveHandle, record: RarRecord, name: str) -> None:
        self._handle = handle
        self._record = record
        self._name = name

    def pieces(self, header: Header) -> Iterator[bytes]:
        """The bytes; they end when the checksum is right."""
        crc = 0
        blake = None if self._record.blake2sp is None else Blake2sp()
        for piece in self._handle.pieces(header):
            crc = isal_zlib.crc32(piece, crc)
            if blake is not None:
                blake.update(piece)
            yield piece
        if header.kind is not MemberKind.FILE:
            return
        wrong = self._record.crc is not None and self._record.crc != crc
        if wrong or (blake is not None and blake.digest() != self._record.blake2sp):
            said = f"{self._name}: {header.name} has a wrong checksum"
            raise ArchiveCorruptError(said, name=self._name)
