"""Who gets work next, and when nobody does: SHP-32, SHP-40."""

from __future__ import annotations

from collections import Counter

from stocktake.ship._breaker import PAUSE_S, Breaker
from stocktake.ship._schedule import (
    BATCH_FILES_MAX,
    BATCH_FILES_MIN,
    TaskKind,
    available_memory_bytes,
    batch_files,
    kinds_in_order,
    worker_count,
)

MIB = 1 << 20
DENIED = {"code": "access-denied", "message": "no"}


class Time:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_small_files_do_not_wait_behind_large_ones() -> None:
    """With two workers, at most one is given large files while small ones wait."""
    for heavy in (TaskKind.PLAN, TaskKind.SHIP):
        assert kinds_in_order(Counter({heavy: 1}), 2, heavy)[0] is TaskKind.PUT


def test_large_files_do_not_wait_behind_small_ones() -> None:
    assert kinds_in_order(Counter({TaskKind.PUT: 1}), 2, TaskKind.PUT)[0] is TaskKind.SHIP


def test_single_worker_takes_turns() -> None:
    first = kinds_in_order(Counter(), 1, None)[0]
    assert first is TaskKind.PUT
    assert kinds_in_order(Counter(), 1, first)[0] is TaskKind.SHIP
    assert kinds_in_order(Counter(), 1, TaskKind.PLAN)[0] is TaskKind.PUT


def test_what_is_planned_is_shipped_before_more_is_planned() -> None:
    order = kinds_in_order(Counter({TaskKind.PUT: 1}), 3, TaskKind.PUT)
    assert order.index(TaskKind.SHIP) < order.index(TaskKind.PLAN)


def test_few_files_are_shared_by_all_workers() -> None:
    assert batch_files(200, 4, suspects=False) == 50
    assert batch_files(3, 4, suspects=False) == BATCH_FILES_MIN
    assert batch_files(10**6, 4, suspects=False) == BATCH_FILES_MAX


def test_files_that_a_worker_died_of_go_one_at_a_time() -> None:
    assert batch_files(10**6, 4, suspects=True) == 1


def test_workers_fit_into_memory_and_one_always_runs() -> None:
    """SHP-13: workers x their limit stay below what the machine has."""
    assert worker_count(8, 700 * MIB, 320 * MIB) == 2
    assert worker_count(8, 100 * MIB, 320 * MIB) == 1
    assert worker_count(8, None, 320 * MIB) == 8
    assert available_memory_bytes("MemTotal: 9 kB\nMemAvailable:   2048 kB\n") == 2 * MIB
    assert available_memory_bytes("MemTotal: 9 kB\n") is None


def test_nothing_is_given_out_while_a_worker_waits_for_the_store() -> None:
    breaker = Breaker(Time())
    assert breaker.outage(1)
    assert not breaker.outage(2)
    assert breaker.tasks_allowed(0, 4) == 0
    assert not breaker.recovered(1)
    assert breaker.recovered(2)
    assert breaker.tasks_allowed(0, 4) == 4


def test_refused_bucket_pauses_everything_and_one_task_tries() -> None:
    """403 for all is no fault of the files: none of them fails."""
    time = Time()
    breaker = Breaker(time)
    assert not any(breaker.refused(number, DENIED) for number in range(100))
    assert breaker.tasks_allowed(0, 4) == 0
    time.now_s = PAUSE_S
    assert breaker.tasks_allowed(0, 4) == 1
    assert breaker.tasks_allowed(1, 4) == 0
    assert not any(breaker.refused(number, DENIED) for number in range(100))
    assert breaker.refusals_in_a_row == 2
    assert breaker.due_s() == 2 * PAUSE_S
    assert breaker.succeeded()
    assert breaker.tasks_allowed(3, 4) == 4


def test_file_refused_while_others_get_through_is_at_fault_itself() -> None:
    breaker = Breaker(Time())
    assert not breaker.refused(7, DENIED)
    breaker.succeeded()
    assert breaker.refused(7, DENIED)
    assert breaker.refusal is None
