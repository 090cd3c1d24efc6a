"""LST-1: how many requests at once: growth while it helps, halving on SlowDown."""

from __future__ import annotations

from stocktake.listing._concurrency import Concurrency


def answer(concurrency: Concurrency, latency_s: float, rounds: int = 1) -> list[int]:
    limits = []
    for _ in range(rounds):
        for _ in range(concurrency.limit):
            concurrency.answered(latency_s, concurrency.limit)
        limits.append(concurrency.limit)
    return limits


def test_it_doubles_to_its_maximum_while_answers_take_the_same_time() -> None:
    assert answer(Concurrency(50), 0.08, 5) == [16, 32, 50, 50, 50]


def test_it_never_exceeds_a_small_maximum() -> None:
    concurrency = Concurrency(3)
    assert concurrency.limit == 3
    assert answer(concurrency, 0.08, 3) == [3, 3, 3]


def test_a_doubling_that_does_not_help_is_taken_back() -> None:
    concurrency = Concurrency(64)
    answer(concurrency, 0.004)
    assert concurrency.limit == 16
    assert answer(concurrency, 0.008, 3) == [16, 8, 8]  # twice as many, each takes twice as long


def test_it_tries_again_after_a_while() -> None:
    concurrency = Concurrency(64)
    answer(concurrency, 0.004)
    answer(concurrency, 0.008, 2)
    assert max(answer(concurrency, 0.004, 20)) == 64


def test_with_little_to_do_nothing_is_concluded() -> None:
    concurrency = Concurrency(64)
    for _ in range(1000):
        concurrency.answered(0.08, 1)
    assert concurrency.limit == 8


def test_throttles_halve_it_once_for_all_that_were_under_way() -> None:
    concurrency = Concurrency(64)
    answer(concurrency, 0.08, 3)
    for _ in range(20):
        concurrency.throttled()
    assert concurrency.limit == 32
    assert concurrency.throttles == 20


def test_throttles_that_go_on_halve_it_again() -> None:
    concurrency = Concurrency(64)
    for _ in range(100):
        concurrency.throttled()
    assert concurrency.limit == 1


def test_after_a_throttle_it_grows_by_one() -> None:
    concurrency = Concurrency(64)
    concurrency.throttled()
    assert answer(concurrency, 0.08, 3) == [5, 6, 7]
