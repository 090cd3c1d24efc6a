"""Trying again: full-jitter exponential backoff with a bound on attempts.

Which failure is worth another attempt is said by the error itself (`retryable`); the table that
decides it is in `_answers.py`. This module only counts, waits and gives up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from stocktake.clock import Clock
from stocktake.errors import InvalidSettingError, StoreError
from stocktake.telemetry import Meter

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often to try and how long to wait between two tries.

    The wait before try n+1 is random between 0 and min(cap_s, base_s * 2**(n-1)): "full jitter",
    which spreads out many clients that failed together.
    """

    attempts_max: int = 6
    base_s: float = 0.2
    cap_s: float = 20.0

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if self.attempts_max < 1:
            raise InvalidSettingError(f"attempts_max {self.attempts_max} is less than 1")
        if self.base_s < 0 or self.cap_s < self.base_s:
            raise InvalidSettingError(
                f"waits from {self.base_s} s to {self.cap_s} s are not a range"
            )

    def wait_s(self, failures: int, fraction: float) -> float:
        """The wait after that many failures (1-based); `fraction` is the dice, from 0 to 1."""
        doublings = min(failures - 1, 60)
        return float(min(self.cap_s, self.base_s * 2**doublings) * fraction)


class Retrier:
    """Runs an attempt until it works, fails for good, or the policy is used up."""

    def __init__(
        self, policy: RetryPolicy, clock: Clock, dice: Callable[[], float], meter: Meter
    ) -> None:
        self.policy = policy
        self._clock = clock
        self._dice = dice
        self._meter = meter

    def run(self, attempt: Callable[[int], T]) -> T:
        """Call `attempt(number)`, number from 1, until it returns.

        Raises the last error: at once if it is not `retryable`, else after `attempts_max` tries,
        with the number of tries in `attrs["attempts"]`.
        """
        number = 1
        while True:
            try:
                return attempt(number)
            except StoreError as error:
                self.wait_or_raise(error, number)
            number += 1

    def wait_or_raise(self, error: StoreError, failures: int) -> None:
        """Wait for the next try, or raise `error` if there must not be one."""
        if not error.retryable:
            raise error
        if failures >= self.policy.attempts_max:
            error.attrs["attempts"] = failures
            raise error
        self._meter.retry(error.code)
        asked_s = error.attrs.get("retry_after_s", 0.0)
        wait_s = self.policy.wait_s(failures, self._dice())
        self._clock.sleep(min(self.policy.cap_s, max(asked_s, wait_s)))
