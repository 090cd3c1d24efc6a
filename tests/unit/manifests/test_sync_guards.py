"""What keeps a sync from doing harm: the guard of deletions, who is alive, results not lost."""

from __future__ import annotations

import os
import socket
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from stocktake.clock import SystemClock
from stocktake.errors import DeletionRefusedError
from stocktake.manifests import KeyOutcome, KeyState, RunInfo, RunKind, SyncAction
from stocktake.manifests._sync_crew import Crew
from stocktake.manifests._sync_deletions import check_deletions
from stocktake.manifests._sync_recover import is_over
from stocktake.manifests._sync_sides import KeyFilter, KeyRow, LocalSide
from stocktake.manifests._sync_work import Task
from stocktake.store import UploadPace


@pytest.mark.parametrize(
    ("count", "total", "empty", "refused"),
    [
        (0, 0, True, False),
        (1, 10, False, False),
        (2, 19, False, True),
        (10_000, 10**6, False, False),
        (10_001, 10**6, False, True),
        (1, 10**6, True, True),
        (1, 0, False, True),
    ],
)
def test_guard_of_deletions(count: int, total: int, *, empty: bool, refused: bool) -> None:
    if not refused:
        check_deletions("16", count, total, side_empty=empty)
        return
    with pytest.raises(DeletionRefusedError, match="nothing was deleted") as told:
        check_deletions("16", count, total, side_empty=empty)
    assert told.value.exit_code == 3


def _run(pid: int, *, host: str | None = None, age: timedelta = timedelta()) -> RunInfo:
    started = datetime.now(UTC) - age
    name = host or socket.gethostname()
    return RunInfo("r", RunKind.SYNC, started, None, name, pid, "running", "p", 0)


def test_who_is_alive() -> None:
    clock = SystemClock()
    assert not is_over(_run(os.getpid()), clock)
    assert is_over(_run(2**22 - 1), clock)
    # a container's first process has the same number after a restart
    assert is_over(_run(os.getpid(), age=timedelta(days=300)), clock)
    assert not is_over(_run(1, host="elsewhere"), clock)
    assert is_over(_run(1, host="elsewhere", age=timedelta(days=8)), clock)


def test_a_result_that_was_being_looked_at_when_interrupted_is_given_again() -> None:
    crew = Crew(lambda task: _outcome(task), 2, SystemClock())
    for number in range(20):
        crew.give(Task(KeyRow(str(number), None, None, None)))
    taken: list[str] = []

    def take() -> None:
        for _, outcome in crew.rest():
            if len(taken) == 5:
                raise KeyboardInterrupt
            taken.append(outcome.key)

    with pytest.raises(KeyboardInterrupt):
        take()
    taken += [outcome.key for _, outcome in crew.rest()]
    crew.close()
    assert sorted(set(taken), key=int) == [str(number) for number in range(20)]


def test_what_work_raises_reaches_whoever_takes_the_results() -> None:
    def fail(_: Task) -> KeyOutcome:
        raise MemoryError

    crew = Crew(fail, 2, SystemClock())
    crew.give(Task(KeyRow("a", None, None, None)))
    with pytest.raises(MemoryError):
        list(crew.rest())
    crew.close()


def test_somebody_is_told_while_everybody_waits() -> None:
    idle = threading.Event()
    crew = Crew(lambda task: idle.wait(20) and _outcome(task), 1, SystemClock(), idle.set)  # type: ignore[arg-type]
    crew.give(Task(KeyRow("a", None, None, None)))
    assert [outcome.key for _, outcome in crew.rest()] == ["a"]
    crew.close()


class _SetPace(UploadPace):
    """A distance that the test says."""

    worth = 6

    def threads(self, most: int) -> int:
        return min(self.worth, most)


def test_threads_that_are_not_worth_it_any_more_rest() -> None:
    """Near stores: many threads cost more in hand-overs than they bring."""
    pace, lock = _SetPace(), threading.Lock()
    busy, most = 0, {6: 0, 2: 0}
    meet = threading.Barrier(6)

    def work(task: Task) -> KeyOutcome:
        nonlocal busy
        with lock:
            busy += 1
            most[pace.worth] = max(most[pace.worth], busy)
        if pace.worth == 6:
            meet.wait(20)
        with lock:
            busy -= 1
        return _outcome(task)

    crew = Crew(work, 16, SystemClock(), pace=pace)
    for worth, tasks in ((6, 6), (2, 60)):
        pace.worth = worth
        for number in range(tasks):
            crew.give(Task(KeyRow(f"{worth}/{number}", None, None, None)))
        assert len(list(crew.rest())) == tasks
    crew.close()
    assert most[6] == 6
    assert most[2] <= 2


def _outcome(task: Task) -> KeyOutcome:
    return KeyOutcome(task.row.key, KeyState.IDENTICAL, SyncAction.NOTHING)


def test_keys_below_an_excluded_folder_are_left_alone() -> None:
    keys = KeyFilter("p/", ("cache", "*.tmp", "raw/*.csv"))
    taken = ["p/a", "p/raw/a.txt", "p/x/raw/a.csv", "p/caches/a"]
    left = ["p/cache/a", "p/x/cache/y/z", "p/a.tmp", "p/raw/a.csv", "p/.stocktake/a", "q/a"]
    assert [key for key in taken + left if keys.takes(key)] == taken


def test_unfinished_downloads_are_no_files_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / ".a.jpg.0123456789ab-01234567.part").write_bytes(b"half")
    (tmp_path / "mine.part").write_bytes(b"whole")
    assert [key for key, _ in LocalSide(tmp_path, "p/", ())] == ["p/mine.part"]
