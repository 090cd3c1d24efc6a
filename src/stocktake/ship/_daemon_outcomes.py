"""What follows from the end of a task: recorded first, then moved, counted and told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from stocktake import faults
from stocktake.ship._breaker import BUCKET_CODES, Breaker
from stocktake.ship._daemon_context import ShipContext
from stocktake.ship._error_folder import move_failed
from stocktake.ship._events import EventKind
from stocktake.ship._records import Identity, Outcome, SourceJob, SourceState, TaskEnd
from stocktake.ship._schedule import TaskKind

STAYS_CODES = frozenset({"source-unreadable"})
"""Failures that say nothing about the content: the file stays where it is."""
INCOMPLETE_AGAIN_S = 10.0


class Outcomes:
    """Settles ends of tasks. Used by the daemon's thread only."""

    def __init__(
        self, context: ShipContext, breaker: Breaker, look_again: Callable[[bytes], None]
    ) -> None:
        self._context = context
        self._breaker = breaker
        self._look_again = look_again

    def settle(self, job: SourceJob, end: TaskEnd, kind: TaskKind) -> None:
        """Record and tell how one source's task ended."""
        self._context.figures.left(job.source_id)
        if end.outcome is Outcome.DONE:
            self._done(job, end, kind)
        elif self._is_refusal(end):
            self._refused(job, end)
        elif end.outcome is Outcome.FAILED:
            self._fail(job, end)
        elif end.outcome in (Outcome.TRANSIENT, Outcome.INCOMPLETE):
            self._again(job, end)
        else:
            self._released(job, end)

    def _record(self, job: SourceJob, end: TaskEnd, retry_at: datetime | None = None) -> bool:
        """Into the ledger; False if all was recorded before the worker died, so it is done."""
        state = self._context.ledger.settle_task(end, retry_at=retry_at)
        if state is SourceState.COMPLETED:
            self._done(job, replace(end, outcome=Outcome.DONE, error=None), TaskKind.SHIP)
        return state not in (SourceState.COMPLETED, SourceState.PLANNED) or (
            end.outcome in (Outcome.STOPPED, Outcome.OUTAGE)
        )

    def _fail(self, job: SourceJob, end: TaskEnd) -> None:
        """Give a file up: into the ledger first, then out of the way."""
        if self._record(job, end):
            self.failed(job.path, end.error or {}, job.identity)

    def failed(
        self, path: bytes, error: Mapping[str, Any], identity: Identity | None = None
    ) -> None:
        """A file is `failed` in the ledger: move it, tell it."""
        faults.reached("ship.failed-recorded")
        context = self._context
        moved = None
        if error.get("code") not in STAYS_CODES:
            moved = move_failed(context.settings, path, error, identity=identity)
            if moved is not None:
                self._look_again(path)
            faults.reached("ship.failed-moved")
        context.figures.failed(path, str(error.get("message", "")))
        context.tell(EventKind.FAILED, path, error, moved_to=str(moved) if moved else None)

    def _done(self, job: SourceJob, end: TaskEnd, kind: TaskKind) -> None:
        context = self._context
        if kind is TaskKind.PLAN and end.figures.get("objects") != 0:
            context.tell(EventKind.PLANNED, job.path, None, **end.figures)
            return
        if self._breaker.succeeded():
            context.figures.notice("bucket", "")
            context.tell(EventKind.BACK, details="the bucket accepts uploads again")
        context.figures.done(job.identity.size_bytes)
        details = {"size_bytes": job.identity.size_bytes, **end.figures}
        context.tell(EventKind.UPLOADED, job.path, None, **details)

    def _is_refusal(self, end: TaskEnd) -> bool:
        if end.outcome is Outcome.OUTAGE:
            return end.error is not None
        return (
            end.outcome is Outcome.FAILED
            and end.error is not None
            and end.error.get("code") in BUCKET_CODES
        )

    def _refused(self, job: SourceJob, end: TaskEnd) -> None:
        """403, no such bucket: 100,000 files have not failed; the bucket has."""
        context, error = self._context, end.error or {}
        was_refused = self._breaker.refusal is not None
        if self._breaker.refused(job.source_id, error):
            if end.outcome is Outcome.FAILED:
                self._fail(job, end)
            else:
                self._again(job, replace(end, outcome=Outcome.TRANSIENT))
            return
        self._record(job, replace(end, outcome=Outcome.OUTAGE))
        context.figures.notice("bucket", str(error.get("message", "")))
        if not was_refused:
            context.tell(EventKind.PAUSED, job.path, error)

    def _again(self, job: SourceJob, end: TaskEnd) -> None:
        context = self._context
        if self._is_last_try(job, end):
            self._fail(job, replace(end, outcome=Outcome.FAILED))
            return
        delay_s = context.backoff_s(job.attempt)
        if end.outcome is Outcome.INCOMPLETE:
            grace_s = context.settings.incomplete_grace_s
            delay_s = min(INCOMPLETE_AGAIN_S, max(0.2, grace_s / 4))
        if not self._record(job, end, context.clock.now() + timedelta(seconds=delay_s)):
            return
        context.figures.count("retried")
        context.tell(
            EventKind.POSTPONED,
            job.path,
            end.error,
            outcome=end.outcome.value,
            attempt=job.attempt,
            again_in_s=round(delay_s, 3),
        )

    def _is_last_try(self, job: SourceJob, end: TaskEnd) -> bool:
        settings = self._context.settings
        if end.outcome is Outcome.TRANSIENT:
            return job.attempt >= settings.attempts_max
        changed_ns = max(job.identity.mtime_ns, job.identity.ctime_ns)
        changed = datetime.fromtimestamp(changed_ns / 1e9, UTC)
        known = self._context.ledger.incomplete_since(job.source_id)
        since = changed if known is None else min(known, changed)
        return self._context.clock.now() - since >= timedelta(seconds=settings.incomplete_grace_s)

    def _released(self, job: SourceJob, end: TaskEnd) -> None:
        """Nothing is wrong with the file: it is not there, not at rest, or simply waits."""
        context = self._context
        if not self._record(job, end):
            return
        if end.outcome is Outcome.CHANGED:
            self._look_again(job.path)
            context.tell(EventKind.POSTPONED, job.path, end.error, outcome=end.outcome.value)
        elif end.outcome is Outcome.VANISHED:
            self._look_again(job.path)  # an unmounted folder looks like this: it may come back
            context.tell(EventKind.VANISHED, job.path, end.error)


def move_left_behind(context: ShipContext) -> int:
    """Failed files that a killed process did not move any more; gives how many there were."""
    if not context.ledger.counts().get(SourceState.FAILED):
        return 0
    failed = {
        path: identity
        for path, identity, state in context.ledger.identities()
        if state is SourceState.FAILED
    }
    moved = 0
    for row in context.ledger.sources((SourceState.FAILED,), limit=len(failed)):
        error, identity = row.error or {}, failed.get(row.path)
        if identity is not None and error.get("code") not in STAYS_CODES:
            where = move_failed(context.settings, row.path, error, identity=identity)
            moved += where is not None
    return moved
