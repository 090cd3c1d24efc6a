"""Unpacking into a folder: all or nothing, and nothing of what is there. SHP-12, SHP-23."""

from __future__ import annotations

import gzip
import io
from datetime import UTC, datetime
from pathlib import Path

import pytest

from archive_world import FIXTURES, TREE, clock, tar_of, zip_of
from stocktake.errors import ArchiveError, ArchivePathError, UsageError
from stocktake.unpack import Unpacked, unpack_to


def unpack(data: bytes, name: str, target: Path) -> Unpacked:
    return unpack_to(io.BytesIO(data), target, name=name, clock=clock())


def tree_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_files_and_folders_are_written(tmp_path: Path) -> None:
    done = unpack(zip_of(TREE), "x.zip", tmp_path / "new" / "folder")
    assert tree_of(tmp_path / "new" / "folder") == TREE
    assert (done.files, done.size_bytes) == (len(TREE), sum(map(len, TREE.values())))


def test_times_of_the_archive_are_kept(tmp_path: Path) -> None:
    unpack(tar_of({"a": b"1"}), "x.tar", tmp_path)
    assert datetime.fromtimestamp((tmp_path / "a").stat().st_mtime, UTC).year == 1970


def test_damage_at_the_end_leaves_nothing_behind(tmp_path: Path) -> None:
    data = bytearray(gzip.compress(tar_of(TREE)))
    data[-6] ^= 1
    with pytest.raises(ArchiveError):
        unpack(bytes(data), "x.tgz", tmp_path / "t")
    assert not (tmp_path / "t").exists()


def test_existing_file_is_not_touched_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rows.csv").write_bytes(b"mine")
    with pytest.raises(UsageError, match="exists already"):
        unpack(zip_of(TREE), "x.zip", tmp_path)
    assert tree_of(tmp_path) == {"data/rows.csv": b"mine"}


def test_file_that_came_meanwhile_is_not_touched(tmp_path: Path) -> None:
    def disturb(member: object) -> None:
        (tmp_path / "a").write_bytes(b"mine")

    with pytest.raises(UsageError, match="exists already"):
        unpack_to(
            io.BytesIO(zip_of({"a": b"1"})),
            tmp_path,
            name="x.zip",
            clock=clock(),
            on_member=disturb,
        )
    assert tree_of(tmp_path) == {"a": b"mine"}


def test_links_are_told_of_and_never_made(tmp_path: Path) -> None:
    name = "rar5-evil-symlink-traversal.rar"
    done = unpack((FIXTURES / name).read_bytes(), name, tmp_path / "in" / "deep")
    assert [member.path for member in done.skipped] == ["up"]
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["deep"]
    assert list(tree_of(tmp_path)) == ["in/deep/up/pwned.txt"]
    assert (tmp_path / "in" / "deep" / "up").is_dir()


def test_file_where_a_folder_should_be(tmp_path: Path) -> None:
    with pytest.raises(ArchivePathError, match="a file is where a folder should be"):
        unpack(tar_of({"a": b"1", "a/b": b"2"}), "x.tar", tmp_path)
