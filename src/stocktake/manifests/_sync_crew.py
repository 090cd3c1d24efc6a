"""The threads that work on keys: as many as the store's distance is worth."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator

from stocktake.clock import Clock
from stocktake.manifests._compare import SyncAction
from stocktake.manifests._sync_values import KeyOutcome
from stocktake.manifests._sync_work import Task
from stocktake.store import UploadPace

_WAITING_MAX = 64
_IDLE_S = 1.0


class Crew:
    """Works on tasks in threads. One thread gives tasks and takes what came of them.

    That thread may be interrupted anywhere (Ctrl-C): no result is lost by it. One that was being
    looked at just then is given again.

    Args:
        work: What is done with a task; what it raises is raised to whoever takes the result.
        workers: Most threads.
        clock: Times the work.
        pace: How many threads are worth it. Is told how long everything but uploads takes; those
            tell it themselves.
        idle: Called now and then while there is nothing to take.
    """

    def __init__(
        self,
        work: Callable[[Task], KeyOutcome],
        workers: int,
        clock: Clock,
        idle: Callable[[], None] = lambda: None,
        *,
        pace: UploadPace | None = None,
    ) -> None:
        self._work = work
        self._workers = workers
        self._clock = clock
        self._idle = idle
        self._pace = pace or UploadPace()
        lock = threading.Lock()
        self._given = threading.Condition(lock)
        self._changed = threading.Condition(lock)
        self._tasks: deque[Task] = deque()
        self._done: deque[tuple[Task, KeyOutcome | BaseException]] = deque()
        self._busy = 0
        self._closed = False
        self._threads: list[threading.Thread] = []

    def give(self, task: Task) -> None:
        """Have a task done."""
        worth = self._pace.threads(self._workers)
        with self._changed:
            self._tasks.append(task)
            waiting = len(self._tasks) + self._busy
            if self._busy < worth:
                self._given.notify()
        if len(self._threads) < min(waiting, worth):
            thread = threading.Thread(target=self._run, name="sync", daemon=True)
            self._threads.append(thread)
            thread.start()

    def results(self) -> Iterator[tuple[Task, KeyOutcome]]:
        """What is done by now; waits for some if too much is waiting."""
        yield from self._finished(_WAITING_MAX)

    def rest(self) -> Iterator[tuple[Task, KeyOutcome]]:
        """What everything else came to."""
        yield from self._finished(0)

    def call_off(self) -> int:
        """Begin no more tasks; how many will not be done."""
        with self._changed:
            left = len(self._tasks)
            self._tasks.clear()
            return left

    def close(self) -> None:
        """End the threads, once they are done with what they are at."""
        self.call_off()
        with self._changed:
            self._closed = True
            self._given.notify_all()
        for thread in self._threads:
            thread.join()

    def _finished(self, waiting_max: int) -> Iterator[tuple[Task, KeyOutcome]]:
        """Results, until none is there and no more than that many are waited for."""
        while True:
            with self._changed:
                waiting = len(self._tasks) + self._busy > waiting_max
                if not self._done and not waiting:
                    return
                if not self._done:
                    self._changed.wait(_IDLE_S)
                task, outcome = self._done[0] if self._done else (None, None)
            if task is None or outcome is None:
                self._idle()
                continue
            if isinstance(outcome, BaseException):
                self._done.popleft()
                raise outcome
            yield task, outcome
            self._done.popleft()

    def _run(self) -> None:
        while (task := self._next()) is not None:
            began_s = self._clock.monotonic_s()
            try:
                outcome: KeyOutcome | BaseException = self._work(task)
            except BaseException as error:  # noqa: BLE001
                # boundary: it is raised again by whoever takes the result
                outcome = error
            if isinstance(outcome, BaseException) or outcome.action is not SyncAction.UPLOAD:
                self._pace.answered(self._clock.monotonic_s() - began_s)
            with self._changed:
                self._done.append((task, outcome))
                self._busy -= 1
                self._changed.notify()
                # this thread takes one; another may be worth it by now
                if len(self._tasks) > 1 and self._busy + 1 < self._pace.threads(self._workers):
                    self._given.notify()

    def _next(self) -> Task | None:
        with self._changed:
            while not self._tasks or self._busy >= self._pace.threads(self._workers):
                if self._closed:
                    return None
                self._given.wait()
            self._busy += 1
            return self._tasks.popleft()
