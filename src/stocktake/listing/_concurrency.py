"""How many requests at once: more while that brings more answers, half when the store says no."""

from __future__ import annotations

import statistics

_START = 8
_LEAST = 4
_GAIN = 1.4
_WINDOWS_POOR = 2
_WINDOWS_HELD = 6


class Concurrency:
    """Grows twofold as long as that brings 40 % more answers in the same time.

    It has no clock: whoever drives tells how long each answer took and how many were under way, and
    requests under way divided by the median of that time is the rate of answers. When a doubling
    did not help, because the store, the network or this machine is busy, it is taken back and not
    tried again for a while. When the store asks to slow down it is halved; from then on it grows
    by one.
    """

    def __init__(self, limit_max: int, *, start: int = _START) -> None:
        self.limit = min(start, limit_max)
        self.throttles = 0
        self._limit_max = limit_max
        self._latencies_s: list[float] = []
        self._under_way = 0
        self._before: tuple[int, float] | None = None  # limit and rate before it was doubled
        self._poor = 0
        self._held = 0
        self._burst = 0  # throttles since the limit was last halved

    def answered(self, latency_s: float, under_way: int) -> None:
        """A request was answered after that time; so many were under way, itself included."""
        self._latencies_s.append(latency_s)
        self._under_way += under_way
        answers = len(self._latencies_s)
        if answers < self.limit:
            return
        median_s, at_once = statistics.median(self._latencies_s), self._under_way / answers
        self._forget()
        self._burst = 0
        if at_once >= 0.8 * self.limit:  # else there was not enough to do to judge by
            self._judge(at_once / max(median_s, 1e-9))

    def throttled(self) -> None:
        """The store asked to slow down: half as many, once for all requests that were under way."""
        self.throttles += 1
        if self._burst == 0 or self._burst >= self.limit:
            self.limit = max(1, self.limit // 2)
            self._burst = 0
        self._burst += 1
        self._forget()
        self._before = None

    def _forget(self) -> None:
        self._latencies_s.clear()
        self._under_way = 0

    def _judge(self, rate: float) -> None:
        if self._held:
            self._held -= 1
            return
        if self._before is not None and rate < _GAIN * self._before[1]:
            self._poor += 1
            if self._poor >= _WINDOWS_POOR:
                self.limit = max(min(_LEAST, self._limit_max), self._before[0])
                self._before = None
                self._poor, self._held = 0, _WINDOWS_HELD
            return
        self._poor = 0
        if self.limit < self._limit_max:
            self._before = None if self.throttles else (self.limit, rate)
            grown = self.limit + 1 if self.throttles else self.limit * 2
            self.limit = min(grown, self._limit_max)
