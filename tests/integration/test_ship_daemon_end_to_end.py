"""The daemon with real worker processes, a real folder and a strict S3: SHP-3, 4, 40, 41, 50."""

from __future__ import annotations

import io
import json
import os
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from shipyard import BUCKET, Shipyard
from stocktake.clock import SystemClock
from stocktake.errors import BucketNotFoundError, ShipRunningError, WatchedFolderError
from stocktake.ship import (
    EventKind,
    Ledger,
    ShipEvent,
    SourceState,
    ledger_path,
)
from stocktake.testing import FakeS3


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Shipyard]:
    with FakeS3() as fake:
        fake.create_bucket(BUCKET)
        yield Shipyard(tmp_path, fake)


def archive(members: dict[str, str]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as writing:
        for name, text in members.items():
            writing.writestr(name, text)
    return packed.getvalue()


def test_every_kind_of_file_arrives_as_what_it_becomes(yard: Shipyard) -> None:
    yard.put("notes/a.txt", "hello")
    yard.put("t.csv", "id,code\n1,007\n2,042\n")
    yard.put("x.zip", archive({"m/b.txt": "bb", "m/u.csv": "a\n1\n"}))
    yard.put("big.bin", os.urandom(6 << 20))
    summary = yard.once()
    assert summary.is_complete
    assert summary.figures.files_done == 4
    assert sorted(yard.keys_there()) == [
        "big.bin",
        "notes/a.txt",
        "t.parquet",
        "x/m/b.txt",
        "x/m/u.parquet",
    ]
    table = pq.read_table(io.BytesIO(yard.read("t.parquet")))
    assert table.to_pylist() == [{"id": 1, "code": "007"}, {"id": 2, "code": "042"}]
    assert yard.read("big.bin") == (yard.folder / "big.bin").read_bytes()


@pytest.mark.slow
def test_life_of_a_file_is_told_in_order(yard: Shipyard) -> None:
    """SHP-51."""
    yard.put("a.txt", "hello")
    yard.put("t.csv", "a\n1\n")
    yard.once()
    plain = [EventKind.DETECTED, EventKind.SETTLED, EventKind.STARTED, EventKind.UPLOADED]
    assert yard.watcher.kinds_of(b"a.txt") == plain
    assert EventKind.PROGRESS in yard.watcher.kinds_of(b"t.csv")
    told = [kind for kind in yard.watcher.kinds_of(b"t.csv") if kind is not EventKind.PROGRESS]
    assert told == [
        EventKind.DETECTED,
        EventKind.SETTLED,
        EventKind.STARTED,
        EventKind.PLANNED,
        EventKind.STARTED,
        EventKind.UPLOADED,
    ]


def test_unmodified_files_are_skipped_after_a_restart_and_modified_ones_replaced(
    yard: Shipyard,
) -> None:
    """SHP-4."""
    yard.put("a.txt", "one")
    yard.put("b.txt", "two")
    yard.once()
    yard.put("b.txt", "three")
    summary = yard.once()
    assert summary.figures.files_done == 1
    assert yard.watcher.kinds_of(b"a.txt") == []
    assert (yard.read("a.txt"), yard.read("b.txt")) == (b"one", b"three")


def test_failing_files_move_out_of_the_way_and_stop_nobody(yard: Shipyard) -> None:
    """SHP-50: with the reason beside them; put back and mended, they are shipped."""
    yard.put("bad.csv", "a,b\n1,2\n1,2,3\n")
    yard.put("page.zip", "<html>not found</html>")
    for number in range(20):
        yard.put(f"n{number}.txt", str(number))
    summary = yard.once()
    assert not summary.is_complete
    assert (summary.figures.files_done, summary.figures.files_failed) == (20, 2)
    failed = yard.settings.error_folder
    assert sorted(path.name for path in failed.iterdir()) == [
        "bad.csv",
        "bad.csv.error.json",
        "page.zip",
        "page.zip.error.json",
    ]
    assert json.loads((failed / "bad.csv.error.json").read_text())["error"]["code"] == "bad-row"
    yard.put("bad.csv", "a,b\n1,2\n")
    assert yard.once().figures.files_done == 1
    assert "bad.parquet" in yard.keys_there()


@pytest.mark.slow
def test_failed_file_that_a_killed_process_did_not_move_is_moved_at_the_next_start(
    yard: Shipyard,
) -> None:
    """SHP-50: into the ledger first, then out of the way."""
    yard.put("bad.csv", "a,b\n1,2\n1,2,3\n")
    error_folder = yard.settings.error_folder
    yard.once(error_folder=Path("/proc/1/nowhere"))
    assert (yard.folder / "bad.csv").exists()
    yard.once()
    assert (error_folder / "bad.csv").exists()
    assert not (yard.folder / "bad.csv").exists()


@pytest.mark.slow
def test_file_that_ends_too_early_is_tried_again_then_corrupt(yard: Shipyard) -> None:
    """SHP-2, fault 35: as long as it may still be on its way it is no failure."""
    whole = archive({"a.txt": "x" * 1000})
    path = yard.put("x.zip", whole[:-30])

    def complete_it(event: ShipEvent) -> None:
        if event.kind is EventKind.POSTPONED and path.stat().st_size < len(whole):
            path.write_bytes(whole)

    yard.watcher.on = complete_it
    assert yard.once(incomplete_grace_s=30.0).is_complete
    assert "x/a.txt" in yard.keys_there()
    yard.watcher.on = lambda _event: None
    yard.put("y.zip", whole[:-30])
    assert yard.once().figures.files_failed == 1


@pytest.mark.slow
def test_file_that_collides_fails_and_names_the_other(yard: Shipyard) -> None:
    """Faults 25, 26: two files, one key."""
    yard.put("a.parquet", "first")
    yard.once()
    yard.put("a.csv", "x\n1\n")
    summary = yard.once()
    ((path, reason),) = summary.figures.failures
    assert path == b"a.csv"
    assert "a.parquet" in reason


@pytest.mark.slow
def test_name_that_cannot_be_a_key_fails_and_the_rest_goes_on(yard: Shipyard) -> None:
    """Fault 17."""
    deep = "/".join(["d" * 200] * 5) + "/" + "n" * 100
    yard.put(deep, "x")
    yard.put("a.txt", "x")
    summary = yard.once()
    assert (summary.figures.files_done, summary.figures.files_failed) == (1, 1)


@pytest.mark.slow
def test_name_that_is_no_text_goes_through_the_line(yard: Shipyard) -> None:
    """Fault 14."""
    (yard.folder / os.fsdecode(b"caf\xe9.txt")).write_bytes(b"x")
    assert yard.once().is_complete
    assert yard.keys_there() == ["caf%E9.txt"]


def test_second_daemon_of_a_folder_is_refused(yard: Shipyard) -> None:
    """SHP-40."""
    yard.settings.state_folder.mkdir()
    ledger = Ledger.open(ledger_path(yard.settings), clock=SystemClock())
    try:
        with pytest.raises(ShipRunningError):
            yard.once()
    finally:
        ledger.close()


def test_damaged_ledger_is_set_aside_and_made_anew_from_the_bucket(yard: Shipyard) -> None:
    """SHP-41, fault 61: nothing is uploaded a second time."""
    for number in range(30):
        yard.put(f"n{number}.txt", str(number))
    yard.once()
    ledger_path(yard.settings).write_bytes(b"this is no database" * 1000)
    summary = yard.once()
    assert summary.is_complete
    assert summary.figures.files_done == 0
    assert summary.states == {SourceState.COMPLETED: 30}
    assert yard.watcher.count(EventKind.REBUILT) == 2
    assert list(yard.settings.state_folder.glob("ledger.db.damaged-*"))
    assert not list(yard.settings.state_folder.glob("ledger.empty"))


@pytest.mark.slow
def test_rebuild_that_was_cut_short_is_gone_on_with(yard: Shipyard) -> None:
    yard.put("a.txt", "x")
    yard.once()
    path = ledger_path(yard.settings)
    for name in path.parent.glob("ledger.db*"):
        name.unlink()
    Ledger.open(path, clock=SystemClock()).close()
    (path.parent / "ledger.empty").touch()
    summary = yard.once()
    assert summary.figures.files_done == 0
    assert summary.states == {SourceState.COMPLETED: 1}


def test_once_without_the_bucket_says_so(yard: Shipyard) -> None:
    yard.put("a.txt", "x")
    with pytest.raises(BucketNotFoundError):
        yard.once(bucket="nowhere")


@pytest.mark.slow
def test_bucket_that_is_made_later_is_waited_for_and_said_once(yard: Shipyard) -> None:
    """SHP-32: `run` goes on as soon as it can; the log does not fill meanwhile."""
    yard.put("a.txt", "x")
    daemon = yard.daemon(bucket="later", retry_cap_s=0.1)

    def act(event: ShipEvent) -> None:
        if event.kind is EventKind.OUTAGE:
            threading.Timer(1.0, yard.fake.create_bucket, ["later"]).start()
        elif event.kind is EventKind.UPLOADED:
            daemon.stop()

    yard.watcher.on = act
    threading.Timer(30, daemon.stop).start()
    assert daemon.run().figures.files_done == 1
    assert yard.watcher.count(EventKind.OUTAGE) == 1


def test_once_without_the_folder_says_so(yard: Shipyard) -> None:
    yard.folder.rmdir()
    with pytest.raises(WatchedFolderError):
        yard.once()


def test_refused_bucket_fails_no_file_and_is_gone_on_with_when_it_takes_them(
    yard: Shipyard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SHP-32: 403 for everything pauses; 100,000 files are not moved away."""
    monkeypatch.setattr("stocktake.ship._breaker.PAUSE_S", 0.3)
    yard.once()  # what the store can do is known
    for number in range(20):
        yard.put(f"n{number}.txt", str(number))
    yard.fake.behaviour.denied.add(("PutObject", BUCKET))

    def let_in(event: ShipEvent) -> None:
        if event.kind is EventKind.PAUSED:
            threading.Timer(0.5, yard.fake.behaviour.denied.clear).start()

    yard.watcher.on = let_in
    summary = yard.once()
    assert summary.is_complete
    assert summary.figures.files_done == 20
    assert yard.watcher.count(EventKind.PAUSED) == 1
    assert yard.watcher.count(EventKind.BACK) == 1


def test_folder_that_is_replaced_while_it_runs_loses_nothing(yard: Shipyard) -> None:
    """SHP-3, fault 7: what is not there is not deleted; what comes back is not shipped twice."""
    yard.put("a.txt", "x")
    daemon = yard.daemon()
    aside = yard.folder.with_name("aside")

    def act(event: ShipEvent) -> None:
        if event.kind is EventKind.UPLOADED and event.path == b"a.txt":
            yard.folder.rename(aside)
        elif event.kind is EventKind.FOLDER and event.details["state"] == "away":
            aside.rename(yard.folder)
        elif event.kind is EventKind.FOLDER:
            yard.put("b.txt", "y")
        elif event.kind is EventKind.UPLOADED:
            daemon.stop()

    yard.watcher.on = act
    threading.Timer(30, daemon.stop).start()
    summary = daemon.run()
    assert summary.figures.files_done == 2
    assert summary.states == {SourceState.COMPLETED: 2}


@pytest.mark.slow
def test_manifest_holds_every_upload_when_once_has_ended(yard: Shipyard) -> None:
    for number in range(5):
        yard.put(f"n{number}.txt", str(number))
    yard.once()
    ledger = Ledger.open(ledger_path(yard.settings), clock=SystemClock(), read_only=True)
    try:
        assert ledger.figures().unwritten_records == 0
        assert ledger.last_segment_number() == 5
    finally:
        ledger.close()
