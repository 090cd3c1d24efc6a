"""Instants as the files of feeds hold them: UTC without saying so, in milliseconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import overload

_MS = timedelta(milliseconds=1)


@overload
def naive(at: datetime) -> datetime: ...


@overload
def naive(at: datetime | None) -> datetime | None: ...


def naive(at: datetime | None) -> datetime | None:
    """The millisecond that an instant lies in."""
    if at is None:
        return None
    at = at.astimezone(UTC).replace(tzinfo=None)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def rounded_up(at: datetime) -> datetime:
    """The first millisecond that is not before an instant."""
    floor = naive(at)
    return floor if floor == at.astimezone(UTC).replace(tzinfo=None) else floor + _MS
