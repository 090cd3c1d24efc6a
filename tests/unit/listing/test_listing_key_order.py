"""What speaks against a lexical cursor, found from keys and times (STR-3; facts 4.1, lexical)."""

from __future__ import annotations

import random
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from stocktake.listing import judge_order

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def test_part_10_sorts_before_part_9():
    verdict = judge_order([f"d/part-{number}" for number in range(12)])
    assert verdict.reasons == ("numbers are not zero-padded: `d/part-10` sorts before `d/part-2`",)


def test_padded_numbers_that_ran_over_sort_backwards():
    verdict = judge_order([f"d/part-{number:02}.csv" for number in range(101)])
    assert "`d/part-100.csv` sorts before `d/part-11.csv`" in verdict.reasons[0]


def test_one_digit_is_a_warning_because_a_tenth_part_would_be_lost():
    verdict = judge_order(["d/part-1", "d/part-2"])
    assert verdict.ascends
    assert "a tenth one" in verdict.warnings[0]


@pytest.mark.parametrize(
    "keys",
    [
        [f"d/part-{number:05}" for number in range(2000)],
        [f"d/2026-01-{day:02}-{number}.gz" for day in range(1, 29) for number in (1, 2)],
        [f"d/{uuid.UUID(int=random.Random(at).getrandbits(128))}.json" for at in range(2000)],
        [f"d/{uuid.UUID(int=random.Random(at).getrandbits(128)).hex}" for at in range(2000)],
        ["a/1", "b/10", "c/2"],
        ["l/2026-10-25T02:10:00Z.gz", "l/2026-10-25T02:30:00+00:00.gz"],
        ["l/2026-10-25-02-10-00-0A1B2C", "l/2026-10-25T02-10"],
        [],
    ],
)
def test_names_that_may_ascend_are_not_accused(keys):
    assert judge_order(keys).ascends


@pytest.mark.parametrize("offset", ["+02:00", "%2B0200", "+02", "-05:00", "+05%3A30"])
def test_local_times_with_an_offset_go_back_when_clocks_do(offset):
    verdict = judge_order([f"l/app-2026-10-25T02:30:00{offset}.gz", "l/app-2026-10-25T03:00:00Z"])
    assert "times have an offset from UTC" in verdict.reasons[0]
    assert offset in verdict.reasons[0]


def test_each_domain_is_judged_by_itself():
    keys = ["a/part-9", "b/part-10"]
    assert judge_order(keys).ascends
    assert judge_order(keys, domain_of=lambda _: "").ascends  # other text before the number
    assert not judge_order(["x-9/a", "x-10/a"], domain_of=lambda _: "").ascends


def test_lateness_is_measured_as_the_time_behind_the_first_greater_key():
    keys = ["d/1", "d/2", "d/3", "e/0"]
    times = [T0 + timedelta(hours=5), T0, T0 + timedelta(hours=2), T0]
    verdict = judge_order(keys, times, lookback_s=6 * 3600)
    assert verdict.lateness_max_s == 5 * 3600
    assert verdict.late_share == 0
    assert verdict.ascends


def test_random_names_are_refused_once_their_times_are_known():
    chance = random.Random(1)
    keys = [f"d/{uuid.UUID(int=chance.getrandbits(128))}" for _ in range(500)]
    times = [T0 + timedelta(minutes=at) for at in range(500)]
    verdict = judge_order(keys, times, lookback_s=3600)
    assert verdict.late_share > 0.5
    assert "do not follow time" in verdict.reasons[0]


def test_times_that_ascend_with_the_names_are_not_late():
    keys = [f"d/{at:04}" for at in range(500)]
    times = [T0 + timedelta(minutes=at) for at in range(500)]
    verdict = judge_order(keys, times, lookback_s=0)
    assert verdict.ascends
    assert verdict.lateness_max_s == 0
    assert judge_order(["a"], [None]).late_share is None
