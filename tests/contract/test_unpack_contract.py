"""One suite for both ways to read archives: with libarchive and without. SHP-10, SHP-12."""

from __future__ import annotations

import gzip
import io
import tarfile
from datetime import UTC, datetime

import pytest

from archive_world import (
    PACKERS,
    TREE,
    add,
    files,
    piped_zip_of,
    seven_zip_of,
    tar_of,
    walk_bytes,
    zip_of,
)
from stocktake.errors import (
    ArchiveCorruptError,
    ArchiveError,
    ArchiveIncompleteError,
    ArchivePathError,
    ArchiveUnsupportedError,
    NotAnArchiveError,
)
from stocktake.unpack import MemberKind


@pytest.fixture(params=["libarchive", "none"], autouse=True)
def implementation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "none":
        monkeypatch.setenv("STOCKTAKE_LIBARCHIVE", "none")
    return str(request.param)


@pytest.mark.parametrize("style", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_tar_of_every_style_gives_the_same_files(style: int) -> None:
    assert files(tar_of(TREE, style), "x.tar") == TREE


@pytest.mark.parametrize("packing", PACKERS)
def test_packed_tar_gives_the_same_files(packing: str) -> None:
    assert files(PACKERS[packing](tar_of(TREE)), f"x.tar.{packing}") == TREE


@pytest.mark.parametrize("packing", PACKERS)
def test_single_file_is_named_after_the_archive(packing: str) -> None:
    data = TREE["data/rows.csv"]
    assert files(PACKERS[packing](data), f"in/rows.csv.{packing}") == {"rows.csv": data}
    assert files(PACKERS[packing](b""), f"empty.csv.{packing}") == {"empty.csv": b""}


@pytest.mark.parametrize("packing", PACKERS)
def test_members_joined_one_after_the_other_are_all_read(packing: str) -> None:
    pack = PACKERS[packing]
    data = pack(b"first,") + pack(b"") + pack(b"second")
    assert files(data, f"x.csv.{packing}") == {"x.csv": b"first,second"}


def test_tar_named_gz_is_taken_for_the_tar_it_is() -> None:
    assert files(gzip.compress(tar_of(TREE)), "x.gz") == TREE


def test_zip_gives_the_same_files() -> None:
    assert files(zip_of(TREE), "x.zip") == TREE
    assert files(piped_zip_of(TREE), "x.zip") == TREE


def long_names() -> dict[str, bytes]:
    deep = "/".join(f"folder-{n:03}" for n in range(40))
    return {f"{deep}/file.txt": b"1", "n" * 255: b"2", "ü" * 120 + "/" + "é" * 100: b"3"}


@pytest.mark.parametrize("style", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_of_tar_are_whole(style: int) -> None:
    assert files(tar_of(long_names(), style), "x.tar") == long_names()


def test_tar_name_that_is_not_utf8_keeps_its_bytes() -> None:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w", format=tarfile.GNU_FORMAT, encoding="latin-1") as tar:
        add(tar, "café.csv", b"1")
    [opened] = walk_bytes(held.getvalue(), "x.tar")
    assert opened.member.path.encode("utf-8", "surrogateescape") == b"caf\xe9.csv"
    assert opened.member.raw_path == b"caf\xe9.csv"


def every_kind() -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as tar:
        add(tar, "./", type=tarfile.DIRTYPE)
        add(tar, "./folder/", type=tarfile.DIRTYPE, mtime=1_700_000_000)
        add(tar, "./folder/file", b"data", mtime=1_700_000_000.25)
        add(tar, "soft", type=tarfile.SYMTYPE, linkname="../../etc/passwd")
        add(tar, "hard", type=tarfile.LNKTYPE, linkname="./folder/file")
        add(tar, "pipe", type=tarfile.FIFOTYPE)
        add(tar, "null", type=tarfile.CHRTYPE, devmajor=1, devminor=3)
        add(tar, "last", b"end")
    return held.getvalue()


def test_fault_42_links_and_devices_of_tar_are_listed_and_have_no_bytes() -> None:
    listed = []
    for opened in walk_bytes(every_kind(), "x.tar"):
        member = opened.member
        listed.append((member.ordinal, member.path, member.kind, member.link_target))
        expected = {"folder/file": b"data", "last": b"end"}.get(member.path, b"")
        assert opened.read() == expected
    assert listed == [
        (0, "folder", MemberKind.FOLDER, None),
        (1, "folder/file", MemberKind.FILE, None),
        (2, "soft", MemberKind.LINK, "../../etc/passwd"),
        (3, "hard", MemberKind.LINK, "./folder/file"),
        (4, "pipe", MemberKind.DEVICE, None),
        (5, "null", MemberKind.DEVICE, None),
        (6, "last", MemberKind.FILE, None),
    ]


def test_sizes_and_times_are_those_of_the_archive() -> None:
    member = next(m.member for m in walk_bytes(every_kind(), "x.tar") if "file" in m.member.path)
    assert member.size_bytes == 4
    assert member.modified_at == datetime.fromtimestamp(1_700_000_000.25, UTC)
    single = next(iter(walk_bytes(gzip.compress(b"x"), "x.gz"))).member
    assert (single.size_bytes, single.modified_at) == (None, None)


def test_sparse_file_of_tar_has_its_holes_as_zeros() -> None:
    # the old GNU form: a map of three pieces in the header, and a hole at the end
    content = bytes(4096) + b"A" * 512 + bytes(8192) + b"B" * 512 + bytes(2048)
    info = tarfile.TarInfo("sparse.bin")
    info.type = tarfile.GNUTYPE_SPARSE
    info.size = 1024
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    pieces = [(4096, 512), (4096 + 512 + 8192, 512), (len(content), 0)]
    for place, (offset, count) in enumerate(pieces):
        header[386 + 24 * place : 410 + 24 * place] = b"%011o\0%011o\0" % (offset, count)
    header[483:495] = b"%011o\0" % len(content)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    data = bytes(header) + b"A" * 512 + b"B" * 512 + bytes(1024)
    assert files(data, "x.tar") == {"sparse.bin": content}


def test_fault_36_tar_without_its_end_marker_is_incomplete() -> None:
    whole = tar_of({"a": b"1" * 512, "b": b"2" * 512})
    assert set(files(whole[: 4 * 512 + 512], "x.tar")) == {"a", "b"}
    with pytest.raises(ArchiveIncompleteError, match="end marker"):
        files(whole[: 4 * 512], "x.tar")
    with pytest.raises(ArchiveIncompleteError, match="end marker"):
        files(gzip.compress(whole[: 4 * 512]), "x.tgz")


def test_fault_36_zeros_of_the_last_member_are_no_end_marker() -> None:
    whole = tar_of({"a": bytes(4096)})
    with pytest.raises(ArchiveIncompleteError):
        files(whole[: 512 + 4096], "x.tar")


@pytest.mark.parametrize("left_bytes", [513, 700, 512 * 3, 512 * 3 + 9, 200_000])
def test_fault_35_tar_cut_in_the_middle_is_incomplete(left_bytes: int) -> None:
    whole = tar_of({"a": b"1" * 600, "b": b"2" * 300_000})
    for data, name in ((whole[:left_bytes], "x.tar"), (gzip.compress(whole[:left_bytes]), "x.tgz")):
        with pytest.raises(ArchiveIncompleteError):
            files(data, name)


@pytest.mark.parametrize("packing", PACKERS)
@pytest.mark.parametrize("keep", [0.3, 0.9, -1, -4, -9])
def test_fault_35_cut_stream_is_incomplete(packing: str, keep: float) -> None:
    """Trap: the stream reader of python-zstandard takes a cut stream for a whole one."""
    data = PACKERS[packing](TREE["data/deep/er/noise.bin"])
    left_bytes = int(keep) if keep < 0 else int(len(data) * keep)
    with pytest.raises(ArchiveIncompleteError):
        files(data[:left_bytes], f"x.bin.{packing}")


def test_two_tars_joined_are_not_read_as_the_first_alone() -> None:
    """Members of the second would be lost without a word."""
    joined = tar_of({"a": b"1"}) + tar_of({"b": b"2"})
    for data, name in ((joined, "x.tar"), (gzip.compress(joined), "x.tgz")):
        with pytest.raises(ArchiveCorruptError, match="after its end"):
            files(data, name)


def test_damaged_tar_header_in_the_middle_is_no_end() -> None:
    whole = bytearray(tar_of({"a": b"1", "b": b"2"}))
    whole[1024 + 150] ^= 1  # the checksum of the second header
    with pytest.raises(ArchiveError):
        files(bytes(whole), "x.tar")


def test_gzip_trailer_is_looked_at_though_the_tar_ended_before_it() -> None:
    """Trap: who stops reading at the tar's end marker never meets the CRC-32."""
    data = bytearray(gzip.compress(tar_of(TREE)))
    data[-6] ^= 1
    with pytest.raises(ArchiveCorruptError):
        files(bytes(data), "x.tar.gz")


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../up", "a/../../b", "C:/x", "a\\b", "a//b", "\n"]
)
def test_fault_30_names_that_leave_the_folder_fail_the_tar(name: str) -> None:
    with pytest.raises(ArchivePathError, match=r"x\.tar"):
        files(tar_of({"good": b"1", name: b"2"}), "x.tar")


def test_fault_31_same_name_twice_fails_unless_the_content_is_the_same() -> None:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as tar:
        for content in (b"same", b"same"):
            add(tar, "a", content)
        add(tar, "./a", b"same")
    assert files(held.getvalue(), "x.tar") == {"a": b"same"}
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as tar:
        add(tar, "a", b"one")
        add(tar, "a", b"two")
    with pytest.raises(ArchivePathError, match="differ"):
        files(held.getvalue(), "x.tar")


def test_what_is_left_unread_is_skipped_and_the_ordinals_are_the_same() -> None:
    data = tar_of({str(n): b"%d" % n * 9000 for n in range(50)})
    for archive, name in ((data, "x.tar"), (gzip.compress(data), "x.tgz"), (zip_of(TREE), "x.zip")):
        everything = [(o.member, o.read()) for o in walk_bytes(archive, name)]
        odd = [(o.member, o.read()) for o in walk_bytes(archive, name) if o.member.ordinal % 3 == 1]
        assert odd == everything[1::3]
        assert [member.ordinal for member, _ in everything] == list(range(len(everything)))


def test_7z_and_rar_without_libarchive_say_what_to_install(implementation: str) -> None:
    data = seven_zip_of({"a": b"1"})
    if implementation == "libarchive":
        assert files(data, "x.7z") == {"a": b"1"}
        return
    for archive, name in ((data, "x.7z"), (b"Rar!\x1a\x07\x01\x00" + bytes(20), "x.rar")):
        with pytest.raises(ArchiveUnsupportedError) as caught:
            files(archive, name)
        assert "libarchive13" in str(caught.value.hint)


def test_fault_43_empty_archives_have_no_members() -> None:
    assert files(zip_of({}), "x.zip") == {}
    assert files(tar_of({}), "x.tar") == {}
    assert files(gzip.compress(tar_of({})), "x.tar.gz") == {}


@pytest.mark.parametrize(
    "name", ["x.zip", "x.tar", "x.tar.gz", "x.gz", "x.bz2", "x.xz", "x.zst", "x.7z", "x.rar"]
)
def test_fault_45_name_says_archive_and_content_does_not(name: str) -> None:
    for content in (b"", b"<!DOCTYPE html><html>404 Not Found</html>" * 30, b"a,b\n1,2\n" * 500):
        with pytest.raises(NotAnArchiveError):
            files(content, name)


def test_gz_with_another_content_than_tar_named_tgz_is_refused() -> None:
    with pytest.raises(NotAnArchiveError, match="no tar"):
        files(gzip.compress(b"a,b\n" * 500), "x.tgz")


def test_bytes_after_the_next_member_was_asked_for_are_refused() -> None:
    walk = walk_bytes(tar_of(TREE), "x.tar")
    first = next(walk)
    next(walk)
    with pytest.raises(ValueError, match="was left"):
        first.read(1)
    walk.close()
