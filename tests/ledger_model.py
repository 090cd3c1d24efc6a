"""The ledger beside a dictionary: actions that both do, and what they must agree on."""

from __future__ import annotations

import random
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import event

from ledger_model_files import ENDS, GOALS, PATHS, RUNNING, SMALL, File, Open, S, key_of
from stocktake.clock import FixedClock
from stocktake.errors import LedgerError, SourceChangedError
from stocktake.ship import (
    Identity,
    ObjectJob,
    ObjectResult,
    ObjectState,
    Outcome,
    PlannedObject,
    PlanSummary,
    ReadySource,
    SourceKind,
    SourceState,
    TaskEnd,
    UploadCompleting,
    UploadDropped,
    UploadIntended,
    UploadOpened,
)
from stocktake.ship._ledger import Ledger


class World:
    """The ledger and what it should say."""

    def __init__(self, root: Path, seed: int) -> None:
        self.root = root
        self.chance = random.Random(seed)
        self.pick = self.chance.choice
        self.clock = FixedClock(datetime(2026, 1, 1, tzinfo=UTC))
        self.generation = 0
        self.place = root / "0" / "ledger.db"
        self.ledger = self.open()
        self.files: dict[bytes, File] = {}
        self.bucket: dict[str, str] = {}
        self.records: list[tuple[str, str]] = []
        self.segmented = 0
        self.tokens: dict[str, int] = {}
        self.open_uploads: dict[int, Open] = {}
        self.stamp = 0

    def open(self) -> Ledger:
        return Ledger.open(self.place, clock=self.clock, small_max_bytes=SMALL)

    # arrival

    def identity(self, path: bytes) -> Identity:
        self.stamp += 1
        size = 5000 if b"large" in path else 100 + self.stamp % 10
        ns = self.stamp * 10**9
        return Identity(7, self.stamp, size, ns, ns + 5)

    def content_arrives(self) -> None:
        path = self.pick(sorted(PATHS))
        identity = self.identity(path)
        self.ledger.add_sources([ReadySource(path, identity, PATHS[path])])
        known = self.files.get(path)
        if known is not None and known.state in RUNNING:
            known.successor = identity
        else:
            self.renew(path, identity)

    def renew(self, path: bytes, identity: Identity) -> None:
        self.files[path] = File(identity)
        keys = {one.key for one in self.open_uploads.values()}
        for upload in self.open_uploads.values():
            if upload.key in keys and self.owner(upload.key) == path:
                upload.current = False

    def owner(self, key: str) -> bytes:
        for path in PATHS:
            if key == key_of(path) or key.startswith(key_of(path) + "/"):
                return path
        raise AssertionError(key)

    def same_content_is_seen_again(self) -> None:
        path = self.pick(sorted(PATHS))
        known = self.files.get(path)
        if known is None:
            return
        identity = known.successor or known.identity
        self.ledger.add_sources([ReadySource(path, identity, PATHS[path])])
        waits = known.state is S.RETRY and known.due is None
        if known.state is S.VANISHED or waits:
            known.state = S.PENDING

    def it_is_removed(self) -> None:
        path = self.pick(sorted(PATHS))
        self.ledger.forget(path)
        known = self.files.get(path)
        if known is not None and known.state in (S.PENDING, S.PLANNED, S.RETRY):
            known.state, known.due = S.VANISHED, None

    # claims

    def wake(self) -> None:
        for known in self.files.values():
            if known.state is S.RETRY and known.due is not None and known.due <= self.clock.now():
                known.state, known.due = S.PENDING, None

    def took(self, token: str, object_id: int) -> None:
        assert self.tokens.setdefault(token, object_id) == object_id

    def small_files_are_claimed(self) -> None:
        jobs, ends = self.ledger.claim_files(
            files_max=2, bytes_max=10**9, small_max_bytes=SMALL, key_of=key_of
        )
        assert not ends
        self.wake()
        for job in jobs:
            known = self.files[job.source.path]
            assert known.state is S.PENDING
            assert job.source.identity == known.identity
            assert job.source.attempt == known.attempts + 1
            assert job.key == key_of(job.source.path)
            assert job.replaces_etag == self.bucket.get(job.key)
            self.took(job.token, job.object_id)
            known.state, known.source_id = S.SHIPPING, job.source.source_id

    def a_file_is_planned(self) -> None:
        entries = set(self.chance.sample(range(4), self.chance.randrange(4)))
        clean = self.pick([True, True, False])
        job = self.ledger.claim_plan()
        self.wake()
        if job is None:
            assert not any(
                known.state is S.PENDING and self.needs_plan(path)
                for path, known in self.files.items()
            )
            return
        known = self.files[job.path]
        assert known.state is S.PENDING
        assert job.identity == known.identity
        known.state, known.source_id = S.PLANNING, job.source_id
        known.plan = self.plan(job.path, sorted(entries))
        self.ledger.add_planned(job.source_id, known.plan)
        for upload in self.open_uploads.values():
            if self.owner(upload.key) == job.path:
                upload.current = False
        known.late |= known.done
        known.done = known.late & {one.key for one in known.plan}
        if not clean:
            return  # the task goes on
        self.ledger.end_plan(job.source_id, PlanSummary("ab" * 32, len(known.plan)))
        known.state = S.PLANNED
        if not known.plan:
            self.completed(job.path)

    def needs_plan(self, path: bytes) -> bool:
        return PATHS[path] is not SourceKind.PLAIN or b"large" in path

    def plan(self, path: bytes, entries: list[int]) -> list[PlannedObject]:
        sha256 = f"{self.files[path].identity.ino:064x}"
        if PATHS[path] is not SourceKind.ARCHIVE:
            table = "csv" if PATHS[path] is SourceKind.TABLE else None
            plan = {"columns": [{"name": "a", "type": "int64", "why": "all"}]} if table else None
            return [PlannedObject(0, None, key_of(path), table, 9, 20, sha256, plan)]
        return [
            PlannedObject(place, f"m{entry}", f"{key_of(path)}/m{entry}", None, 5, 5, sha256)
            for place, entry in enumerate(entries)
        ]

    def a_file_is_shipped(self) -> None:
        job = self.ledger.claim_ship()
        if job is None:
            assert not any(known.state is S.PLANNED for known in self.files.values())
            return
        known = self.files[job.path]
        assert known.state is S.PLANNED
        assert job.sha256 == "ab" * 32
        known.state = S.SHIPPING
        for upload in self.open_uploads.values():
            if self.owner(upload.key) == job.path:
                upload.current = False

    # one object

    def left(self, path: bytes) -> list[ObjectJob]:
        known = self.files[path]
        assert known.source_id is not None
        jobs = self.ledger.next_objects(known.source_id, -1, 100)
        keys = [one.key for one in known.plan if one.key not in known.done]
        assert [job.planned.key for job in jobs] == keys
        for job in jobs:
            if not any(one.key == job.planned.key for one in self.open_uploads.values()):
                assert job.replaces_etag == self.bucket.get(job.planned.key)
            self.took(job.token, job.object_id)
        return jobs

    def shipping(self, *, planned: bool) -> list[bytes]:
        return [
            path
            for path, known in sorted(self.files.items())
            if known.state is S.SHIPPING and self.needs_plan(path) is planned
        ]

    def result(self, object_id: int, path: bytes) -> ObjectResult:
        self.stamp += 1
        md5 = f"{self.stamp:032x}"
        sha256 = f"{self.files[path].identity.ino:064x}"
        return ObjectResult(
            object_id, 5, "AAAAAAAAAAE=", md5, sha256, md5, None, None, None, "checksum"
        )

    def put(self, key: str, etag: str) -> None:
        self.bucket[key] = etag
        self.records.append((key, etag))

    def a_small_file_is_completed(self) -> None:
        if not self.shipping(planned=False):
            return
        path = self.pick(self.shipping(planned=False))
        known = self.files[path]
        assert known.source_id is not None
        result = self.result(known.source_id, path)
        self.ledger.complete([result])
        self.put(key_of(path), result.etag or "")
        successor = known.successor
        if successor is None:
            self.ledger.complete([result])  # an answer was lost: nothing changes
        else:
            with pytest.raises(SourceChangedError):
                self.ledger.complete([result])
        self.completed(path)

    def completed(self, path: bytes) -> None:
        known = self.files[path]
        known.state = S.COMPLETED
        if known.successor is not None:
            self.renew(path, known.successor)

    def an_object_goes_on(self) -> None:
        if not self.shipping(planned=True):
            return
        goal = self.pick((*GOALS, ObjectState.COMPLETING, ObjectState.COMPLETING))
        path = self.pick(self.shipping(planned=True))
        jobs = self.left(path)
        known = self.files[path]
        assert known.source_id is not None
        if not jobs:
            self.ledger.end_source(known.source_id)
            self.completed(path)
            return
        with pytest.raises(LedgerError):
            self.ledger.end_source(known.source_id)
        job = self.pick(jobs)
        if goal is ObjectState.PLANNED:
            if self.open_uploads.pop(job.object_id, None):
                self.ledger.record(UploadDropped(job.object_id))
            else:  # one PUT
                self.finish_object(path, job.object_id, job.planned.key)
            return
        for state in GOALS[: GOALS.index(goal)]:
            self.step(path, job, state)

    def step(self, path: bytes, job: ObjectJob, state: ObjectState) -> None:
        """From this state to the next, if it is in this state."""
        upload = self.open_uploads.get(job.object_id)
        if (upload.state if upload else ObjectState.PLANNED) is not state:
            return
        event(f"{state} goes on")
        if upload is None:
            self.ledger.record(UploadIntended(job.object_id))
            self.open_uploads[job.object_id] = Open(
                job.planned.key,
                ObjectState.INTENT,
                job.token,
                self.bucket.get(job.planned.key),
                self.files[path].identity,
            )
        elif state is ObjectState.INTENT:
            with pytest.raises(LedgerError):
                self.ledger.record(UploadIntended(job.object_id))
            self.ledger.record(UploadOpened(job.object_id, f"up{job.object_id}", 8))
            upload.state = ObjectState.UPLOADING
        elif state is ObjectState.UPLOADING:
            with pytest.raises(LedgerError):
                self.ledger.complete([self.result(job.object_id, path)])
            self.ledger.record(UploadCompleting(job.object_id, ("e1", "e2"), 16, None, "cd" * 16))
            upload.state = ObjectState.COMPLETING
        else:
            self.finish_object(path, job.object_id, job.planned.key)

    def finish_object(self, path: bytes, object_id: int, key: str) -> None:
        result = self.result(object_id, path)
        self.ledger.complete([result])
        self.put(key, result.etag or "")
        self.open_uploads.pop(object_id, None)
        known = self.files[path]
        known.done.add(key)
        if len(known.plan) == 1 and known.state is S.SHIPPING:
            self.completed(path)

    def an_orphan_is_settled(self) -> None:
        through = self.pick((False, True, True))
        orphans = [one.object_id for one in self.ledger.open_uploads(orphaned_only=True)]
        if not orphans:
            return
        object_id = self.pick(orphans)
        upload = self.open_uploads[object_id]
        path = self.owner(upload.key)
        could = upload.over == self.bucket.get(upload.key)  # its condition still holds
        if through and could and upload.state is ObjectState.COMPLETING:
            if upload.current:
                self.finish_object(path, object_id, upload.key)
            else:
                event("an orphan came through")
                if self.files[path].identity == upload.identity:
                    self.files[path].late.add(upload.key)
                result = self.result(object_id, path)
                self.ledger.complete([result])
                self.put(upload.key, result.etag or "")
                del self.open_uploads[object_id]
        else:
            self.ledger.record(UploadDropped(object_id))
            del self.open_uploads[object_id]

    # ends

    def running(self) -> list[bytes]:
        return [path for path, known in sorted(self.files.items()) if known.state in RUNNING]

    def a_task_ends(self) -> None:
        if not self.running():
            return
        outcome = self.pick([*ENDS, Outcome.STOPPED, Outcome.STOPPED, Outcome.TRANSIENT])
        later = self.pick((False, True))
        path = self.pick(self.running())
        known = self.files[path]
        assert known.source_id is not None
        retry_at = self.clock.now() + timedelta(seconds=30) if later else None
        end = TaskEnd(known.source_id, outcome, {"code": "x"})
        state = self.ledger.settle_task(end, retry_at=retry_at)
        was_shipping = known.state is S.SHIPPING and self.needs_plan(path)
        known.due = None
        if outcome in (Outcome.OUTAGE, Outcome.STOPPED):
            known.state = S.PLANNED if was_shipping else S.PENDING
        elif outcome in (Outcome.TRANSIENT, Outcome.INCOMPLETE):
            known.state, known.due = S.RETRY, retry_at or self.clock.now()
            known.attempts += outcome is Outcome.TRANSIENT
        elif outcome is Outcome.CHANGED:
            known.state, known.due = S.RETRY, retry_at
        else:
            known.state = S.VANISHED if outcome is Outcome.VANISHED else S.FAILED
        if known.successor is not None:
            self.renew(path, known.successor)
        assert state is self.files[path].state

    def failed_files_are_tried_again(self) -> None:
        retried = {row.path for row in self.ledger.retry(None)}
        failed = {path for path, known in self.files.items() if known.state is S.FAILED}
        assert retried == failed
        for path in failed:
            self.files[path].state, self.files[path].attempts = S.PENDING, 0

    def time_passes(self) -> None:
        self.clock.advance(self.pick([1, 40]))

    def a_segment_is_written(self) -> None:
        number = self.ledger.last_segment_number()
        assert number == self.segmented
        some = self.ledger.uploads_after(number, 3)
        if some:
            self.ledger.segment_written(some[-1][0], "name")
            self.segmented = some[-1][0]

    def the_process_ends(self) -> None:
        kill = self.pick((False, True))
        if kill:
            self.generation += 1
            there = self.root / str(self.generation)
            there.mkdir()
            for name in ("ledger.db", "ledger.db-wal"):
                if (self.place.parent / name).exists():
                    shutil.copy(self.place.parent / name, there / name)
            self.ledger.close()
            self.place = there / "ledger.db"
        else:
            self.ledger.close()
        self.ledger = self.open()
        assert self.ledger.release_all() == len(self.running())
        for path, known in list(self.files.items()):
            if known.state in RUNNING:
                shipped = known.state is S.SHIPPING and self.needs_plan(path)
                known.state = S.PLANNED if shipped else S.PENDING
                if known.successor is not None:
                    self.renew(path, known.successor)
            elif known.state is S.RETRY and known.due is None:
                known.state = S.PENDING

    # what always holds

    def check(self) -> None:
        self.states_are_the_same()
        self.open_uploads_are_the_same()
        self.uploads_are_numbered_without_gaps()
        self.tokens_are_known()
        self.completed_means_all_is_there()

    def states_are_the_same(self) -> None:
        counts: dict[SourceState, int] = {}
        for known in self.files.values():
            counts[known.state] = counts.get(known.state, 0) + 1
        assert self.ledger.counts() == counts
        rows = {row.path: row for row in self.ledger.sources(limit=100)}
        assert set(rows) == set(self.files)
        for path, known in self.files.items():
            assert rows[path].state is known.state, path
            assert rows[path].attempts == known.attempts
        told = {path: (identity, state) for path, identity, state in self.ledger.identities()}
        for path, known in self.files.items():
            if known.successor is not None:
                assert told[path] == (known.successor, S.PENDING)
            elif known.state is S.RETRY and known.due is None:
                assert path not in told
            else:
                assert told[path] == (known.identity, known.state)

    def open_uploads_are_the_same(self) -> None:
        told = {one.object_id: one for one in self.ledger.open_uploads()}
        assert set(told) == set(self.open_uploads)
        for object_id, upload in self.open_uploads.items():
            assert told[object_id].token == upload.token
            assert told[object_id].state is upload.state
            assert told[object_id].planned.key == upload.key

    def uploads_are_numbered_without_gaps(self) -> None:
        told = self.ledger.uploads_after(self.segmented, 1000)
        assert [(record.s3_key, record.etag) for _, record in told] == (
            self.records[self.segmented :]
        )
        assert [number for number, _ in told] == list(
            range(self.segmented + 1, len(self.records) + 1)
        )

    def tokens_are_known(self) -> None:
        for token in list(self.tokens)[-5:]:
            assert self.ledger.knows_token(token)

    def completed_means_all_is_there(self) -> None:
        for known in self.files.values():
            if known.state is S.COMPLETED:
                assert all(one.key in self.bucket for one in known.plan)


ACTIONS = (
    *(World.content_arrives, World.same_content_is_seen_again, World.it_is_removed),
    *(World.small_files_are_claimed, World.a_small_file_is_completed) * 2,
    *(World.a_file_is_planned, World.a_file_is_shipped) * 3,
    *(World.an_object_goes_on,) * 8,
    *(World.an_orphan_is_settled,) * 3,
    *(World.a_task_ends, World.a_task_ends, World.failed_files_are_tried_again),
    *(World.time_passes, World.a_segment_is_written, World.the_process_ends),
)
