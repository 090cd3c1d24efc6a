"""What the scheduler of a listing knows: ranges of keys, pages of keys, requests."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol


class CallKind(StrEnum):
    """What a request was good for."""

    PAGE = "page"
    PROBE = "probe"
    EMPTY = "empty"


class PageKeys(Protocol):
    """The keys of one answer, ascending, however they are held."""

    def __len__(self) -> int: ...

    def key(self, row: int) -> str:
        """The key of a row; negative rows count from the end."""

    def rows_through(self, key: str) -> int:
        """How many keys are not greater than `key`."""


@dataclass(frozen=True, slots=True)
class PageAnswer:
    """One page as the scheduler sees it.

    Attributes:
        keys: Its keys.
        truncated: There may be more behind it.
        token: Continues it, if the store gave one.
        size_bytes: Memory that it takes while it waits.
        prefixes: Common prefixes, of a request with a delimiter.
    """

    keys: PageKeys
    truncated: bool
    token: str | None = None
    size_bytes: int = 0
    prefixes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows `start` up to, not including, `stop` of a page."""

    page: Any
    start: int
    stop: int
    size_bytes: int


@dataclass(slots=True, eq=False)
class KeyRange:
    """Keys greater than `after`, up to and including `through` (None: to the end).

    Attributes:
        after: Everything in the range up to here has been read.
        through: The last key that may be in it.
        token: The next page needs it: the last one was empty, or ended inside of a key.
        busy: A request is under way.
        done: Everything has been read.
        first: First key of the page that was read last; None before.
        page_rows: Rows of that page.
        alike: Before: first key, last key and rows of a page of the range it was cut from, whose
            keys are taken to lie as densely.
        rows: Rows kept so far.
        serial_rows: Of these, since it was cut last.
        calls: Pages asked for it.
        open_end: Nothing is known to be beyond `through`.
        reach_rows: How far ahead of an open end to look next.
        failures: Requests in a row that failed.
        pieces: Rows that wait to be taken.
        estimate: Rows that may be left; None if it must be worked out.
    """

    after: str
    through: str | None
    token: str | None = None
    busy: bool = False
    done: bool = False
    first: str | None = None
    page_rows: int = 0
    alike: tuple[str, str, int] | None = None
    rows: int = 0
    serial_rows: int = 0
    calls: int = 0
    open_end: bool = True
    reach_rows: float = 8_000.0
    failures: int = 0
    pieces: deque[Piece] = field(default_factory=deque)
    estimate: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ListRequest:
    """What to ask of the store next.

    Attributes:
        key_range: The range that the page is for; of a probe, the one it wants to cut.
        prefix: Keys must start with it.
        start_after: Keys must be greater than it; '' from the start.
        token: Goes on from an earlier page instead.
        delimiter: '/' for a probe: only the prefixes of its answer are used.
    """

    key_range: KeyRange
    prefix: str
    start_after: str = ""
    token: str | None = None
    delimiter: str = ""
