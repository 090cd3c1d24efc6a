"""Catalog files in a directory: full disks, killed writers, permissions."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from stocktake.catalog._files_local import LocalFiles
from stocktake.clock import FixedClock, SystemClock
from stocktake.errors import CatalogError, DiskFullError

LATER = FixedClock(datetime.now(UTC) + timedelta(hours=1))

KILLED_WRITER = """
import os, signal, sys
from pathlib import Path
from stocktake.catalog._files_local import LocalFiles
with LocalFiles(Path(sys.argv[1])).create("a/x") as sink:
    sink.write(b"half")
    if sys.argv[2] == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    print("writing", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def files(tmp_path: Path) -> LocalFiles:
    return LocalFiles(tmp_path / "catalog")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_told_and_leaves_nothing(
    files: LocalFiles, code: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from stocktake.catalog import _files_local

    class Full(_files_local._Sink):
        def write(self, data: Any, /) -> int:
            raise _files_local._failed("write", "x", OSError(code, os.strerror(code)))

    monkeypatch.setattr(_files_local, "_Sink", Full)
    with pytest.raises(DiskFullError, match="no space left"), files.create("a/x") as sink:
        sink.write(b"abc")
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_a_device_without_space_is_told() -> None:
    from stocktake.catalog._files_local import _Sink

    with pytest.raises(DiskFullError), _Sink("/dev/full", "wb") as sink:
        sink.write(b"x" * 10)


def test_a_directory_that_may_not_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    files = LocalFiles(tmp_path / "file" / "catalog")
    with pytest.raises(CatalogError, match="cannot write `x`"), files.create("x"):
        pass


def test_reading_a_folder_is_told(files: LocalFiles) -> None:
    with files.create("a/x") as sink:
        sink.write(b"x")
    with pytest.raises(CatalogError, match="cannot read `a`"):
        files.read("a")
    with pytest.raises(CatalogError, match="cannot remove `a`"):
        files.remove("a")


def run_writer(root: Path, what: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", KILLED_WRITER, str(root), what],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def test_what_a_killed_writer_left_is_removed_but_not_at_once(
    files: LocalFiles, tmp_path: Path
) -> None:
    run_writer(tmp_path / "catalog", "die").communicate()
    left = [p.name for p in (tmp_path / "catalog" / "a").iterdir()]
    assert len(left) == 1
    assert left[0].startswith(".x.")
    assert list(files.listing("")) == []
    assert files.remove_leftovers(SystemClock()) == []  # it might be a newborn
    assert files.remove_leftovers(LATER) == [f"a/{left[0]}"]
    assert files.remove_leftovers(LATER) == []


def test_what_a_living_writer_writes_stays(files: LocalFiles, tmp_path: Path) -> None:
    writer = run_writer(tmp_path / "catalog", "wait")
    assert writer.stdout is not None
    assert writer.stdout.readline() == b"writing\n"
    assert files.remove_leftovers(LATER) == []
    writer.communicate()
    assert files.read("a/x") == b"half"


def test_a_file_that_goes_meanwhile_is_no_leftover(files: LocalFiles, tmp_path: Path) -> None:
    from stocktake.catalog._files_local import _is_abandoned

    assert not _is_abandoned(tmp_path / ".gone.part", LATER)


def test_empty_folders_go_with_their_last_file(files: LocalFiles, tmp_path: Path) -> None:
    for path in ("s/b/one", "s/c/two"):
        with files.create(path) as sink:
            sink.write(b"x")
    files.remove("s/b/one")
    assert sorted(p.name for p in (tmp_path / "catalog" / "s").iterdir()) == ["c"]
    files.remove("s/c/two")
    assert list((tmp_path / "catalog").iterdir()) == []
