"""Archives in archives: one order, one budget, no file. SHP-11, SHP-12."""

from __future__ import annotations

import gzip
import struct
import zipfile
import zlib
from typing import Any

import pytest

from archive_world import (
    FIXTURES,
    PACKERS,
    TREE,
    deflate64,
    files,
    piped_zip_of,
    seven_zip_of,
    tar_of,
    walk_bytes,
    zip_by_hand,
    zip_of,
)
from stocktake.errors import (
    ArchiveCorruptError,
    ArchiveEncryptedError,
    ArchiveError,
    ArchiveIncompleteError,
    ArchivePathError,
    ArchiveUnsupportedError,
)

SMALL = {"a.csv": b"1,2\n", "d/b.txt": b"two" * 500}
INNER = {
    "i.zip": zip_of(SMALL),
    "i.tar": tar_of(SMALL),
    "i.tar.gz": gzip.compress(tar_of(SMALL)),
    "i.tzst": PACKERS["zst"](tar_of(SMALL)),
    "i.7z": seven_zip_of(SMALL),
}
OUTER: dict[str, Any] = {
    "o.zip": zip_of,
    "stored.zip": lambda tree: zip_of(tree, zipfile.ZIP_STORED),
    "o.tar": tar_of,
    "o.tar.gz": lambda tree: gzip.compress(tar_of(tree)),
    "o.7z": seven_zip_of,
}


def below(folder: str, tree: dict[str, bytes] = SMALL) -> dict[str, bytes]:
    return {f"{folder}/{path}": content for path, content in tree.items()}


@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("outer", OUTER)
def test_members_of_an_inner_archive_lie_below_its_stem(outer: str, inner: str) -> None:
    data = OUTER[outer]({"first": b"1", f"sub/{inner}": INNER[inner], "last": b"2"})
    expected = {"first": b"1", **below("sub/i"), "last": b"2"}
    assert files(data, outer) == expected
    with walk_bytes(data, outer) as members:
        depths = {opened.member.path: opened.member.depth for opened in members}
    assert depths == {path: int(path.startswith("sub/")) for path in expected}


def test_single_file_inside_lies_beside_its_archive() -> None:
    data = zip_of({"logs/a.csv.gz": gzip.compress(b"1,2\n"), "b.bz2": PACKERS["bz2"](b"3")})
    assert files(data, "o.zip") == {"logs/a.csv": b"1,2\n", "b": b"3"}


def test_depth_0_leaves_inner_archives_as_they_are() -> None:
    data = zip_of({"i.zip": INNER["i.zip"]})
    assert files(data, "o.zip", depth_max=0) == {"i.zip": INNER["i.zip"]}


def test_inner_rar_is_read() -> None:
    data = tar_of({"r.rar": (FIXTURES / "rar5-crc.rar").read_bytes()})
    assert {path: len(content) for path, content in files(data, "o.tar").items()} == {
        "r/stest1.txt": 2048,
        "r/stest2.txt": 2048,
    }


@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("outer", OUTER)
def test_members_skipped_in_the_second_walk_do_not_move_the_others(outer: str, inner: str) -> None:
    data = OUTER[outer]({"first": b"1", inner: INNER[inner], "last": b"2"})
    all_of_them = [(opened.member, opened.read()) for opened in walk_bytes(data, outer)]
    for wanted in range(len(all_of_them)):
        found = [
            (opened.member, opened.read())
            for opened in walk_bytes(data, outer)
            if opened.member.ordinal == wanted
        ]
        assert found == [all_of_them[wanted]]


def test_inner_zip_stored_in_a_zip_is_read_where_it_lies() -> None:
    data = zip_of({"i.zip": zip_of(TREE)}, zipfile.ZIP_STORED)
    assert files(data, "o.zip", nested_memory_bytes=0) == below("i", TREE)


def test_checksum_of_the_outer_archive_holds_for_an_inner_tar_that_has_none() -> None:
    whole = zip_of({"i.tar": tar_of({"a": b"content"})}, zipfile.ZIP_STORED)
    with pytest.raises(ArchiveCorruptError, match=r"i\.tar has a wrong CRC-32"):
        files(whole.replace(b"content", b"CONTENT"), "o.zip")


def test_checksum_of_the_outer_archive_holds_for_what_an_inner_zip_does_not_cover() -> None:
    whole = zip_of({"i.zip": zip_by_hand([(b"a", 0, b"", b"")], extra=b"XXXX\0\0")}, 0)
    with pytest.raises(ArchiveCorruptError):
        files(whole.replace(b"XXXX", b"YYYY"), "o.zip")


STREAMED = {"nested_memory_bytes": 100}


@pytest.mark.parametrize(
    "make", [zip_of, piped_zip_of, lambda tree: piped_zip_of(tree, zipfile.ZIP_BZIP2)]
)
def test_inner_zip_too_large_for_memory_is_streamed(make: Any) -> None:
    data = tar_of({"i.zip": make(TREE), "last": b"2"})
    expected = {**below("i", TREE), "last": b"2"}
    assert files(data, "o.tar", **STREAMED) == expected
    with walk_bytes(data, "o.tar", **STREAMED) as members:
        assert [opened.member.path for opened in members] == list(expected)


def test_inner_zip_of_other_methods_is_streamed() -> None:
    rows = TREE["data/rows.csv"]
    inner = zip_by_hand([(b"s", 0, rows, rows), (b"d64", 9, deflate64(rows), rows)])
    assert files(tar_of({"i.zip": inner}), "o.tar", **STREAMED) == below(
        "i", {"s": rows, "d64": rows}
    )


def test_streamed_zip_with_stored_members_of_unknown_length_is_refused() -> None:
    inner = piped_zip_of(TREE, zipfile.ZIP_STORED)
    assert files(tar_of({"i.zip": inner}), "o.tar") == below("i", TREE)
    with pytest.raises(ArchiveUnsupportedError, match="does not say where it ends"):
        files(tar_of({"i.zip": inner}), "o.tar", **STREAMED)


def hidden_member() -> bytes:
    data = bytearray(zip_of({"shown": b"1" * 300, "hidden": b"2" * 300}))
    at = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 1)
    end = data.index(b"PK\x05\x06")
    del data[at:end]
    struct.pack_into("<2H", data, at + 8, 1, 1)
    struct.pack_into("<L", data, at + 12, struct.unpack_from("<L", data, at + 12)[0] - (end - at))
    return bytes(data)


def renamed_in_directory() -> bytes:
    data = zip_of({"name-one": b"1" * 300})
    at = data.rindex(b"name-one")
    return data[:at] + b"name-two" + data[at + 8 :]


def linked_in_directory() -> bytes:
    return zip_by_hand([(b"link", 0, b"t" * 300, b"t" * 300)], attributes=0o120777 << 16)


@pytest.mark.parametrize("inner", [hidden_member(), renamed_in_directory(), linked_in_directory()])
def test_fault_37_streamed_zip_must_agree_with_its_directory(inner: bytes) -> None:
    with pytest.raises((ArchiveCorruptError, ArchiveUnsupportedError)):
        files(tar_of({"i.zip": inner}), "o.tar", **STREAMED)


def test_fault_34_streamed_zip_with_a_wrong_checksum() -> None:
    rows = TREE["data/rows.csv"]
    for inner in (zip_of({"a": rows}), piped_zip_of({"a": rows})):
        wrong = inner.replace(struct.pack("<L", zlib.crc32(rows)), b"\1\2\3\4")
        assert wrong != inner
        with pytest.raises(ArchiveCorruptError):
            files(tar_of({"i.zip": wrong}), "o.tar", **STREAMED)


@pytest.mark.parametrize("left", [0.1, 0.5, 0.9, -1, -22, -30])
def test_fault_35_streamed_zip_that_is_cut_is_incomplete(left: float) -> None:
    inner = piped_zip_of(TREE)
    left_bytes = int(left) if left < 0 else int(len(inner) * left)
    with pytest.raises(ArchiveIncompleteError):
        files(tar_of({"i.zip": inner[:left_bytes]}), "o.tar", **STREAMED)


def test_fault_32_streamed_zip_with_an_encrypted_member() -> None:
    inner = zip_by_hand([(b"a", 0, b"1" * 200, b"1" * 200), (b"b", 8, b"??", b"2")], flags=1)
    with pytest.raises(ArchiveEncryptedError):
        files(tar_of({"i.zip": inner}), "o.tar", **STREAMED)


@pytest.mark.parametrize("name", ["i.7z", "r.rar"])
def test_inner_7z_or_rar_too_large_for_memory_is_refused(name: str) -> None:
    inner = INNER.get(name) or (FIXTURES / "rar5-crc.rar").read_bytes()
    with pytest.raises(ArchiveUnsupportedError, match="any order") as caught:
        files(tar_of({name: inner}), "o.tar", **STREAMED)
    assert "nested_memory_bytes" in str(caught.value.hint)


def test_memory_for_inner_archives_is_shared_by_all_levels() -> None:
    middle = zip_of({"deep.7z": INNER["i.7z"]})
    data = tar_of({"m.zip": middle})
    assert files(data, "o.tar", nested_memory_bytes=len(middle) + len(INNER["i.7z"]))
    with pytest.raises(ArchiveUnsupportedError):
        files(data, "o.tar", nested_memory_bytes=len(middle) + len(INNER["i.7z"]) - 1)


@pytest.mark.parametrize("broken", INNER)
def test_broken_inner_archive_fails_the_outer_one_and_is_named(broken: str) -> None:
    left_bytes = 600 if broken == "i.tar" else len(INNER[broken]) - 40
    data = zip_of({broken: INNER[broken][:left_bytes]})
    with pytest.raises(ArchiveError, match=rf"o\.zip/{broken}"):
        files(data, "o.zip")


def test_inner_member_that_meets_an_outer_one_fails_unless_they_are_the_same() -> None:
    for outer in (tar_of, zip_of):
        tree = {"i/a": b"1", "i.zip": zip_of({"a": b"1"})}
        assert files(outer(tree), "o.tar" if outer is tar_of else "o.zip") == {"i/a": b"1"}
    with pytest.raises(ArchivePathError, match="differ"):
        files(tar_of({"i.zip": zip_of({"a": b"1"}), "i/a": b"2"}), "o.tar")


def test_path_rules_hold_for_the_whole_path_of_an_inner_member() -> None:
    long = "n" * 600
    data = tar_of({f"{long}/i.zip": zip_of({"m" * 500: b"1"})})
    with pytest.raises(ArchivePathError, match="longer than"):
        files(data, "o.tar")
