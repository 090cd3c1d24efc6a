"""One entry of one archive, before the walk has judged it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from stocktake.clock import Clock
from stocktake.unpack._budget import Budget
from stocktake.unpack._library import Library
from stocktake.unpack._member import MemberKind, UnpackLimits
from stocktake.unpack._names import comparable, decode_name
from stocktake.unpack._streams import Packed


@dataclass(frozen=True, slots=True)
class Header:
    """What an archive says about one entry.

    Attributes:
        raw_path: The name's bytes; empty if there is no way to have them.
        name: The name as text.
        kind: Only files have bytes.
        size_bytes: None where the archive does not say it.
        modified_at: Aware UTC.
        link_target: Of symbolic and hard links.
    """

    raw_path: bytes
    name: str
    kind: MemberKind
    size_bytes: int | None
    modified_at: datetime | None
    link_target: str | None


@dataclass(frozen=True, slots=True)
class Entry:
    """What a reader of one format says about one entry.

    Attributes:
        raw_path: The name's bytes as far as they are known.
        name: The same as text.
        kind: Only files have bytes.
        size_bytes: As declared.
        modified_at: Aware UTC.
        link_target: Of links.
        pieces: Begins to decode: pieces of at most 1 MiB, verified when they end. Once.
        packed: Bytes that came out before, and packed ones taken, for the ratio.
        stored: Where the same bytes lie in the file below, if they do.
        unique: The format's directory says that no other entry can have this path.
    """

    raw_path: bytes
    name: str
    kind: MemberKind
    size_bytes: int | None
    modified_at: datetime | None
    link_target: str | None
    pieces: Callable[[], Iterator[bytes]]
    packed: Callable[[], tuple[int, int]]
    stored: tuple[int, int] | None = None
    unique: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """What readers of all formats and levels share.

    Attributes:
        name: The archive, for messages; of one inside with the way to it.
        budget: What the walk may still use.
        clock: For the budget.
        code_page: Of ZIP names that say nothing of their encoding.
        library: libarchive, or None where it is not installed.
    """

    name: str
    budget: Budget
    clock: Clock
    code_page: str
    library: Library | None

    @property
    def limits(self) -> UnpackLimits:
        """How much is allowed."""
        return self.budget.limits


def with_raw_name(header: Header, raw_name: bytes | None) -> Header:
    """The header with its name as the archive has it.

    libarchive gives it composed (NFC), and in the C locale it gives no name that is not ASCII.
    """
    if raw_name is None or raw_name == header.raw_path:
        return header
    name = decode_name(raw_name)
    same = comparable(name.rstrip("/")) == comparable(header.name.rstrip("/"))
    same = same or not header.name
    return replace(header, name=name, raw_path=raw_name) if same else header


class Flow:
    """Makes entries of headers where members have no packed size of their own."""

    def __init__(self, source: Packed) -> None:
        self._source = source
        self._given_bytes = 0

    def entry(self, header: Header, pieces: Callable[[Header], Iterator[bytes]]) -> Entry:
        """The entry; its pieces count for the ratio of all members together."""
        before = self._given_bytes

        def counted() -> Iterator[bytes]:
            for piece in pieces(header):
                self._given_bytes += len(piece)
                yield piece

        return Entry(
            header.raw_path,
            header.name,
            header.kind,
            header.size_bytes if header.kind is MemberKind.FILE else None,
            header.modified_at,
            header.link_target,
            counted,
            lambda: (before, self._source.taken_bytes),
        )
