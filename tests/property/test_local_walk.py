"""A walk gives every file once, in the order of keys, and each is found again by its key. MAN-3."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stocktake.manifests import (
    LocalFile,
    Skipped,
    SkipReason,
    find_local,
    local_key,
    open_local,
    walk_folder,
)

NAMES = st.one_of(
    st.sampled_from(
        [b"a", b"a.b", b"a-", b"a0", b"%E9", b"\xe9", b"%25", b"\n", b"\xc3\xa9", b"Z"]
    ),
    st.binary(min_size=1, max_size=3).filter(
        lambda name: b"/" not in name and b"\0" not in name and name not in {b".", b".."}
    ),
)
PATHS = st.lists(NAMES, min_size=1, max_size=4).map(b"/".join)


@pytest.fixture(scope="module")
def top(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("walk")


def fill(root: Path, paths: set[bytes]) -> set[bytes]:
    """Make the files; those whose place is a folder's, or below a file, cannot be."""
    made = set()
    for path in sorted(paths):
        whole = os.fsencode(root) + b"/" + path
        try:
            os.makedirs(os.path.dirname(whole), exist_ok=True)  # noqa: PTH103, PTH120 - bytes
            with open(whole, "wb") as file:  # noqa: PTH123 - bytes
                file.write(path)
        except OSError:
            continue
        made.add(path)
    return made


@given(paths=st.sets(PATHS, max_size=12))
@settings(max_examples=100, deadline=None)
def test_walk_gives_each_file_once_in_key_order(paths: set[bytes], top: Path) -> None:
    root = top / "root"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    made = fill(root, paths)
    skipped: list[Skipped] = []
    found = list[LocalFile](walk_folder(root, skipped=skipped.append))
    keys = [file.key.encode() for file in found]
    assert keys == sorted(set(keys))
    assert {one.reason for one in skipped} <= {SkipReason.COLLISION}
    left_out = {one.path for one in skipped}
    missing = made - {file.path for file in found}
    assert all(
        any(path == one or path.startswith(one + b"/") for one in left_out) for path in missing
    )
    for file in found:
        assert find_local(root, file.key) == file
        with open_local(root, file) as opened:
            assert opened.read() == file.path


@given(path=PATHS)
def test_key_is_text_that_every_store_and_log_can_hold(path: bytes) -> None:
    key = local_key(path)
    key.encode("utf-8")
    assert not any(ord(one) < 32 for one in key)
    assert key.count("/") == path.count(b"/")
    if path.isascii() and path.decode().isprintable():
        assert key.encode() == path
