"""Any tree comes out as it went in; no damage changes a content without a word. SHP-10, SHP-11."""

from __future__ import annotations

import gzip
import tarfile
import unicodedata
import zipfile
from collections.abc import Callable, Mapping
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archive_world import (
    PACKERS,
    Tree,
    files,
    piped_zip_of,
    seven_zip_of,
    tar_of,
    walk_bytes,
    zip_of,
)
from stocktake.errors import ArchiveError
from stocktake.unpack import MemberKind

WRITERS: dict[str, tuple[str, Callable[[Tree], bytes]]] = {
    "stored": ("x.zip", lambda tree: zip_of(tree, zipfile.ZIP_STORED)),
    "deflated": ("x.zip", zip_of),
    "piped": ("x.zip", piped_zip_of),
    "lzma": ("x.zip", lambda tree: zip_of(tree, zipfile.ZIP_LZMA)),
    "pax": ("x.tar", tar_of),
    "gnu": ("x.tar", lambda tree: tar_of(tree, tarfile.GNU_FORMAT)),
    **{
        f"tar.{packing}": (f"x.tar.{packing}", lambda tree, pack=pack: pack(tar_of(tree)))
        for packing, pack in PACKERS.items()
    },
    "7z": ("x.7z", seven_zip_of),
    "zip in tar": ("x.tar", lambda tree: tar_of({"in.zip": zip_of(tree)})),
    "tar.gz in zip": ("x.zip", lambda tree: zip_of({"in.tgz": gzip.compress(tar_of(tree))})),
}
# py7zr writes no checksum of a packed header; 7-Zip does
WRITERS["7z, plain header"] = ("x.7z", partial(seven_zip_of, packed_header=False))
CHECKED = [
    "stored",
    "deflated",
    "piped",
    "lzma",
    "7z, plain header",
    *(f"tar.{packing}" for packing in PACKERS),
]

PARTS = st.text("abcxyzé\u0301ß漢🙂 .-_%+&", min_size=1, max_size=8).filter(
    lambda part: part.strip(".") == part and part.strip() == part and part.isprintable()
)
PATHS = st.lists(PARTS, min_size=1, max_size=3).map("/".join)
# contents as a unit and how often: written out they would be too long to print
CONTENTS = st.tuples(st.binary(min_size=1, max_size=99), st.integers(0, 3000))
Seeds = Mapping[str, tuple[bytes, int]]
TREES = st.dictionaries(PATHS, CONTENTS, max_size=6).filter(
    lambda tree: len({unicodedata.normalize("NFC", path) for path in tree}) == len(tree)
)


@pytest.mark.parametrize("writer", WRITERS)
@settings(max_examples=20)
@given(seeds=TREES)
def test_any_tree_comes_out_as_it_went_in(writer: str, seeds: Seeds) -> None:
    name, write = WRITERS[writer]
    tree = grown(seeds)
    assert files(write(tree), name) == inside(writer, tree)


def grown(seeds: Seeds) -> dict[str, bytes]:
    return {path: unit * count for path, (unit, count) in seeds.items()}


def inside(writer: str, tree: Tree) -> Tree:
    """The tree as it comes out: below the inner archive's stem."""
    folder = "in/" if " in " in writer else ""
    return {folder + path: content for path, content in tree.items()}


def survivors(data: bytes, name: str, tree: Tree) -> bool:
    """Whether what is given is right; what became another kind by a flipped bit is listed.

    Judged after the walk has ended: the checksum of a tar.gz comes after all members.
    """
    listed = set()
    right = True
    for opened in walk_bytes(data, name):
        content = opened.read()
        listed.add(opened.member.path)
        if opened.member.kind is MemberKind.FILE:
            right = right and tree.get(opened.member.path) == content
    return right and listed == set(tree)


@pytest.mark.parametrize("writer", CHECKED)
@settings(max_examples=40)
@given(seeds=TREES, place=st.floats(0, 1), bit=st.integers(0, 7))
def test_flipped_bit_is_an_error_or_changes_nothing(
    writer: str, seeds: Seeds, place: float, bit: int
) -> None:
    name, write = WRITERS[writer]
    tree = grown(seeds)
    data = bytearray(write(tree))
    data[min(int(place * len(data)), len(data) - 1)] ^= 1 << bit
    try:
        right = survivors(bytes(data), name, tree)
    except ArchiveError:
        return
    assert right


@pytest.mark.parametrize("writer", WRITERS)
@settings(max_examples=20)
@given(seeds=TREES, place=st.floats(0, 1))
def test_cut_archive_is_an_error_or_whole(writer: str, seeds: Seeds, place: float) -> None:
    name, write = WRITERS[writer]
    whole = write(grown(seeds))
    tree = inside(writer, grown(seeds))
    try:
        right = survivors(whole[: int(place * len(whole))], name, tree)
    except ArchiveError:
        return
    assert right


@pytest.mark.parametrize("name", ["x.zip", "x.7z", "x.rar", "x.tar", "x.tgz", "x.zst", "x.xz"])
@settings(max_examples=60)
@given(head=st.booleans(), noise=st.binary(max_size=2000))
def test_noise_gives_archive_errors_only(name: str, head: bool, noise: bytes) -> None:
    magic = {
        "x.zip": b"PK\x03\x04",
        "x.7z": b"7z\xbc\xaf\x27\x1c",
        "x.rar": b"Rar!\x1a\x07\x01\x00",
        "x.tgz": b"\x1f\x8b\x08",
        "x.zst": b"\x28\xb5\x2f\xfd",
        "x.xz": b"\xfd7zXZ\x00",
    }.get(name, b"")
    try:
        files(magic * head + noise, name)
    except ArchiveError:
        return
    assert not noise.strip(b"\0") or name in ("x.zst", "x.tgz")
