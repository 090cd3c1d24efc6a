"""A ledger in memory and a folder to ship: what the worker side is tested with."""

from __future__ import annotations

import itertools
import os
import secrets
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stocktake.clock import Clock, FixedClock
from stocktake.errors import KeyCollisionError, StocktakeError
from stocktake.ship._folder import identity_of
from stocktake.ship._keys import plain_key
from stocktake.ship._kinds import kind_of
from stocktake.ship._ledger import Ledger
from stocktake.ship._ledger_rows import OpenUpload
from stocktake.ship._records import (
    FileJob,
    ObjectJob,
    ObjectResult,
    ObjectState,
    Outcome,
    PlannedObject,
    PlanSummary,
    ReadySource,
    SourceJob,
    TaskEnd,
    UploadCompleting,
    UploadDropped,
    UploadIntended,
    UploadOpened,
    UploadStep,
)
from stocktake.ship._settings import ShipSettings
from stocktake.ship._tasks import Tasks
from stocktake.store import S3_UPLOADS, ListQuery, Store, UploadProfile

BUCKET = "landing"
PREFIX = "in/"
NOW = datetime(2026, 11, 20, tzinfo=UTC)


@dataclass
class Row:
    """One object of the ledger."""

    object_id: int
    source: SourceJob
    token: str
    planned: PlannedObject
    state: ObjectState = ObjectState.PLANNED
    replaces_etag: str | None = None
    upload_id: str | None = None
    completing: UploadCompleting | None = None
    part_size_bytes: int | None = None
    recorded: datetime = NOW
    result: ObjectResult | None = None


class MemoryLedger:
    """The `Recorder` of tests: it keeps everything, and refuses steps out of order."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or FixedClock(NOW)
        self.lock = threading.RLock()
        self.rows: dict[int, Row] = {}
        self.sources: dict[int, SourceJob] = {}
        self.summaries: dict[int, PlanSummary] = {}
        self.ended: list[int] = []
        self.steps: list[UploadStep] = []
        self.commits = 0
        self.numbers = itertools.count(1)
        self.known: set[str] = set()

    def add_source(self, job: SourceJob) -> None:
        self.sources[job.source_id] = job

    def add_row(self, job: SourceJob, planned: PlannedObject, **more: Any) -> Row:
        with self.lock:
            row = Row(next(self.numbers), job, secrets.token_hex(16), planned, **more)
            self.rows[row.object_id] = row
            self.known.add(row.token)
            return row

    def add_planned(self, source_id: int, objects: Sequence[PlannedObject]) -> None:
        with self.lock:
            for planned in objects:
                taken = {row.planned.key for row in self.rows.values()}
                if planned.key in taken:
                    raise KeyCollisionError(f"{planned.key} is there twice", key=planned.key)
                self.add_row(self.sources[source_id], planned)

    def end_plan(self, source_id: int, summary: PlanSummary) -> None:
        self.summaries[source_id] = summary
        self.sources[source_id] = replace(self.sources[source_id], sha256=summary.sha256)

    def next_objects(self, source_id: int, after_ordinal: int, limit: int) -> list[ObjectJob]:
        with self.lock:
            found = [
                ObjectJob(row.object_id, row.token, row.planned, row.replaces_etag)
                for row in self.rows.values()
                if row.source.source_id == source_id
                and row.state is not ObjectState.COMPLETED
                and row.planned.ordinal > after_ordinal
            ]
        return sorted(found, key=lambda job: job.planned.ordinal)[:limit]

    def record(self, step: UploadStep) -> None:
        with self.lock:
            self.steps.append(step)
            row = self.rows[step.object_id]
            row.recorded = self.clock.now()
            if isinstance(step, UploadIntended):
                assert row.state is ObjectState.PLANNED, row.state
                row.state = ObjectState.INTENT
            elif isinstance(step, UploadOpened):
                assert row.state is ObjectState.INTENT, row.state
                row.state, row.upload_id = ObjectState.UPLOADING, step.upload_id
                row.part_size_bytes = step.part_size_bytes
            elif isinstance(step, UploadCompleting):
                assert row.state is ObjectState.UPLOADING, row.state
                row.state, row.completing = ObjectState.COMPLETING, step
            elif isinstance(step, UploadDropped):
                assert row.state is not ObjectState.COMPLETED
                row.state, row.upload_id, row.completing = ObjectState.PLANNED, None, None

    def complete(self, results: Sequence[ObjectResult]) -> None:
        with self.lock:
            self.commits += 1
            for result in results:
                row = self.rows[result.object_id]
                assert row.state is not ObjectState.COMPLETED, "completed twice"
                row.state, row.result = ObjectState.COMPLETED, result

    def end_source(self, source_id: int) -> None:
        assert self.next_objects(source_id, -1, 1) == []
        self.ended.append(source_id)

    def knows_token(self, token: str) -> bool:
        return token in self.known

    def open_uploads(self) -> list[OpenUpload]:
        states = {ObjectState.INTENT, ObjectState.UPLOADING, ObjectState.COMPLETING}
        return [self._open(row) for row in self.rows.values() if row.state in states]

    def _open(self, row: Row) -> OpenUpload:
        step = row.completing
        return OpenUpload(
            object_id=row.object_id,
            source_id=row.source.source_id,
            path=row.source.path,
            source_sha256=row.source.sha256,
            token=row.token,
            state=row.state,
            planned=row.planned,
            upload_id=row.upload_id,
            part_size_bytes=row.part_size_bytes,
            etags=step.etags if step else (),
            size_bytes=step.size_bytes if step else None,
            crc64nvme=step.crc64nvme if step else None,
            md5=step.md5 if step else None,
            recorded=row.recorded,
            replaces_etag=row.replaces_etag,
            orphaned=True,
        )

    @property
    def results(self) -> dict[str, ObjectResult]:
        """By key, of what is completed."""
        return {row.planned.key: row.result for row in self.rows.values() if row.result}


class Listener:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def progress(self, source_id: int, phase: str, bytes_done: int, bytes_total: int) -> None:
        self.told.append(("progress", source_id, phase, bytes_done, bytes_total))

    def outage(self, error: StocktakeError) -> None:
        self.told.append(("outage", error.code))

    def recovered(self) -> None:
        self.told.append(("recovered",))


@dataclass
class Desk:
    """A folder, a ledger, and tasks that ship from one into a store."""

    folder: Path
    store: Store
    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    listener: Listener = field(default_factory=Listener)
    profile: UploadProfile = S3_UPLOADS
    clock: Clock = field(default_factory=lambda: FixedClock(NOW))
    changes: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self._tasks: Tasks | None = None
        self.source_ids = itertools.count(1)

    @property
    def settings(self) -> ShipSettings:
        values = {"folder": self.folder, "bucket": BUCKET, "prefix": PREFIX}
        return ShipSettings(**(values | self.changes))

    @property
    def tasks(self) -> Tasks:
        if self._tasks is None:
            self._tasks = Tasks(
                self.settings,
                self.store,
                self.ledger,
                ship_id="ship-1",
                knows_token=self.ledger.knows_token,
                profile=self.profile,
                clock=self.clock,
                listener=self.listener,
            )
        return self._tasks

    def again(self, store: Store | None = None) -> Desk:
        """A new worker over the same ledger."""
        self.store = store or self.store
        self._tasks = None
        return self

    def job(self, name: str | bytes, body: bytes | None = None) -> SourceJob:
        """A source job of a file, written now if there is a body."""
        path = os.fsencode(name)
        full = self.folder / os.fsdecode(path)
        if body is not None:
            full.parent.mkdir(parents=True, exist_ok=True)
            full.write_bytes(body)
        identity = identity_of(full.stat())
        kind = kind_of(self.settings, path, identity.size_bytes)
        job = SourceJob(next(self.source_ids), path, identity, kind, 0)
        self.ledger.add_source(job)
        return job

    def file_job(self, name: str | bytes, body: bytes | None = None, **more: Any) -> FileJob:
        source = self.job(name, body)
        key = plain_key(self.settings, source.path)
        planned = PlannedObject(0, None, key, None, 0, 0, "0" * 64)
        row = self.ledger.add_row(source, planned, **more)
        return FileJob(source, row.object_id, row.token, key, row.replaces_etag)

    def put(self, jobs: Iterable[FileJob]) -> dict[int, TaskEnd]:
        return {end.source_id: end for end in self.tasks.put_files(list(jobs))}

    def plan(self, job: SourceJob) -> TaskEnd:
        return self.tasks.plan(job)

    def ship(self, job: SourceJob) -> TaskEnd:
        return self.tasks.ship(self.ledger.sources[job.source_id])

    def plan_and_ship(self, job: SourceJob) -> TaskEnd:
        end = self.plan(job)
        return self.ship(job) if end.error is None else end

    def read(self, key: str) -> bytes:
        with self.store.get(BUCKET, PREFIX + key) as body:
            return body.read()


def open_uploads(store: Store) -> list[Any]:
    """All uploads that the bucket has open."""
    uploads: list[Any] = store.describe("ListMultipartUploads", BUCKET).get("Uploads", [])
    return uploads


def at(monkeypatch: Any, point: str, action: Callable[[], None], turn: int = 1) -> None:
    """Do something when a fault point is reached for the n-th time."""
    from stocktake import faults

    before, turns = faults.reached, itertools.count(1)

    def reached(name: str) -> None:
        before(name)
        if name == point and next(turns) == turn:
            action()

    monkeypatch.setattr(faults, "reached", reached)


class LedgerDesk(Desk):
    """The same over a real ledger, driven as the daemon drives it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.path = self.folder.parent / "state" / "ledger.db"
        small_max = self.settings.small_max_bytes
        self.ledger: Any = Ledger.open(self.path, clock=self.clock, small_max_bytes=small_max)

    def arrive(self, *names: str) -> None:
        ready = []
        for name in names:
            path = os.fsencode(name)
            identity = identity_of((self.folder / name).stat())
            kind = kind_of(self.settings, path, identity.size_bytes)
            ready.append(ReadySource(path, identity, kind))
        self.ledger.add_sources(ready)

    def run(self) -> list[TaskEnd]:
        """Everything that can be done now; the ends, in order."""
        ends: list[TaskEnd] = []
        settings = self.settings
        for _ in range(1000):
            jobs, refused = self.ledger.claim_files(
                files_max=100,
                bytes_max=64 << 20,
                small_max_bytes=settings.small_max_bytes,
                key_of=lambda path: plain_key(settings, path),
            )
            ends += refused
            done = list(self.tasks.put_files(jobs))
            job = self.ledger.claim_plan()
            if job is not None:
                done.append(self.tasks.plan(job))
            shipping = self.ledger.claim_ship()
            if shipping is not None:
                done.append(self.tasks.ship(shipping))
            for end in done:
                if end.outcome is not Outcome.DONE:
                    self.ledger.settle_task(end)
            ends += done
            if any(end.outcome is Outcome.STOPPED for end in done):
                return ends
            if not jobs and job is None and shipping is None:
                return ends
        raise AssertionError("it does not end")

    def keys(self) -> list[str]:
        page = self.store.list_page(ListQuery(BUCKET, PREFIX))
        return [entry.key.removeprefix(PREFIX) for entry in page.objects]

    def states(self) -> dict[str, str]:
        return {os.fsdecode(row.path): str(row.state) for row in self.ledger.sources()}

    def close(self) -> None:
        self.tasks.close()
        self.ledger.close()
