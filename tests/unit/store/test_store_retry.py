"""Waiting and giving up, without waiting."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stocktake.clock import FixedClock
from stocktake.errors import (
    AccessDeniedError,
    InvalidSettingError,
    StoreUnavailableError,
    ThrottledError,
)
from stocktake.store import RetryPolicy
from stocktake.store._retry import Retrier
from stocktake.telemetry import Meter


def retrier(policy: RetryPolicy, dice: float = 1.0) -> tuple[Retrier, FixedClock, Meter]:
    clock, meter = FixedClock(datetime(2026, 1, 1, tzinfo=UTC)), Meter()
    return Retrier(policy, clock, lambda: dice, meter), clock, meter


def failing(times: int, error: Exception):
    left = [times]

    def attempt(number: int) -> int:
        if left[0] > 0:
            left[0] -= 1
            raise error
        return number

    return attempt


def test_waits_double_up_to_the_cap():
    policy = RetryPolicy(attempts_max=6, base_s=1, cap_s=5)
    assert [policy.wait_s(failures, 1.0) for failures in range(1, 6)] == [1, 2, 4, 5, 5]


@given(failures=st.integers(1, 10_000), fraction=st.floats(0, 1))
def test_a_wait_is_never_negative_nor_above_the_cap(failures, fraction):
    policy = RetryPolicy()
    assert 0 <= policy.wait_s(failures, fraction) <= policy.cap_s


def test_transient_failures_are_waited_out_and_counted():
    run, clock, meter = retrier(RetryPolicy(attempts_max=4, base_s=1, cap_s=100))
    assert run.run(failing(3, StoreUnavailableError("gone"))) == 4
    assert clock.monotonic_s() == 1 + 2 + 4
    assert meter.retries == {"store-unavailable": 3}


def test_the_dice_shorten_the_wait():
    run, clock, _ = retrier(RetryPolicy(attempts_max=2, base_s=1), dice=0.25)
    run.run(failing(1, StoreUnavailableError("gone")))
    assert clock.monotonic_s() == 0.25


def test_the_last_failure_is_raised_with_the_number_of_tries():
    run, clock, _ = retrier(RetryPolicy(attempts_max=3, base_s=1))
    with pytest.raises(ThrottledError) as caught:
        run.run(failing(99, ThrottledError("slow down")))
    assert caught.value.attrs["attempts"] == 3
    assert clock.monotonic_s() == 3


def test_a_refusal_is_not_tried_again():
    run, clock, meter = retrier(RetryPolicy())
    with pytest.raises(AccessDeniedError):
        run.run(failing(1, AccessDeniedError("no")))
    assert (clock.monotonic_s(), meter.retries) == (0, {})


def test_a_store_that_names_a_wait_is_obeyed_up_to_the_cap():
    run, clock, _ = retrier(RetryPolicy(attempts_max=3, base_s=1, cap_s=10))
    run.run(failing(1, ThrottledError("slow down", retry_after_s=7.0)))
    assert clock.monotonic_s() == 7
    run.run(failing(1, ThrottledError("slow down", retry_after_s=3600.0)))
    assert clock.monotonic_s() == 17


@pytest.mark.parametrize("bad", [{"attempts_max": 0}, {"base_s": -1}, {"base_s": 5, "cap_s": 1}])
def test_an_impossible_policy_is_refused(bad):
    with pytest.raises(InvalidSettingError):
        RetryPolicy(**bad)
