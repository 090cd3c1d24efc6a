"""The manifest as a local file: whole, the newest, under a name of its own. MAN-2."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from golden_manifest import golden_dataset, golden_state
from hypothesis import given
from hypothesis import strategies as st

from dataset_world import record
from stocktake.errors import DiskFullError, LocalFolderError
from stocktake.manifests import (
    Dataset,
    PutEntry,
    Reason,
    manifest_file_name,
    render_manifest,
    write_manifest_file,
)


@pytest.fixture
def dataset(tmp_path: Path) -> Iterator[Dataset]:
    state, clock = golden_state(tmp_path)
    with state:
        yield golden_dataset(state, clock)


def _names(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


def test_it_is_the_rendering_and_nothing_else_is_left(dataset: Dataset, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "manifests"
    path = write_manifest_file(dataset, folder)
    assert path == folder / "16_s3_manifest.json"
    assert path.read_bytes() == b"".join(render_manifest(dataset))
    dead = folder / ".16_s3_manifest.json.abcd.part"
    other = folder / ".17_s3_manifest.json.abcd.part"
    dead.write_text("half")
    other.write_text("somebody else's")
    write_manifest_file(dataset, folder)
    assert _names(folder) == [other.name, path.name]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_leaves_the_old_file(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    path = write_manifest_file(dataset, tmp_path / "m")
    before = path.read_bytes()
    dataset.commit([PutEntry(record("new.jpg", 8))], Reason.SYNC)

    def full(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFullError, match="no space"):
        write_manifest_file(dataset, tmp_path / "m")
    assert path.read_bytes() == before
    assert _names(tmp_path / "m") == [path.name]


def test_a_folder_that_cannot_be_is_named(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(LocalFolderError, match="file"):
        write_manifest_file(dataset, tmp_path / "file")
    with pytest.raises(LocalFolderError, match="file"):
        write_manifest_file(dataset, tmp_path / "file" / "below")
    (tmp_path / "m" / "16_s3_manifest.json").mkdir(parents=True)
    with pytest.raises(LocalFolderError, match="cannot write"):
        write_manifest_file(dataset, tmp_path / "m")
    assert len(_names(tmp_path / "m")) == 1


def test_writers_at_once_leave_the_newest(dataset: Dataset, tmp_path: Path) -> None:
    """MAN-2: an older manifest never takes the place of a newer one."""

    def write(writer: int) -> None:
        for turn in range(10):
            name = f"{writer}-{turn}.jpg"
            dataset.commit([PutEntry(record(name, turn))], Reason.SYNC)
            path = write_manifest_file(dataset, tmp_path / "m")
            assert name in path.read_text()

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    (name,) = _names(tmp_path / "m")
    document = json.loads((tmp_path / "m" / name).read_text())
    assert document["version"] == dataset.info().version == 43
    assert len(document["files"]) == 45


IDS = st.text(min_size=1, max_size=128).filter(
    lambda text: "/" not in text and text.isprintable() and text == text.strip()
)


@given(one=IDS, other=IDS)
def test_names_are_legal_and_never_shared(one: str, other: str) -> None:
    names = [manifest_file_name(one), manifest_file_name(other)]
    for name in names:
        assert len(name.encode()) <= 255
        assert not set(name) & set('/\\:*?"<>|\x00')
        assert not name.startswith(".")
    assert (names[0] == names[1]) == (one == other)


def test_names_that_are_dots_or_long_or_escapes() -> None:
    ids = ["..", ".", "%2F", "a%2F", "ü" * 128, "ü" * 127, "\U0001f600" * 128, "16", "con"]
    assert len({manifest_file_name(one) for one in ids}) == len(ids)
    assert manifest_file_name("Spring 2026, ü") == "Spring 2026, ü_s3_manifest.json"
