"""When no new work is given out: the store is away, or refuses the whole bucket."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

PAUSE_S = 5.0
PAUSE_S_MAX = 60.0
BUCKET_CODES = frozenset(
    {
        "access-denied",
        "bucket-not-found",
        "credentials",
        "kms-access-denied",
        "wrong-region",
    }
)
"""Errors that are about the bucket or the identity as a rule, and only rarely about one key."""


class Breaker:
    """Keeps account of outages and refusals.

    An outage is seen, waited for and ended by the workers themselves. A refusal (403, no such
    bucket) pauses everything; then one task at a time tries until one file gets through. A file
    that is refused while others get through is at fault itself.
    """

    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        self._monotonic_s = monotonic_s
        self._away: set[int] = set()
        self._refused: Mapping[str, Any] | None = None
        self._pause_s = PAUSE_S
        self._again_s = 0.0
        self._successes = 0
        self._seen_at: dict[int, int] = {}
        self.refusals_in_a_row = 0

    @property
    def is_away(self) -> bool:
        """True while a worker waits for the store."""
        return bool(self._away)

    @property
    def refusal(self) -> Mapping[str, Any] | None:
        """The error that paused everything, while it does."""
        return self._refused

    def tasks_allowed(self, busy: int, workers: int) -> int:
        """How many tasks may run now."""
        if self._away:
            return 0
        if self._refused is None:
            return workers
        return 1 if busy == 0 and self._monotonic_s() >= self._again_s else 0

    def due_s(self) -> float | None:
        """Seconds until the next try of a paused bucket; None: nothing is paused."""
        if self._refused is None:
            return None
        return max(0.0, self._again_s - self._monotonic_s())

    def outage(self, worker: int) -> bool:
        """A worker waits for the store; True if it is the first."""
        first = not self._away
        self._away.add(worker)
        return first

    def recovered(self, worker: int) -> bool:
        """A worker got an answer, or is gone; True if it was the last that waited."""
        was_away = bool(self._away)
        self._away.discard(worker)
        return was_away and not self._away

    def succeeded(self) -> bool:
        """A file got through; True if that ended a pause."""
        self._successes += 1
        ended, self._refused = self._refused is not None, None
        self._pause_s = PAUSE_S
        self.refusals_in_a_row = 0
        return ended

    def refused(self, source_id: int, error: Mapping[str, Any]) -> bool:
        """A file was refused. True if it is the file's own fault: others got through meanwhile."""
        seen = self._seen_at.get(source_id)
        if seen is not None and self._successes > seen:
            del self._seen_at[source_id]
            return True
        self._seen_at[source_id] = self._successes
        now_s = self._monotonic_s()
        if self._refused is None or now_s >= self._again_s:
            self.refusals_in_a_row += 1
            self._again_s = now_s + self._pause_s
            self._pause_s = min(self._pause_s * 2, PAUSE_S_MAX)
        self._refused = error
        return False
