"""Symbolic links in the watched folder (SHP-2, fault 10), and how sources are opened."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from arrival_folder import Watched, codes, open_descriptors

from stocktake.errors import (
    SourceChangedError,
    SourceUnreadableError,
    SourceVanishedError,
    WatchedFolderError,
)
from stocktake.ship._folder import open_error, open_source
from stocktake.ship._lease import Lease, file_system, probe_lease


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


@pytest.fixture
def following(tmp_path: Path) -> Watched:
    return Watched(tmp_path, changes={"follow_links": True})


def test_fault_10_links_are_not_followed_and_told_once(watched: Watched) -> None:
    watched.write("a.txt")
    (watched.folder / "file").symlink_to("a.txt")
    (watched.folder / "loop").symlink_to(".")
    (watched.folder / "out").symlink_to("/etc")
    (watched.folder / "nowhere").symlink_to("gone")
    sighting = watched.poll()
    told = [("file", "loop", "nowhere", "out"), {"source-skipped"}]
    assert [
        tuple(sorted(path for path, _ in codes(sighting))),
        {c for _, c in codes(sighting)},
    ] == told
    assert "--follow-links" in (sighting.problems[0][1].hint or "")
    assert watched.settled() == ["a.txt"]
    assert watched.poll().problems == []


def test_fault_10_followed_inside_the_folder_only(following: Watched) -> None:
    following.write("real/a.txt")
    outside = following.root / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_bytes(b"x")
    (following.folder / "linked").symlink_to("real")
    (following.folder / "one.txt").symlink_to("real/a.txt")
    (following.folder / "out").symlink_to(outside)
    (following.folder / "passwd").symlink_to("/etc/passwd")
    told = dict(codes(following.poll()))
    assert set(told) == {"out", "passwd"}
    assert sorted(following.settled()) == ["linked/a.txt", "one.txt", "real/a.txt"]
    assert following.poll().vanished == []
    assert following.settled() == []


def test_fault_10_a_loop_of_links_ends(following: Watched) -> None:
    following.write("a/file.txt")
    following.write("b/file.txt")
    (following.folder / "a" / "up").symlink_to("..")
    (following.folder / "a" / "across").symlink_to("../b")
    (following.folder / "b" / "across").symlink_to("../a")
    (following.folder / "self").symlink_to("self")
    assert sorted(following.settled()) == [
        "a/across/file.txt",
        "a/file.txt",
        "b/across/file.txt",
        "b/file.txt",
    ]


def test_fault_10_a_link_to_failed_files_is_not_followed(following: Watched) -> None:
    following.write(".stocktake-failed/a.txt")
    (following.folder / "again").symlink_to(".stocktake-failed")
    assert following.settled() == []


def test_a_source_is_opened_and_read(watched: Watched) -> None:
    watched.write(b"sub/caf\xe9.csv", b"content")
    with open_source(watched.settings, b"sub/caf\xe9.csv") as file:
        assert file.read() == b"content"
        assert not os.get_inheritable(file.fileno())


def test_a_source_behind_a_link_is_opened_only_when_links_are_followed(following: Watched) -> None:
    following.write("real/a.txt", b"content")
    (following.folder / "linked").symlink_to("real")
    (following.folder / "out").symlink_to("/etc/passwd")
    with open_source(following.settings, b"linked/a.txt") as file:
        assert file.read() == b"content"
    for path in (b"out", b"../in/real/a.txt"):
        with pytest.raises(SourceChangedError):
            open_source(Watched(following.root).settings, path)
    with pytest.raises(SourceChangedError):
        open_source(following.settings, b"out")
    with pytest.raises(SourceVanishedError):  # a folder became a link since it was seen
        open_source(Watched(following.root).settings, b"linked/a.txt")


def test_fault_11_a_source_that_became_a_fifo_does_not_block(watched: Watched) -> None:
    os.mkfifo(watched.folder / "pipe")
    (watched.folder / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.fspath(watched.folder / "socket"))
        for name in (b"pipe", b"folder", b"socket"):
            with pytest.raises(SourceChangedError, match="not a regular file"):
                open_source(watched.settings, name)


def test_a_source_that_is_gone_or_unreadable(watched: Watched) -> None:
    watched.write("a.txt")
    for path in (b"gone", b"gone/a", b"a.txt/below"):
        with pytest.raises((SourceVanishedError, SourceChangedError)):
            open_source(watched.settings, path)
    error = open_error(b"a\n.txt", PermissionError(13, "Permission denied"))
    assert isinstance(error, SourceUnreadableError)
    assert error.message == "`a%0A.txt` cannot be read: Permission denied"


def test_fault_07_without_the_folder_no_source_has_vanished(watched: Watched) -> None:
    watched.folder.rename(watched.root / "aside")
    with pytest.raises(WatchedFolderError):
        open_source(watched.settings, b"a.txt")


def test_open_descriptors_do_not_grow_with_failures(watched: Watched) -> None:
    watched.write("sub/deep/a.txt")
    before = open_descriptors()
    for path in (b"sub/deep/gone", b"sub/gone/x", b"sub/deep", b"sub/deep/a.txt"):
        try:
            open_source(watched.settings, path).close()
        except (SourceVanishedError, SourceChangedError):
            continue
    assert open_descriptors() <= before


def test_shp_2_lease_sees_writers_of_other_processes(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"x")
    command = f"f = open({os.fspath(path)!r}, 'ab'); print('open', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        assert probe_lease(os.fsencode(path)) is Lease.BUSY
        writer.communicate(b"\n")
    assert probe_lease(os.fsencode(path)) is Lease.QUIET
    with path.open("rb"):
        assert probe_lease(os.fsencode(path)) is Lease.QUIET


def test_shp_2_asking_never_kills_the_asker_when_a_writer_comes_in_between(tmp_path: Path) -> None:
    """The kernel signals the holder of a lease; SIGIO would end the process."""
    path = tmp_path / "a.txt"
    path.write_bytes(b"x")
    code = (
        "import fcntl, subprocess, sys, time; from stocktake.ship import _lease\n"
        "ask = fcntl.fcntl\n"
        "def slowly(descriptor, command, argument):\n"
        "    if (command, argument) == (fcntl.F_SETLEASE, fcntl.F_UNLCK):\n"
        "        more = ['sh', '-c', 'echo more >> \"$0\"', sys.argv[1]]\n"
        "        writers.append(subprocess.Popen(more))\n"
        "        time.sleep(0.3)\n"
        "    return ask(descriptor, command, argument)\n"
        "writers = []\n"
        "fcntl.fcntl = slowly\n"
        "print(_lease.probe_lease(sys.argv[1].encode()).value, flush=True)\n"
        "sys.exit(writers[0].wait())\n"
    )
    command = [sys.executable, "-c", code, os.fspath(path)]
    done = subprocess.run(command, check=False, timeout=60, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "quiet\n")
    assert path.read_bytes() == b"xmore\n"


@pytest.mark.parametrize(
    ("number", "answer"),
    [(11, Lease.BUSY), (13, Lease.UNKNOWN), (22, Lease.UNKNOWN), (37, Lease.UNKNOWN)],
)
def test_shp_2_refusals_of_the_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, answer: Lease
) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"x")

    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.fcntl", refuse)
    assert probe_lease(os.fsencode(path)) is answer


def test_shp_2_the_file_system_is_named(tmp_path: Path) -> None:
    assert file_system(b"/proc") == ("0x9fa0", True)
    name, local = file_system(os.fsencode(tmp_path))
    assert name
    assert local
    with pytest.raises(FileNotFoundError):
        file_system(os.fsencode(tmp_path / "gone"))
