"""The daemon's one thread: takes messages, decides, and knows when it is over."""

from __future__ import annotations

import queue
from collections.abc import Callable
from dataclasses import asdict

from stocktake.errors import StocktakeError, WorkerDiedError
from stocktake.manifests import SegmentLog
from stocktake.ship._breaker import Breaker
from stocktake.ship._daemon_arrivals import Arrivals
from stocktake.ship._daemon_context import ShipContext
from stocktake.ship._daemon_crew import Crew
from stocktake.ship._daemon_dispatch import Dispatcher
from stocktake.ship._daemon_manifest import ManifestKeeper
from stocktake.ship._daemon_outcomes import Outcomes
from stocktake.ship._daemon_recovery import Recovery
from stocktake.ship._daemon_reload import reloaded
from stocktake.ship._events import EventKind
from stocktake.ship._process import WorkerProcess, death_text
from stocktake.ship._rebuild import RebuildReport
from stocktake.ship._records import Outcome, SourceJob, SourceState, TaskEnd
from stocktake.ship._recover import RecoverReport
from stocktake.ship._schedule import Task, TaskKind
from stocktake.ship._settings import ShipSettings
from stocktake.ship._wire import error_of
from stocktake.store import UploadProfile

DEATHS_MAX = 3
"""Workers that may die of one file."""
REFUSALS_MAX = 3
"""`once` gives up when the bucket refused so often in a row."""
STATES_EVERY_S = 1.0
FATAL_CODES = frozenset({"disk-full"})
"""Nothing can be recorded any more: go no further."""
TASKS_STOP_S = 5.0
"""Workers that were asked to stop are ended after so long."""
LEFT_ALONE_S = 10.0
"""`once` waits so much longer than it takes to settle for files that somebody still writes."""


class ShipLoop:
    """Decides. Every method runs in the thread that calls `run`."""

    def __init__(
        self,
        context: ShipContext,
        crew: Crew,
        recovery: Recovery,
        keeper: ManifestKeeper,
        *,
        once: bool,
        is_new: bool,
        reload: Callable[[], ShipSettings] | None,
    ) -> None:
        self._context = context
        self._crew = crew
        self._recovery = recovery
        self._keeper = keeper
        self._once = once
        self._is_new = is_new
        self._reload = reload
        self._breaker = Breaker(context.clock.monotonic_s)
        self._arrivals = Arrivals(context)
        self._outcomes = Outcomes(context, self._breaker, self._look_again)
        self._dispatcher = Dispatcher(context, crew, self._breaker, self._outcomes)
        self._deaths: dict[int, int] = {}
        self._clearing = 0
        self._profile: UploadProfile | None = None
        self._waiting: int | None = None
        self._scanned = 0
        self._scan_needed = 1
        self._busy_s = context.clock.monotonic_s()
        self._states_s = 0.0
        self._stop_by_s: float | None = None
        self._not_ready = ""
        self._asked_to_stop = False
        self._asked_workers = False
        self.stopped_by: str | None = None
        """The signal, or whoever, that ended it; None if it was over."""

    @property
    def left_waiting(self) -> int:
        """Files that had not come to rest."""
        return self._waiting or 0

    def run(self) -> None:
        """Until it is over, or stopped.

        Raises:
            StocktakeError: Nothing can be recorded any more, or (`once`) the bucket refuses.
        """
        self._recovery.prepare(rebuild=self._is_new)
        if not self._is_new:
            self._arrivals.start()
        try:
            while not self._is_over():
                self._next_messages()
                self._act()
                self._show_states()
        finally:
            self._arrivals.stop()
            self._arrivals.join(5.0)

    def _act(self) -> None:
        if self._stop_by_s is not None:
            self._go_on_stopping()
            return
        if self._needs_workers():
            self._crew.fill()
        if self._profile is not None:
            due_s = self._context.ledger.next_due_s() if self._crew.free else None
            if due_s is not None and due_s <= 0:
                self._dispatcher.work_came()
            self._dispatcher.give_out()

    def _needs_workers(self) -> bool:
        """`once` may find nothing to do: then none is started."""
        if not self._once or self._is_new or self._waiting or self._crew.workers:
            return True
        return self._context.ledger.has_due()

    def _go_on_stopping(self) -> None:
        """Wait for tasks, then ask them to end, then end the workers."""
        now_s = self._context.clock.monotonic_s()
        if self._stop_by_s is None or now_s < self._stop_by_s:
            return
        if self._asked_workers:
            self._crew.close(at_once=True)
            return
        self._asked_workers = True
        self._stop_by_s = now_s + TASKS_STOP_S
        self._crew.stop_tasks()

    def _is_over(self) -> bool:
        if self._stop_by_s is not None:
            return not self._crew.busy
        if not self._once or self._profile is None or self._crew.busy or self._clearing:
            return False
        ledger = self._context.ledger
        if self._waiting is None or self._scanned < self._scan_needed or ledger.has_due():
            return False
        if ledger.next_due_s() is not None:
            return False
        if self._waiting == 0:
            return True
        quiet_s = self._context.clock.monotonic_s() - self._busy_s
        return quiet_s > self._context.settings.settle_unknown_s + LEFT_ALONE_S

    def _show_states(self) -> None:
        now_s = self._context.clock.monotonic_s()
        if now_s - self._states_s >= STATES_EVERY_S:
            self._states_s = now_s
            states = self._context.ledger.counts()
            self._context.figures.put_states(states)
            if states.get(SourceState.PENDING) or states.get(SourceState.PLANNED):
                self._dispatcher.work_came()  # `ship retry` of another process, for example

    def _give_orders(self) -> None:
        context = self._context
        first = {
            "settings": context.settings,
            "ship_id": context.ledger.ship_id,
            "profile": self._profile,
        }
        self._crew.begin(first)

    def _look_again(self, path: bytes) -> None:
        self._scan_needed = max(self._scan_needed, self._arrivals.forget(path))

    # --- messages ---

    def _next_messages(self) -> None:
        inbox = self._context.inbox
        try:
            message = inbox.get(timeout=self._patience_s())
        except queue.Empty:
            return
        for _ in range(1000):
            getattr(self, f"_on_{message[0].replace('-', '_')}")(*message[1:])
            try:
                message = inbox.get_nowait()
            except queue.Empty:
                return
        self._context.inbox.put(message)

    def _patience_s(self) -> float:
        """How long there is certainly nothing to decide."""
        waits = [STATES_EVERY_S, self._crew.due_s(), self._breaker.due_s()]
        if self._crew.free:
            waits.append(self._context.ledger.next_due_s())
        if self._stop_by_s is not None:
            waits.append(self._stop_by_s - self._context.clock.monotonic_s())
        # what is due and was not given out just now waits for a message
        return max(0.02, min(wait for wait in waits if wait is not None and wait > 0))

    def _on_seen(self, files: int, waiting: int | None, scan: int) -> None:
        self._context.figures.notice("folder", "")
        if waiting is not None:
            self._waiting, self._scanned = waiting, scan
        if files:
            self._busy_s = self._context.clock.monotonic_s()
            self._dispatcher.work_came(files)

    def _on_folder_gone(self, error: StocktakeError) -> None:
        if self._once:
            raise error

    def _on_rebuilt(self, report: RebuildReport) -> None:
        self._context.figures.notice("store", "")
        found = asdict(report)
        if any(found.values()):
            self._context.tell(EventKind.REBUILT, **found)
        self._is_new = False
        self._arrivals.start()

    def _on_prepared(self, profile: UploadProfile, report: RecoverReport, log: SegmentLog) -> None:
        self._profile, self._not_ready = profile, ""
        self._keeper.start(log)
        self._context.figures.notice("store", "")
        if report.completed or report.aborted or report.dropped or report.problems:
            said = {name: getattr(report, name) for name in ("completed", "aborted", "dropped")}
            self._context.tell(EventKind.RECOVERED, **said)
        for problem in report.problems:
            self._context.tell(EventKind.POSTPONED, None, problem.to_dict(), of="an open upload")
        self._give_orders()

    def _on_not_ready(self, error: StocktakeError) -> None:
        if self._once and not error.retryable:
            raise error
        self._context.figures.notice("store", error.message)
        if self._not_ready != error.code:  # it is tried again and again; once is enough
            self._not_ready = error.code
            self._context.tell(EventKind.OUTAGE, None, error.to_dict())

    def _on_idle(self, worker: WorkerProcess) -> None:
        self._crew.finished(worker)
        self._context.figures.left(-worker.number)
        self._dispatcher.work_came()

    def _on_ends(self, worker: WorkerProcess, ends: list[TaskEnd]) -> None:
        task = worker.task
        if task is None:
            return
        for end in ends:
            job = task.open.pop(end.source_id, None)
            if job is not None:
                self._settle(job, end, task.kind)
        if ends:
            self._busy_s = self._context.clock.monotonic_s()
            self._keeper.completed(len(ends))

    def _settle(self, job: SourceJob, end: TaskEnd, kind: TaskKind) -> None:
        if end.error is not None and end.error.get("code") in FATAL_CODES:
            raise error_of(end.error)
        self._dispatcher.suspects.discard(job.source_id)
        self._deaths.pop(job.source_id, None)
        self._outcomes.settle(job, end, kind)
        if self._breaker.refusals_in_a_row >= REFUSALS_MAX and self._once:
            raise error_of(self._breaker.refusal or {})

    def _on_outage(self, worker: WorkerProcess, error: StocktakeError) -> None:
        if self._breaker.outage(worker.number):
            self._context.figures.count("outages")
            self._context.figures.notice("store", error.message)
            self._context.tell(EventKind.OUTAGE, None, error.to_dict())

    def _on_recovered(self, worker: WorkerProcess) -> None:
        if self._breaker.recovered(worker.number):
            self._context.figures.notice("store", "")
            self._context.tell(EventKind.BACK)
            self._dispatcher.work_came()

    def _on_died(self, worker: WorkerProcess, code: int) -> None:
        self._on_recovered(worker)
        task = self._crew.died(worker, code)
        self._context.figures.left(-worker.number)
        if task is None or not task.open:
            return
        if self._stop_by_s is not None:
            self._release(task, None)  # uploads that it had open are ended at the next start
            return
        self._clearing += 1
        task.payload = death_text(code)
        self._recovery.clear(task)

    def _on_cleared(self, task: Task) -> None:
        """What a dead worker had open is ended: its files go back to where they were."""
        self._clearing -= 1
        self._context.figures.notice("store", "")
        self._release(task, str(task.payload))
        self._dispatcher.work_came(len(task.open))

    def _release(self, task: Task, death: str | None) -> None:
        for job in task.open.values():
            end = TaskEnd(job.source_id, Outcome.STOPPED)
            if death is not None and task.is_alone:
                end = self._blamed(job, death)
            elif death is not None and task.kind is TaskKind.PUT:
                self._dispatcher.suspects.add(job.source_id)
            self._outcomes.settle(job, end, task.kind)

    def _blamed(self, job: SourceJob, death: str) -> TaskEnd:
        """A worker died of this one file: it may be tried again, but not for ever."""
        deaths = self._deaths.get(job.source_id, 0) + 1
        self._deaths[job.source_id] = deaths
        error = WorkerDiedError(f"a worker process ended in the middle of it ({death})")
        outcome = Outcome.TRANSIENT
        if deaths >= DEATHS_MAX:
            outcome = Outcome.FAILED
            self._deaths.pop(job.source_id)
            self._dispatcher.suspects.discard(job.source_id)
        return TaskEnd(job.source_id, outcome, error.to_dict())

    def _on_broken(self, error: Exception) -> None:
        raise error

    def _on_stop(self, why: str) -> None:
        if self._asked_to_stop:
            self._on_stop_now(why)
            return
        self.stopped_by = why
        self._asked_to_stop = True
        # without a store no task can end by itself
        grace_s = 0.0 if self._breaker.is_away else self._context.settings.stop_grace_s
        self._stop_by_s = self._context.clock.monotonic_s() + grace_s
        self._arrivals.stop()
        self._context.tell(EventKind.STOPPING, by=why, grace_s=grace_s)

    def _on_stop_now(self, why: str) -> None:
        self.stopped_by = why
        self._stop_by_s = self._context.clock.monotonic_s()
        self._crew.close(at_once=True)

    def _on_reload(self) -> None:
        if self._reload is None:
            return
        try:
            wanted = self._reload()
        except StocktakeError as error:
            self._context.tell(EventKind.RELOADED, None, error.to_dict(), taken=[], refused=True)
            return
        merged, taken, waiting, replace_workers = reloaded(self._context.settings, wanted)
        self._context.settings = merged
        if replace_workers and self._profile is not None:
            self._give_orders()
            self._crew.replace_all(merged.workers)
        self._context.tell(EventKind.RELOADED, taken=taken, needs_restart=waiting)
