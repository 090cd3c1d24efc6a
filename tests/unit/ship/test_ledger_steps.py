"""What the ledger keeps of uploads, failures and large numbers. SHP-31, SHP-40, SHP-41."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ledger_desk import (
    SHA,
    claim_files,
    end,
    key_of,
    plan_archive,
    ready,
    result,
    ship_archive,
)
from stocktake.errors import KeyNotAllowedError, LedgerError
from stocktake.ship import (
    Identity,
    Outcome,
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


def test_multipart_steps_come_in_their_order(ledger: Ledger) -> None:
    ledger.add_sources([ready(b"x.zip", 1, SourceKind.ARCHIVE)])
    plan_archive(ledger, ["a", "b"])
    _, [one, _] = ship_archive(ledger)
    completing = UploadCompleting(one.object_id, ("p1", "p2"), 16, "AAAAAAAAAAE=", "cd" * 16)
    for wrong in (UploadOpened(one.object_id, "u", 8), completing, UploadDropped(one.object_id)):
        with pytest.raises(LedgerError, match="planned"):
            ledger.record(wrong)
    ledger.record(UploadIntended(one.object_id))
    ledger.record(UploadOpened(one.object_id, "u", 8))
    with pytest.raises(LedgerError, match="uploading"):
        ledger.complete([result(one.object_id, "e")])
    ledger.record(completing)
    [upload] = ledger.open_uploads()
    assert (upload.upload_id, upload.part_size_bytes, upload.etags) == ("u", 8, ("p1", "p2"))
    assert (upload.size_bytes, upload.crc64nvme, upload.md5) == (16, "AAAAAAAAAAE=", "cd" * 16)
    assert (upload.token, upload.planned) == (one.token, one.planned)
    assert not upload.orphaned
    ledger.complete([result(one.object_id, "e")])
    assert ledger.open_uploads() == []


def test_upload_left_open_by_a_task_is_never_lost(ledger: Ledger) -> None:
    """SHP-41: 100 % of open uploads are found; a new task begins a new one beside it."""
    ledger.add_sources([ready(b"x.zip", 1, SourceKind.ARCHIVE)])
    plan_archive(ledger, ["a"])
    job, [one] = ship_archive(ledger)
    ledger.record(UploadIntended(one.object_id))
    ledger.record(UploadOpened(one.object_id, "first", 8))
    ledger.settle_task(end(job, Outcome.OUTAGE))
    job, [two] = ship_archive(ledger)
    assert two.object_id != one.object_id
    ledger.record(UploadIntended(two.object_id))
    assert {(upload.upload_id, upload.orphaned) for upload in ledger.open_uploads()} == {
        ("first", True),
        (None, False),
    }
    [orphan] = ledger.open_uploads(orphaned_only=True)
    ledger.record(UploadDropped(orphan.object_id))
    assert len(ledger.open_uploads()) == 1


def test_task_that_ends_after_its_facts_were_recorded_changes_nothing(ledger: Ledger) -> None:
    """A worker may die between the last fact and its answer."""
    ledger.add_sources([ready(b"a"), ready(b"x.zip", 1, SourceKind.ARCHIVE)])
    [job] = claim_files(ledger)
    ledger.complete([result(job.object_id, "e")])
    assert ledger.settle_task(end(job.source, Outcome.TRANSIENT)) is SourceState.COMPLETED
    archive = plan_archive(ledger, ["a"])
    assert ledger.settle_task(end(archive, Outcome.TRANSIENT)) is SourceState.PLANNED


def test_states_are_not_left_out(ledger: Ledger) -> None:
    ledger.add_sources([ready(b"a"), ready(b"x.zip", 1, SourceKind.ARCHIVE)])
    [job] = claim_files(ledger)
    with pytest.raises(LedgerError):
        ledger.settle_task(TaskEnd(job.source.source_id, Outcome.DONE))
    with pytest.raises(LedgerError):
        ledger.end_source(job.source.source_id)
    archive = ledger.claim_plan()
    assert archive is not None
    with pytest.raises(LedgerError, match="2 objects"):
        ledger.end_plan(archive.source_id, PlanSummary(SHA, 2))
    ledger.settle_task(end(archive, Outcome.TRANSIENT))
    with pytest.raises(LedgerError):
        ledger.settle_task(end(archive, Outcome.TRANSIENT))


def test_status_shows_failures_with_their_reason(ledger: Ledger) -> None:
    ledger.add_sources([ready(b"a/1"), ready(b"a/2"), ready(b"b/3")])

    def refuse(path: bytes) -> str:
        raise KeyNotAllowedError(f"{path!r} is no key")

    jobs, ends = ledger.claim_files(
        files_max=9, bytes_max=9999, small_max_bytes=1000, key_of=refuse
    )
    assert jobs == []
    assert [one.outcome for one in ends] == [Outcome.FAILED] * 3
    rows = ledger.sources([SourceState.FAILED], path_like="a/")
    assert [row.path for row in rows] == [b"a/1", b"a/2"]
    assert rows[0].error is not None
    assert rows[0].error["code"] == "key-not-allowed"
    assert len(ledger.sources(limit=2)) == 2
    assert [row.path for row in ledger.retry([b"b/3", b"unknown"])] == [b"b/3"]
    figures = ledger.figures()
    assert figures.sources == {SourceState.FAILED: 2, SourceState.PENDING: 1}
    assert figures.oldest_pending == datetime(2026, 1, 1, tzinfo=UTC)


def test_limit_of_small_files_moves_those_that_wait(ledger: Ledger) -> None:
    ledger.add_sources([ready(b"a")])
    assert ledger.claim_plan() is None
    jobs, _ = ledger.claim_files(files_max=1, bytes_max=1, small_max_bytes=50, key_of=key_of)
    assert jobs == []
    job = ledger.claim_plan()
    assert job is not None
    assert job.kind is SourceKind.PLAIN


@pytest.mark.parametrize(
    "identity",
    [
        Identity(0, 0, 0, 0, 0),
        Identity(2**64 - 1, 2**63, 5 << 40, 15_000_000_000 * 10**9, 1),
        Identity(1, 2**64 - 1, 1, -2_000_000_000 * 10**9, 15_000_000_000 * 10**9),
        Identity(1, 1, 1, 15_000_000_000 * 10**9, -2_000_000_000 * 10**9),
    ],
)
def test_times_and_numbers_that_need_all_64_bits_come_back(
    identity: Identity, ledger: Ledger
) -> None:
    """Fault 20: `touch -d 2400-01-01`, or an inode above 2^63."""
    ledger.add_sources([ReadySource(b"a", identity, SourceKind.PLAIN)])
    assert [known for _, known, _ in ledger.identities()] == [identity]
