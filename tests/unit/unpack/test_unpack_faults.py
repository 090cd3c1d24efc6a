"""Nasty archives, by their fault numbers: they fail whole, with the reason. SHP-12."""

from __future__ import annotations

import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from typing import Any

import py7zr
import pytest
import zstandard

from archive_world import (
    FIXTURES,
    PACKERS,
    TREE,
    add,
    clock,
    files,
    seven_zip_of,
    tar_of,
    walk_bytes,
    zip_by_hand,
    zip_of,
)
from stocktake.clock import FixedClock
from stocktake.errors import (
    ArchiveCorruptError,
    ArchiveEncryptedError,
    ArchiveError,
    ArchiveIncompleteError,
    ArchiveLimitError,
    ArchivePathError,
    ArchiveUnsupportedError,
    NotAnArchiveError,
)
from stocktake.unpack import UnpackLimits, Walk, detect, is_archive_name, walk

BAD_NAMES = ["/a", "../a", "a/../../b", "C:/a", "c:a", "a\\b", "a//b", "a\0b", "a\x7f", "n" * 1025]


def fixture(name: str) -> bytes:
    return (FIXTURES / name).read_bytes()


@pytest.mark.parametrize("name", BAD_NAMES)
def test_fault_30_bad_name_fails_the_zip_before_its_first_member(name: str) -> None:
    data = zip_by_hand([(b"good", 0, b"1", b"1"), (name.encode(), 0, b"2", b"2")], flags=1 << 11)
    with pytest.raises(ArchivePathError, match=r"x\.zip"):
        next(walk_bytes(data, "x.zip"))


@pytest.mark.parametrize("name", ["/a", "../a", "a/../../b", "C:/a", "a//b"])
def test_fault_30_bad_name_fails_the_7z(name: str) -> None:
    data = bytearray(seven_zip_of({"q" * len(name): b"1"}, packed_header=False))
    at = data.index(("q" * len(name)).encode("utf-16-le"))
    data[at : at + 2 * len(name)] = name.encode("utf-16-le")
    seal_7z(data)
    with pytest.raises(ArchivePathError, match="7z"):
        files(bytes(data), "x.7z")


def seal_7z(data: bytearray) -> None:
    """Set the checksums of the header and of the start anew."""
    offset, size = struct.unpack_from("<QQ", data, 12)
    struct.pack_into("<L", data, 28, zlib.crc32(data[32 + offset : 32 + offset + size]))
    struct.pack_into("<L", data, 8, zlib.crc32(data[12:32]))


def test_fault_30_dots_that_say_nothing_are_no_bad_name() -> None:
    assert files(tar_of({"./a": b"1", "b/./c": b"2"}), "x.tar") == {"a": b"1", "b/c": b"2"}


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_fault_31_duplicate_in_zip_fails_unless_the_content_is_the_same() -> None:
    def twice(first: bytes, second: bytes) -> bytes:
        return zip_by_hand(
            [(b"a", 0, first, first), (b"b", 0, b"", b""), (b"a", 0, second, second)]
        )

    assert files(twice(b"1", b"1"), "x.zip") == {"a": b"1", "b": b""}
    with pytest.raises(ArchivePathError, match="differ"):
        files(twice(b"1", b"2"), "x.zip")
    paths = [(o.member.ordinal, o.member.path) for o in walk_bytes(twice(b"1", b"2"), "x.zip")]
    assert paths == [(0, "a"), (1, "b")]  # nothing was read: nothing can be said of it


def test_fault_31_names_that_differ_in_unicode_composition_only_are_duplicates() -> None:
    with pytest.raises(ArchivePathError, match="differ"):
        files(tar_of({"é": b"1", "e\u0301": b"1"}), "x.tar")


def test_fault_32_encrypted_member_seven_of_ten_fails_before_the_first_is_given() -> None:
    data = bytearray(zip_of({f"{n}.csv": b"data" for n in range(10)}))
    at = -1
    for _ in range(7):
        at = data.index(b"PK\x01\x02", at + 1)
    data[at + 8] |= 1
    with pytest.raises(ArchiveEncryptedError, match=r"6\.csv"):
        next(walk_bytes(bytes(data), "x.zip"))


def test_fault_32_aes_in_zip_is_encrypted() -> None:
    with pytest.raises(ArchiveEncryptedError):
        next(walk_bytes(zip_by_hand([(b"a", 99, b"?" * 30, b"1")]), "x.zip"))


@pytest.mark.parametrize("headers", [False, True])
def test_fault_33_encrypted_7z_is_found_out_before_any_data(headers: bool) -> None:
    held = io.BytesIO()
    with py7zr.SevenZipFile(held, "w", password="secret", header_encryption=headers) as archive:
        archive.writestr(b"data" * 100, "a.csv")
    with pytest.raises(ArchiveEncryptedError) as caught:
        next(walk_bytes(held.getvalue(), "x.7z"))
    assert "password" in str(caught.value.hint)


@pytest.mark.parametrize(
    "name",
    [
        "rar5-psw.rar",
        "rar5-psw-blake.rar",
        "rar5-hpsw.rar",
        "rar3-comment-psw.rar",
        "rar3-comment-hpsw.rar",
    ],
)
def test_fault_33_encrypted_rar_is_found_out_before_any_data(name: str) -> None:
    """Trap: libarchive before 3.8 gives 2,048 bytes of ciphertext for the content."""
    with pytest.raises(ArchiveEncryptedError):
        next(walk_bytes(fixture(name), name))


def flipped(data: bytes, place: int) -> bytes:
    damaged = bytearray(data)
    damaged[place] ^= 0x10
    return bytes(damaged)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_fault_34_wrong_crc_in_zip(method: int) -> None:
    data = zip_of({"a.csv": TREE["data/rows.csv"]}, method)
    with pytest.raises(ArchiveCorruptError):
        files(flipped(data, len(data) // 2), "x.zip")
    only_crc = data.replace(struct.pack("<L", zlib.crc32(TREE["data/rows.csv"])), b"\1\2\3\4")
    with pytest.raises(ArchiveCorruptError, match="CRC-32"):
        files(only_crc, "x.zip")


def test_fault_34_wrong_crc_in_7z_gives_no_stale_bytes() -> None:
    """Trap: after a CRC failure libarchive-c gives the buffer of before, less 20 bytes."""
    data = seven_zip_of({"a.csv": TREE["data/rows.csv"]}, [{"id": py7zr.FILTER_COPY}])
    with pytest.raises(ArchiveCorruptError):
        files(flipped(data, 5000), "x.7z")


@pytest.mark.parametrize("name", ["rar5-crc.rar", "rar5-blake.rar", "rar3-subdirs.rar"])
def test_fault_34_no_flipped_bit_of_a_rar_changes_a_content(name: str) -> None:
    """Trap: libarchive does not check the CRC-32 of stored members, in any version of RAR."""
    data = fixture(name)
    contents = set(files(data, name).values())
    refused = 0
    for place in range(8, len(data), max(len(data) // 200, 1)):
        try:
            assert set(files(flipped(data, place), name).values()) <= contents
        except ArchiveError:
            refused += 1
    assert refused > 100


@pytest.mark.parametrize("packing", PACKERS)
def test_fault_34_wrong_checksum_of_a_stream(packing: str) -> None:
    data = PACKERS[packing](TREE["data/rows.csv"])
    with pytest.raises((ArchiveCorruptError, ArchiveIncompleteError)):
        files(flipped(data, len(data) // 2), f"x.csv.{packing}")


@pytest.mark.parametrize("trailer_byte", [-1, -2, -5, -8])
def test_fault_34_gzip_with_wrong_crc_or_length(trailer_byte: int) -> None:
    """Trap: libarchive never checks either."""
    data = gzip.compress(TREE["data/rows.csv"])
    with pytest.raises(ArchiveCorruptError):
        files(flipped(data, trailer_byte), "x.csv.gz")


@pytest.mark.parametrize("left", [0.2, 0.7, 0.99, -1, -10])
def test_fault_35_cut_zip_and_7z_are_incomplete(left: float) -> None:
    """Trap: for a cut 7z libarchive gives an empty text."""
    for data, name in ((zip_of(TREE), "x.zip"), (seven_zip_of(TREE), "x.7z")):
        left_bytes = int(left) if left < 0 else int(len(data) * left)
        with pytest.raises(ArchiveIncompleteError):
            files(data[:left_bytes], name)


def test_fault_35_cut_rar_is_incomplete_wherever_it_was_cut() -> None:
    for name in ("rar5-crc.rar", "rar3-subdirs.rar"):
        data = fixture(name)
        for left_bytes in range(9, len(data), 13):
            with pytest.raises(ArchiveIncompleteError):
                files(data[:left_bytes], name)


def test_fault_37_member_that_the_directory_does_not_have_is_not_there() -> None:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("shown", b"1")
        archive.writestr("hidden", b"2")
        archive.filelist.pop()
    assert b"hidden" in held.getvalue()
    assert files(held.getvalue(), "x.zip") == {"shown": b"1"}


def test_fault_37_overlapping_members_are_refused() -> None:
    data = bytearray(zip_by_hand([(b"a", 0, b"1" * 90, b"1" * 90), (b"b", 0, b"2", b"2")]))
    second = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 1)
    struct.pack_into("<L", data, second + 42, 0)
    with pytest.raises(ArchiveCorruptError, match="overlap"):
        next(walk_bytes(bytes(data), "x.zip"))
    data = bytearray(zip_by_hand([(b"a", 0, b"1" * 90, b"1" * 90), (b"b", 0, b"2", b"2")]))
    first = data.index(b"PK\x01\x02")
    for place in (first + 20, first + 24):
        struct.pack_into("<L", data, place, 100)
    with pytest.raises(ArchiveCorruptError, match="overlap"):
        files(bytes(data), "x.zip")


def test_fault_37_local_header_with_another_name_is_refused() -> None:
    data = zip_by_hand([(b"a.csv", 0, b"1", b"1")])
    with pytest.raises(ArchiveCorruptError, match="another name"):
        files(data.replace(b"a.csv", b"b.csv", 1), "x.zip")


def zeros_zip(size_bytes: int) -> bytes:
    return zip_of({"zeros": bytes(size_bytes)})


def zeros_7z(size_bytes: int) -> bytes:
    return seven_zip_of({"zeros": bytes(size_bytes)}, [{"id": py7zr.FILTER_LZMA2, "preset": 1}])


def take_blocks(members: Walk, given: list[int]) -> None:
    for opened in members:
        given.extend(map(len, opened.blocks()))


@pytest.mark.parametrize("name", ["x.zip", "x.7z", "x.gz", "x.bz2", "x.xz", "x.zst", "x.tar.gz"])
def test_fault_38_bomb_stops_at_the_ratio(name: str) -> None:
    size_bytes = 24 << 20
    data = {
        "x.zip": lambda: zeros_zip(size_bytes),
        "x.7z": lambda: zeros_7z(size_bytes),
        "x.tar.gz": lambda: gzip.compress(tar_of({"zeros": bytes(size_bytes)})),
    }.get(name, lambda: PACKERS[name[2:]](bytes(size_bytes)))()
    given: list[int] = []
    with pytest.raises(ArchiveLimitError, match="times its size"):
        take_blocks(walk_bytes(data, name), given)
    assert max(given) <= 1 << 20
    assert sum(given) < size_bytes
    [found] = files(data, name, member_ratio_max=1e9).values()
    assert found == bytes(size_bytes)


def quine(depth: int) -> bytes:
    data = b"data"
    name = "leaf.csv"
    for level in range(depth):
        data = zip_of({f"{copy}/{name}": data for copy in range(4)})
        name = f"l{level}.zip"
    return data


def test_fault_38_archives_in_archives_stop_at_the_depth() -> None:
    found = files(quine(5), "x.zip", depth_max=2)
    assert len(found) == 64
    assert all(path.endswith(".zip") for path in found)
    assert len(files(quine(5), "x.zip", depth_max=9)) == 4**5


def test_fault_38_all_levels_share_one_budget() -> None:
    with pytest.raises(ArchiveLimitError, match="members"):
        files(quine(5), "x.zip", depth_max=9, members_max=1000)
    with pytest.raises(ArchiveLimitError, match="bytes"):
        files(quine(5), "x.zip", depth_max=9, total_bytes_max=3000)


@pytest.mark.parametrize("name", ["x.zip", "x.tar"])
def test_fault_38_time_stops_a_walk(name: str) -> None:
    data = zip_of(TREE) if name == "x.zip" else tar_of(TREE)
    watch = clock()
    members = walk(SlowFile(data, watch), name, UnpackLimits(duration_s_max=60), clock=watch)
    with pytest.raises(ArchiveLimitError, match="longer"):
        read_all(members)


class SlowFile(io.BytesIO):
    """Every read takes 11 seconds."""

    def __init__(self, data: bytes, watch: FixedClock) -> None:
        super().__init__(data)
        self._watch = watch

    def read(self, size_bytes: int | None = -1, /) -> bytes:
        self._watch.advance(11)
        return super().read(size_bytes)


def read_all(members: Walk) -> None:
    for opened in members:
        opened.read()


def test_outage_between_two_reads_does_not_count_as_time() -> None:
    watch = clock()
    data = io.BytesIO(tar_of(TREE))
    for opened in walk(data, "x.tar", UnpackLimits(duration_s_max=60), clock=watch):
        for _ in opened.blocks():
            watch.advance(3600)
        watch.advance(3600)


@pytest.mark.parametrize(
    ("name", "why"),
    [("rar3-solid.rar", "solid"), ("rar3-comment-plain.rar", "solid"), ("rar15-comment.rar", "1.5"),
     ("rar2-unix-owner.rar", "version 2")],
)  # fmt: skip
def test_fault_39_rar_that_needs_unrar_says_so(name: str, why: str) -> None:
    with pytest.raises(ArchiveUnsupportedError, match=why) as caught:
        files(fixture(name), name)
    assert "unrar" in str(caught.value.hint)


def test_fault_39_one_volume_of_a_rar_is_not_a_whole_archive() -> None:
    """Trap: libarchive reads the last volume alone, less the file that begins before it."""
    for data in (rar5_volume(), rar4_volume()):
        with pytest.raises(ArchiveUnsupportedError, match="volumes"):
            next(walk_bytes(data, "x.part1.rar"))


def rar5_volume() -> bytes:
    def block(*body: int) -> bytes:
        sized = bytes([len(body), *body])
        return struct.pack("<L", zlib.crc32(sized)) + sized

    return b"Rar!\x1a\x07\x01\x00" + block(1, 0, 1) + block(5, 0, 1)


def rar4_volume() -> bytes:
    main = struct.pack("<BHH6x", 0x73, 0x0001, 13)
    end = struct.pack("<BHH", 0x7B, 0, 7)
    return b"Rar!\x1a\x07\x00" + b"".join(
        struct.pack("<H", zlib.crc32(block) & 0xFFFF) + block for block in (main, end)
    )


def test_fault_40_rar5_copies_of_files_are_not_empty_files() -> None:
    """Trap: libarchive gives 0 bytes for 8 of the 9 members, without an error."""
    with pytest.raises(ArchiveUnsupportedError, match="reference") as caught:
        next(walk_bytes(fixture("rar5-dups.rar"), "rar5-dups.rar"))
    assert "unrar" in str(caught.value.hint)


def test_fault_41_dictionaries_beyond_the_limit() -> None:
    small = {"decoder_memory_bytes": 16 << 20}
    big_7z = seven_zip_of({"a": b"1" * 999}, [{"id": py7zr.FILTER_LZMA2, "dict_size": 64 << 20}])
    big_xz = lzma.compress(b"1" * 999, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 64 << 20}])
    parameters = zstandard.ZstdCompressionParameters(window_log=26, enable_ldm=True)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    big_zst = packer.compress(b"1" * 999) + packer.flush()
    for data, name in ((big_7z, "x.7z"), (big_xz, "x.xz"), (big_zst, "x.zst")):
        assert files(data, name)
        with pytest.raises(ArchiveLimitError, match=r"memory|window"):
            files(data, name, **small)


def test_fault_41_zip_lzma_with_a_dictionary_of_a_gigabyte() -> None:
    packed = b"\x10\x02\x05\x00\x5d" + struct.pack("<L", 1 << 30) + bytes(20)
    with pytest.raises(ArchiveLimitError, match="memory"):
        files(zip_by_hand([(b"a", 14, packed, b"1")]), "x.zip")


@pytest.mark.parametrize("name", ["a.docx", "a.xlsx", "a.jar", "a.apk", "a.epub", "a.parquet", "a"])
def test_fault_44_zip_with_another_name_is_a_regular_file(name: str) -> None:
    assert not is_archive_name(name)
    assert detect(name, zip_of(TREE)[:1024]) is None
    assert list(files(zip_of({name: zip_of(TREE)}), "x.zip")) == [name]


def test_fault_45_html_page_named_zip() -> None:
    with pytest.raises(NotAnArchiveError, match=r"x\.zip is not zip"):
        detect("x.zip", b"<!DOCTYPE html>")
    with pytest.raises(NotAnArchiveError):
        files(b"<html><body>Service unavailable</body></html>" * 99, "x.zip")


def test_fault_45_text_named_gz_inside_an_archive_fails_it() -> None:
    with pytest.raises(NotAnArchiveError, match=r"x\.zip/in/log\.gz"):
        files(zip_of({"in/log.gz": b"plain text"}), "x.zip")


def many_members(count: int) -> Any:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for number in range(count):
            add(archive, f"{number}", b"")
    return held.getvalue()


def test_fault_46_members_beyond_the_limit() -> None:
    data = many_members(300)
    assert len(files(data, "x.tar", members_max=300)) == 300
    for archive, name in ((data, "x.tar"), (zip_of({str(n): b"" for n in range(300)}), "x.zip")):
        with pytest.raises(ArchiveLimitError, match="more than 299 members"):
            files(archive, name, members_max=299)


def test_spanned_zip_is_refused_by_its_first_bytes_and_by_its_end() -> None:
    with pytest.raises(ArchiveUnsupportedError, match="volumes"):
        files(b"PK\x07\x08" + zip_of(TREE), "x.zip")
    data = bytearray(zip_of(TREE))
    data[-18] = 1
    with pytest.raises(ArchiveUnsupportedError, match="volumes"):
        files(bytes(data), "x.zip")


def test_zip_with_bytes_after_its_end_is_refused() -> None:
    with pytest.raises(ArchiveCorruptError, match="after its end"):
        files(zip_of(TREE) + b"more", "x.zip")


def test_fault_34_packed_header_of_a_7z_with_a_wrong_checksum() -> None:
    """7-Zip writes the CRC-32 of the header it packs; a changed name is found out by it."""
    plain = seven_zip_of({"abc": b"1" * 99}, packed_header=False)
    offset, size = struct.unpack_from("<QQ", plain, 12)
    header = plain[32 + offset : 32 + offset + size]
    for crc, found in ((zlib.crc32(header), {"abc": b"1" * 99}), (1, None)):
        digest = b"\x0a\x01" + struct.pack("<L", crc)
        streams = b"\x06" + bytes([offset, 1, 0x09, size, 0])
        folder = b"\x07\x0b\x01\x00\x01\x01\x00\x0c" + bytes([size])
        packed = b"\x17" + streams + folder + digest + b"\0\0"
        data = bytearray(plain[: 32 + offset] + header + packed)
        struct.pack_into("<QQ", data, 12, offset + size, len(packed))
        seal_7z(data)
        if found is None:
            with pytest.raises(ArchiveCorruptError, match="CRC-32"):
                files(bytes(data), "x.7z")
        else:
            assert files(bytes(data), "x.7z") == found
