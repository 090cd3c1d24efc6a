"""Who runs an import, which parts are done: on SQLite and on PostgreSQL (INV-8, CAT-6)."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from stocktake.catalog import Catalog, ImportResult, import_snapshot, list_snapshots, open_catalog
from stocktake.catalog._format import ObjectFile, RowGroup
from stocktake.catalog._import_ledger import (
    LEASE,
    AlreadyPublished,
    ImportRun,
    PartRecord,
    begin_import,
    end_import,
    fail_import,
    fence_of,
    record_part,
    renew_lease,
    replace_part,
)
from stocktake.catalog._owners import host
from stocktake.clock import FixedClock
from stocktake.errors import CatalogCorruptError, ImportRunningError, StaleReportError
from stocktake.model import PartRef, PartTally, SourceHeader
from stocktake.state import import_parts, imports, snapshots
from stocktake.testing import MemorySource

DAY = datetime(2026, 1, 5, 1, tzinfo=UTC)
PART = PartRef(0, "data/0.csv.gz", 10, "aa")
FINGERPRINTS = {0: "aa:10", 1: "bb:10"}


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)])
def catalog(request: pytest.FixtureRequest, tmp_path: Path, clock: FixedClock) -> Iterator[Catalog]:
    if request.param == "sqlite":
        yield request.getfixturevalue("catalog")
        return
    url = request.getfixturevalue("postgres").new_database()
    with open_catalog(str(tmp_path / "pg"), create=True, state_url=url, clock=clock) as catalog:
        yield catalog


def header(**changes: Any) -> SourceHeader:
    return replace(MemorySource([], identity="one").header, **changes)


def begin(catalog: Catalog, *, force: bool = False, **changes: Any) -> ImportRun:
    run = begin_import(catalog, header(**changes), FINGERPRINTS, force=force)
    assert isinstance(run, ImportRun)
    return run


def record(catalog: Catalog, run: ImportRun, name: str = "") -> PartRecord:
    """A finished part whose file is there."""
    name = name or f"objects/00000-aa-{run.fence}.parquet"
    with catalog.files.create(f"{run.folder}/{name}") as sink:
        sink.write(b"rows")
    groups = (RowGroup("a", "z", 2),)
    return PartRecord(
        PartTally(rows=2), ObjectFile(name, 2, 4, "a", "z", groups), None, (0,), ("m",)
    )


def row_of(catalog: Catalog, run: ImportRun) -> Any:
    with catalog.state.read() as connection:
        return connection.execute(select(imports).where(imports.c.id == run.id)).one()


def change(catalog: Catalog, run: ImportRun, **values: Any) -> None:
    with catalog.state.write() as connection:
        connection.execute(update(imports).where(imports.c.id == run.id).values(**values))


def dead_pid() -> int:
    """The number of a process that has ended."""
    with subprocess.Popen(["true"]) as child:
        return child.pid


def test_second_import_of_a_source_is_told_who_runs_the_first(catalog: Catalog) -> None:
    begin(catalog)
    with pytest.raises(ImportRunningError) as caught:
        begin(catalog)
    assert f"process {os.getpid()} on {host()}" in caught.value.message
    assert caught.value.hint is not None


def test_of_two_that_begin_at_once_one_is_refused(catalog: Catalog) -> None:
    together = threading.Barrier(4)

    def attempt() -> str:
        together.wait(20)
        try:
            return begin(catalog).id
        except ImportRunningError:
            return "refused"

    with ThreadPoolExecutor(4) as pool:
        outcomes = [future.result() for future in [pool.submit(attempt) for _ in range(4)]]
    assert outcomes.count("refused") == 3


def test_imports_of_other_sources_run_side_by_side(catalog: Catalog) -> None:
    one, other = begin(catalog), begin(catalog, config_id="weekly")
    assert one.source_id != other.source_id
    renew_lease(catalog, one)
    renew_lease(catalog, other)


def test_dead_owner_on_this_machine_is_taken_over_at_once(catalog: Catalog) -> None:
    first = begin(catalog)
    change(catalog, first, owner_pid=dead_pid())
    second = begin(catalog)
    assert (second.id, second.snapshot_id) == (first.id, first.snapshot_id)
    assert (first.fence, second.fence) == (1, 2)


def test_owner_on_another_machine_keeps_its_lease_until_it_ends(
    catalog: Catalog, clock: FixedClock
) -> None:
    first = begin(catalog)
    change(catalog, first, owner_host="elsewhere", owner_pid=dead_pid())
    clock.advance(LEASE.total_seconds() - 1)
    with pytest.raises(ImportRunningError, match="on elsewhere"):
        begin(catalog)
    clock.advance(1)
    assert begin(catalog).fence == 2


def test_renewing_keeps_the_lease(catalog: Catalog, clock: FixedClock) -> None:
    first = begin(catalog)
    change(catalog, first, owner_host="elsewhere")
    for _ in range(3):
        clock.advance(LEASE.total_seconds() - 1)
        renew_lease(catalog, first)
    with pytest.raises(ImportRunningError):
        begin(catalog)


def test_fenced_holder_can_write_nothing_any_more(catalog: Catalog, clock: FixedClock) -> None:
    old = begin(catalog)
    mine = record(catalog, old)
    record_part(catalog, old, PART, "aa:10", mine)
    clock.advance(LEASE.total_seconds() + 1)
    new = begin(catalog)
    for write in (
        lambda: renew_lease(catalog, old),
        lambda: record_part(catalog, old, PART, "aa:10", mine),
        lambda: replace_part(catalog, old, 0, mine),
        lambda: _end(catalog, old),
    ):
        with pytest.raises(ImportRunningError, match="taken over"):
            write()
    fail_import(catalog, old, RuntimeError("late"))
    assert row_of(catalog, new).state == "running"
    assert new.finished == {0: mine}
    renew_lease(catalog, new)


def _end(catalog: Catalog, run: ImportRun) -> None:
    with catalog.state.write() as connection:
        end_import(connection, catalog, run, {})


def test_failed_import_goes_on_with_its_finished_parts(catalog: Catalog) -> None:
    first = begin(catalog)
    mine = record(catalog, first)
    record_part(catalog, first, PART, "aa:10", mine)
    empty = PartRecord(PartTally())
    record_part(catalog, first, replace(PART, index=1), "bb:10", empty)
    fail_import(catalog, first, CatalogCorruptError("broken"))
    assert row_of(catalog, first).error["code"] == CatalogCorruptError.code
    second = begin(catalog)
    assert second.finished == {0: mine, 1: empty}
    assert second.fence == 2
    row = row_of(catalog, second)
    assert (row.state, row.error, row.finished_at) == ("running", None, None)


def test_unforeseen_failure_is_kept_with_its_name(catalog: Catalog) -> None:
    run = begin(catalog)
    fail_import(catalog, run, ZeroDivisionError("x"))
    assert row_of(catalog, run).error == {"code": "internal", "message": "ZeroDivisionError: x"}


def test_part_whose_content_changed_is_read_again(catalog: Catalog) -> None:
    first = begin(catalog)
    record_part(catalog, first, PART, "other:10", record(catalog, first))
    fail_import(catalog, first, RuntimeError())
    assert begin(catalog).finished == {}


def test_part_whose_file_is_gone_is_read_again(catalog: Catalog) -> None:
    first = begin(catalog)
    mine = record(catalog, first)
    record_part(catalog, first, PART, "aa:10", mine)
    fail_import(catalog, first, RuntimeError())
    assert mine.file is not None
    catalog.files.remove(f"{first.folder}/{mine.file.name}")
    assert begin(catalog).finished == {}


def test_recorded_part_can_be_recorded_again_and_replaced(catalog: Catalog) -> None:
    run = begin(catalog)
    record_part(catalog, run, PART, "aa:10", record(catalog, run))
    record_part(catalog, run, PART, "aa:10", record(catalog, run))
    cleaned = replace(record(catalog, run, "objects/x-once-1.parquet"), repeats=())
    replace_part(catalog, run, 0, cleaned)
    fail_import(catalog, run, RuntimeError())
    assert begin(catalog).finished == {0: cleaned}


def test_other_report_abandons_what_failed_before(catalog: Catalog) -> None:
    first = begin(catalog)
    record_part(catalog, first, PART, "aa:10", record(catalog, first))
    fail_import(catalog, first, RuntimeError())
    second = begin(catalog, identity="two")
    assert second.id != first.id
    assert row_of(catalog, first).state == "abandoned"
    with catalog.state.read() as connection:
        assert connection.execute(select(import_parts)).all() == []


def test_report_from_the_future_is_refused_unless_forced(catalog: Catalog) -> None:
    future = catalog.clock.now() + timedelta(days=1, seconds=1)
    with pytest.raises(StaleReportError, match="in the future"):
        begin(catalog, as_of=future)
    begin(catalog, as_of=future, force=True)


def test_report_older_than_the_newest_snapshot_is_refused_unless_forced(catalog: Catalog) -> None:
    imported(catalog, DAY)
    with pytest.raises(StaleReportError, match="older than the newest snapshot"):
        begin(catalog, as_of=DAY - timedelta(seconds=1))
    begin(catalog, as_of=DAY - timedelta(seconds=1), force=True)


def test_other_report_of_the_same_instant_is_taken(catalog: Catalog) -> None:
    imported(catalog, DAY)
    assert begin(catalog, as_of=DAY).previous_id is not None


def test_same_delivery_again_is_no_change_and_reads_nothing(catalog: Catalog) -> None:
    first = imported(catalog, DAY)
    source = _source(DAY)
    again = import_snapshot(catalog, source)
    assert (again.state, again.snapshot_id) == ("no-change", first.snapshot_id)
    assert source.reads == []
    assert isinstance(begin_import(catalog, source.header, {}, force=False), AlreadyPublished)


def test_delivery_whose_deletion_was_killed_halfway_can_be_imported_again(
    catalog: Catalog,
) -> None:
    first = imported(catalog, DAY)
    with catalog.state.write() as connection:
        connection.execute(update(snapshots).values(state="deleting"))
    again = imported(catalog, DAY)
    assert again.state == "published"
    assert [snapshot.id for snapshot in list_snapshots(catalog)] == [again.snapshot_id]
    assert not any(first.snapshot_id in path for path in catalog.files.listing("snapshots"))


def test_published_import_leaves_no_checkpoint(catalog: Catalog) -> None:
    result = imported(catalog, DAY)
    with catalog.state.read() as connection:
        row = connection.execute(select(imports)).one()
        assert connection.execute(select(import_parts)).all() == []
    assert (row.state, row.lease_until, row.error) == ("published", None, None)
    assert row.receipt["snapshot_id"] == result.snapshot_id


def _source(day: datetime) -> MemorySource:
    return MemorySource([[{"key": "a", "size_bytes": 1}]], as_of=day)


def imported(catalog: Catalog, day: datetime) -> ImportResult:
    return import_snapshot(catalog, _source(day))


@pytest.mark.parametrize(
    ("name", "fence"),
    [
        ("objects/00000-aabbccdd-3.parquet", 3),
        ("objects/00000-part-12.parquet", 12),
        ("undecodable/00001-aabbccdd-1.parquet", 1),
        ("objects/00000-aabbccdd-1-once-2.parquet", 2),
        ("folders.parquet", 0),
        ("snapshot.json", 0),
    ],
)
def test_name_of_a_file_says_whose_it_is(name: str, fence: int) -> None:
    assert fence_of(name) == fence
