"""Many small plain files: each is read whole, hashed, and written by one PUT.

They have no sweep 1. Threads take the next file as they get free; what is in memory is bounded by
bytes, not by files; results are recorded together, and told when they are on disk.
"""

from __future__ import annotations

import contextlib
import hashlib
import queue
import threading
from collections.abc import Iterator, Sequence

from stocktake.ship._metadata import object_metadata
from stocktake.ship._outcome import outcome_of
from stocktake.ship._records import FileJob, ObjectResult, Outcome, TaskEnd
from stocktake.ship._task_context import TaskContext
from stocktake.ship._task_recording import Recording, put_recorded
from stocktake.ship._task_source import opened
from stocktake.ship._upload_target import Target
from stocktake.store import content_type_of


def put_file(context: TaskContext, job: FileJob) -> ObjectResult:
    """One file into its object; nothing is recorded.

    Raises:
        StocktakeError: It changed, or the store refuses it.
        OSError: It cannot be read.
    """
    source = job.source
    size_bytes = source.identity.size_bytes
    budget = context.uploader.budget
    budget.take(size_bytes, context.patience.check)
    try:
        with opened(context.settings, source) as file:
            body = file.read_whole()
            sha256 = hashlib.sha256(body).hexdigest()
            file.recheck()
        target = Target(
            object_id=job.object_id,
            token=job.token,
            key=job.key,
            sha256=sha256,
            metadata=object_metadata(source, sha256, token=job.token, ship_id=context.ship_id),
            content_type=content_type_of(job.key),
            replaces_etag=job.replaces_etag,
            is_source=True,
        )
        started_s = context.clock.monotonic_s()
        result = context.uploader.put(target, body)
        context.pace.answered(context.clock.monotonic_s() - started_s)
        return result
    finally:
        budget.give(size_bytes)


class FileBatch:
    """One batch of small files, written by a few threads.

    Args:
        context: What tasks work with.
        jobs: The files, in the order they are begun.
    """

    def __init__(self, context: TaskContext, jobs: Sequence[FileJob]) -> None:
        self._context = context
        self._jobs = iter(jobs)
        self._count = len(jobs)
        self._lock = threading.Lock()
        self._sources = {job.object_id: job.source.source_id for job in jobs}
        self._ends: queue.SimpleQueue[TaskEnd | None] = queue.SimpleQueue()
        self._recording = Recording(context.recorder, self._recorded, put_recorded)
        self._called_off = False
        self._running = 0
        self._ended = threading.Event()

    def run(self) -> Iterator[TaskEnd]:
        """The end of each file, as they come. Closing the iterator leaves out what is not begun."""
        if not self._count:
            self._recording.close()
            return
        with self._lock:
            self._start_more()
        try:
            while (end := self._ends.get()) is not None:
                yield end
        finally:
            self._called_off = True
            self._ended.wait()
        self._recording.close()

    def _start_more(self) -> None:
        """Threads up to the number that is worth it. Call it under the lock."""
        most = min(self._context.settings.uploads, self._count)
        while self._running < self._context.pace.threads(most):
            self._running += 1
            threading.Thread(target=self._work, name="put", daemon=True).start()

    def _leave(self) -> None:
        """A thread ends; the last one closes the batch."""
        with self._lock:
            self._running -= 1
            if self._running:
                return
        with contextlib.suppress(BaseException):
            self._recording.close()  # what it raises is raised by `run`, which closes it again
        self._ends.put(None)
        self._ended.set()

    def _recorded(self, result: ObjectResult) -> None:
        end = TaskEnd(
            self._sources[result.object_id],
            Outcome.DONE,
            figures={"objects": 1, "bytes": result.size_bytes},
        )
        self._ends.put(end)

    def _next(self) -> FileJob | None:
        with self._lock:
            job = None if self._called_off else next(self._jobs, None)
            if job is not None:
                self._start_more()
            return job

    def _work(self) -> None:
        while (job := self._next()) is not None:
            try:
                self._recording.add(put_file(self._context, job))
            except BaseException as error:  # noqa: BLE001
                # boundary: the failure of one file is an end like any other
                outcome, described = outcome_of(error)
                self._ends.put(TaskEnd(job.source.source_id, outcome, described))
        self._leave()
