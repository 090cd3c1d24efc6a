"""Who has a key: two files never become one object. Faults 25 to 27."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stocktake.clock import FixedClock
from stocktake.errors import KeyCollisionError
from stocktake.ship import (
    FileJob,
    Identity,
    ObjectResult,
    Outcome,
    PlannedObject,
    PlanSummary,
    ReadySource,
    SourceKind,
    SourceState,
    TaskEnd,
)
from stocktake.ship import _ledger_rows as rows
from stocktake.ship._ledger import Ledger

SHA = "ab" * 32


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    clock = FixedClock(datetime(2026, 1, 1, tzinfo=UTC))
    with_file = Ledger.open(tmp_path / "ledger.db", clock=clock)
    yield with_file
    with_file.close()


def arrive(ledger: Ledger, path: bytes, kind: SourceKind, stamp: int = 1) -> None:
    ledger.add_sources([ReadySource(path, Identity(9, stamp, 100, stamp, stamp), kind)])


def claim(ledger: Ledger, prefix: str = "in/") -> tuple[list[FileJob], list[TaskEnd]]:
    return ledger.claim_files(
        files_max=9,
        bytes_max=9999,
        small_max_bytes=1000,
        key_of=lambda path: prefix + path.decode(),
    )


def plan(ledger: Ledger, *keys: str) -> int:
    job = ledger.claim_plan()
    assert job is not None
    objects = [
        PlannedObject(place, f"m{place}" if len(keys) > 1 else None, key, "csv", 5, 9, SHA)
        for place, key in enumerate(keys)
    ]
    try:
        ledger.add_planned(job.source_id, objects)
    except KeyCollisionError as error:
        ledger.settle_task(TaskEnd(job.source_id, Outcome.FAILED, error.to_dict()))
        raise
    ledger.end_plan(job.source_id, PlanSummary(SHA, len(keys)))
    return job.source_id


def complete(ledger: Ledger, object_id: int, etag: str) -> None:
    ledger.complete(
        [ObjectResult(object_id, 9, None, None, SHA, etag, None, None, None, "checksum")]
    )


def test_fault_25_second_table_of_a_name_fails_and_names_the_first(ledger: Ledger) -> None:
    arrive(ledger, b"a.csv", SourceKind.TABLE)
    arrive(ledger, b"a.json", SourceKind.TABLE)
    plan(ledger, "in/a.parquet")
    with pytest.raises(KeyCollisionError, match=r"a\.json.*a\.csv"):
        plan(ledger, "in/a.parquet")
    assert ledger.counts() == {SourceState.PLANNED: 1, SourceState.FAILED: 1}


def test_fault_26_table_beside_a_parquet_file_of_its_name_fails(ledger: Ledger) -> None:
    arrive(ledger, b"a.parquet", SourceKind.PLAIN)
    [job], _ = claim(ledger)
    complete(ledger, job.object_id, "e")
    arrive(ledger, b"a.csv", SourceKind.TABLE)
    with pytest.raises(KeyCollisionError, match=r"of `a\.parquet`"):
        plan(ledger, "in/a.parquet")


def test_fault_26_parquet_file_beside_a_planned_table_of_its_name_fails(ledger: Ledger) -> None:
    arrive(ledger, b"a.csv", SourceKind.TABLE)
    plan(ledger, "in/a.parquet")
    arrive(ledger, b"a.parquet", SourceKind.PLAIN)
    jobs, [end] = claim(ledger)
    assert jobs == []
    assert end.error is not None
    assert end.error["code"] == "key-collision"
    assert end.error["attrs"]["other"] == "a.csv"


def test_fault_27_archives_and_a_folder_of_one_name_share_only_other_keys(
    ledger: Ledger,
) -> None:
    arrive(ledger, b"x.zip", SourceKind.ARCHIVE)
    arrive(ledger, b"x.tar.gz", SourceKind.ARCHIVE)
    arrive(ledger, b"x/b", SourceKind.PLAIN)
    plan(ledger, "in/x/a", "in/x/b")
    with pytest.raises(KeyCollisionError):
        plan(ledger, "in/x/b", "in/x/c")
    _, [end] = claim(ledger)
    assert end.outcome is Outcome.FAILED


def test_same_key_twice_in_one_archive_fails(ledger: Ledger) -> None:
    """Fault 31."""
    arrive(ledger, b"x.zip", SourceKind.ARCHIVE)
    with pytest.raises(KeyCollisionError, match="two members"):
        plan(ledger, "in/x/a", "in/x/a")


def test_refused_batch_leaves_nothing_behind(ledger: Ledger) -> None:
    arrive(ledger, b"x.zip", SourceKind.ARCHIVE)
    arrive(ledger, b"y.zip", SourceKind.ARCHIVE)
    with pytest.raises(KeyCollisionError):
        plan(ledger, "in/1", "in/2", "in/1")
    plan(ledger, "in/1", "in/2")


def test_failed_file_frees_what_it_did_not_upload(ledger: Ledger) -> None:
    arrive(ledger, b"a.csv", SourceKind.TABLE)
    source_id = plan(ledger, "in/a.parquet")
    assert ledger.claim_ship() is not None
    ledger.settle_task(TaskEnd(source_id, Outcome.FAILED))
    arrive(ledger, b"a.json", SourceKind.TABLE)
    plan(ledger, "in/a.parquet")
    ledger.retry([b"a.csv"])
    with pytest.raises(KeyCollisionError):
        plan(ledger, "in/a.parquet")


def test_keys_below_another_prefix_are_told_apart(ledger: Ledger) -> None:
    """The prefix was changed between two runs."""
    arrive(ledger, b"a", SourceKind.PLAIN)
    [job], _ = claim(ledger, "old/")
    complete(ledger, job.object_id, "e1")
    arrive(ledger, b"a", SourceKind.PLAIN, 2)
    arrive(ledger, b"b", SourceKind.PLAIN)
    jobs, _ = claim(ledger, "new/")
    assert [(job.key, job.replaces_etag) for job in jobs] == [("new/a", None), ("new/b", None)]
    for job in jobs:
        complete(ledger, job.object_id, "e2")
    keys = [record.s3_key for _, record in ledger.uploads_after(0, 9)]
    assert keys == ["old/a", "new/a", "new/b"]
    # the old key is nobody's any more
    arrive(ledger, b"c.csv", SourceKind.TABLE)
    plan(ledger, "old/a")
    shipped = ledger.claim_ship()
    assert shipped is not None
    assert ledger.next_objects(shipped.source_id, -1, 9)[0].replaces_etag == "e1"


def test_equal_hashes_of_different_keys_and_paths_do_no_harm(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The indexes keep 48 bits of a hash; equality decides."""
    monkeypatch.setattr(rows, "hash64", lambda value: 7)
    for name in (b"a", b"b", b"c"):
        arrive(ledger, name, SourceKind.PLAIN)
    arrive(ledger, b"x.zip", SourceKind.ARCHIVE)
    jobs, ends = claim(ledger)
    assert [job.key for job in jobs] == ["in/a", "in/b", "in/c"]
    assert ends == []
    for job in jobs:
        complete(ledger, job.object_id, job.key)
    plan(ledger, "in/x/a", "in/x/b")
    arrive(ledger, b"b", SourceKind.PLAIN, 2)
    [job], _ = claim(ledger)
    assert job.replaces_etag == "in/b"
    arrive(ledger, b"y.zip", SourceKind.ARCHIVE)
    with pytest.raises(KeyCollisionError, match=r"of `a`"):
        plan(ledger, "in/y/a", "in/a")


def test_member_names_with_lone_surrogates_are_kept(ledger: Ledger) -> None:
    arrive(ledger, b"x.zip", SourceKind.ARCHIVE)
    job = ledger.claim_plan()
    assert job is not None
    entry = "caf\udce9"
    ledger.add_planned(job.source_id, [PlannedObject(0, entry, "in/x/caf%E9", None, 1, 1, SHA)])
    ledger.end_plan(job.source_id, PlanSummary(SHA, 1))
    assert ledger.claim_ship() is not None
    [one] = ledger.next_objects(job.source_id, -1, 9)
    assert one.planned.entry == entry
    complete(ledger, one.object_id, "e")
    assert ledger.uploads_after(0, 9)[0][1].entry == entry
