"""Sources and objects in the ledger: order, attempts, newer content, resuming. SHP-4, SHP-40."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ledger_desk import (
    SHA,
    claim_files,
    end,
    plan_archive,
    planned,
    ready,
    result,
    ship_archive,
)
from stocktake.clock import FixedClock
from stocktake.errors import SourceChangedError
from stocktake.ship import (
    ObjectResult,
    Outcome,
    PlannedObject,
    PlanSummary,
    SourceKind,
    SourceState,
    UploadIntended,
)
from stocktake.ship._ledger import Ledger


def test_files_are_claimed_in_order_of_their_arrival_until_there_are_enough(
    ledger: Ledger,
) -> None:
    ledger.add_sources([ready(b"c"), ready(b"a"), ready(b"b")])
    assert [job.source.path for job in claim_files(ledger, files_max=2)] == [b"c", b"a"]
    assert [job.source.path for job in claim_files(ledger)] == [b"b"]
    assert claim_files(ledger) == []


def test_files_are_claimed_until_there_are_enough_bytes_but_at_least_one(ledger: Ledger) -> None:
    ledger.add_sources([ready(b"a"), ready(b"b"), ready(b"c")])
    assert len(claim_files(ledger, bytes_max=50)) == 1
    assert len(claim_files(ledger, bytes_max=200)) == 2


def test_completed_file_is_not_claimed_again_and_says_what_a_manifest_needs(
    ledger: Ledger,
) -> None:
    """MAN-2: the ledger holds what a manifest needs."""
    ledger.add_sources([ready(b"d/a.bin")])
    [job] = claim_files(ledger)
    assert (job.key, job.replaces_etag, job.source.sha256) == ("in/d/a.bin", None, None)
    ledger.complete([result(job.object_id, "cd" * 16, "cd" * 16)])
    assert ledger.counts() == {SourceState.COMPLETED: 1}
    [(number, record)] = ledger.uploads_after(0, 10)
    assert number == 1
    assert record.s3_key == "in/d/a.bin"
    assert record.md5 == record.etag == "cd" * 16
    assert record.sha256 == record.source_sha256 == SHA
    assert record.crc64nvme == "AAAAAAAAAAE="
    assert record.token == job.token
    assert record.source_mtime_ns == 10**9
    assert record.uploaded_at == datetime(2026, 1, 1, tzinfo=UTC)
    ledger.segment_written(1, "segment")
    assert ledger.uploads_after(0, 10) == []
    assert ledger.last_segment_number() == 1


def test_adopted_object_whose_bytes_nobody_read_has_no_md5(ledger: Ledger) -> None:
    ledger.add_sources([ready(b"a")])
    [job] = claim_files(ledger)
    adopted = ObjectResult(job.object_id, 7, None, None, SHA, "12-3", "v1", 8, None, "adopted")
    ledger.complete([adopted])
    [(_, record)] = ledger.uploads_after(0, 10)
    assert (record.md5, record.crc64nvme, record.etag) == (None, None, "12-3")
    assert (record.size_bytes, record.version_id, record.part_size_bytes) == (7, "v1", 8)
    assert record.verified_by == "adopted"


def test_name_that_is_no_utf8_is_in_the_manifest_with_its_bytes(ledger: Ledger) -> None:
    """Fault 14."""
    ledger.add_sources([ready(b"caf\xe9.bin")])
    jobs, _ = ledger.claim_files(
        files_max=1, bytes_max=1, small_max_bytes=1000, key_of=lambda path: "in/caf%E9.bin"
    )
    ledger.complete([result(jobs[0].object_id, "e")])
    [(_, record)] = ledger.uploads_after(0, 10)
    assert record.s3_key == "in/caf%E9.bin"
    assert record.source == "caf%E9.bin"
    assert record.source_raw == b"caf\xe9.bin".hex()


def test_file_changed_after_its_upload_is_shipped_over_our_own_object(ledger: Ledger) -> None:
    """SHP-4, fault 2."""
    ledger.add_sources([ready(b"a")])
    [first] = claim_files(ledger)
    ledger.complete([result(first.object_id, "e1")])
    ledger.add_sources([ready(b"a", 1)])
    assert ledger.counts() == {SourceState.COMPLETED: 1}
    ledger.add_sources([ready(b"a", 2)])
    [second] = claim_files(ledger)
    assert second.replaces_etag == "e1"
    assert second.object_id != first.object_id
    ledger.complete([result(second.object_id, "e2")])
    assert [record.etag for _, record in ledger.uploads_after(0, 10)] == ["e1", "e2"]
    assert ledger.knows_token(first.token)


def test_file_changed_while_it_is_shipped_waits_for_the_end_of_the_task(ledger: Ledger) -> None:
    """Fault 3: what the task says is of the old content."""
    ledger.add_sources([ready(b"a")])
    [first] = claim_files(ledger)
    ledger.add_sources([ready(b"a", 2)])
    assert claim_files(ledger) == []
    assert list(ledger.identities()) == [(b"a", ready(b"a", 2).identity, SourceState.PENDING)]
    ledger.complete([result(first.object_id, "e1")])
    [second] = claim_files(ledger)
    assert second.source.identity == ready(b"a", 2).identity
    assert second.replaces_etag == "e1"
    with pytest.raises(SourceChangedError):
        ledger.complete([result(first.object_id, "e9")])
    with pytest.raises(SourceChangedError):
        ledger.record(UploadIntended(first.object_id))


def test_failure_of_old_content_does_not_fail_the_new(ledger: Ledger) -> None:
    ledger.add_sources([ready(b"a")])
    [job] = claim_files(ledger)
    ledger.add_sources([ready(b"a", 2)])
    assert ledger.settle_task(end(job.source, Outcome.FAILED)) is SourceState.PENDING
    [again] = claim_files(ledger)
    assert again.source.attempt == 1


def test_member_that_is_no_longer_in_the_archive_is_superseded_and_others_replaced(
    ledger: Ledger,
) -> None:
    ledger.add_sources([ready(b"x.zip", 1, SourceKind.ARCHIVE)])
    plan_archive(ledger, ["a", "b"])
    job, objects = ship_archive(ledger)
    ledger.complete([result(one.object_id, f"1{one.planned.entry}") for one in objects])
    ledger.end_source(job.source_id)
    ledger.add_sources([ready(b"x.zip", 2, SourceKind.ARCHIVE)])
    plan_archive(ledger, ["b", "c"], sha256="cd" * 32)
    job, objects = ship_archive(ledger)
    assert [(one.planned.entry, one.replaces_etag) for one in objects] == [("b", "1b"), ("c", None)]
    ledger.complete([result(one.object_id, f"2{one.planned.entry}") for one in objects])
    ledger.end_source(job.source_id)
    assert ledger.counts() == {SourceState.COMPLETED: 1}
    # its key is free, and what comes there replaces it
    ledger.add_sources([ready(b"y.zip", 1, SourceKind.ARCHIVE)])
    plan_archive(ledger, ["a"])
    _, objects = ship_archive(ledger)
    assert [one.replaces_etag for one in objects] == ["1a"]


def test_archive_goes_on_at_the_member_where_it_was_killed(tmp_path: Path) -> None:
    """SHP-41, faults 46 and 47: entry-level resume, by the ledger alone."""
    clock = FixedClock(datetime(2026, 1, 1, tzinfo=UTC))
    ledger = Ledger.open(tmp_path / "ledger.db", clock=clock)
    ledger.add_sources([ready(b"x.zip", 1, SourceKind.ARCHIVE)])
    plan_archive(ledger, [f"m{number}" for number in range(10)])
    _, objects = ship_archive(ledger)
    ledger.complete([result(one.object_id, "e") for one in objects[:7]])
    ledger.close()
    ledger = Ledger.open(tmp_path / "ledger.db", clock=clock)
    assert ledger.release_all() == 1
    _, left = ship_archive(ledger)
    assert [one.planned.entry for one in left] == ["m7", "m8", "m9"]
    assert [one.token for one in left] == [one.token for one in objects[7:]]
    ledger.close()


def test_plan_that_was_killed_is_made_anew_without_leftovers(ledger: Ledger) -> None:
    ledger.add_sources([ready(b"x.zip", 1, SourceKind.ARCHIVE)])
    job = ledger.claim_plan()
    assert job is not None
    ledger.add_planned(job.source_id, [planned(n, f"m{n}", f"in/x.zip/m{n}") for n in range(50)])
    assert ledger.release_all() == 1
    plan_archive(ledger, ["m3", "m4"])
    _, objects = ship_archive(ledger)
    assert [one.planned.entry for one in objects] == ["m3", "m4"]


def test_archive_tried_again_keeps_what_it_has_uploaded(ledger: Ledger) -> None:
    ledger.add_sources([ready(b"x.zip", 1, SourceKind.ARCHIVE)])
    plan_archive(ledger, ["a", "b", "c"])
    job, objects = ship_archive(ledger)
    ledger.complete([result(objects[1].object_id, "e")])
    assert ledger.settle_task(end(job, Outcome.FAILED)) is SourceState.FAILED
    [row] = ledger.retry([b"x.zip"])
    assert row.state is SourceState.PENDING
    plan_archive(ledger, ["a", "b", "c"])
    job, objects = ship_archive(ledger)
    assert [one.planned.entry for one in objects] == ["a", "c"]
    ledger.complete([result(one.object_id, "e") for one in objects])
    ledger.end_source(job.source_id)
    assert ledger.counts() == {SourceState.COMPLETED: 1}


def test_archive_without_members_is_completed_with_its_plan(ledger: Ledger) -> None:
    """Fault 43."""
    ledger.add_sources([ready(b"x.zip", 1, SourceKind.ARCHIVE)])
    plan_archive(ledger, [])
    assert ledger.counts() == {SourceState.COMPLETED: 1}


def test_table_is_completed_with_its_only_object_and_keeps_its_columns(ledger: Ledger) -> None:
    ledger.add_sources([ready(b"t.csv", 1, SourceKind.TABLE)])
    job = ledger.claim_plan()
    assert job is not None
    columns = [{"name": "a", "type": "int64", "why": "all"}]
    plan = {"columns": columns, "details": {"delimiter": ","}}
    table = PlannedObject(0, None, "in/t.parquet", "csv", 100, 5000, SHA, plan)
    ledger.add_planned(job.source_id, [table])
    ledger.end_plan(job.source_id, PlanSummary(SHA, 1, warnings=("odd",)))
    job, [one] = ship_archive(ledger)
    assert one.planned == table
    ledger.complete(
        [ObjectResult(one.object_id, 44, None, "ef" * 16, SHA, "x-1", None, 8, 3, "checksum")]
    )
    assert ledger.counts() == {SourceState.COMPLETED: 1}
    ledger.end_source(job.source_id)  # is no mistake
    [(_, record)] = ledger.uploads_after(0, 9)
    assert (record.sha256, record.source_sha256, record.rows) == (None, SHA, 3)
    assert record.columns == tuple(columns)
    assert (record.size_bytes, record.source_size_bytes) == (44, 100)
    [row] = ledger.sources([SourceState.COMPLETED])
    assert row.warnings == ("odd",)


def test_only_failures_that_may_pass_count_as_attempts(ledger: Ledger, clock: FixedClock) -> None:
    """SHP-32: an outage burns no attempt."""
    ledger.add_sources([ready(b"a")])
    for outcome in (Outcome.OUTAGE, Outcome.STOPPED, Outcome.OUTAGE):
        [job] = claim_files(ledger)
        assert ledger.settle_task(end(job.source, outcome)) is SourceState.PENDING
    [job] = claim_files(ledger)
    assert job.source.attempt == 1
    later = clock.now() + timedelta(seconds=30)
    state = ledger.settle_task(end(job.source, Outcome.TRANSIENT), retry_at=later)
    assert state is SourceState.RETRY
    assert not ledger.has_due()
    assert ledger.next_due_s() == 30
    assert claim_files(ledger) == []
    clock.advance(30)
    assert ledger.has_due()
    assert ledger.next_due_s() == 0
    [job] = claim_files(ledger)
    assert job.source.attempt == 2
    ledger.complete([result(job.object_id, "e")])
    assert ledger.next_due_s() is None


def test_outage_while_an_archive_is_shipped_needs_no_new_plan(ledger: Ledger) -> None:
    ledger.add_sources([ready(b"x.zip", 1, SourceKind.ARCHIVE)])
    plan_archive(ledger, ["a"])
    job, _ = ship_archive(ledger)
    assert ledger.settle_task(end(job, Outcome.OUTAGE)) is SourceState.PLANNED
    assert ledger.claim_plan() is None
    assert ledger.claim_ship() is not None


def test_file_that_ends_too_early_remembers_since_when(ledger: Ledger, clock: FixedClock) -> None:
    """Fault 35: incomplete, and corrupt after the grace."""
    ledger.add_sources([ready(b"x.zip", 1, SourceKind.ARCHIVE)])
    first = clock.now()
    for _ in range(3):
        job = ledger.claim_plan()
        assert job is not None
        assert job.attempt == 1
        ledger.settle_task(end(job, Outcome.INCOMPLETE), retry_at=clock.now())
        assert ledger.incomplete_since(job.source_id) == first
        clock.advance(10)
    ledger.add_sources([ready(b"x.zip", 2, SourceKind.ARCHIVE)])
    job = ledger.claim_plan()
    assert job is not None
    assert ledger.incomplete_since(job.source_id) is None


def test_changed_file_waits_until_it_is_reported_at_rest(ledger: Ledger) -> None:
    ledger.add_sources([ready(b"a")])
    [job] = claim_files(ledger)
    ledger.settle_task(end(job.source, Outcome.CHANGED))
    assert not ledger.has_due()
    assert list(ledger.identities()) == []
    ledger.add_sources([ready(b"a")])
    assert len(claim_files(ledger)) == 1


def test_changed_file_of_a_dead_daemon_is_looked_at_again(ledger: Ledger) -> None:
    ledger.add_sources([ready(b"a")])
    [job] = claim_files(ledger)
    ledger.settle_task(end(job.source, Outcome.CHANGED))
    ledger.release_all()
    assert len(claim_files(ledger)) == 1


def test_file_that_is_gone_comes_back_as_a_new_one(ledger: Ledger) -> None:
    """Fault 6."""
    ledger.add_sources([ready(b"a"), ready(b"b")])
    ledger.forget(b"a")
    [job] = claim_files(ledger)
    assert job.source.path == b"b"
    assert ledger.settle_task(end(job.source, Outcome.VANISHED)) is SourceState.VANISHED
    assert ledger.counts() == {SourceState.VANISHED: 2}
    ledger.add_sources([ready(b"a"), ready(b"b", 2)])
    assert len(claim_files(ledger)) == 2


def test_completed_file_is_not_forgotten_when_it_is_removed(ledger: Ledger) -> None:
    """Fault 7: never conclude "all deleted"."""
    ledger.add_sources([ready(b"a")])
    [job] = claim_files(ledger)
    ledger.complete([result(job.object_id, "e")])
    ledger.forget(b"a")
    assert ledger.counts() == {SourceState.COMPLETED: 1}


def test_known_content_taken_for_new_by_force_is_shipped_again(ledger: Ledger) -> None:
    """Fault 21: same size and times, other bytes."""
    ledger.add_sources([ready(b"a")])
    [job] = claim_files(ledger)
    ledger.complete([result(job.object_id, "e")])
    ledger.add_sources([ready(b"a")], force=True)
    [job] = claim_files(ledger)
    assert job.replaces_etag == "e"
