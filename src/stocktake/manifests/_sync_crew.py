"""The threads that work on keys: as many as the store's distance is worth."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator

from stocktake.clock import Clock
from stocktake.manifests._sync_values import KeyOutcome
from stocktake.manifests._sync_work import Task
from stocktake.store import UploadPace

_WAITING_MAX = 64
Done = tuple[Task, KeyOutcome | BaseException]


class Crew:
    """Works on tasks in threads. One thread gives tasks and takes what came of them.

    Args:
        work: What is done with a task; what it raises is raised to whoever takes the result.
        workers: Most threads.
        clock: Times the work.
    """

    def __init__(self, work: Callable[[Task], KeyOutcome], workers: int, clock: Clock) -> None:
        self._work = work
        self._workers = workers
        self._clock = clock
        self._pace = UploadPace()
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Done] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._under_way = 0

    def give(self, task: Task) -> None:
        """Have a task done."""
        self._under_way += 1
        self._tasks.put(task)
        if len(self._threads) < min(self._under_way, self._pace.threads(self._workers)):
            thread = threading.Thread(target=self._run, name="sync", daemon=True)
            self._threads.append(thread)
            thread.start()

    def results(self) -> Iterator[tuple[Task, KeyOutcome]]:
        """What is done by now; waits for some if too much is waiting."""
        while self._under_way:
            try:
                yield self._take(block=self._under_way >= _WAITING_MAX)
            except queue.Empty:
                return

    def rest(self) -> Iterator[tuple[Task, KeyOutcome]]:
        """What everything else came to."""
        while self._under_way:
            yield self._take(block=True)

    def call_off(self) -> int:
        """Begin no more tasks; how many will not be done."""
        left = 0
        while True:
            try:
                if self._tasks.get_nowait() is not None:
                    left += 1
            except queue.Empty:
                self._under_way -= left
                return left

    def close(self) -> None:
        """End the threads, once they are done with what they are at."""
        self.call_off()
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join()

    def _take(self, *, block: bool) -> tuple[Task, KeyOutcome]:
        task, outcome = self._done.get(block=block)
        self._under_way -= 1
        if isinstance(outcome, BaseException):
            raise outcome
        return task, outcome

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            began_s = self._clock.monotonic_s()
            try:
                outcome: KeyOutcome | BaseException = self._work(task)
            except BaseException as error:  # noqa: BLE001
                # boundary: it is raised again by whoever takes the result
                outcome = error
            self._pace.answered(self._clock.monotonic_s() - began_s)
            self._done.put((task, outcome))
