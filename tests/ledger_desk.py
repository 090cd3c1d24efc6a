"""Sources, plans and ends for tests of the ledger."""

from __future__ import annotations

from stocktake.ship import (
    FileJob,
    Identity,
    ObjectJob,
    ObjectResult,
    Outcome,
    PlannedObject,
    PlanSummary,
    ReadySource,
    SourceJob,
    SourceKind,
    TaskEnd,
)
from stocktake.ship._ledger import Ledger

SHA = "ab" * 32


def ready(path: bytes, stamp: int = 1, kind: SourceKind = SourceKind.PLAIN) -> ReadySource:
    return ReadySource(path, Identity(9, stamp, 100, stamp * 10**9, stamp * 10**9 + 7), kind)


def key_of(path: bytes) -> str:
    return "in/" + path.decode()


def claim_files(ledger: Ledger, files_max: int = 100, bytes_max: int = 10**9) -> list[FileJob]:
    jobs, ends = ledger.claim_files(
        files_max=files_max, bytes_max=bytes_max, small_max_bytes=8 << 20, key_of=key_of
    )
    assert not ends
    return jobs


def result(object_id: int, etag: str, md5: str | None = None) -> ObjectResult:
    return ObjectResult(
        object_id, 100, "AAAAAAAAAAE=", md5, SHA, etag, None, None, None, "checksum"
    )


def planned(ordinal: int, entry: str, key: str, sha256: str = SHA) -> PlannedObject:
    return PlannedObject(ordinal, entry, key, None, 5, 5, sha256)


def plan_archive(
    ledger: Ledger, names: list[str], *, path: str = "x.zip", sha256: str = SHA
) -> SourceJob:
    job = ledger.claim_plan()
    assert job is not None
    members = [
        planned(place, name, f"in/{path}/{name}", sha256) for place, name in enumerate(names)
    ]
    ledger.add_planned(job.source_id, members)
    ledger.end_plan(job.source_id, PlanSummary(SHA, len(names)))
    return job


def ship_archive(ledger: Ledger) -> tuple[SourceJob, list[ObjectJob]]:
    job = ledger.claim_ship()
    assert job is not None
    return job, ledger.next_objects(job.source_id, -1, 100)


def end(job: SourceJob, outcome: Outcome) -> TaskEnd:
    return TaskEnd(job.source_id, outcome, {"code": "x", "message": "no"})
