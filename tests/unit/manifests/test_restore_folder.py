"""A folder that is restored to: what is in the way, what is left behind, what is full (MAN-4)."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stocktake.errors import DiskFullError, LocalFolderError, RestoreTargetError
from stocktake.manifests._restore_folder import TargetFolder, part_tag
from stocktake.manifests._restore_path import PathProblem, names_of


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[TargetFolder]:
    with TargetFolder(tmp_path / "to", "run-1") as folder:
        yield folder


def _write(
    folder: TargetFolder,
    path: bytes,
    data: bytes = b"new",
    meanwhile: Callable[[], object] = int,
    over: os.stat_result | None = None,
) -> None:
    with folder.part(path) as part:
        part.write(data)
        meanwhile()
        part.place(over=over, mtime_ns=1_700_000_000_123_456_789)


def _problem(folder: TargetFolder, path: bytes) -> str:
    with pytest.raises(RestoreTargetError) as caught:
        _write(folder, path)
    return str(caught.value.attrs["problem"])


def _files(folder: TargetFolder) -> list[str]:
    return sorted(str(one.relative_to(folder.root)) for one in folder.root.rglob("*"))


def test_file_has_its_bytes_time_and_folders(folder: TargetFolder) -> None:
    _write(folder, b"a/b/c.bin", b"x" * 100)
    path = folder.root / "a/b/c.bin"
    assert path.read_bytes() == b"x" * 100
    assert path.stat().st_mtime_ns == 1_700_000_000_123_456_789
    assert path.stat().st_nlink == 1
    assert _files(folder) == ["a", "a/b", "a/b/c.bin"]


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        (b"../x", "outside"),
        (b"a/../../x", "outside"),
        (b"./x", "outside"),
        (b"/etc/passwd", "illegal-name"),
        (b"a//b", "illegal-name"),
        (b"", "illegal-name"),
        (b"a\0b", "illegal-name"),
        (b"x" * 256, "too-long"),
        ("ü".encode() * 128, "too-long"),
    ],
)
def test_path_that_leads_elsewhere_is_refused(
    folder: TargetFolder, path: bytes, problem: str
) -> None:
    assert _problem(folder, path) == problem
    assert _files(folder) == []


@pytest.mark.parametrize(
    "name", [b"C:\\x", b"a\\..\\..\\b", b"NUL", b"com1.txt", b"aux ", b"x.", b"what?", b"a:stream"]
)
def test_windows_refuses_what_it_would_take_for_something_else(name: bytes) -> None:
    assert names_of(b"d/" + name, windows=False) == [b"d", name]
    with pytest.raises(RestoreTargetError):
        names_of(b"d/" + name, windows=True)


def test_longest_name_and_deep_folders_are_written(folder: TargetFolder) -> None:
    _write(folder, b"y" * 255)
    deep = b"/".join([b"d" * 200] * 25)  # beyond what one path of the system may have
    _write(folder, deep)
    with folder.open_file(deep) as opened:
        assert opened.read() == b"new"


def test_symlinked_folder_is_not_entered(folder: TargetFolder, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (folder.root / "way").symlink_to(tmp_path / "outside")
    assert _problem(folder, b"way/x") == "symlink"
    assert _problem(folder, b"way/deeper/x") == "symlink"
    assert list((tmp_path / "outside").iterdir()) == []


def test_symlink_in_its_place_is_not_followed_nor_replaced(
    folder: TargetFolder, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_bytes(b"mine")
    (folder.root / "a").symlink_to(tmp_path / "secret")
    (folder.root / "nowhere").symlink_to("not-there")
    assert _problem(folder, b"a") == "symlink"
    assert _problem(folder, b"nowhere") == "symlink"
    assert (tmp_path / "secret").read_bytes() == b"mine"
    with pytest.raises(RestoreTargetError):
        folder.open_file(b"a")


def test_symlink_put_there_while_it_is_written_is_not_followed(
    folder: TargetFolder, tmp_path: Path
) -> None:
    link = folder.root / "a"
    with pytest.raises(RestoreTargetError) as caught:
        _write(folder, b"a", meanwhile=lambda: link.symlink_to(tmp_path / "made-outside"))
    assert caught.value.attrs["problem"] == "symlink"
    assert not (tmp_path / "made-outside").exists()
    assert _files(folder) == ["a"]


def test_file_and_folder_of_one_name(folder: TargetFolder) -> None:
    _write(folder, b"a")
    assert _problem(folder, b"a/b") == "file-in-the-way"
    _write(folder, b"c/d")
    assert _problem(folder, b"c") == "folder-in-the-way"


def test_pipe_does_not_hang_it(folder: TargetFolder) -> None:
    os.mkfifo(folder.root / "pipe")
    assert _problem(folder, b"pipe") == "no-file"
    with pytest.raises(RestoreTargetError):
        folder.open_file(b"pipe")


def test_existing_file_stays_unless_it_is_named(folder: TargetFolder) -> None:
    _write(folder, b"a", b"old")
    assert _problem(folder, b"a") == "exists"
    seen = folder.status(b"a")
    _write(folder, b"a", b"newer", over=seen)
    assert (folder.root / "a").read_bytes() == b"newer"


def test_file_changed_while_its_successor_was_written_stays(folder: TargetFolder) -> None:
    _write(folder, b"a", b"old")
    seen = folder.status(b"a")
    edited = folder.root / "a"
    with pytest.raises(RestoreTargetError, match="changed meanwhile"):
        _write(
            folder, b"a", over=seen, meanwhile=lambda: edited.write_bytes(b"edited by its owner")
        )
    assert (folder.root / "a").read_bytes() == b"edited by its owner"
    assert _files(folder) == ["a"]


def test_failure_leaves_nothing(folder: TargetFolder) -> None:
    with pytest.raises(ZeroDivisionError):
        _write(folder, b"d/a", meanwhile=lambda: 1 // 0)
    assert _files(folder) == ["d"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_leaves_nothing_half(
    folder: TargetFolder, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def full(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(DiskFullError, match="no space left"):
        _write(folder, b"a")
    monkeypatch.undo()
    assert _files(folder) == []


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP])
def test_file_system_without_links(
    folder: TargetFolder, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def no_links(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", no_links)
    _write(folder, b"a", b"old")
    assert _problem(folder, b"a") == "exists"
    assert (folder.root / "a").read_bytes() == b"old"
    assert _files(folder) == ["a"]


def test_other_failures_of_the_system_are_findings(
    folder: TargetFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EILSEQ, "no such characters")

    monkeypatch.setattr(os, "link", refused)
    assert _problem(folder, b"\xff") == str(PathProblem.ILLEGAL_NAME)


def test_impossible_time_is_left_out(folder: TargetFolder) -> None:
    with folder.part(b"a") as part:
        part.place(mtime_ns=10**40)
    assert (folder.root / "a").is_file()


def test_only_abandoned_parts_of_named_runs_are_removed(folder: TargetFolder) -> None:
    (folder.root / "d").mkdir()
    tag = part_tag("dead")
    abandoned = folder.root / "d" / f".x.bin.{tag}-00000000.part"
    written = folder.root / f".y.{tag}-00000001.part"
    others = [folder.root / f".z.{part_tag('other')}-00000000.part", folder.root / "my.part"]
    for path in (abandoned, written, *others):
        path.write_bytes(b"half")
    with written.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert folder.remove_parts(["dead", "never-was"]) == 1
    assert not abandoned.exists()
    assert all(one.exists() for one in (written, *others))
    assert folder.remove_parts(["dead"]) == 1


def test_removing_a_file_removes_no_folder_and_no_link_target(
    folder: TargetFolder, tmp_path: Path
) -> None:
    _write(folder, b"d/a")
    (tmp_path / "secret").write_bytes(b"mine")
    (folder.root / "d" / "link").symlink_to(tmp_path / "secret")
    assert folder.remove_file(b"d/a")
    assert not folder.remove_file(b"d/a")
    assert folder.remove_file(b"d/link")
    assert (tmp_path / "secret").exists()
    with pytest.raises(RestoreTargetError):
        folder.remove_file(b"d")


def test_target_that_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(LocalFolderError, match="no folder"):
        TargetFolder(tmp_path / "file", "run")
    with pytest.raises(LocalFolderError):
        TargetFolder(tmp_path / "file" / "below", "run")


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EIO])
def test_folder_that_cannot_be_written(
    folder: TargetFolder, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "mkdir", refused)
    assert _problem(folder, b"locked/a") == "not-writable"
