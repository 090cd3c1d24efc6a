"""Imports that lose their lease, their disk or their database (INV-5, INV-8)."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from import_doubles import FailingFiles, FailingSource, files_of, rows_of
from sqlalchemy import update

from stocktake.catalog import Catalog, ImportOptions, find_snapshot, import_snapshot, list_snapshots
from stocktake.catalog import _import as import_module
from stocktake.catalog import _publish as publish_module
from stocktake.catalog._import_ledger import ImportRun
from stocktake.catalog._sweep import sweep
from stocktake.clock import FixedClock
from stocktake.errors import (
    DiskFullError,
    ImportRunningError,
    ReportExpiredError,
    StateError,
    StateLockedError,
)
from stocktake.model import PartRef
from stocktake.state import imports
from stocktake.testing import MemorySource

DAY = datetime(2026, 1, 5, 1, tzinfo=UTC)


def day(number: int, *parts: list[str]) -> MemorySource:
    rows = [[{"key": key, "size_bytes": 1} for key in part] for part in parts]
    return MemorySource(rows, as_of=DAY + timedelta(days=number))


def take_over(catalog: Catalog) -> None:
    """What another process does when it goes on with this import."""
    with catalog.state.write() as connection:
        connection.execute(update(imports).values(fence=imports.c.fence + 1))


@pytest.fixture
def beats(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """The heart beats all the time; set once it has beaten twice."""
    twice = threading.Event()
    renew, count = import_module.renew_lease, iter(range(10**9))

    def counted(catalog: Catalog, run: ImportRun) -> None:
        try:
            renew(catalog, run)
        finally:
            if next(count) >= 1:
                twice.set()

    monkeypatch.setattr(import_module, "renew_lease", counted)
    monkeypatch.setattr(import_module, "LEASE", timedelta(milliseconds=30))
    return twice


def test_heart_beats_while_a_part_is_read(
    catalog: Catalog, clock: FixedClock, beats: threading.Event
) -> None:
    source = FailingSource(day(0, ["a"]), {})

    def wait(_part: PartRef) -> None:
        clock.advance(3600)
        assert beats.wait(20)
        with pytest.raises(ImportRunningError):
            import_snapshot(catalog, day(0, ["a"]))

    source.before_read = wait
    assert import_snapshot(catalog, source).state == "published"


def test_import_that_lost_its_lease_stops(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = threading.Event()
    remember = import_module.LostLease.set

    def noted(self: Any, error: Any) -> None:
        remember(self, error)
        lost.set()

    monkeypatch.setattr(import_module.LostLease, "set", noted)
    monkeypatch.setattr(import_module, "LEASE", timedelta(milliseconds=30))
    source = FailingSource(day(0, ["a"]), {})

    def loses(_part: PartRef) -> None:
        take_over(catalog)
        assert lost.wait(20)

    source.before_read = loses
    with pytest.raises(ImportRunningError, match="taken over"):
        import_snapshot(catalog, source)
    assert list_snapshots(catalog) == []


def test_busy_database_does_not_stop_the_import(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failed = threading.Event()

    def busy(_catalog: Catalog, _run: ImportRun) -> None:
        failed.set()
        raise StateLockedError("the database is locked")

    monkeypatch.setattr(import_module, "renew_lease", busy)
    monkeypatch.setattr(import_module, "LEASE", timedelta(milliseconds=30))
    source = FailingSource(day(0, ["a"]), {})
    source.before_read = lambda _: None if failed.wait(20) else pytest.fail("no beat")
    with caplog.at_level(logging.WARNING, "stocktake.catalog"):
        assert import_snapshot(catalog, source).state == "published"
    assert "was not renewed: the database is locked" in caplog.text


def test_holder_that_was_taken_over_before_publishing_removes_nothing(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other process' files lie in the same folder, and its snapshot may be published."""
    compared = publish_module.Publication.roll_up

    def late(self: publish_module.Publication) -> None:
        compared(self)
        take_over(catalog)
        with catalog.files.create(f"{self._run.folder}/objects/00000-aa-2.parquet") as sink:
            sink.write(b"the other's")

    monkeypatch.setattr(publish_module.Publication, "roll_up", late)
    with pytest.raises(ImportRunningError):
        import_snapshot(catalog, day(0, ["a"]))
    assert any(path.endswith("objects/00000-aa-2.parquet") for path in files_of(catalog))
    assert not any(path.endswith("snapshot.json") for path in files_of(catalog))


def test_files_of_a_later_holder_are_no_strays(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    rolled = publish_module.Publication.roll_up

    def with_strays(self: publish_module.Publication) -> None:
        rolled(self)
        for fence in (1, 2):
            path = f"{self._run.folder}/objects/00009-aa-{fence}.parquet"
            with catalog.files.create(path) as sink:
                sink.write(b"x")

    monkeypatch.setattr(publish_module.Publication, "roll_up", with_strays)
    import_snapshot(catalog, day(0, ["a"]))
    strays = [path for path in files_of(catalog) if "00009" in path]
    assert [path.rpartition("-")[2] for path in strays] == ["2.parquet"]


def test_failure_of_the_database_does_not_hide_the_failure_of_the_part(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise StateError("the database is gone")

    monkeypatch.setattr(import_module, "fail_import", broken)
    source = FailingSource(day(0, ["a"]), {0: [ReportExpiredError("the part is gone")]})
    with pytest.raises(ReportExpiredError, match="part is gone"):
        import_snapshot(catalog, source)


@pytest.mark.parametrize(
    ("end", "reads"),
    [
        ("-1.parquet", [0, 1]),
        ("-once-1.parquet", []),
        ("folders.parquet", []),
        ("unconfirmed.parquet", []),
        ("snapshot.json", []),
    ],
)
def test_full_disk_keeps_the_last_snapshot_and_the_finished_parts(
    catalog: Catalog, end: str, reads: list[int]
) -> None:
    columns = ("key", "last_modified")
    dated = [{"key": key, "last_modified": DAY} for key in "abc"]
    import_snapshot(catalog, MemorySource([dated], columns=columns, as_of=DAY))
    good = find_snapshot(catalog, "latest")
    before = rows_of(catalog, good)
    source = MemorySource([dated[:1], dated[:2]], columns=columns, as_of=DAY + timedelta(days=1))
    whole = catalog.files
    catalog.files = FailingFiles(whole, DiskFullError("no space left"), end)
    with pytest.raises(DiskFullError):
        import_snapshot(catalog, source)
    catalog.files = whole
    assert [snapshot.id for snapshot in list_snapshots(catalog)] == [good.id]
    assert rows_of(catalog, good) == before
    source.reads.clear()
    assert import_snapshot(catalog, source).state == "published"
    assert sorted(source.reads) == reads


def test_failed_import_that_was_swept_away_begins_anew(catalog: Catalog, clock: FixedClock) -> None:
    inner = day(0, ["a"], ["b"])
    failing = FailingSource(inner, {1: [ReportExpiredError("gone")]})
    with pytest.raises(ReportExpiredError):
        import_snapshot(catalog, failing, ImportOptions(workers=1))
    clock.advance(timedelta(days=6).total_seconds())
    assert sweep(catalog).orphans == ()
    clock.advance(timedelta(days=2).total_seconds())
    assert len(sweep(catalog).orphans) == 1
    inner.reads.clear()
    result = import_snapshot(catalog, inner)
    assert (result.resumed_parts, sorted(inner.reads)) == (0, [0, 1])
    assert [row["key"] for row in rows_of(catalog, find_snapshot(catalog, "latest"))] == ["a", "b"]


_CHILD = """
import hashlib, resource, signal, sys
from stocktake.catalog import import_snapshot, open_catalog
from stocktake.errors import StocktakeError
from stocktake.testing import MemorySource

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
catalog = open_catalog(sys.argv[1])
rows = [{"key": hashlib.sha256(b"%d" % n).hexdigest()} for n in range(30_000)]
resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))
try:
    import_snapshot(catalog, MemorySource([rows]))
except StocktakeError as error:
    print(error.code)
"""


def test_file_that_may_not_grow_is_an_error_of_ours_not_a_crash(catalog: Catalog) -> None:
    """A limit of the system instead of a full disk: the same place in the code."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _CHILD, catalog.location],
        capture_output=True,
        text=True,
        env={**os.environ},
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    assert (done.stdout.strip(), done.returncode) == ("catalog", 0)
    assert list_snapshots(catalog) == []
    assert [p.name for p in Path(catalog.location).rglob("*.part")] == []
