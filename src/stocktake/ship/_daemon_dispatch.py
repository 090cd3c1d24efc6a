"""Taking work out of the ledger and giving it to free workers."""

from __future__ import annotations

from functools import partial

from stocktake import faults
from stocktake.ship._breaker import Breaker
from stocktake.ship._daemon_context import ShipContext
from stocktake.ship._daemon_crew import Crew
from stocktake.ship._daemon_outcomes import Outcomes
from stocktake.ship._events import EventKind
from stocktake.ship._keys import plain_key
from stocktake.ship._process import WorkerProcess
from stocktake.ship._records import SourceJob, SourceState
from stocktake.ship._schedule import (
    BATCH_BYTES_MAX,
    Task,
    TaskKind,
    batch_files,
    kinds_in_order,
)
from stocktake.ship._settings import ShipSettings


class Dispatcher:
    """Gives out tasks. Used by the daemon's thread only."""

    def __init__(
        self, context: ShipContext, crew: Crew, breaker: Breaker, outcomes: Outcomes
    ) -> None:
        self._context = context
        self._crew = crew
        self._breaker = breaker
        self._outcomes = outcomes
        self._last: TaskKind | None = None
        self._hungry = dict.fromkeys(TaskKind, True)
        self._backlog = context.ledger.counts().get(SourceState.PENDING, 0)
        self.suspects: set[int] = set()
        """Small files of a batch that a worker died of: they go one at a time."""

    def work_came(self, files: int = 0) -> None:
        """There may be work again: files were seen, or a task ended."""
        self._backlog += files
        for kind in self._hungry:
            self._hungry[kind] = True

    def give_out(self) -> None:
        """Give every free worker a task, if there is one."""
        for worker in self._crew.free:
            busy = self._crew.busy
            running = busy.total()
            if running >= self._breaker.tasks_allowed(running, self._crew.wanted):
                return
            task = self._next_task(kinds_in_order(busy, self._crew.wanted, self._last))
            if task is None:
                return
            self._give(worker, task)

    def _give(self, worker: WorkerProcess, task: Task) -> None:
        context = self._context
        self._last = task.kind
        task.began_s = context.clock.monotonic_s()
        if task.kind is TaskKind.PUT:
            total_bytes = sum(job.identity.size_bytes for job in task.open.values())
            label = b"%d small files" % len(task.open)
            context.figures.begun(-worker.number, label, task.kind.value, total_bytes)
        for job in task.open.values():
            if task.kind is not TaskKind.PUT:
                size_bytes = job.identity.size_bytes
                context.figures.begun(job.source_id, job.path, task.kind.value, size_bytes)
            context.tell(
                EventKind.STARTED,
                job.path,
                None,
                task=task.kind.value,
                worker=worker.number,
                attempt=job.attempt,
            )
        worker.give(task)

    def _next_task(self, kinds: tuple[TaskKind, ...]) -> Task | None:
        for kind in kinds:
            if self._hungry[kind]:
                task = self._claim_files() if kind is TaskKind.PUT else self._claim_source(kind)
                if task is not None:
                    faults.reached("ship.claimed")
                    return task
                self._hungry[kind] = False
        return None

    def _claim_source(self, kind: TaskKind) -> Task | None:
        ledger = self._context.ledger
        job = ledger.claim_ship() if kind is TaskKind.SHIP else ledger.claim_plan()
        return None if job is None else Task(kind, job, {job.source_id: job})

    def _claim_files(self) -> Task | None:
        settings = self._context.settings
        while True:
            asked: list[bytes] = []
            jobs, failed = self._context.ledger.claim_files(
                files_max=batch_files(
                    self._backlog, self._crew.wanted, suspects=bool(self.suspects)
                ),
                bytes_max=BATCH_BYTES_MAX,
                small_max_bytes=settings.small_max_bytes,
                key_of=partial(_key_of, settings, asked),
            )
            self._backlog = max(0, self._backlog - len(jobs) - len(failed))
            opened: dict[int, SourceJob] = {job.source.source_id: job.source for job in jobs}
            given = {job.path for job in opened.values()}
            without_key = [path for path in asked if path not in given]
            for end, path in zip(failed, without_key, strict=True):
                self._outcomes.failed(path, end.error or {})
            if jobs:
                return Task(TaskKind.PUT, jobs, opened)
            if not failed:
                self._backlog = 0
                return None


def _key_of(settings: ShipSettings, asked: list[bytes], path: bytes) -> str:
    """The key of a plain file; notes down which files were asked for, in order."""
    asked.append(path)
    return plain_key(settings, path)
