"""All members of an archive and of the archives in it, one after the other, always in one order."""

from __future__ import annotations

import io
from collections.abc import Generator, Iterator
from dataclasses import replace
from types import TracebackType

from stocktake.clock import Clock
from stocktake.errors import ArchivePathError, ArchiveUnsupportedError, NotAnArchiveError
from stocktake.unpack._budget import Budget
from stocktake.unpack._detect import (
    HEAD_BYTES,
    TAR_BLOCK_BYTES,
    NamedFormat,
    archive_stem,
    detect,
    is_tar,
    named_format,
)
from stocktake.unpack._entry import Entry, Reading
from stocktake.unpack._filters import filtered
from stocktake.unpack._library import load_library
from stocktake.unpack._member import ArchiveFormat, Member, MemberKind, OpenMember, UnpackLimits
from stocktake.unpack._names import comparable, member_path
from stocktake.unpack._opened import Opened, counted_pieces
from stocktake.unpack._rar import rar_entries
from stocktake.unpack._seven_zip import seven_zip_entries
from stocktake.unpack._streams import Packed, Pieces, SeekableFile, Span
from stocktake.unpack._tar import tar_entries
from stocktake.unpack._twins import UNKNOWN, UNREAD, Twins
from stocktake.unpack._zip import zip_entries
from stocktake.unpack._zip_directory import find_directory
from stocktake.unpack._zip_stream import zip_stream_entries

_NO_BYTES: tuple[bytes, ...] = ()


def walk(
    source: SeekableFile,
    name: str,
    limits: UnpackLimits | None = None,
    *,
    clock: Clock,
    code_page: str = "cp437",
) -> Walk:
    """Iterate an archive's members; close it, or use it in a `with`.

    Every checksum is checked and every limit holds, in each walk anew. Two walks of one archive
    give the same members with the same ordinals. A member that is there twice with the same content
    is given once, with another content fails the archive; if the first was not read, it is left
    out unseen.

    Args:
        source: The archive as a local file, opened with "rb"; memory stays at some MiB and what
            the decoder needs, whatever its size.
        name: Its name or path: says what it should be, and stands in messages.
        limits: How much it may unpack to.
        clock: For the time limit.
        code_page: Of ZIP names that do not say how they are encoded.

    Raises:
        ArchiveError: Also while iterating, and while reading a member.
    """
    return Walk(source, name, limits or UnpackLimits(), clock, code_page)


class Walk:
    """The members of one archive, once."""

    def __init__(
        self, source: SeekableFile, name: str, limits: UnpackLimits, clock: Clock, code_page: str
    ) -> None:
        self._file = Span(source)
        self._promised = _promised(self._file, name)
        self._budget = Budget(limits, clock, name)
        self._reading = Reading(name, self._budget, clock, code_page, load_library())
        self._twins = Twins()
        self._ordinal = 0
        self._members = self._level(self._file, self._promised, self._reading, "", 0)
        self._current: Opened | None = None

    @property
    def format(self) -> ArchiveFormat:
        """What the name promises; a `.gz` may turn out to hold a tar."""
        return self._promised.container

    def __iter__(self) -> Iterator[OpenMember]:
        return self

    def __next__(self) -> OpenMember:
        if self._current is not None:
            self._current.shut()
        self._budget.resume()
        try:
            self._current = next(self._members)
        finally:
            self._budget.pause()
        return self._current

    def __enter__(self) -> Walk:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the decoders; the source stays open."""
        if self._current is not None:
            self._current.shut()
        self._members.close()

    def _level(
        self, source: Packed, promised: NamedFormat, reading: Reading, prefix: str, depth: int
    ) -> Generator[Opened]:
        """The members of one archive; `source` is a `Span` if it can be read in any order."""
        for entry in _entries(source, promised, reading):
            self._budget.take_member()
            path = _path(entry, prefix, reading)
            inner = named_format(path) if entry.kind is MemberKind.FILE else None
            if inner is not None and depth < self._budget.limits.depth_max:
                yield from self._inside(source, entry, inner, path, reading, depth)
            elif path and (opened := self._open(entry, path, depth)) is not None:
                self._ordinal += 1
                yield opened

    def _open(self, entry: Entry, path: str, depth: int) -> Opened | None:
        """The member; None if the same one was given before."""
        member = Member(
            self._ordinal,
            path,
            entry.raw_path,
            entry.kind,
            entry.size_bytes,
            entry.modified_at,
            entry.link_target,
            depth,
        )
        if entry.kind is not MemberKind.FILE:
            return Opened(member, iter(_NO_BYTES), self._budget)
        hashed, before = self._twins.add(comparable(path))
        pieces = counted_pieces(entry, self._budget)
        if before is not None:
            if before != UNREAD:
                self._compare(pieces, path, before)
            return None
        alone = entry.unique and not depth
        content = None if alone else self._twins.content_hash(path)
        return Opened(
            member,
            pieces,
            self._budget,
            content,
            lambda: self._twins.note(hashed, UNKNOWN if content is None else content.digest()),
        )

    def _compare(self, pieces: Iterator[bytes], path: str, before: bytes) -> None:
        content = self._twins.content_hash(path)
        for piece in pieces:
            content.update(piece)
        if before == UNKNOWN or content.digest()[:8] != before:
            said = f"{self._reading.name} has two members {path!r} that differ"
            raise ArchivePathError(said, member=path)

    def _inside(
        self,
        below: Packed,
        entry: Entry,
        inner: NamedFormat,
        path: str,
        reading: Reading,
        depth: int,
    ) -> Iterator[Opened]:
        """The members of an archive in the archive."""
        reading = replace(reading, name=f"{reading.name}/{path}")
        pieces = Pieces(counted_pieces(entry, self._budget))
        detect(reading.name, pieces.peek(HEAD_BYTES))
        single = inner.container is ArchiveFormat.SINGLE
        prefix = path[: path.rfind("/") + 1] if single else archive_stem(path) + "/"
        source: Packed = pieces
        held_bytes = 0
        if inner.container in (ArchiveFormat.ZIP, ArchiveFormat.SEVEN_ZIP, ArchiveFormat.RAR):
            if entry.stored is not None and isinstance(below, Span):
                _read_all(pieces)
                source = Span(below, *entry.stored)
            elif self._budget.fits_memory(entry.size_bytes):
                source = self._in_memory(pieces, reading)
                held_bytes = source.size_bytes
            elif inner.container is not ArchiveFormat.ZIP:
                raise self._too_large(reading)
        self._budget.hold_memory(held_bytes)
        try:
            yield from self._level(source, inner, reading, prefix, depth + 1)
            _read_all(pieces)
        finally:
            self._budget.hold_memory(-held_bytes)

    def _in_memory(self, pieces: Pieces, reading: Reading) -> Span:
        held = io.BytesIO()
        while piece := pieces.read():
            held.write(piece)
            if not self._budget.fits_memory(held.tell()):
                raise self._too_large(reading)
        return Span(held)

    def _too_large(self, reading: Reading) -> ArchiveUnsupportedError:
        return ArchiveUnsupportedError(
            f"{reading.name} is read in any order, and too large for that inside another archive",
            hint="unpack the outer archive, or allow more: archive_nested_memory_bytes",
            name=reading.name,
        )


def _promised(file: Span, name: str) -> NamedFormat:
    """What the file is; raises if its bytes do not agree with its name."""
    promised = named_format(name)
    if promised is None:
        raise NotAnArchiveError(f"{name} is not named as an archive", name=name)
    head = file.read_at(0, HEAD_BYTES)
    file.seek(0)
    try:
        detect(name, head)
    except NotAnArchiveError:
        if promised.container is not ArchiveFormat.ZIP or not head:
            raise
        find_directory(file, name)  # a ZIP behind something else has a directory all the same
    file.seek(0)
    return promised


def _entries(source: Packed, promised: NamedFormat, reading: Reading) -> Iterator[Entry]:
    """The entries of one archive, by the reader of its format."""
    if promised.packing is not None:
        memory_bytes = reading.limits.decoder_memory_bytes
        stream = filtered(promised.packing, source, reading.name, memory_bytes)
        head = stream.peek(TAR_BLOCK_BYTES)
        if promised.container is ArchiveFormat.TAR and not is_tar(head):
            said = f"{reading.name} holds no tar: it begins with {head[:16]!r}"
            raise NotAnArchiveError(said, name=reading.name)
        if promised.container is ArchiveFormat.TAR or (head.strip(b"\0") and is_tar(head)):
            return tar_entries(stream, reading)
        return _single(stream, reading)
    if promised.container is ArchiveFormat.TAR:
        return tar_entries(source, reading)
    if not isinstance(source, Span):
        return zip_stream_entries(source, reading)
    readers = {
        ArchiveFormat.ZIP: zip_entries,
        ArchiveFormat.SEVEN_ZIP: seven_zip_entries,
        ArchiveFormat.RAR: rar_entries,
    }
    return readers[promised.container](source, reading)


def _single(stream: Pieces, reading: Reading) -> Iterator[Entry]:
    name = archive_stem(reading.name.rpartition("/")[2])

    def pieces() -> Iterator[bytes]:
        while piece := stream.read():
            yield piece

    yield Entry(
        name.encode("utf-8", "surrogateescape"),
        name,
        MemberKind.FILE,
        None,
        None,
        None,
        pieces,
        lambda: (0, stream.taken_bytes),
        unique=True,
    )


def _path(entry: Entry, prefix: str, reading: Reading) -> str:
    """The member's whole path; "" for the archive's own folder."""
    path = member_path(entry.name, reading.name)
    if entry.kind is MemberKind.FILE and (not path or entry.name.endswith("/")):
        said = f"{reading.name} has a file named as a folder: {entry.name!r}"
        raise ArchivePathError(said, member=entry.name)
    return member_path(prefix + path, reading.name) if prefix and path else path


def _read_all(pieces: Pieces) -> None:
    while pieces.read():
        pass
