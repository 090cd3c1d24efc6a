"""What can be read, row by row of the format table; the content is equal. SHP-10."""

from __future__ import annotations

import hashlib
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import py7zr
import pytest
import rarfile
import zstandard

from archive_world import (
    FIXTURES,
    TREE,
    deflate64,
    files,
    piped_zip_of,
    seven_zip_of,
    tar_of,
    walk_bytes,
    zip_by_hand,
    zip_lzma_raw,
    zip_of,
    zip_ppmd,
)
from stocktake.errors import ArchiveCorruptError, ArchiveUnsupportedError
from stocktake.unpack import MemberKind
from stocktake.unpack._blake2sp import Blake2sp

ROWS = TREE["data/rows.csv"]


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    "method",
    [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA],
)
def test_zip_methods_of_the_standard_library(method: int) -> None:
    assert files(zip_of(TREE, method), "x.zip") == TREE
    assert files(piped_zip_of(TREE, method), "x.zip") == TREE  # data descriptors


@pytest.mark.parametrize(
    ("method", "pack"),
    [
        (9, deflate64),
        (14, zip_lzma_raw),
        (93, zstandard.compress),
        (95, lzma.compress),
        (98, zip_ppmd),
    ],
    ids=["deflate64", "lzma", "zstd", "xz", "ppmd"],
)
@pytest.mark.parametrize("content", [b"", b"x", ROWS], ids=["empty", "one", "rows"])
def test_zip_methods_of_other_programs(
    method: int, pack: Callable[[bytes], bytes], content: bytes
) -> None:
    data = zip_by_hand([(b"a.csv", method, pack(content), content)])
    assert digest(files(data, "x.zip")["a.csv"]) == digest(content)


def test_zip_method_that_nobody_reads_is_refused_before_the_first_member() -> None:
    data = zip_by_hand([(b"a", 0, b"1", b"1"), (b"b", 97, b"??", b"2")])
    with pytest.raises(ArchiveUnsupportedError, match="method 97"):
        next(walk_bytes(data, "x.zip"))


def test_zip64_records_are_read() -> None:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in TREE.items():
            with archive.open(name, "w", force_zip64=True) as member:
                member.write(content)
    assert files(held.getvalue(), "x.zip") == TREE


@pytest.mark.parametrize("prefix", [b"", b"in front of it"])
def test_zip64_end_record_is_read(prefix: bytes) -> None:
    """What more than 65,535 members or 4 GiB need."""
    data = zip_of(TREE)
    body, end = data[:-22], data[-22:]
    count, size, offset = struct.unpack("<10xHLL2x", end)
    wide = (44, 45, 45, 0, 0, count, count, size, offset)
    end64 = struct.pack("<4sQ2H2L4Q", b"PK\6\6", *wide)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, len(body), 1)
    narrow = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, *[0xFFFF] * 2, *[0xFFFFFFFF] * 2, 0)
    whole = prefix + body + end64 + locator + narrow
    assert files(whole, "x.zip") == TREE
    if not prefix:
        with pytest.raises(ArchiveCorruptError, match="zip64"):
            files(body + b"\0" + end64[1:] + locator + narrow, "x.zip")


@pytest.mark.slow
def test_zip_of_more_than_65535_members_is_read() -> None:
    names = [f"{number:05}" for number in range(65_600)]
    data = zip_of(dict.fromkeys(names, b""), zipfile.ZIP_STORED)
    assert [opened.member.path for opened in walk_bytes(data, "x.zip")] == names


@pytest.mark.parametrize("prefix", [b"MZ" + bytes(700), b"#!/bin/sh\nexit\n", b"junk" * 99])
def test_zip_behind_a_self_extractor_is_read(prefix: bytes) -> None:
    assert files(prefix + zip_of(TREE), "x.zip") == TREE
    held = io.BytesIO(prefix)
    with zipfile.ZipFile(held, "a") as archive:  # offsets count from the front of the file
        archive.writestr("a", b"1")
    assert files(held.getvalue(), "x.zip") == {"a": b"1"}


def test_zip_comment_that_looks_like_an_end_is_a_comment() -> None:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("a", b"1")
        archive.comment = b"PK\x05\x06" + bytes(18) + b"more"
    assert files(held.getvalue(), "x.zip") == {"a": b"1"}


def test_zip_times_are_utc_where_the_archive_says_so() -> None:
    unix = b"UT\x05\x00\x01" + (1_700_000_000).to_bytes(4, "little")
    utc, dos = (
        next(walk_bytes(zip_by_hand([(b"a", 0, b"", b"")], extra=extra), "x.zip")).member
        for extra in (unix, b"")
    )
    assert utc.modified_at == datetime.fromtimestamp(1_700_000_000, UTC)
    assert dos.modified_at == datetime(2025, 1, 1, tzinfo=UTC)


def test_zip_link_is_listed_with_its_target() -> None:
    data = zip_by_hand([(b"link", 0, b"../x", b"../x")], attributes=0o120777 << 16)
    opened = next(walk_bytes(data, "x.zip"))
    assert (opened.member.kind, opened.member.link_target) == (MemberKind.LINK, "../x")
    assert opened.read() == b""


BCJ2 = [
    {"id": py7zr.FILTER_X86},
    {"id": py7zr.FILTER_LZMA2, "preset": 1},
]


@pytest.mark.parametrize(
    "filters",
    [
        None,
        [{"id": py7zr.FILTER_LZMA, "preset": 1}],
        [{"id": py7zr.FILTER_LZMA2, "dict_size": 64 << 20}],
        [{"id": py7zr.FILTER_BZIP2}],
        [{"id": py7zr.FILTER_DEFLATE}],
        [{"id": py7zr.FILTER_PPMD, "order": 6, "mem": 24}],
        [{"id": py7zr.FILTER_DELTA}, {"id": py7zr.FILTER_LZMA2, "preset": 1}],
        BCJ2,
        [{"id": py7zr.FILTER_COPY}],
    ],
    ids=["default", "lzma", "64-mb", "bzip2", "deflate", "ppmd", "delta", "x86", "copy"],
)
def test_7z_coders(filters: Any) -> None:
    assert files(seven_zip_of(TREE, filters), "x.7z") == TREE


def test_7z_without_an_encoded_header_is_read() -> None:
    assert files(seven_zip_of(TREE, packed_header=False), "x.7z") == TREE


def test_fault_43_empty_7z_has_no_members() -> None:
    assert files(seven_zip_of({}), "x.7z") == {}
    assert files(seven_zip_of({"empty": b""}), "x.7z") == {"empty": b""}


RAR_CRC = {"stest1.txt": 2048, "stest2.txt": 2048}


@pytest.mark.parametrize(
    "name", ["rar5-crc", "rar5-blake", "rar5-solid", "rar5-quick-open", "seektest"]
)
def test_rar_is_read_with_the_checksums_of_its_headers(name: str) -> None:
    path = FIXTURES / f"{name}.rar"
    found = files(path.read_bytes(), path.name)
    assert {key: len(content) for key, content in found.items()} == RAR_CRC
    with rarfile.RarFile(path) as oracle:
        for info in oracle.infolist():
            if info.CRC is not None:
                assert zlib.crc32(found[info.filename]) == info.CRC


@pytest.mark.parametrize("name", ["rar3-subdirs", "rar5-subdirs"])
def test_rar_names_folders_and_sizes_are_those_that_rarfile_sees(name: str) -> None:
    path = FIXTURES / f"{name}.rar"
    listed = {
        opened.member.path: opened.member.size_bytes
        for opened in walk_bytes(path.read_bytes(), path.name)
    }
    with rarfile.RarFile(path) as oracle:
        assert listed == {
            info.filename.rstrip("/"): None if info.is_dir() else info.file_size
            for info in oracle.infolist()
        }


@pytest.mark.parametrize("name", ["e\u0301.txt", "é.txt", "\u1100\u1161/가"])
def test_names_are_not_composed(name: str) -> None:
    """Trap: libarchive gives decomposed names (as of a Mac) composed: another key."""
    tree = {name: b"1"}
    for data, archive in (
        (tar_of(tree, tarfile.PAX_FORMAT), "x.tar"),
        (tar_of(tree, tarfile.GNU_FORMAT), "x.tar"),
        (zip_of(tree), "x.zip"),
        (seven_zip_of({"a": b"0", **tree, "empty": b""}), "x.7z"),
    ):
        paths = [opened.member.path for opened in walk_bytes(data, archive)]
        assert name in paths


def test_blake2sp_is_that_of_the_headers() -> None:
    data = (FIXTURES / "rar5-blake.rar").read_bytes()
    with rarfile.RarFile(FIXTURES / "rar5-blake.rar") as oracle:
        expected = {info.filename: info.blake2sp_hash for info in oracle.infolist()}
    for name, content in files(data, "x.rar").items():
        hashed = Blake2sp()
        for at in range(0, len(content), 700):
            hashed.update(content[at : at + 700])
        assert hashed.digest() == expected[name]


def test_rar_links_are_listed() -> None:
    for name in ("rar3-symlink-unix.rar", "rar5-symlink-unix.rar"):
        kinds = {
            opened.member.path: (opened.member.kind, opened.member.link_target)
            for opened in walk_bytes((FIXTURES / name).read_bytes(), name)
        }
        assert kinds["random_link"] == (MemberKind.LINK, "../random123")
        assert kinds["data.txt"] == (MemberKind.FILE, None)


def test_rar5_hard_link_is_a_link_and_not_an_empty_file() -> None:
    data = (FIXTURES / "rar5-hlink.rar").read_bytes()
    kinds = [opened.member.kind for opened in walk_bytes(data, "x.rar")]
    assert kinds == [MemberKind.FILE, MemberKind.LINK, MemberKind.LINK]
