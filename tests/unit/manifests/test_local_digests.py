"""Digests of local files and what the cache makes of changes: MAN-3, faults 4, 20, 21."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stocktake.clock import FixedClock
from stocktake.errors import SourceChangedError
from stocktake.manifests import DigestCache, LocalFile, digest_file, walk_folder
from stocktake.manifests import _local_digests as module
from stocktake.state import State, open_state
from stocktake.store import crc64nvme, encode_crc64nvme

LATER = datetime(2100, 1, 1, tzinfo=UTC)
"""A time at which no file is young."""


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    clock = FixedClock(datetime(2026, 1, 2, tzinfo=UTC))
    with open_state(f"sqlite:///{tmp_path}/state.db", clock=clock) as opened:
        opened.upgrade()
        yield opened


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


def cache(state: State, root: Path, *, at: datetime = LATER) -> DigestCache:
    return DigestCache(state, root, clock=FixedClock(at))


def only(root: Path) -> LocalFile:
    (file,) = walk_folder(root)
    return file


def test_digests_are_those_of_the_bytes(root: Path) -> None:
    data = os.urandom((2 << 20) + 17)
    (root / "a").write_bytes(data)
    found = digest_file(root, only(root))
    assert found.md5 == hashlib.md5(data, usedforsecurity=False).hexdigest()
    assert found.sha256 == hashlib.sha256(data).hexdigest()
    assert found.crc64nvme == encode_crc64nvme(crc64nvme(data))
    assert found.size_bytes == len(data)


def test_unchanged_file_is_read_once(
    state: State, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "a").write_bytes(b"one")
    file = only(root)
    with cache(state, root) as first:
        found = first.digests(file)
    monkeypatch.setattr(module, "digest_file", None)
    with cache(state, root) as second:
        assert second.digests(only(root)) == found
        assert second.known(file) == found


@pytest.mark.parametrize("change", ["bytes", "mtime put back", "replaced", "touched"])
def test_change_that_size_and_mtime_hide_is_seen(state: State, root: Path, change: str) -> None:
    """Faults 20, 21: ctime and inode cannot be put back."""
    path = root / "a"
    path.write_bytes(b"one")
    before = path.stat()
    with cache(state, root) as first:
        first.digests(only(root))
    if change == "replaced":
        (root / "b").write_bytes(b"two")
        (root / "b").rename(path)
    elif change == "touched":
        path.touch()
    else:
        path.write_bytes(b"two")
    if change != "bytes":
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with cache(state, root) as second:
        assert second.known(only(root)) is None
        expected = b"one" if change == "touched" else b"two"
        assert second.digests(only(root)).sha256 == hashlib.sha256(expected).hexdigest()


def test_file_that_was_written_to_just_now_is_not_trusted_next_time(
    state: State, root: Path
) -> None:
    """It could be written to once more within the same tick of the file system's clock."""
    path = root / "a"
    path.write_bytes(b"one")
    written = datetime.fromtimestamp(path.stat().st_ctime, UTC)
    with cache(state, root, at=written) as first:
        first.digests(only(root))
        assert first.known(only(root)) is None


def test_file_that_changes_while_it_is_read_has_no_digests(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fault 4."""
    path = root / "a"
    path.write_bytes(b"x" * 100)
    file, read = only(root), os.read

    def grow(descriptor: int, size_bytes: int) -> bytes:
        path.write_bytes(b"y" * 100)
        return read(descriptor, size_bytes)

    monkeypatch.setattr(module.os, "read", grow)
    with pytest.raises(SourceChangedError):
        digest_file(root, file)


def test_two_folders_have_their_own_rows(state: State, root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for folder in (root, other):
        (folder / "a").write_bytes(folder.name.encode())
        with cache(state, folder) as one:
            one.digests(only(folder))
    with cache(state, root) as one:
        found = one.known(only(root))
    assert found is not None
    assert found.sha256 == hashlib.sha256(b"root").hexdigest()


def test_many_files_cost_a_query_per_page_and_a_commit_per_batch(
    state: State, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE_ROWS", 10)
    monkeypatch.setattr(module, "BATCH_ROWS", 7)
    for number in range(50):
        (root / f"{number:03d}").write_bytes(b"%d" % number)
    files = list(walk_folder(root))
    with cache(state, root) as first:
        for file in files:
            first.digests(file)
    queries = []
    with cache(state, root) as second:
        query = second._query
        monkeypatch.setattr(second, "_query", lambda *a, **k: queries.append(a) or query(*a, **k))
        assert all(second.known(file) is not None for file in files)
        assert len(queries) == 5
        assert second.known(files[3]) is not None
        assert second.known(files[49]) is not None


def test_rows_of_removed_files_can_be_dropped(
    state: State, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE_ROWS", 4)
    for number in range(15):
        (root / f"{number:02d}").write_bytes(b"x")
    files = list(walk_folder(root))
    with cache(state, root) as one:
        for file in files:
            one.digests(file)
        one.flush()
        assert one.drop_surplus(8, lambda: files[::2]) == 0
        monkeypatch.setattr(module, "SURPLUS_ROWS_MAX", 2)
        assert one.drop_surplus(7, lambda: files[::2]) == 0
        assert one.drop_surplus(6, lambda: files[::2]) == 7
        assert [one.known(file) is not None for file in files] == [True, False] * 7 + [True]
