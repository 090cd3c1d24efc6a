"""Fields of ZIP headers: names in any encoding, 64-bit sizes, times. SHP-10."""

from __future__ import annotations

import lzma
import struct
import zlib
from datetime import UTC, datetime, timedelta

import pytest
import zstandard

from archive_world import files, tar_of, walk_bytes, zip_by_hand
from stocktake.errors import (
    ArchiveCorruptError,
    ArchiveIncompleteError,
    ArchiveUnsupportedError,
)


def only_name(raw: bytes, *, flags: int = 0, extra: bytes = b"", code_page: str = "cp437") -> str:
    data = zip_by_hand([(raw, 0, b"1", b"1")], flags=flags, extra=extra)
    [opened] = walk_bytes(data, "x.zip", code_page=code_page)
    assert opened.member.raw_path == raw
    return opened.member.path


def unicode_path(raw: bytes, name: str, *, version: int = 1, crc: int | None = None) -> bytes:
    told = zlib.crc32(raw) if crc is None else crc
    body = struct.pack("<BL", version, told) + name.encode()
    return struct.pack("<HH", 0x7075, len(body)) + body


def test_flag_says_utf8() -> None:
    assert only_name("ü漢.csv".encode(), flags=1 << 11) == "ü漢.csv"


def test_unicode_path_field_comes_before_the_code_page() -> None:
    raw = b"\x81.csv"
    assert only_name(raw, extra=unicode_path(raw, "漢.csv")) == "漢.csv"
    for stale in (unicode_path(raw, "漢", crc=1), unicode_path(raw, "漢", version=2)):
        assert only_name(raw, extra=stale) == "ü.csv"
    broken = unicode_path(raw, "ab").replace(b"ab", b"\xff\xff")
    assert only_name(raw, extra=broken) == "ü.csv"


def test_name_without_flag_is_utf8_if_it_can_be() -> None:
    """macOS writes UTF-8 without saying so."""
    assert only_name("größe.csv".encode()) == "größe.csv"


@pytest.mark.parametrize(
    ("code_page", "raw", "name"),
    [
        ("cp437", b"gr\x94\xe1e", "größe"),
        ("shift_jis", b"\x8a\xbf", "漢"),
        ("cp1252", b"\xe9", "é"),
    ],
)
def test_name_without_flag_is_of_the_code_page(code_page: str, raw: bytes, name: str) -> None:
    assert only_name(raw, code_page=code_page) == name


def test_byte_that_the_code_page_does_not_have_stays_visible() -> None:
    path = only_name(b"\x81\xff", code_page="ascii")
    assert path.encode("utf-8", "surrogateescape") == b"\x81\xff"


def wide_zip(extra_body: bytes) -> bytes:
    """A member whose directory record has its sizes and its place in the zip64 field."""
    extra = struct.pack("<HH", 1, len(extra_body)) + extra_body
    data = bytearray(zip_by_hand([(b"a", 0, b"12345", b"12345")], extra=extra))
    at = data.index(b"PK\x01\x02")
    struct.pack_into("<2L", data, at + 20, 0xFFFFFFFF, 0xFFFFFFFF)
    struct.pack_into("<L", data, at + 42, 0xFFFFFFFF)
    return bytes(data)


def test_zip64_field_of_a_member_is_read() -> None:
    assert files(wide_zip(struct.pack("<QQQ", 5, 5, 0)), "x.zip") == {"a": b"12345"}


def test_zip64_field_that_is_too_short_is_damage() -> None:
    with pytest.raises(ArchiveCorruptError, match="zip64"):
        files(wide_zip(struct.pack("<Q", 5)), "x.zip")


def test_zip64_sizes_of_a_streamed_member_are_read() -> None:
    extra = struct.pack("<HHQQ", 1, 16, 5, 5)
    inner = bytearray(zip_by_hand([(b"a", 0, b"12345", b"12345")], extra=extra))
    for at in (18, inner.index(b"PK\x01\x02") + 20):
        struct.pack_into("<2L", inner, at, 0xFFFFFFFF, 0xFFFFFFFF)
    data = tar_of({"i.zip": bytes(inner)})
    assert files(data, "o.tar", nested_memory_bytes=9) == {"i/a": b"12345"}


def test_ntfs_time_is_utc() -> None:
    at = datetime(2026, 11, 21, 12, 30, 1, 500, tzinfo=UTC)
    ticks = (at - datetime(1601, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 10
    extra = struct.pack("<HHL2HQQQ", 0x000A, 32, 0, 1, 24, ticks, 0, 0)
    [opened] = walk_bytes(zip_by_hand([(b"a", 0, b"", b"")], extra=extra), "x.zip")
    assert opened.member.modified_at == at


@pytest.mark.parametrize("date", [0, 0xFFFF])
def test_date_that_is_none_is_none(date: int) -> None:
    data = bytearray(zip_by_hand([(b"a", 0, b"", b"")]))
    struct.pack_into("<H", data, data.index(b"PK\x01\x02") + 14, date)
    [opened] = walk_bytes(bytes(data), "x.zip")
    assert opened.member.modified_at is None


def test_directory_that_is_shorter_or_longer_than_told_is_damage() -> None:
    data = bytearray(zip_by_hand([(b"a", 0, b"", b""), (b"b", 0, b"", b"")]))
    for count in (1, 3):
        struct.pack_into("<2H", data, len(data) - 14, count, count)
        with pytest.raises(ArchiveCorruptError, match="directory has 2"):
            files(bytes(data), "x.zip")


def test_bytes_missing_before_the_directory_are_incomplete() -> None:
    data = zip_by_hand([(b"a", 0, b"1" * 500, b"1" * 500)])
    with pytest.raises(ArchiveIncompleteError, match="missing"):
        files(data[:100] + data[200:], "x.zip")


def test_member_that_is_not_where_the_directory_says() -> None:
    data = zip_by_hand([(b"a", 0, b"1", b"1")])
    with pytest.raises(ArchiveCorruptError, match="not where"):
        files(b"PK\x03\x05" + data[4:], "x.zip")


def test_member_on_another_volume_is_refused() -> None:
    data = bytearray(zip_by_hand([(b"a", 0, b"1", b"1")]))
    struct.pack_into("<H", data, data.index(b"PK\x01\x02") + 34, 3)
    with pytest.raises(ArchiveUnsupportedError, match="volumes"):
        files(bytes(data), "x.zip")


@pytest.mark.parametrize("method", [8, 9, 12, 14, 93, 95])
def test_noise_for_packed_bytes_is_damage(method: int) -> None:
    with pytest.raises((ArchiveCorruptError, ArchiveIncompleteError)):
        files(zip_by_hand([(b"a", method, b"\x07noise" * 9, b"1" * 99)]), "x.zip")


@pytest.mark.parametrize(
    ("method", "packed"),
    [(0, b"12345"), (95, lzma.compress(b"12345")), (93, zstandard.compress(b"12345"))],
)
def test_more_bytes_than_told_are_damage(method: int, packed: bytes) -> None:
    data = bytearray(zip_by_hand([(b"a", method, packed, b"12345")]))
    struct.pack_into("<L", data, data.index(b"PK\x01\x02") + 24, 3)
    with pytest.raises(ArchiveCorruptError):
        files(bytes(data), "x.zip")


def test_device_in_a_zip_is_listed() -> None:
    data = zip_by_hand([(b"null", 0, b"", b"")], attributes=0o020666 << 16)
    [opened] = walk_bytes(data, "x.zip")
    assert opened.member.kind == "device"


def test_folder_without_a_slash_is_a_folder_by_its_mode() -> None:
    data = zip_by_hand([(b"d", 0, b"", b"")], attributes=0o040755 << 16)
    [opened] = walk_bytes(data, "x.zip")
    assert opened.member.kind == "folder"


def test_reading_in_any_amounts_gives_the_same_bytes() -> None:
    content = bytes(range(256)) * 9000
    data = zip_by_hand([(b"a", 0, content, content)])
    for size_bytes in (1000, 1 << 20, 1 << 22):
        opened = next(walk_bytes(data, "x.zip"))
        pieces = list(iter(lambda opened=opened, n=size_bytes: opened.read(n), b""))
        assert b"".join(pieces) == content
        assert max(map(len, pieces)) <= size_bytes
        assert opened.read(5) == b""
    opened = next(walk_bytes(data, "x.zip"))
    assert opened.read(3) + opened.read(0) + opened.read() == content
