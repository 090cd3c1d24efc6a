"""Notices wake the poll; without them it comes at its interval (SHP-2, fault 8)."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import pytest
from arrival_folder import Watched, open_descriptors

from stocktake.ship import _watch as watch_module
from stocktake.ship._arrival import Sighting
from stocktake.ship._watch import FolderWatch


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def test_shp_2_a_change_wakes_the_wait(watched: Watched) -> None:
    with FolderWatch(watched.settings) as watch:
        assert watch.why_not is None
        assert not watch.wait(0.05)
        watched.write("a.txt")
        assert watch.wait(10)


def test_fault_09_a_change_in_a_folder_that_is_new_wakes_the_wait(watched: Watched) -> None:
    with FolderWatch(watched.settings) as watch:
        watched.write("new/deep/a.txt")
        assert watch.wait(10)


def test_fault_08_without_watches_left_the_folder_is_scanned_at_intervals(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(**_: object) -> None:
        raise OSError(28, "OS file watch limit reached")

    monkeypatch.setattr("watchfiles._rust_notify.RustNotify", refuse)
    with FolderWatch(watched.settings) as watch:
        assert "limit reached" in (watch.why_not or "")
        assert "scanned at intervals" in caplog.text
        watched.write("a.txt")
        assert not watch.wait(0.05)
    assert watched.settled() == ["a.txt"]


def test_fault_08_notices_that_are_lost_cost_the_interval_only(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An overflow of the kernel's queue: whatever was in it, the next scan sees the files."""

    class Broken:
        def __init__(self, **_: object) -> None:
            self.closed = False

        def watch(self, *_: object) -> None:
            raise RuntimeError("queue overflow")

        def close(self) -> None:
            self.closed = True

    monkeypatch.setattr("watchfiles._rust_notify.RustNotify", Broken)
    with FolderWatch(watched.settings) as watch:
        for number in range(50):
            watched.write(f"{number:02}")
        assert not watch.wait(0.3)
        assert "overflow" in (watch.why_not or "")
    assert len(watched.settled()) == 50


def test_shp_2_a_missing_extra_is_told_and_not_fatal(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "watchfiles._rust_notify", None)
    with FolderWatch(watched.settings) as watch:
        assert "pip install 'stocktake[ship]'" in (watch.why_not or "")


def test_shp_2_network_file_systems_are_polled(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "file_system", lambda _: ("nfs", False))
    with FolderWatch(watched.settings) as watch:
        assert "nfs" in (watch.why_not or "")
        threading.Timer(0.05, watch.wake).start()
        assert watch.wait(10)


def test_shp_52_closing_gives_back_threads_and_descriptors(watched: Watched) -> None:
    def cost() -> tuple[int, int]:
        return open_descriptors(), threading.active_count()

    for _ in range(3):
        FolderWatch(watched.settings).close()
    before = cost()
    for _ in range(10):
        FolderWatch(watched.settings).close()
    until = time.monotonic() + 10
    while cost() > before and time.monotonic() < until:
        time.sleep(0.02)
    assert cost() <= before


def test_shp_52_polling_keeps_no_descriptors_and_no_memory_of_removed_files(
    watched: Watched,
) -> None:
    before = open_descriptors()
    for number in range(20):
        watched.write(f"folder-{number}/a.txt")
        assert len(watched.settled()) == 1
        (watched.folder / f"folder-{number}" / "a.txt").unlink()
        (watched.folder / f"folder-{number}").rmdir()
        sighting = watched.poll()
        assert isinstance(sighting, Sighting)
        assert len(sighting.vanished) == 1
    assert open_descriptors() <= before
    assert watched.arrival._folders == {}
    assert watched.arrival._evidence == {}
