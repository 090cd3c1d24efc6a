"""What people call a snapshot: the grammar, and the choice among those that are there.

    [source@] latest[~N] | previous | 2026-11-20 | 2026-11-20T01-00Z | snp_01k... (or its beginning)

A source is `bucket` or `bucket/config-id`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol, TypeVar

from stocktake.clock import parse_utc
from stocktake.errors import AmbiguousSnapshotError, InvalidQueryError, SnapshotNotFoundError

_LATEST = re.compile(r"latest(?:~(\d{1,6}))?")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_STAMP = re.compile(r"(\d{4}-\d{2}-\d{2})T(\d{2})-(\d{2})Z")
# ids begin with the time, so for centuries with a 0: words are not taken for beginnings of ids
_ID = re.compile(r"(?:snp_|0)[0-9a-hjkmnp-tv-z]*")
_CANDIDATES_SHOWN = 10


@dataclass(frozen=True, slots=True)
class SourceReference:
    """A source as people name it; `config_id` None is every configuration of the bucket."""

    bucket: str
    config_id: str | None = None

    @classmethod
    def parse(cls, text: str) -> SourceReference:
        """`bucket` or `bucket/config-id`."""
        bucket, slash, config_id = text.partition("/")
        return cls(bucket, config_id if slash else None)

    def __str__(self) -> str:
        return self.bucket if self.config_id is None else f"{self.bucket}/{self.config_id}"


@dataclass(frozen=True, slots=True)
class SnapshotReference:
    """A parsed reference. Exactly one of the last four is set.

    Attributes:
        text: As it was written, for messages.
        source: Of which source; None: not said.
        steps_back: 0 is the latest, 1 the one before.
        day: Taken on that UTC day.
        instant: Taken at that instant, to the minute.
        id_start: Its id begins so.
    """

    text: str
    source: SourceReference | None
    steps_back: int | None = None
    day: date | None = None
    instant: datetime | None = None
    id_start: str | None = None


class Known(Protocol):
    """What the choice needs of a snapshot."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def as_of(self) -> datetime:
        """The instant it speaks of, aware UTC."""

    @property
    def source_name(self) -> str:
        """`bucket/config-id`."""

    @property
    def stamp(self) -> str:
        """`as_of` as report folders write it."""


KnownT = TypeVar("KnownT", bound=Known)


def parse_reference(text: str, source: str | None = None) -> SnapshotReference:
    """A reference from its text; `source` counts if the text names none.

    Raises:
        InvalidQueryError: Not a reference.
    """
    named, _, what = text.strip().rpartition("@")
    of = SourceReference.parse(named or source or "") if named or source else None
    what = what or "latest"
    if what == "previous":
        return SnapshotReference(text, of, steps_back=1)
    if match := _LATEST.fullmatch(what):
        return SnapshotReference(text, of, steps_back=int(match[1] or 0))
    try:
        if _DATE.fullmatch(what):
            return SnapshotReference(text, of, day=date.fromisoformat(what))
        if match := _STAMP.fullmatch(what):
            return SnapshotReference(
                text, of, instant=parse_utc(f"{match[1]}T{match[2]}:{match[3]}")
            )
        if _ID.fullmatch(what):
            start = what if what.startswith("snp_") else f"snp_{what}"
            return SnapshotReference(text, of, id_start=start)
        return SnapshotReference(text, of, instant=parse_utc(what))
    except ValueError as error:
        raise InvalidQueryError(
            f"`{text}` does not name a snapshot",
            hint="write latest, latest~1, 2026-11-20, 2026-11-20T01-00Z or an id, "
            "with bucket/config-id@ before it if there are several sources",
            reference=text,
        ) from error


def choose(known: Sequence[KnownT], reference: SnapshotReference) -> KnownT:
    """The one of `known` (newest first) that is meant.

    Raises:
        SnapshotNotFoundError: None is.
        AmbiguousSnapshotError: Several are.
    """
    if reference.steps_back is not None:
        return _step_back(known, reference, reference.steps_back)
    matching = [s for s in known if _matches(s, reference)]
    if not matching:
        raise SnapshotNotFoundError(
            f"no snapshot matches `{reference.text}`; the newest is {_name(known[0])}",
            reference=reference.text,
        )
    if len(matching) > 1:
        raise _ambiguous(matching, reference)
    return matching[0]


def _step_back(known: Sequence[KnownT], reference: SnapshotReference, steps: int) -> KnownT:
    of_source = {s.source_name: s for s in reversed(known)}
    if len(of_source) > 1:
        raise _ambiguous(list(of_source.values()), reference)
    if steps >= len(known):
        raise SnapshotNotFoundError(
            f"`{reference.text}` goes back further than the {len(known)} snapshots there are; "
            f"the oldest is {_name(known[-1])}",
            reference=reference.text,
        )
    return known[steps]


def _matches(snapshot: Known, reference: SnapshotReference) -> bool:
    if reference.day is not None:
        return snapshot.as_of.date() == reference.day
    if reference.instant is not None:
        return snapshot.as_of.replace(second=0, microsecond=0) == reference.instant.replace(
            second=0, microsecond=0
        )
    return snapshot.id.startswith(reference.id_start or "")


def _ambiguous(matching: Sequence[Known], reference: SnapshotReference) -> AmbiguousSnapshotError:
    names = [_name(s) for s in matching[:_CANDIDATES_SHOWN]]
    more = f" and {len(matching) - len(names)} more" if len(matching) > len(names) else ""
    return AmbiguousSnapshotError(
        f"`{reference.text}` may be {', '.join(names)}{more}",
        reference=reference.text,
        candidates=[s.id for s in matching],
    )


def _name(snapshot: Known) -> str:
    return f"{snapshot.source_name}@{snapshot.stamp} ({snapshot.id})"
