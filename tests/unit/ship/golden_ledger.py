"""Writes the golden ledger of a format version: a file in every state, an upload in each of its.

python tests/unit/ship/golden_ledger.py tests/fixtures/ledgers/v2.db.gz
"""

from __future__ import annotations

import gzip
import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from stocktake.clock import FixedClock
from stocktake.ship import (
    Identity,
    ObjectResult,
    Outcome,
    PlannedObject,
    PlanSummary,
    ReadySource,
    SourceKind,
    TaskEnd,
    UploadCompleting,
    UploadIntended,
    UploadOpened,
)
from stocktake.ship._ledger import Ledger

SHA = "ab" * 32
NOW = datetime(2026, 11, 21, tzinfo=UTC)


def source(path: bytes, kind: SourceKind = SourceKind.PLAIN) -> ReadySource:
    return ReadySource(path, Identity(1, len(path), 100, 10**18, 10**18 + 5), kind)


def proven(object_id: int, etag: str, rows: int | None = None) -> ObjectResult:
    return ObjectResult(
        object_id, 90, "AAAAAAAAAAE=", "cd" * 16, SHA, etag, "v1", 8, rows, "checksum"
    )


def write(place: Path) -> None:
    ledger = Ledger.open(place, clock=FixedClock(NOW))
    names = (b"done", b"caf\xe9", b"again", b"failed", b"gone", b"busy", b"waits")
    ledger.add_sources([source(name) for name in names])
    jobs, _ = ledger.claim_files(
        files_max=6,
        bytes_max=10**6,
        small_max_bytes=1000,
        key_of=lambda path: "in/" + path.decode("utf-8", "backslashreplace"),
    )
    ids = {job.source.path: job.object_id for job in jobs}
    ledger.complete([proven(ids[b"done"], "e1"), proven(ids[b"caf\xe9"], "cd" * 16)])
    later = NOW + timedelta(hours=1)
    error = {"code": "x", "message": "no"}
    ledger.settle_task(TaskEnd(ids[b"again"], Outcome.TRANSIENT, error), retry_at=later)
    ledger.settle_task(TaskEnd(ids[b"failed"], Outcome.FAILED, error))
    ledger.settle_task(TaskEnd(ids[b"gone"], Outcome.VANISHED, error))
    ledger.segment_written(1, "segment")
    for number in (1, 2):
        ledger.add_sources([source(b"x%d.zip" % number, SourceKind.ARCHIVE)])
        job = ledger.claim_plan()
        assert job is not None
        members = [
            PlannedObject(place, f"m{place}", f"in/x{number}/m{place}", None, 5, 5, SHA)
            for place in range(5)
        ]
        ledger.add_planned(job.source_id, members)
        ledger.end_plan(job.source_id, PlanSummary(SHA, 5, warnings=("odd",)))
    job = ledger.claim_ship()
    assert job is not None
    objects = [one.object_id for one in ledger.next_objects(job.source_id, -1, 9)]
    ledger.complete([proven(objects[0], "e2")])
    for object_id in objects[1:4]:
        ledger.record(UploadIntended(object_id))
    for object_id in objects[2:4]:
        ledger.record(UploadOpened(object_id, f"upload{object_id}", 8))
    ledger.record(UploadCompleting(objects[3], ("p1", "p2"), 16, "AAAAAAAAAAE=", "cd" * 16))
    ledger.close()


def main(target: Path) -> None:
    scratch = target.with_suffix(".scratch")
    scratch.mkdir()
    write(scratch / "ledger.db")
    target.write_bytes(gzip.compress((scratch / "ledger.db").read_bytes(), mtime=0))
    shutil.rmtree(scratch)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
