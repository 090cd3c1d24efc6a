"""When a file is ready (SHP-2), and which ones are looked at again (SHP-4)."""

from __future__ import annotations

import mmap
import os
import socket
from pathlib import Path

import pytest
from arrival_folder import SETTLE_S, UNKNOWN_S, Watched, names

from stocktake.ship import SourceKind, SourceState
from stocktake.ship import _arrival as arrival_module
from stocktake.ship import _arrival_rest as rest_module
from stocktake.ship._lease import Lease


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def test_shp_2_a_file_is_ready_after_the_settle_time_and_reported_once(watched: Watched) -> None:
    watched.write("a.txt")
    sighting = watched.poll()
    assert (names(sighting), sighting.waiting) == ([], 1)
    assert watched.ready(SETTLE_S - 0.1) == []
    assert watched.ready(0.1) == ["a.txt"]
    assert watched.ready(60) == []


def test_shp_2_the_identity_and_the_kind_are_those_of_the_file(watched: Watched) -> None:
    for name in ("a.csv", "b.tar.gz", "c.txt", "d.docx"):
        watched.write(name, b"abc")
    watched.poll()
    ready = {one.path: one for one in watched.poll(SETTLE_S).ready}
    status = (watched.folder / "c.txt").stat()
    identity = ready[b"c.txt"].identity
    assert (identity.dev, identity.ino, identity.size_bytes) == (status.st_dev, status.st_ino, 3)
    assert (identity.mtime_ns, identity.ctime_ns) == (status.st_mtime_ns, status.st_ctime_ns)
    kinds = {path: one.kind for path, one in ready.items()}
    assert kinds == {
        b"a.csv": SourceKind.TABLE,
        b"b.tar.gz": SourceKind.ARCHIVE,
        b"c.txt": SourceKind.PLAIN,
        b"d.docx": SourceKind.PLAIN,
    }


def test_fault_01_half_written_waits_while_the_writer_has_it_open(watched: Watched) -> None:
    with (watched.folder / "a.bin").open("wb") as writer:
        writer.write(b"half")
        writer.flush()
        assert watched.ready() == []
        sighting = watched.poll(3600)
        assert (names(sighting), sighting.busy, sighting.waiting) == ([], 1, 1)
        writer.write(b"whole")
    assert watched.ready() == []  # quiet only now: the time begins
    assert watched.ready(SETTLE_S) == ["a.bin"]


def test_fault_02_appended_in_two_goes_restarts_the_time_and_ships_again(watched: Watched) -> None:
    path = watched.write("a.log", b"one")
    assert watched.ready() == []
    with path.open("ab") as writer:
        writer.write(b"two")
    assert watched.ready(SETTLE_S) == []
    assert watched.ready(SETTLE_S) == ["a.log"]
    with path.open("ab") as writer:
        writer.write(b"three")
    sighting = watched.poll(1)
    assert (names(sighting), sighting.waiting) == ([], 1)
    (again,) = watched.poll(SETTLE_S).ready
    assert (again.path, again.identity.size_bytes) == (b"a.log", 11)


def test_fault_05_mapped_writable_is_busy_although_no_descriptor_is_open(watched: Watched) -> None:
    path = watched.write("a.bin", bytes(4096))
    descriptor = os.open(path, os.O_RDWR)
    mapped = mmap.mmap(descriptor, 4096)
    os.close(descriptor)
    watched.poll()
    assert watched.poll(3600).busy == 1
    mapped.close()
    assert watched.settled() == ["a.bin"]


def test_fault_09_a_folder_made_with_files_inside_before_anything_watched(watched: Watched) -> None:
    watched.write("new/deep/a.txt")
    assert watched.settled() == ["new/deep/a.txt"]


def test_fault_11_fifos_sockets_and_devices_are_ignored(watched: Watched) -> None:
    os.mkfifo(watched.folder / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.fspath(watched.folder / "socket"))
        watched.write("a.txt")
        assert watched.settled() == ["a.txt"]
        assert watched.poll().waiting == 0


def test_fault_12_hard_links_are_two_files(watched: Watched) -> None:
    os.link(watched.write("a.txt"), watched.folder / "b.txt")
    assert sorted(watched.settled()) == ["a.txt", "b.txt"]


def test_fault_13_unreadable_is_a_problem_told_once_and_nothing_is_moved(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.write("a.txt")
    watched.write("b.txt")

    def probe(path: bytes, **_: object) -> Lease:
        if path.endswith(b"a.txt"):
            raise PermissionError(13, "Permission denied")
        return Lease.QUIET

    monkeypatch.setattr(rest_module, "probe_lease", probe)
    (problem,) = watched.poll().problems
    assert (problem[0], problem[1].code, problem[1].retryable) == (
        b"a.txt",
        "source-unreadable",
        True,
    )
    sighting = watched.poll(SETTLE_S)
    assert (names(sighting), sighting.problems, sighting.waiting) == (["b.txt"], [], 0)
    monkeypatch.undo()
    assert watched.settled() == ["a.txt"]


def test_fault_18_twins_in_case_and_in_unicode_form_are_two_files(watched: Watched) -> None:
    twins = ["a.txt", "A.txt", "caf\u00e9.txt", "cafe\u0301.txt"]
    for name in twins:
        watched.write(name)
    assert sorted(watched.settled()) == sorted(twins)


def test_fault_20_a_time_in_the_past_does_not_hide_a_change(watched: Watched) -> None:
    path = watched.write("a.txt", b"one")
    os.utime(path, (1, 1))
    assert watched.settled() == ["a.txt"]
    path.write_bytes(b"two")
    os.utime(path, (1, 1))
    assert path.stat().st_size == 3
    assert watched.settled() == ["a.txt"]


def test_fault_22_the_clock_of_the_machine_does_not_matter(watched: Watched) -> None:
    path = watched.write("a.txt")
    future = path.stat().st_mtime + 10 * 365 * 86_400
    os.utime(path, (future, future))
    assert watched.settled() == ["a.txt"]


def test_fault_24_sparse_files_count_with_their_whole_size(watched: Watched) -> None:
    with (watched.folder / "hole.bin").open("wb") as writer:
        writer.truncate(1 << 32)
    watched.poll()
    (one,) = watched.poll(SETTLE_S).ready
    assert one.identity.size_bytes == 1 << 32


@pytest.mark.parametrize(
    "name",
    ["a.tmp", "a.part", "a.PARTIAL", "a.crdownload", "a.filepart", ".hidden", "~lock", "a.txt~"],
)
def test_shp_2_unfinished_and_hidden_names_are_ignored(watched: Watched, name: str) -> None:
    watched.write(name)
    watched.write(f"{name}-folder/a.txt" if name.startswith((".", "~")) else "other.txt")
    assert name not in watched.settled()
    assert watched.poll().waiting == 0


def test_shp_2_a_rename_into_place_is_one_arrival(watched: Watched) -> None:
    part = watched.write("a.csv.part", b"a,b\n")
    watched.poll(SETTLE_S)
    part.rename(watched.folder / "a.csv")
    assert watched.settled() == ["a.csv"]


def test_shp_2_what_the_error_folder_holds_is_not_shipped(watched: Watched) -> None:
    watched.changes["error_folder"] = watched.folder / "failed"
    watched.restart()
    watched.write("failed/a.txt")
    watched.write("sub/failed/b.txt")
    assert watched.settled() == ["sub/failed/b.txt"]


def test_shp_2_unknown_to_the_kernel_means_the_longer_time(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest_module, "probe_lease", lambda *_, **__: Lease.UNKNOWN)
    watched.write("a.txt")
    watched.poll()
    assert watched.ready(UNKNOWN_S - 0.1) == []
    assert watched.ready(0.1) == ["a.txt"]


def test_shp_2_network_file_systems_are_not_asked(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest_module, "file_system", lambda _: ("nfs", False))
    monkeypatch.setattr(rest_module, "probe_lease", lambda *_, **__: pytest.fail("asked"))
    watched.write("a.txt")
    watched.poll()
    assert watched.ready(SETTLE_S) == []
    assert watched.ready(UNKNOWN_S) == ["a.txt"]


def test_shp_2_written_between_the_look_and_the_question_is_not_taken(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = watched.write("a.txt")
    watched.poll()

    def probe(*_: object, **__: object) -> Lease:
        path.write_bytes(b"more")
        return Lease.QUIET

    monkeypatch.setattr(rest_module, "probe_lease", probe)
    assert watched.ready(SETTLE_S) == []
    monkeypatch.undo()
    watched.poll()
    (one,) = watched.poll(SETTLE_S).ready
    assert one.identity.size_bytes == 4


def test_shp_2_order_is_that_of_the_last_change(watched: Watched) -> None:
    for name in ("c", "a", "b"):
        watched.write(name)
        os.utime(watched.folder / name, (1, 1))
    watched.write("c", b"changed last")
    assert watched.settled() == ["a", "b", "c"]


def test_shp_2_a_marker_says_that_a_file_is_finished(watched: Watched) -> None:
    watched.changes["done_marker"] = ".done"
    watched.restart()
    watched.write("a.csv")
    watched.write("b.csv")
    sighting = watched.poll(100)
    assert (sighting.waiting, sighting.unmarked) == (0, 2)
    watched.write("a.csv.done", b"")
    assert watched.settled() == ["a.csv"]
    assert watched.poll().unmarked == 1


def test_shp_4_unmodified_files_are_skipped_after_a_restart(watched: Watched) -> None:
    for name in ("a.txt", "sub/b.txt"):
        watched.write(name)
    watched.poll()
    ready = watched.poll(SETTLE_S).ready
    watched.restart(known=[(one.path, one.identity, SourceState.COMPLETED) for one in ready])
    assert watched.settled() == []
    watched.write("sub/b.txt", b"changed")
    assert watched.settled() == ["sub/b.txt"]


def test_shp_4_another_number_of_the_device_is_not_a_change(watched: Watched) -> None:
    """Device numbers of LVM, btrfs and NFS change with a restart of the machine."""
    watched.write("a.txt")
    watched.poll()
    (one,) = watched.poll(SETTLE_S).ready
    identity = type(one.identity)(
        one.identity.dev + 1,
        one.identity.ino,
        one.identity.size_bytes,
        one.identity.mtime_ns,
        one.identity.ctime_ns,
    )
    watched.restart(known=[(one.path, identity, SourceState.COMPLETED)])
    assert watched.settled() == []


def test_shp_4_a_vanished_file_that_comes_back_is_new(watched: Watched) -> None:
    watched.write("a.txt")
    watched.poll()
    (one,) = watched.poll(SETTLE_S).ready
    watched.restart(known=[(one.path, one.identity, SourceState.VANISHED)])
    assert watched.settled() == ["a.txt"]


def test_shp_4_a_forgotten_file_is_reported_again(watched: Watched) -> None:
    watched.write("sub/a.txt")
    assert watched.settled() == ["sub/a.txt"]
    watched.arrival.forget(b"sub/a.txt")
    assert watched.settled() == ["sub/a.txt"]
    watched.arrival.forget(b"never/seen")


def test_fault_19_many_files_come_in_bounded_portions_and_in_order(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrival_module, "READY_MAX", 10)
    for number in range(25):
        watched.write(f"{number:02}")
    watched.poll()
    seen, rest = [], []
    for _ in range(3):
        sighting = watched.poll(SETTLE_S)
        seen += names(sighting)
        rest.append(sighting.waiting)
    assert (seen, rest) == ([f"{number:02}" for number in range(25)], [15, 5, 0])
