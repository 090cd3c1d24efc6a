"""The daemon's worker processes: kept up, given tasks, listened to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from stocktake.errors import WorkerDiedError
from stocktake.ship._daemon_context import ShipContext
from stocktake.ship._events import EventKind
from stocktake.ship._process import WorkerProcess, death_text
from stocktake.ship._schedule import Task, TaskKind

RESPAWN_S = 0.2
RESPAWN_S_MAX = 30.0
STILLBORN_MAX = 6
"""Workers that may die before any was ever ready."""


class Crew:
    """Up to `wanted` workers. Used by the daemon's thread only, but for `heard`."""

    def __init__(self, context: ShipContext, wanted: int) -> None:
        self._context = context
        self._wanted = wanted
        self._orders: Mapping[str, Any] | None = None
        self._workers: dict[int, WorkerProcess] = {}
        self._numbers = 0
        self._deaths_in_a_row = 0
        self._was_ready = False
        self._again_s = 0.0

    @property
    def wanted(self) -> int:
        """Workers that are wanted."""
        return self._wanted

    @property
    def workers(self) -> list[WorkerProcess]:
        """Those that are up."""
        return list(self._workers.values())

    @property
    def busy(self) -> Counter[TaskKind]:
        """Tasks under way, by kind."""
        return Counter(w.task.kind for w in self._workers.values() if w.task is not None)

    @property
    def free(self) -> list[WorkerProcess]:
        """Those that can take a task."""
        return [worker for worker in self._workers.values() if worker.is_free]

    def begin(self, orders: Mapping[str, Any]) -> None:
        """Say what every worker is told before its first task."""
        self._orders = orders

    def replace_all(self, wanted: int) -> None:
        """After new orders: every worker makes place for a new one when its task has ended."""
        self._wanted = wanted
        for worker in self._workers.values():
            if worker.task is None:
                worker.retire()
            else:
                worker.is_retired = True

    def fill(self) -> None:
        """Start workers that are missing, unless too many died just now, and brief new ones.

        They come up while it is still found out what they have to know.
        """
        context = self._context
        if context.clock.monotonic_s() >= self._again_s:
            while len(self._workers) < self._wanted:
                self._numbers += 1
                threads = context.settings.uploads + 4
                worker = WorkerProcess(self._numbers, context.ledger, threads, self)
                self._workers[worker.number] = worker
            context.figures.put("workers", len(self._workers))
        if self._orders is not None:
            for worker in self._workers.values():
                if not worker.is_briefed:
                    worker.brief(self._orders)

    def due_s(self) -> float | None:
        """Seconds until the next worker may be started; None: all are up."""
        if len(self._workers) >= self._wanted:
            return None
        return max(0.0, self._again_s - self._context.clock.monotonic_s())

    def heard(self, worker: WorkerProcess, name: str, args: list[Any]) -> None:
        """A worker said something: progress is noted down, the rest is the daemon's thread's."""
        if name == "progress":
            file = self._context.figures.moved(*args)
            if file is not None:
                self._context.tell(
                    EventKind.PROGRESS,
                    file.path,
                    None,
                    phase=file.phase,
                    done_bytes=file.done_bytes,
                    total_bytes=file.total_bytes,
                )
        else:
            self._context.inbox.put((name, worker, *args))

    def finished(self, worker: WorkerProcess) -> Task | None:
        """Its task is over, or it has just come up."""
        task, worker.task, worker.is_ready = worker.task, None, True
        self._was_ready = True
        if task is not None:
            self._deaths_in_a_row = 0
        if worker.is_retired:
            worker.retire()
        return task

    def died(self, worker: WorkerProcess, code: int) -> Task | None:
        """It is gone; returns the task that it was at."""
        task, worker.task = worker.task, None
        del self._workers[worker.number]
        self._context.figures.put("workers", len(self._workers))
        if worker.is_retired and task is None:
            return None
        self._deaths_in_a_row += 1
        if not self._was_ready and self._deaths_in_a_row >= STILLBORN_MAX:
            raise WorkerDiedError(
                f"worker processes end as soon as they are started ({death_text(code)})",
                hint="the log has their last words",
            )
        wait_s = min(RESPAWN_S_MAX, RESPAWN_S * 2.0 ** min(self._deaths_in_a_row - 1, 20))
        self._again_s = self._context.clock.monotonic_s() + wait_s
        self._context.figures.count("died")
        self._context.tell(
            EventKind.WORKER,
            None,
            None,
            worker=worker.number,
            pid=worker.pid,
            ended=death_text(code),
            task=None if task is None else task.kind.value,
        )
        return task

    def stop_tasks(self) -> None:
        """Ask every worker to end its task soon."""
        for worker in self._workers.values():
            if worker.task is not None:
                worker.stop_task()

    def close(self, *, at_once: bool = False) -> None:
        """End all workers."""
        self._wanted = 0
        for worker in self._workers.values():
            if at_once:
                worker.kill()
            worker.retire()
        for worker in self._workers.values():
            worker.wait(10.0)
        self._workers.clear()
