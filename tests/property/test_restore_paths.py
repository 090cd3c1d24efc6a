"""Whatever keys say, nothing is made outside the folder that is restored to (MAN-4)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stocktake.errors import RestoreTargetError
from stocktake.manifests._restore_folder import TargetFolder
from stocktake.manifests._restore_path import names_of, unescape_path

_NASTY = (
    b"..", b".", b"", b"a", b"b", b"~", b"-rf", b"a\nb", b"\xff", b"\0", b"C:", b"..\\..",
    b"x" * 300, b"way", b"link", b"file", b"%2e%2e", "\u202e..".encode(), b" ", b"...", b".. ",
    b"....", b"CON",
)  # fmt: skip
PATHS = st.one_of(
    st.lists(st.sampled_from(_NASTY), min_size=1, max_size=6).map(b"/".join),
    st.binary(max_size=40),
    st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")),
)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    ground = tmp_path_factory.mktemp("ground")
    yield ground
    shutil.rmtree(ground)


_NUMBERS = count()


def _tree(folder: Path) -> dict[str, tuple[str, bytes]]:
    """Everything below a folder: its kind and its bytes or where it leads."""
    found: dict[str, tuple[str, bytes]] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = ("link", os.fsencode(path.readlink()))
        elif path.is_dir():
            found[name] = ("folder", b"")
        else:
            found[name] = ("file", path.read_bytes())
    return found


def _world(ground: Path) -> tuple[Path, Path]:
    """A folder with traps in it, inside of one that must not change."""
    outside = ground / f"{next(_NUMBERS)}"
    target = outside / "inner" / "target"
    target.mkdir(parents=True)
    (outside / "secret").write_bytes(b"not yours")
    (outside / "inner" / "a").write_bytes(b"not yours either")
    (target / "way").symlink_to(outside)
    (target / "link").symlink_to(outside / "secret")
    (target / "file").write_bytes(b"was here")
    return outside, target


@settings(max_examples=150, deadline=None)
@given(paths=st.lists(PATHS, min_size=1, max_size=8), replace=st.booleans())
def test_no_key_makes_anything_outside_the_target(
    ground: Path, paths: list[bytes], replace: bool
) -> None:
    outside, target = _world(ground)
    before = {k: v for k, v in _tree(outside).items() if not k.startswith("inner/target/")}
    with TargetFolder(target, "run") as folder:
        written: dict[bytes, bytes] = {}
        for number, path in enumerate(paths):
            data = b"restored %d" % number
            with suppress(RestoreTargetError), folder.part(path) as part:
                part.write(data)
                part.place(over=folder.status(path) if replace else None, mtime_ns=10**18)
                written[path] = data
    after = {k: v for k, v in _tree(outside).items() if not k.startswith("inner/target/")}
    assert after == before
    assert (target / "way").is_symlink()
    assert (target / "link").is_symlink()
    for path, data in written.items():
        assert (target / os.fsdecode(path)).read_bytes() == data
    wanted = {os.fsdecode(path) for path in written}  # a key may well be called so
    assert not [name for name in _tree(target) if name.endswith(".part") and name not in wanted]
    shutil.rmtree(outside)


@settings(max_examples=300, deadline=None)
@given(path=PATHS, windows=st.booleans())
def test_a_path_is_its_names_or_refused_as_a_whole(path: bytes, windows: bool) -> None:
    try:
        names = names_of(path, windows=windows)
    except RestoreTargetError:
        return
    assert b"/".join(names) == path
    assert not {b"", b".", b".."} & set(names)
    assert not any(b"\0" in name or len(name) > 255 for name in names)
    if windows:
        assert not any(set(b'\\:*?"<>|') & set(name) for name in names)


@given(raw=st.binary(max_size=60))
def test_escaped_bytes_come_back(raw: bytes) -> None:
    text = "".join(chr(b) if 32 <= b < 127 and b != 37 else f"%{b:02X}" for b in raw)
    assert unescape_path(text) == raw
