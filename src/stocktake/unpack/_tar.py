"""Tar: headers by the standard library's parser, one at a time; the end marker is required.

libarchive composes names (NFD becomes NFC) and takes a missing end for the end; `TarFile.next`
takes a damaged header for the end. The parser below `next` says what it met, and changes nothing.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NoReturn

from stocktake.errors import (
    ArchiveCorruptError,
    ArchiveIncompleteError,
    ArchiveUnsupportedError,
)
from stocktake.unpack._entry import Entry, Flow, Header, Reading
from stocktake.unpack._member import MemberKind
from stocktake.unpack._streams import BLOCK_BYTES, Packed, Span, read_exactly, zeros

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_READ_BYTES = 1 << 18
_HEADER_BYTES_MAX = 4 << 20
"""Of one member, with long names, attributes and maps of holes: tarfile holds all of it."""


def tar_entries(source: Packed, reading: Reading) -> Iterator[Entry]:
    """The entries up to the end marker; then the source is read to its own end."""
    flow = Flow(source)
    stream = _Forward(source, reading.name)
    archive = _Headers(fileobj=stream, encoding="utf-8", errors="surrogateescape")  # type: ignore[arg-type]
    while (info := _next(archive, stream, reading.name)) is not None:
        member = info

        def content(header: Header, member: tarfile.TarInfo = member) -> Iterator[bytes]:
            return _content(stream, member, reading.name)

        yield flow.entry(_header(info), content)
    _drain(source, reading)


def _drain(source: Packed, reading: Reading) -> None:
    """Read to the end, so that the last checksum is looked at: only zeros may be there."""
    count = 0
    while rest := source.read(_READ_BYTES):
        if rest.strip(b"\0"):
            said = f"{reading.name} goes on after its end: another archive joined to it?"
            raise ArchiveCorruptError(said, name=reading.name)
        count += len(rest)
        reading.budget.take_bytes(len(rest))
        reading.budget.check_ratio(count, count, source.taken_bytes)


class _Headers(tarfile.TarFile):
    """A TarFile that reads nothing by itself, and keeps no list of what was read."""

    def next(self) -> tarfile.TarInfo | None:
        """Nothing: `_next` reads."""
        return None


class _Forward:
    """A stream as tarfile wants a file: whole reads, a position, seeks forward."""

    def __init__(self, source: Packed, name: str) -> None:
        self._source = source
        self._name = name
        self._at = 0
        self._allowed_bytes: int | None = None
        self.ended = False

    def allow(self, size_bytes: int | None) -> None:
        """So many bytes may be read from here on; None: any number."""
        self._allowed_bytes = size_bytes

    def read(self, size_bytes: int) -> bytes:
        """All of that many bytes, fewer at the end."""
        if self._allowed_bytes is not None:
            self._allowed_bytes -= size_bytes
            if self._allowed_bytes < 0:
                said = f"{self._name}: a header is larger than {_HEADER_BYTES_MAX:,} bytes"
                raise ArchiveCorruptError(said, name=self._name)
        data = read_exactly(self._source, size_bytes)
        self._at += len(data)
        self.ended = len(data) < size_bytes
        return data

    def tell(self) -> int:
        """Where it is."""
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go there; forward only, unless the source can do more."""
        if isinstance(self._source, Span):
            self._at = self._source.seek(offset)
        while self._at < offset and self.read(min(offset - self._at, _READ_BYTES)):
            pass
        return self._at

    def close(self) -> None:
        """It is somebody else's."""


def _next(archive: _Headers, stream: _Forward, name: str) -> tarfile.TarInfo | None:
    stream.seek(archive.offset)
    stream.allow(_HEADER_BYTES_MAX)
    try:
        info = archive.tarinfo.fromtarfile(archive)
    except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
        return None
    except tarfile.EmptyHeaderError as error:  # type: ignore[attr-defined]
        said = f"{name} ends without the end marker of a tar"
        raise ArchiveIncompleteError(said, name=name) from error
    except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
        _refuse(stream, name, error)
    finally:
        stream.allow(None)
    if info.type == b"M":
        said = f"{name} is one of several volumes"
        raise ArchiveUnsupportedError(said, hint="make it again as one tar", name=name)
    if info.size < 0:
        raise ArchiveCorruptError(f"{name}: {info.name} has a negative size", name=name)
    return info


def _refuse(stream: _Forward, name: str, error: Exception) -> NoReturn:
    if stream.ended:
        raise ArchiveIncompleteError(f"{name} ends in the middle of a header", name=name) from error
    raise ArchiveCorruptError(f"{name}: a header is damaged: {error}", name=name) from error


def _header(info: tarfile.TarInfo) -> Header:
    if info.isdir():
        kind = MemberKind.FOLDER
    elif info.issym() or info.islnk():
        kind = MemberKind.LINK
    else:
        kind = MemberKind.FILE if info.isreg() else MemberKind.DEVICE
    try:
        modified_at = _EPOCH + timedelta(seconds=info.mtime)
    except (OverflowError, ValueError):
        modified_at = None
    return Header(
        info.name.encode("utf-8", "surrogateescape"),
        info.name,
        kind,
        info.size if kind is MemberKind.FILE else None,
        modified_at,
        info.linkname if kind is MemberKind.LINK else None,
    )


def _content(stream: _Forward, info: tarfile.TarInfo, name: str) -> Iterator[bytes]:
    stream.seek(info.offset_data)
    at = 0
    holes: list[tuple[int, int]] = info.sparse or [(0, info.size)]  # type: ignore[assignment]
    for offset, count in holes:
        if not count:
            continue
        if offset < at or count < 0:
            raise ArchiveCorruptError(f"{name}: {info.name} overlaps itself", name=name)
        yield from zeros(offset - at)
        left = count
        while left:
            piece = stream.read(min(left, BLOCK_BYTES))
            if not piece:
                raise ArchiveIncompleteError(f"{name} ends in the middle", name=name)
            left -= len(piece)
            yield piece
        at = offset + count
    yield from zeros(info.size - at)
