"""The watched folder goes away and comes back (SHP-3): nothing is taken for deleted."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from unittest.mock import MagicMock

import pytest
from arrival_folder import SETTLE_S, UNKNOWN_S, Watched, codes

from stocktake.errors import WatchedFolderError
from stocktake.ship import Identity, Outcome, SourceJob, SourceKind, SourceState, TaskEnd
from stocktake.ship import _arrival_root as root_module
from stocktake.ship._arrival import Arrival
from stocktake.ship._daemon_outcomes import Outcomes
from stocktake.ship._folder import open_source
from stocktake.ship._outcome import outcome_of
from stocktake.ship._schedule import TaskKind


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    watched = Watched(tmp_path)
    for name in ("a.txt", "sub/b.txt"):
        watched.write(name)
    assert sorted(watched.settled()) == ["a.txt", "sub/b.txt"]
    return watched


def test_fault_07_unmounted_pauses_and_goes_on_when_it_is_back(watched: Watched) -> None:
    aside = watched.root / "aside"
    watched.folder.rename(aside)
    for _ in range(3):
        with pytest.raises(WatchedFolderError, match="is not there") as caught:
            watched.poll(60)
    assert caught.value.retryable
    aside.rename(watched.folder)
    watched.write("c.txt")
    sighting = watched.poll()
    assert (sighting.vanished, sighting.waiting) == ([], 1)
    assert watched.ready(SETTLE_S) == ["c.txt"]


def test_fault_07_an_empty_mount_point_is_not_an_empty_folder(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The volume is gone, its mount point is there: another file system, and empty."""
    aside = watched.root / "aside"
    watched.folder.rename(aside)
    watched.folder.mkdir()
    monkeypatch.setattr(root_module, "mount_point", lambda _: b"/another")
    for _ in range(5):
        with pytest.raises(WatchedFolderError, match="another folder"):
            watched.poll(10 * UNKNOWN_S)
    watched.folder.rmdir()
    aside.rename(watched.folder)
    assert watched.poll().vanished == []
    assert watched.settled() == []


def test_fault_07_the_same_volume_with_another_number_is_known_by_its_files(
    watched: Watched,
) -> None:
    """A copy that keeps inodes cannot be made here: the folder's own inode changes instead."""
    aside = watched.root / "aside"
    watched.folder.rename(aside)
    watched.folder.mkdir()
    for entry in aside.iterdir():
        entry.rename(watched.folder / entry.name)
    before = watched.folder / "a.txt"
    sighting = watched.poll()  # a.txt has another ctime, sub/b.txt is as it was
    assert sighting.vanished == []
    assert before.exists()
    assert watched.settled() == ["a.txt"]


def test_fault_07_a_folder_made_anew_is_taken_after_a_while(watched: Watched) -> None:
    watched.folder.rename(watched.root / "aside")  # so that its inode is not used again
    watched.folder.mkdir()
    (watched.folder / "new.txt").write_bytes(b"x")
    with pytest.raises(WatchedFolderError, match="another folder"):
        watched.poll()
    with pytest.raises(WatchedFolderError):
        watched.poll(UNKNOWN_S - 1)
    assert watched.poll(1).vanished == []
    assert watched.ready(SETTLE_S) == ["new.txt"]
    (watched.folder / "new.txt").unlink()
    assert watched.poll().vanished == [b"new.txt"]


def test_fault_07_replaced_by_a_file(watched: Watched) -> None:
    watched.folder.rename(watched.root / "aside")
    watched.folder.write_bytes(b"")
    with pytest.raises(WatchedFolderError, match="not a folder"):
        watched.poll()


def test_fault_07_lost_in_the_middle_of_a_scan(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    walk = Arrival._walk

    def walk_and_unmount(self: Arrival, now: object) -> None:
        watched.folder.rename(watched.root / "aside")
        walk(self, now)  # type: ignore[arg-type]

    monkeypatch.setattr(Arrival, "_walk", walk_and_unmount)
    with pytest.raises(WatchedFolderError):
        watched.poll()
    monkeypatch.undo()
    (watched.root / "aside").rename(watched.folder)
    sighting = watched.poll()
    assert (sighting.ready, sighting.vanished) == ([], [])


def test_fault_07_a_start_with_the_volume_away_concludes_nothing(watched: Watched) -> None:
    watched.restart()
    watched.poll()
    known = [
        (one.path, one.identity, SourceState.COMPLETED) for one in watched.poll(SETTLE_S).ready
    ]
    aside = watched.root / "aside"
    watched.folder.rename(aside)
    watched.folder.mkdir()
    watched.restart(known=known)
    assert watched.poll().vanished == []
    assert watched.poll(60).vanished == []
    watched.folder.rmdir()
    aside.rename(watched.folder)
    assert watched.settled() == []  # both are known still
    assert watched.poll().vanished == []


def test_shp_3_a_folder_that_is_emptied_on_purpose_is_told(watched: Watched) -> None:
    shutil.rmtree(watched.folder / "sub")
    (watched.folder / "a.txt").unlink()
    assert sorted(watched.poll().vanished) == [b"a.txt", b"sub/b.txt"]
    assert watched.poll().vanished == []
    watched.write("a.txt")
    assert watched.settled() == ["a.txt"]


def test_shp_3_vanished_is_not_said_of_forgotten_or_never_reported_files(
    watched: Watched,
) -> None:
    watched.arrival.forget(b"a.txt")
    (watched.folder / "a.txt").unlink()
    watched.write("c.txt")
    watched.poll()
    (watched.folder / "c.txt").unlink()
    assert watched.poll().vanished == []


def test_shp_3_removed_before_the_start_is_not_vanished(watched: Watched) -> None:
    watched.restart()
    watched.poll()
    known = [
        (one.path, one.identity, SourceState.COMPLETED) for one in watched.poll(SETTLE_S).ready
    ]
    (watched.folder / "a.txt").unlink()
    watched.restart(known=known)
    assert watched.poll().vanished == []
    assert watched.poll().vanished == []


def test_shp_3_an_unreadable_subfolder_is_a_problem_and_its_files_have_not_vanished(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir = os.scandir

    def refuse(path: bytes) -> object:
        if path.endswith(b"/sub"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    sighting = watched.poll()
    assert (codes(sighting), sighting.vanished) == ([("sub", "source-unreadable")], [])
    assert watched.poll().problems == []
    monkeypatch.undo()
    assert watched.poll().vanished == []
    assert watched.settled() == []


def test_shp_3_a_listing_that_misses_a_file_is_not_believed(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that is replaced while the directory is read may be in no part of the listing."""
    scandir = os.scandir

    class Forgetful:
        def __init__(self, path: bytes) -> None:
            self._entries = scandir(path)

        def __enter__(self) -> Forgetful:
            return self

        def __exit__(self, *_: object) -> None:
            self._entries.close()

        def __iter__(self) -> object:
            return (entry for entry in self._entries if entry.name != b"a.txt")

    monkeypatch.setattr(os, "scandir", Forgetful)
    assert watched.poll().vanished == []
    monkeypatch.undo()
    assert watched.settled() == []


def test_fault_07_a_worker_that_finds_no_folder_burns_no_attempt(watched: Watched) -> None:
    watched.folder.rename(watched.root / "aside")
    with pytest.raises(WatchedFolderError) as caught:
        open_source(watched.settings, b"a.txt")
    assert outcome_of(caught.value)[0] is Outcome.OUTAGE


def test_fault_07_a_file_that_a_worker_missed_is_new_when_it_is_there_again() -> None:
    """An empty mount point: the worker finds nothing, and the scan has not run yet."""
    again: list[bytes] = []
    context = MagicMock()
    context.ledger.settle_task.return_value = SourceState.VANISHED
    identity = Identity(1, 2, 3, 4, 5)
    job = SourceJob(7, b"a.txt", identity, SourceKind.PLAIN, attempt=1)
    Outcomes(context, MagicMock(), again.append).settle(
        job, TaskEnd(7, Outcome.VANISHED), TaskKind.PLAN
    )
    assert again == [b"a.txt"]


def test_fault_07_a_volume_below_the_folder_is_unmounted_and_comes_back(
    watched: Watched,
) -> None:
    """Mounting needs rights: the volume's device number is written into the memory instead."""
    aside = watched.root / "aside"
    (watched.folder / "sub").rename(aside)
    watched.arrival._folders[b"sub"].device = 999
    assert watched.poll().vanished == []  # its mount point is gone
    (watched.folder / "sub").mkdir()
    assert watched.poll().vanished == []  # its mount point is there, and empty
    watched.write("sub/new.txt")
    assert watched.settled() == ["sub/new.txt"]
    (watched.folder / "sub" / "new.txt").unlink()
    (watched.folder / "sub").rmdir()
    aside.rename(watched.folder / "sub")
    watched.poll()
    assert watched.settled() == []
    (watched.folder / "sub" / "b.txt").unlink()
    assert watched.poll().vanished == [b"sub/b.txt"]


def test_mount_point_is_the_longest_that_holds_the_folder(tmp_path: Path) -> None:
    point = root_module.mount_point(tmp_path)
    assert point is not None
    assert os.path.ismount(point)
    assert root_module.mount_point(Path("/proc/self")) == b"/proc"
