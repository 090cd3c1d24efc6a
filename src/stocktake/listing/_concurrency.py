"""How many requests at once: more while the store answers as quickly, half when it says no."""

from __future__ import annotations

import statistics
from collections import deque

_START = 16
_SLOWER = 1.5
_WINDOW = 64


class Concurrency:
    """Grows twofold per round trip, halves when the store asks to slow down.

    Latencies are told by whoever drives; it has no clock. It stops growing while the median of
    recent latencies is more than 1.5 times the best median seen: the store, or this machine, is
    busy enough. After a throttle it grows by one per round trip.
    """

    def __init__(self, limit_max: int, *, start: int = _START) -> None:
        self.limit = min(start, limit_max)
        self.throttles = 0
        self._limit_max = limit_max
        self._recent: deque[float] = deque(maxlen=_WINDOW)
        self._best_s: float | None = None
        self._answers = 0  # since the limit was last looked at
        self._burst = 0  # throttles since the limit was last halved

    def answered(self, latency_s: float) -> None:
        """A request was answered after that time."""
        self._recent.append(latency_s)
        self._answers += 1
        if self._answers < self.limit:
            return
        self._answers = self._burst = 0
        median_s = statistics.median(self._recent)
        self._best_s = median_s if self._best_s is None else min(self._best_s, median_s)
        if median_s <= _SLOWER * self._best_s:
            grown = self.limit + 1 if self.throttles else self.limit * 2
            self.limit = min(grown, self._limit_max)

    def throttled(self) -> None:
        """The store asked to slow down: half as many, once for all requests that were under way."""
        self.throttles += 1
        if self._burst == 0 or self._burst >= self.limit:
            self.limit = max(1, self.limit // 2)
            self._burst = 0
        self._burst += 1
        self._answers = 0
