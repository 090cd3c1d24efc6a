"""The files of a folder: MAN-3 (what is there to synchronise), faults 10, 11, 13, 14, 15."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stocktake.errors import (
    InvalidSettingError,
    LocalFolderError,
    SourceChangedError,
    SourceVanishedError,
)
from stocktake.manifests import (
    LocalFile,
    Skipped,
    SkipReason,
    local_key,
    open_local,
    recheck_local,
    walk_folder,
)


def write(root: Path, *names: str | bytes) -> None:
    for name in names:
        path = os.path.join(os.fsencode(root), os.fsencode(name))  # noqa: PTH118 - bytes
        os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120 - bytes
        with open(path, "wb") as file:  # noqa: PTH123 - bytes
            file.write(b"x")


def keys(root: Path, *exclude: str) -> list[str]:
    return [file.key for file in walk_folder(root, exclude=exclude)]


def test_files_come_in_the_order_of_listings(tmp_path: Path) -> None:
    """MAN-3: `a.txt` is before `a/b`, `a-b` before both, as S3 lists them."""
    names = ["a/b", "a.txt", "a-b", "a0", "a/b.c/d", "a/b/e"[:3] + "x", "Z", "é/x", "b"]
    write(tmp_path, *names)
    assert keys(tmp_path) == sorted(names, key=str.encode)


def test_names_that_no_key_can_hold_are_escaped_and_stay_sorted(tmp_path: Path) -> None:
    """Faults 14, 15: also in folders, whose files all keep the same beginning."""
    write(tmp_path, b"d\xe9/1", b"d\xe9/50 %", b"line\nbreak", b"d%/x", b"\xff", "z")
    found = keys(tmp_path)
    assert found == sorted(found, key=str.encode)
    assert found == ["%FF", "d%/x", "d%E9/1", "d%E9/50 %", "line%0Abreak", "z"]
    assert local_key(b"d\xe9 5%/50 %") == "d%E9 5%25/50 %"


def test_two_names_with_one_key_are_one_file_and_a_report(tmp_path: Path) -> None:
    write(tmp_path, b"caf\xe9", b"caf%E9", b"d\xe9/a", b"d%E9/a")
    skipped: list[Skipped] = []
    found = [file.path for file in walk_folder(tmp_path, skipped=skipped.append)]
    assert found == [b"caf%E9", b"d%E9/a"]
    assert skipped == [
        Skipped(b"caf\xe9", SkipReason.COLLISION),
        Skipped(b"d\xe9", SkipReason.COLLISION, is_folder=True),
    ]


def test_links_and_pipes_are_reported_and_never_followed(tmp_path: Path) -> None:
    """Faults 10, 11: a link to the folder itself ends nothing and loops nowhere."""
    root = tmp_path / "root"
    write(root, "a", "d/b")
    (tmp_path / "outside").write_bytes(b"secret")
    (root / "loop").symlink_to(root)
    (root / "out").symlink_to(tmp_path / "outside")
    (root / "dangling").symlink_to("nowhere")
    os.mkfifo(root / "pipe")
    skipped: list[Skipped] = []
    found = [file.key for file in walk_folder(root, skipped=skipped.append)]
    assert found == ["a", "d/b"]
    assert [(one.path, one.reason.value) for one in skipped] == [
        (b"dangling", "symlink"),
        (b"loop", "symlink"),
        (b"out", "symlink"),
        (b"pipe", "special"),
    ]


def test_own_folder_at_the_top_is_no_part_of_it(tmp_path: Path) -> None:
    write(tmp_path, ".stocktake/manifests/x", "d/.stocktake/y", ".stocktaken")
    assert keys(tmp_path) == [".stocktaken", "d/.stocktake/y"]


@pytest.mark.parametrize(
    ("glob", "left"),
    [
        ("*.tmp", ["a.csv", "cache/x.csv", "raw/deep/b.csv", "raw/c.csv"]),
        ("cache", ["a.csv", "a.tmp", "raw/c.csv", "raw/deep/b.csv", "raw/deep/b.tmp"]),
        ("raw/*.csv", ["a.csv", "a.tmp", "cache/x.csv", "raw/deep/b.csv", "raw/deep/b.tmp"]),
        ("raw/**/*.csv", ["a.csv", "a.tmp", "cache/x.csv", "raw/deep/b.tmp"]),
        ("raw/**", ["a.csv", "a.tmp", "cache/x.csv"]),
        ("raw/", ["a.csv", "a.tmp", "cache/x.csv"]),
        ("/a.*", ["cache/x.csv", "raw/c.csv", "raw/deep/b.csv", "raw/deep/b.tmp"]),
        ("**", []),
        ("*.TMP", "all"),
    ],
)
def test_globs_leave_out_what_they_say(tmp_path: Path, glob: str, left: list[str] | str) -> None:
    names = ["a.csv", "a.tmp", "cache/x.csv", "raw/c.csv", "raw/deep/b.csv", "raw/deep/b.tmp"]
    write(tmp_path, *names)
    assert keys(tmp_path, glob) == sorted(names if left == "all" else left)


def test_glob_of_many_stars_takes_no_time(tmp_path: Path) -> None:
    write(tmp_path, "/".join(["a"] * 60).removeprefix("/"))
    assert len(keys(tmp_path, "/".join(["**", "a"] * 30) + "/b")) == 1


@pytest.mark.parametrize("glob", ["", "/", "x" * 501])
def test_glob_without_meaning_is_refused(tmp_path: Path, glob: str) -> None:
    with pytest.raises(InvalidSettingError):
        walk_folder(tmp_path, exclude=[glob])


def test_folder_that_is_not_there_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LocalFolderError, match="is not there"):
        walk_folder(tmp_path / "gone")
    with pytest.raises(LocalFolderError, match="is no folder"):
        walk_folder(tmp_path / "file")


def test_very_deep_folders_are_walked_without_recursion(tmp_path: Path) -> None:
    at = os.open(tmp_path, os.O_RDONLY)
    for _ in range(400):
        os.mkdir("d" * 20, dir_fd=at)
        deeper = os.open("d" * 20, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = deeper
    os.close(os.open("end", os.O_CREAT | os.O_WRONLY, dir_fd=at))
    os.close(at)
    (found,) = walk_folder(tmp_path)
    assert found.key.count("/") == 400
    with open_local(tmp_path, found) as opened:
        assert opened.read() == b""
    # tmp_path's own clean-up works by paths, which would be too long
    _remove_chain(tmp_path, 400)


def _remove_chain(root: Path, depth: int) -> None:
    while depth:
        at = os.open(root, os.O_RDONLY)
        for _ in range(depth - 1):
            deeper = os.open("d" * 20, os.O_RDONLY, dir_fd=at)
            os.close(at)
            at = deeper
        deepest = os.open("d" * 20, os.O_RDONLY, dir_fd=at)
        if os.listdir(deepest):  # noqa: PTH208 - a descriptor
            os.unlink("end", dir_fd=deepest)
        os.close(deepest)
        os.rmdir("d" * 20, dir_fd=at)
        os.close(at)
        depth -= 1


def test_folder_that_became_a_link_meanwhile_stays_out(tmp_path: Path) -> None:
    root = tmp_path / "root"
    write(root, "a", "d/b")
    write(tmp_path, "outside/secret")
    skipped: list[Skipped] = []
    walk = walk_folder(root, skipped=skipped.append)
    assert next(walk).key == "a"
    (root / "d" / "b").unlink()
    (root / "d").rmdir()
    (root / "d").symlink_to(tmp_path / "outside")
    assert list(walk) == []
    assert skipped == [Skipped(b"d", SkipReason.SYMLINK, is_folder=True)]


def test_file_that_changed_since_the_walk_is_not_opened(tmp_path: Path) -> None:
    write(tmp_path, "a", "b", "c", "d/e")
    a, b, c, e = walk_folder(tmp_path)
    (tmp_path / "a").write_bytes(b"longer")
    with pytest.raises(SourceChangedError, match="`a` changed"):
        open_local(tmp_path, a)
    (tmp_path / "b").unlink()
    with pytest.raises(SourceVanishedError):
        open_local(tmp_path, b)
    (tmp_path / "c").unlink()
    (tmp_path / "c").symlink_to(tmp_path / "a")
    with pytest.raises(SourceChangedError):
        open_local(tmp_path, c)
    with open_local(tmp_path, e) as opened:
        (tmp_path / "d" / "e").write_bytes(b"y")
        os.utime(tmp_path / "d" / "e", ns=(1, 1))
        with pytest.raises(SourceChangedError):
            recheck_local(tmp_path, e, opened)


@pytest.mark.parametrize("path", [b"../x", b"/etc/passwd", b"d/../../x", b"", b"a//b"])
def test_path_that_leads_outside_is_not_opened(tmp_path: Path, path: bytes) -> None:
    with pytest.raises(SourceChangedError):
        open_local(tmp_path, LocalFile(path, 1, 0, 0, 0, 0))


def test_walk_that_is_given_up_leaves_no_open_folder(tmp_path: Path) -> None:
    write(tmp_path, "a/b/c", "a/b/d")
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    walk = walk_folder(tmp_path)
    next(walk)
    walk.close()  # type: ignore[attr-defined]
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
