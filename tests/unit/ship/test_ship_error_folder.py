"""Failed files out of the way and back (SHP-50, fault 62)."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
from arrival_folder import Watched, open_descriptors

from stocktake.ship import _error_folder as error_module
from stocktake.ship import _error_folder_rename as rename_module
from stocktake.ship._error_folder import move_failed, restore_failed
from stocktake.ship._folder import identity_of

ERROR = {"code": "archive-corrupt", "message": "`a.zip` is corrupt", "attrs": {"row": 3}}


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


@pytest.fixture
def failed(watched: Watched) -> Path:
    return watched.settings.error_folder


def tree(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir())


def fail(watched: Watched, name: str, content: bytes = b"x") -> Path | None:
    watched.write(name, content)
    return move_failed(watched.settings, os.fsencode(name), ERROR)


def test_shp_50_a_failed_file_is_moved_with_the_reason_beside_it(
    watched: Watched, failed: Path
) -> None:
    before = open_descriptors()
    inode = watched.write("sub/a.zip", b"content").stat().st_ino
    assert move_failed(watched.settings, b"sub/a.zip", ERROR) == failed / "sub" / "a.zip"
    assert tree(watched.folder) == [
        ".stocktake-failed/sub/a.zip",
        ".stocktake-failed/sub/a.zip.error.json",
    ]
    assert (failed / "sub" / "a.zip").stat().st_ino == inode  # renamed, not copied
    note = json.loads((failed / "sub" / "a.zip.error.json").read_text())
    assert (note["path"], note["error"], note["size_bytes"]) == ("sub/a.zip", ERROR, 7)
    assert open_descriptors() == before


def test_shp_50_moved_files_are_not_watched(watched: Watched) -> None:
    fail(watched, "a.zip")
    watched.write("b.txt")
    assert watched.settled() == ["b.txt"]


def test_fault_62_a_name_that_is_taken_gets_a_number(watched: Watched, failed: Path) -> None:
    for content in (b"1", b"2", b"3"):
        fail(watched, "a.zip", content)
    fail(watched, "Makefile")
    fail(watched, "Makefile")
    assert [name for name in tree(failed) if not name.endswith(".json")] == [
        "Makefile",
        "Makefile~2",
        "a.zip",
        "a~2.zip",
        "a~3.zip",
    ]
    assert (failed / "a~3.zip").read_bytes() == b"3"


def test_fault_62_a_file_that_looks_like_a_note_replaces_none(
    watched: Watched, failed: Path
) -> None:
    fail(watched, "a.zip")
    fail(watched, "a.zip.error.json", b"mine")
    assert (failed / "a.zip.error~2.json").read_bytes() == b"mine"
    fail(watched, "b.zip.error.json", b"mine")
    fail(watched, "b.zip", b"zip")
    assert (failed / "b.zip.error.json").read_bytes() == b"mine"
    assert (failed / "b~2.zip").read_bytes() == b"zip"
    done = restore_failed(watched.settings)
    assert (sorted(done.restored), done.kept) == (
        [b"a.zip", b"a.zip.error.json", b"b.zip", b"b.zip.error.json"],
        [],
    )
    assert (watched.folder / "b.zip.error.json").read_bytes() == b"mine"


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EROFS, errno.EACCES, errno.EPERM])
def test_fault_62_where_renaming_is_not_possible_it_stays(
    watched: Watched, failed: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(error_module, "rename_new", refuse)
    before = open_descriptors()
    assert fail(watched, "sub/a.zip", b"content") is None
    assert tree(watched.folder) == ["sub/a.zip"]
    assert not failed.exists()
    assert open_descriptors() == before


def test_fault_62_another_file_system_gets_not_even_a_folder(tmp_path: Path) -> None:
    shared = Path("/dev/shm") / f"failed-{os.getpid()}"
    assert Path("/dev/shm").stat().st_dev != tmp_path.stat().st_dev
    watched = Watched(tmp_path, changes={"error_folder": shared})
    assert fail(watched, "a.zip") is None
    assert tree(watched.folder) == ["a.zip"]
    assert not shared.exists()


def test_fault_62_a_read_only_error_folder(
    watched: Watched, failed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    watched.write("b.zip")
    monkeypatch.setattr(Path, "mkdir", refuse)
    assert move_failed(watched.settings, b"b.zip", ERROR) is None
    assert tree(watched.folder) == ["b.zip"]
    assert not failed.exists()


def test_fault_62_no_space_for_the_reason_still_moves_the_file(
    watched: Watched, failed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert fail(watched, "a.zip") == failed / "a.zip"
    assert tree(failed) == ["a.zip"]
    monkeypatch.undo()
    assert restore_failed(watched.settings).restored == []
    assert restore_failed(watched.settings, [b"a.zip"]).restored == [b"a.zip"]
    assert tree(watched.folder) == ["a.zip"]


def test_shp_50_a_file_that_was_replaced_meanwhile_is_left_alone(watched: Watched) -> None:
    identity = identity_of(watched.write("a.zip", b"bad").stat())
    watched.write("a.zip", b"good")
    assert move_failed(watched.settings, b"a.zip", ERROR, identity=identity) is None
    assert (watched.folder / "a.zip").read_bytes() == b"good"
    now = identity_of((watched.folder / "a.zip").stat())
    assert move_failed(watched.settings, b"a.zip", ERROR, identity=now) is not None


def test_shp_50_what_is_gone_or_no_file_is_not_moved(watched: Watched, failed: Path) -> None:
    assert move_failed(watched.settings, b"gone", ERROR) is None
    assert move_failed(watched.settings, b"../in/gone", ERROR) is None
    watched.write("real.txt")
    (watched.folder / "link").symlink_to("real.txt")
    assert move_failed(watched.settings, b"link", ERROR) is None
    assert not failed.exists()


def test_shp_50_names_that_are_no_text(watched: Watched) -> None:
    watched.write(b"caf\xe9\n.zip")
    moved = move_failed(watched.settings, b"caf\xe9\n.zip", ERROR)
    assert moved is not None
    assert os.fsencode(moved.name) == b"caf\xe9\n.zip"
    assert restore_failed(watched.settings).restored == [b"caf\xe9\n.zip"]


def test_shp_50_retry_puts_files_back_and_tidies(watched: Watched, failed: Path) -> None:
    for name in ("a.zip", "sub/deep/b.zip", "c.zip"):
        fail(watched, name, name.encode())
    (watched.folder / "sub" / "deep").rmdir()
    done = restore_failed(watched.settings, [b"sub/deep/b.zip"])
    assert (done.restored, done.kept) == ([b"sub/deep/b.zip"], [])
    assert (watched.folder / "sub" / "deep" / "b.zip").read_bytes() == b"sub/deep/b.zip"
    assert not (failed / "sub").exists()
    assert sorted(restore_failed(watched.settings).restored) == [b"a.zip", b"c.zip"]
    assert tree(watched.folder) == ["a.zip", "c.zip", "sub/deep/b.zip"]
    assert not failed.exists()
    assert restore_failed(watched.settings).restored == []
    assert sorted(watched.settled()) == ["a.zip", "c.zip", "sub/deep/b.zip"]


def test_shp_50_retry_never_replaces_a_new_file_of_the_same_name(
    watched: Watched, failed: Path
) -> None:
    fail(watched, "a.zip", b"old")
    watched.write("a.zip", b"new")
    done = restore_failed(watched.settings)
    assert done.restored == []
    assert done.kept == [(b"a.zip", "another file of this name is there")]
    assert (watched.folder / "a.zip").read_bytes() == b"new"
    assert tree(failed) == ["a.zip", "a.zip.error.json"]


def test_shp_50_of_two_failures_of_one_path_the_later_goes_back(
    watched: Watched, failed: Path
) -> None:
    fail(watched, "a.zip", b"first")
    fail(watched, "a.zip", b"second")
    assert restore_failed(watched.settings).restored == [b"a.zip"]
    assert (watched.folder / "a.zip").read_bytes() == b"second"
    assert tree(failed) == ["a.zip", "a.zip.error.json"]


def test_shp_50_foreign_notes_restore_nothing(watched: Watched, failed: Path) -> None:
    fail(watched, "a.zip")
    note = json.loads((failed / "a.zip.error.json").read_text())
    for name, changed in (
        ("b.zip.error.json", note),
        ("c.zip.error.json", {**note, "file_raw": b"../secret".hex()}),
        ("d.zip.error.json", {**note, "stocktake": 2}),
        ("e.zip.error.json", [1]),
        ("f.zip.error.json", {**note, "path_raw": b"../../out".hex(), "file_raw": b"f.zip".hex()}),
    ):
        (failed / name).write_text(json.dumps(changed))
        (failed / name.removesuffix(".error.json")).write_bytes(b"x")
    done = restore_failed(watched.settings)
    assert done.restored == [b"a.zip"]
    assert [path for path, _ in done.kept] == [b"../../out"]
    assert not (watched.root.parent / "out").exists()


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EINVAL])
def test_fault_62_file_systems_that_cannot_refuse_to_replace(
    watched: Watched, failed: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(rename_module, "_RENAMEAT2", lambda *_: -1)
    monkeypatch.setattr(rename_module.ctypes, "get_errno", lambda: number)
    fail(watched, "a.zip", b"1")
    fail(watched, "a.zip", b"2")
    assert (failed / "a.zip").read_bytes() == b"1"
    assert (failed / "a~2.zip").read_bytes() == b"2"
    monkeypatch.setattr(rename_module, "_RENAMEAT2", None)
    fail(watched, "a.zip", b"3")
    assert (failed / "a~3.zip").read_bytes() == b"3"


def test_shp_50_a_note_that_can_be_seen_is_whole(
    watched: Watched, failed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []
    fsync = os.fsync

    def look(descriptor: int) -> None:
        seen.append([name for name in tree(failed) if not name.startswith(".")])
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", look)
    fail(watched, "a.zip")
    assert seen == [["a.zip"], ["a.zip", "a.zip.error.json"]]
