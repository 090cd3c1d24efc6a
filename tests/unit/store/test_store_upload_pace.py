"""How many uploads are in flight follows the store's distance. SHP-30."""

from __future__ import annotations

from stocktake.store import UploadPace


def after(*answers_s: float) -> UploadPace:
    pace = UploadPace()
    for duration_s in answers_s:
        pace.answered(duration_s)
    return pace


def test_begins_with_few_whatever_the_first_answers_take() -> None:
    assert UploadPace().threads(64) == 2
    assert after(0.3, 0.3).threads(64) == 3


def test_near_store_keeps_few_although_single_answers_are_slow() -> None:
    assert after(*[0.0003, 0.05, 0.2] * 100).threads(64) == 2


def test_far_store_gets_many_but_no_more_than_allowed() -> None:
    far = after(*[0.02] * 500)
    assert 40 <= far.threads(64) <= 64
    assert far.threads(16) == 16
    assert far.threads(1) == 1


def test_store_that_has_become_slow_is_noticed() -> None:
    pace = after(*[0.0003] * 100)
    for _ in range(10_000):
        pace.answered(0.02)
    assert pace.threads(64) > 40
