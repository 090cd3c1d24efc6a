"""The only wall clock, and the only place that sleeps.

Everything that needs the time takes a `Clock`, so tests run without waiting:

    >>> clock = FixedClock(datetime(2026, 1, 2, tzinfo=UTC))
    >>> clock.sleep(60); clock.now().minute
    1
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """A source of time. All datetimes are aware UTC."""

    def now(self) -> datetime:
        """The current instant, aware UTC."""

    def monotonic_s(self) -> float:
        """Seconds on a clock that never goes back; only differences mean something."""

    def sleep(self, duration_s: float) -> None:
        """Wait that many seconds."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The current instant, aware UTC."""
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        """Seconds on the machine's monotonic clock."""
        return time.monotonic()

    def sleep(self, duration_s: float) -> None:
        """Block the calling thread."""
        time.sleep(duration_s)


class FixedClock:
    """A clock for tests: it moves only when somebody sleeps or calls `advance`."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._monotonic_s = 0.0

    def now(self) -> datetime:
        """The instant it was set to, plus everything slept since."""
        return self._now

    def monotonic_s(self) -> float:
        """Seconds slept so far."""
        return self._monotonic_s

    def sleep(self, duration_s: float) -> None:
        """Advance at once."""
        self.advance(duration_s)

    def advance(self, duration_s: float) -> None:
        """Move the clock forward."""
        self._now += timedelta(seconds=duration_s)
        self._monotonic_s += duration_s


def parse_utc(text: str) -> datetime:
    """An ISO 8601 text as aware UTC; text without a zone is UTC. Raises ValueError."""
    value = datetime.fromisoformat(text)
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def format_utc(value: datetime) -> str:
    """`2026-11-20T01:00:00Z`; microseconds only if there are any."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
