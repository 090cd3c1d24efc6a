"""A member with its bytes, counted against the budget as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from stocktake.unpack._budget import Budget
from stocktake.unpack._entry import Entry
from stocktake.unpack._member import Member
from stocktake.unpack._streams import Pieces, cut


def counted_pieces(entry: Entry, budget: Budget) -> Iterator[bytes]:
    """The entry's bytes, as long as the budget allows them."""
    member_bytes = 0
    for piece in entry.pieces():
        member_bytes += len(piece)
        budget.take_bytes(len(piece))
        before, packed_bytes = entry.packed()
        budget.check_ratio(member_bytes, before + member_bytes, packed_bytes)
        if piece:
            yield piece


class Opened:
    """One member of a walk, as `OpenMember`."""

    def __init__(
        self,
        member: Member,
        pieces: Iterator[bytes],
        budget: Budget,
        content: Any = None,
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        """Nothing is read yet.

        Args:
            member: What it is.
            pieces: Its bytes.
            budget: Whose time reading takes.
            content: A hash to feed them to, or None.
            ended: Called once after the verified end.
        """
        self._member = member
        self._budget = budget
        self._stream = Pieces(self._watched(pieces, content, ended))
        self._shut = False

    @staticmethod
    def _watched(
        pieces: Iterator[bytes], content: Any, ended: Callable[[], None]
    ) -> Iterator[bytes]:
        for piece in pieces:
            if content is not None:
                content.update(piece)
            yield piece
        ended()

    @property
    def member(self) -> Member:
        """What it is."""
        return self._member

    def read(self, size_bytes: int = -1) -> bytes:
        """Up to that many bytes, b"" at the verified end; -1 gives all that is left."""
        self._check_open()
        if size_bytes < 0:
            return b"".join(self.blocks())
        return self._read(size_bytes) if size_bytes else b""

    def blocks(self) -> Iterator[bytes]:
        """The rest, in pieces of at most 1 MiB."""
        self._check_open()
        while piece := self._read(-1):
            yield from cut(piece)
            self._check_open()

    def _read(self, size_bytes: int) -> bytes:
        self._budget.resume()
        try:
            return self._stream.read(size_bytes)
        finally:
            self._budget.pause()

    def shut(self) -> None:
        """The next member was asked for, or the walk was closed: no more bytes of this one."""
        self._shut = True

    def _check_open(self) -> None:
        if self._shut:
            raise ValueError(f"{self._member.path} was left: its bytes are gone")
