"""Outlasting an outage (SHP-32): everybody waits, one asks, nobody pays."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from ship_recorder import NOW, Listener
from stocktake.clock import FixedClock
from stocktake.errors import (
    AccessDeniedError,
    CredentialsError,
    InterruptedRunError,
    ObjectNotFoundError,
    StoreUnavailableError,
    ThrottledError,
)
from stocktake.ship._patience import Patience

AWAY = StoreUnavailableError("connection refused")


class Sleepy(FixedClock):
    """Remembers how long it slept."""

    def __init__(self) -> None:
        super().__init__(NOW)
        self.slept_s = 0.0
        self.hook: Callable[[], None] = lambda: None

    def sleep(self, duration_s: float) -> None:
        self.slept_s += duration_s
        super().sleep(duration_s)
        self.hook()


def failing(errors: list[Exception], result: Any = "done") -> Callable[[], Any]:
    def action() -> Any:
        if errors:
            raise errors.pop(0)
        return result

    return action


def patient(clock: FixedClock, ask: Callable[[], Any], listener: Listener, **more: Any) -> Patience:
    return Patience(ask, clock=clock, listener=listener, dice=lambda: 1.0, **more)


def test_fault_60_outage_is_waited_out_and_told_once() -> None:
    clock, listener = Sleepy(), Listener()
    ask = failing([AWAY] * 20)
    patience = patient(clock, ask, listener)
    assert patience.call(failing([AWAY])) == "done"
    assert listener.told == [("outage", "store-unavailable"), ("recovered",)]
    # 0.5 + 1 + 2 + ... + 32, then a minute each: the longest wait is the cap
    assert clock.slept_s == pytest.approx(sum(min(60, 0.5 * 2**n) for n in range(21)))


def test_recovery_is_noticed_within_the_cap() -> None:
    """SHP-32: at most 5 minutes after the store is back; the cap is one."""
    clock, listener = Sleepy(), Listener()
    back_at_s = 3600.0
    asked: list[float] = []

    def ask() -> None:
        asked.append(clock.monotonic_s())
        if clock.monotonic_s() < back_at_s:
            raise AWAY

    patient(clock, ask, listener).call(failing([AWAY]))
    assert asked[-1] - back_at_s <= 60


def test_answers_that_are_answers_come_out_at_once() -> None:
    clock, listener = Sleepy(), Listener()
    patience = patient(clock, lambda: None, listener)
    for error in (AccessDeniedError("no"), ObjectNotFoundError("x"), CredentialsError("wrong")):
        with pytest.raises(type(error)):
            patience.call(failing([error]))
    assert (clock.slept_s, listener.told) == (0.0, [])


def test_fault_60_expired_credentials_are_waited_for() -> None:
    clock, listener = Sleepy(), Listener()
    expired = CredentialsError("expired", store_code="ExpiredToken")
    assert patient(clock, failing([expired]), listener).call(failing([expired])) == "done"
    assert listener.told == [("outage", "credentials"), ("recovered",)]


def test_fault_60_slow_down_slows_and_is_no_outage() -> None:
    clock, listener = Sleepy(), Listener()
    slow = [ThrottledError("slow", retry_after_s=7.0), *[ThrottledError("slow")] * 12]
    assert patient(clock, lambda: None, listener).call(failing(slow)) == "done"
    assert listener.told == []
    assert clock.slept_s > 7


def test_store_that_answers_anybody_is_recovered_while_one_key_fails() -> None:
    """A key that always fails is no outage: others go on, and its caller is told in the end."""
    clock, listener = Sleepy(), Listener()
    patience = patient(clock, failing([], ObjectNotFoundError), listener)
    with pytest.raises(StoreUnavailableError):
        patience.call(failing([AWAY] * 99))
    assert patience.call(lambda: 1) == 1


def test_stop_interrupts_waits_of_all_threads() -> None:
    clock, listener = Sleepy(), Listener()
    patience = patient(clock, failing([AWAY] * 10_000), listener)
    clock.hook = lambda: patience.stop() if clock.slept_s > 100 else None
    ends: list[str] = []

    def work() -> None:
        try:
            patience.call(failing([AWAY] * 10))
        except InterruptedRunError:
            ends.append("interrupted")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert ends == ["interrupted"] * 8
    with pytest.raises(InterruptedRunError):
        patience.call(lambda: 1)


def test_only_one_thread_asks_while_the_store_is_away() -> None:
    clock, listener = Sleepy(), Listener()
    asking = threading.Lock()
    answers = [AWAY] * 50
    collisions: list[str] = []

    def ask() -> None:
        if not asking.acquire(blocking=False):
            collisions.append("two")
            return
        try:
            if answers:
                raise answers.pop()
        finally:
            asking.release()

    patience = patient(clock, ask, listener)
    results: list[Any] = []
    threads = [
        threading.Thread(target=lambda: results.append(patience.call(failing([AWAY]))))
        for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert results == ["done"] * 16
    assert collisions == []
    told = [what[0] for what in listener.told]
    assert told == ["outage", "recovered"] * (len(told) // 2)


def test_recovery_is_never_told_before_its_outage() -> None:
    """The daemon would wait for a store that is there."""
    clock = Sleepy()
    told: list[str] = []
    slow = threading.Event()

    class SlowListener(Listener):
        def outage(self, error: Any) -> None:
            slow.wait(0.05)
            told.append("outage")

        def recovered(self) -> None:
            told.append("recovered")

    patience = patient(clock, lambda: None, SlowListener())
    threads = [
        threading.Thread(target=lambda: patience.call(failing([AWAY] * 3))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert told == ["outage", "recovered"] * (len(told) // 2)
