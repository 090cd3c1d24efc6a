"""Sweep 2 of a source: what was planned is read again, compared, and written."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from stocktake import faults, unpack
from stocktake.convert import ByteStream, plan_from_json, write_parquet
from stocktake.errors import SourceChangedError
from stocktake.ship._records import ObjectJob, ObjectResult, SourceJob, SourceKind
from stocktake.ship._task_context import TaskContext
from stocktake.ship._task_recording import Recording, object_recorded
from stocktake.ship._task_source import SourceFile, SourceStream, opened
from stocktake.ship._upload_sink import ObjectSink
from stocktake.store import Digests
from stocktake.unpack import OpenMember

_TOGETHER = 500


class ShipSweep:
    """Sweep 2 of one source. Objects that are completed already are left out."""

    def __init__(self, context: TaskContext, job: SourceJob) -> None:
        self._context = context
        self._settings = context.settings
        self._job = job
        self._lock = threading.Lock()
        self.objects = 0
        self.bytes = 0

    def run(self) -> None:
        """Write all objects, record each, and end the source.

        Raises:
            StocktakeError: It is not what was planned, or the store refuses it.
            OSError: It cannot be read.
        """
        recording = Recording(self._context.recorder, self._count, object_recorded)
        try:
            with opened(self._settings, self._job) as source:
                self._sweep(source, recording.add)
                source.recheck()
        finally:
            recording.close()
        self._context.recorder.end_source(self._job.source_id)
        faults.reached("ship.source-ended")

    def _count(self, result: ObjectResult) -> None:
        with self._lock:
            self.objects += 1
            self.bytes += result.size_bytes

    def _sweep(self, source: SourceFile, record: Callable[[ObjectResult], None]) -> None:
        if self._job.kind is SourceKind.ARCHIVE:
            _ArchiveSweep(self._context, self._job, source, record).run()
            return
        for job in self._jobs():
            if job.planned.table is None:
                record(self._plain(source, job))
            else:
                told = self._context.told(self._job, "ship")
                stream = SourceStream(source, told)
                record(write_table(self._context, self._job, job, stream, source.recheck))

    def _jobs(self) -> Iterator[ObjectJob]:
        return object_jobs(self._context, self._job)

    def _plain(self, source: SourceFile, job: ObjectJob) -> ObjectResult:
        context, planned = self._context, job.planned
        known = self._known(job)
        done = context.uploader.is_done_already(context.target(self._job, job), known)
        if done is not None:
            return done
        if known is not None and known.crc64nvme is None:
            known = None  # then the SHA-256 has to be compared
        sink = new_sink(context, self._job, job, known)
        digest, told = hashlib.sha256(), context.told(self._job, "ship")

        def recheck() -> None:
            source.recheck()
            if known is None and digest.hexdigest() != planned.sha256:
                raise source.changed()

        try:
            for view in source.views(sink.part_bytes, sink.views_kept):
                if known is None:
                    digest.update(view)
                sink.write_part(view)
                told(sink.size_bytes)
            return sink.finish(recheck)
        except BaseException:
            sink.abandon()
            raise

    def _known(self, job: ObjectJob) -> Digests | None:
        """What sweep 1 found the bytes to be. Their CRC64NVME stands for all of it in sweep 2."""
        told = job.planned.plan or {}
        if "md5" not in told:
            return None
        has_crc = self._context.uploader.profile.full_object_crc
        crc = told.get("crc64nvme") if has_crc else None
        return Digests(job.planned.size_bytes, crc, told["md5"], told["md5"])


_THREADS_LEAST = 8
"""For an archive's members: nobody can tell beforehand how far the store is."""


class _ArchiveSweep:
    """The members of one archive: small ones are on their way while the next are unpacked."""

    def __init__(
        self,
        context: TaskContext,
        job: SourceJob,
        source: SourceFile,
        record: Callable[[ObjectResult], None],
    ) -> None:
        self._context = context
        self._job = job
        self._source = source
        self._record = record
        self._under_way: deque[tuple[Future[None], int]] = deque()

    def run(self) -> None:
        """Write every object of it that is not there yet."""
        jobs = object_jobs(self._context, self._job)
        if (wanted := next(jobs, None)) is None:
            return
        most = self._context.settings.uploads
        threads = max(self._context.pace.threads(most), min(_THREADS_LEAST, most))
        pool = ThreadPoolExecutor(threads, thread_name_prefix="put")
        try:
            self._walk(jobs, wanted, pool)
            while self._under_way:
                self._under_way.popleft()[0].result()
        finally:
            # what is on its way is recorded if it arrives, also after a failure of another
            pool.shutdown(cancel_futures=True)
            for put, size_bytes in self._under_way:
                if put.cancelled():
                    self._context.uploader.budget.give(size_bytes)

    def _walk(self, jobs: Iterator[ObjectJob], wanted: ObjectJob, pool: ThreadPoolExecutor) -> None:
        context, file = self._context, self._source.file
        told = context.told(self._job, "ship")
        file.seek(0)
        name = self._source.shown.rpartition("/")[2]
        with unpack.walk(file, name, context.settings.limits, clock=context.clock) as members:
            for opened_member in members:
                told(file.tell())
                ordinal = opened_member.member.ordinal
                if ordinal < wanted.planned.ordinal:
                    continue
                if ordinal > wanted.planned.ordinal:
                    break
                self._member(opened_member, wanted, pool)
                self._look_at_sent()
                following = next(jobs, None)
                if following is None:
                    return
                wanted = following
        raise self._source.changed()

    def _look_at_sent(self) -> None:
        """Raise what a PUT that has ended raised; keep few enough waiting."""
        most = self._context.settings.uploads * 2
        while self._under_way and (self._under_way[0][0].done() or len(self._under_way) > most):
            self._under_way.popleft()[0].result()

    def _member(self, opened_member: OpenMember, job: ObjectJob, pool: ThreadPoolExecutor) -> None:
        planned = job.planned
        if opened_member.member.path != planned.entry:
            raise self._source.changed()
        if planned.table is not None:
            self._record(
                write_table(self._context, self._job, job, opened_member, self._source.recheck)
            )
        elif planned.size_bytes <= self._context.settings.small_max_bytes:
            self._small(opened_member, job, pool)
        else:
            self._record(self._large(opened_member, job))

    def _small(self, opened_member: OpenMember, job: ObjectJob, pool: ThreadPoolExecutor) -> None:
        size_bytes = job.planned.size_bytes
        budget = self._context.uploader.budget
        budget.take(size_bytes, self._context.patience.check)
        try:
            body = self._body(opened_member, job)
            put = pool.submit(self._put, job, body)
        except BaseException:
            budget.give(size_bytes)
            raise
        self._under_way.append((put, size_bytes))

    def _body(self, opened_member: OpenMember, job: ObjectJob) -> bytes:
        body = b"".join(opened_member.blocks())
        if hashlib.sha256(body).hexdigest() != job.planned.sha256:
            raise self._source.changed()
        self._source.recheck()
        return body

    def _put(self, job: ObjectJob, body: bytes) -> None:
        try:
            context = self._context
            target = context.target(self._job, job)
            started_s = context.clock.monotonic_s()
            result = context.uploader.put(target, body)
            context.pace.answered(context.clock.monotonic_s() - started_s)
            self._record(result)
        finally:
            self._context.uploader.budget.give(job.planned.size_bytes)

    def _large(self, opened_member: OpenMember, job: ObjectJob) -> ObjectResult:
        digest = hashlib.sha256()

        def recheck() -> None:
            self._source.recheck()
            if digest.hexdigest() != job.planned.sha256:
                raise self._source.changed()

        sink = new_sink(self._context, self._job, job)
        try:
            for block in opened_member.blocks():
                self._context.patience.check()
                digest.update(block)
                sink.write(block)
            return sink.finish(recheck)
        except BaseException:
            sink.abandon()
            raise


def object_jobs(context: TaskContext, job: SourceJob) -> Iterator[ObjectJob]:
    """The objects that are to be written, by ordinal, a page at a time."""
    after = -1
    while page := context.recorder.next_objects(job.source_id, after, _TOGETHER):
        yield from page
        after = page[-1].planned.ordinal


def new_sink(
    context: TaskContext, source: SourceJob, job: ObjectJob, known: Digests | None = None
) -> ObjectSink:
    """Where the bytes of one object go."""
    return ObjectSink(
        context.uploader,
        context.target(source, job),
        bound_bytes=job.planned.bound_bytes,
        part_bytes_min=context.settings.part_bytes_min,
        known=known,
    )


def write_table(
    context: TaskContext,
    source: SourceJob,
    job: ObjectJob,
    stream: ByteStream,
    recheck: Callable[[], None],
) -> ObjectResult:
    """One table into one Parquet object.

    Raises:
        SourceChangedError: It is not what was planned.
    """
    if job.planned.plan is None:
        raise SourceChangedError(f"{job.planned.key} has no plan: it is planned again")
    plan = plan_from_json(json.dumps(job.planned.plan))
    sink = new_sink(context, source, job)
    try:
        written = write_parquet(plan, stream, sink, context.settings.convert)
        return sink.finish(recheck, rows=written.rows)
    except BaseException:
        sink.abandon()
        raise
