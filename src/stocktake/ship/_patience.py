"""Outlasting an outage: calls wait until the store is back, and no file pays for it.

All threads of a process share one `Patience`. The first call that finds the store away opens it;
from then on one thread at a time asks whether the store answers again, after waits that grow to a
minute, and the others sleep. A store that asks to slow down is answered with waits of the call's
own: it is not away.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Protocol, TypeVar

from stocktake.clock import Clock
from stocktake.errors import (
    CredentialsError,
    InterruptedRunError,
    StocktakeError,
    StoreError,
    StoreUnavailableError,
    ThrottledError,
)

T = TypeVar("T")

_SLICE_S = 0.25
"""A wait looks this often whether it was called off."""

_OWN_FAILURES_MAX = 8
"""So often the store may be back and this call fail again, then it is the caller's affair."""

_PASSING = frozenset({"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"})


class OutageListener(Protocol):
    """Who wants to know that the store is away."""

    def outage(self, error: StocktakeError) -> None:
        """The store stopped answering."""

    def recovered(self) -> None:
        """It answers again."""


class Patience:
    """Calls a store until it answers. Safe to share between threads.

    Args:
        ask: Raises what the store raises if it is away; anything else means that it is there.
        clock: Waits.
        listener: Told once at the start and once at the end of an outage.
        base_s: The first wait is random up to this, each further one up to twice as long.
        cap_s: Longest wait.
        dice: Random numbers from 0 to 1.
    """

    def __init__(
        self,
        ask: Callable[[], object],
        *,
        clock: Clock,
        listener: OutageListener,
        base_s: float = 0.5,
        cap_s: float = 60.0,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self._ask = ask
        self._clock = clock
        self._listener = listener
        self._base_s = base_s
        self._cap_s = cap_s
        self._dice = dice
        self._changed = threading.Condition()
        self._away = False
        self._asking = False
        self._stopped = False
        self._waits = 0

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped

    def stop(self) -> None:
        """End all waits, now and later, with `InterruptedRunError`."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def check(self) -> None:
        """Raise `InterruptedRunError` if `stop` was called."""
        if self._stopped:
            raise InterruptedRunError("the shipper stops: this file is gone on with next time")

    def call(self, action: Callable[[], T]) -> T:
        """What `action` returns, however long the store is away meanwhile.

        The action may run several times, so its request must be one that can be repeated.

        Raises:
            StoreError: Every answer of the store that is one; also that it is away, if it failed
                this call again and again while it answered others.
            InterruptedRunError: `stop` was called.
        """
        failures = throttled = 0
        while True:
            self._wait_for_store()
            try:
                result = action()
            except ThrottledError as error:
                throttled += 1
                asked_s = float(error.attrs.get("retry_after_s", 0.0))
                self._sleep(max(self._wait_s(throttled), min(asked_s, self._cap_s)))
                continue
            except StoreError as error:
                if not is_outage(error):
                    raise
                failures += 1
                if failures > _OWN_FAILURES_MAX:
                    raise
                self._lost(error)
                continue
            self._waits = 0
            return result

    def _lost(self, error: StoreError) -> None:
        with self._changed:
            if self._away:
                return
            self._away = True
            self._listener.outage(error)  # with the lock: never told after its own recovery

    def _wait_for_store(self) -> None:
        self.check()
        if not self._away:
            return
        with self._changed:
            while self._away and self._asking and not self._stopped:
                self._changed.wait()
            self.check()
            if self._is_back():
                return
            self._asking = True
        try:
            self._ask_until_back()
        finally:
            with self._changed:
                self._asking = False
                self._changed.notify_all()

    def _is_back(self) -> bool:
        return not self._away

    def _ask_until_back(self) -> None:
        while True:
            self._waits += 1
            self._sleep(self._wait_s(self._waits))
            try:
                self._ask()
            except ThrottledError:
                break
            except StoreError as error:
                if is_outage(error):
                    continue
            break
        with self._changed:
            self._away = False
            self._listener.recovered()

    def _wait_s(self, failures: int) -> float:
        """Full jitter: many clients that failed together must not come back together."""
        longest_s = min(self._cap_s, self._base_s * 2.0 ** min(failures - 1, 30))
        return longest_s * self._dice()

    def _sleep(self, duration_s: float) -> None:
        left_s = duration_s
        while left_s > 0:
            self.check()
            self._clock.sleep(min(left_s, _SLICE_S))
            left_s -= _SLICE_S
        self.check()


def is_outage(error: StocktakeError) -> bool:
    """Whether it says that the store is away for everybody, for a while."""
    if isinstance(error, CredentialsError):
        return error.attrs.get("store_code") in _PASSING
    return isinstance(error, StoreUnavailableError)
