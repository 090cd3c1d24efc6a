"""Names and first bytes: what is an archive at all. SHP-10."""

from __future__ import annotations

import bz2
import gzip

import pytest

from archive_world import PACKERS, TREE, seven_zip_of, tar_of, zip_of
from stocktake.errors import ArchiveIncompleteError, NotAnArchiveError
from stocktake.unpack import ArchiveFormat, archive_stem, detect, is_archive_name

STEMS = {
    "x.zip": "x",
    "a/b/x.tar.gz": "a/b/x",
    "x.TAR.GZ": "x",
    "x.tgz": "x",
    "x.tbz2": "x",
    "x.txz": "x",
    "x.tar.zst": "x",
    "x.csv.gz": "x.csv",
    "x.7z": "x",
    "x.RAR": "x",
    "v1.2.tar": "v1.2",
    "x.xz": "x",
    "x.csv": "x.csv",
    ".gz": ".gz",
    "folder.zip/": "folder.zip/",
}


@pytest.mark.parametrize("name", STEMS)
def test_stem_is_the_name_without_what_makes_it_an_archive(name: str) -> None:
    assert archive_stem(name) == STEMS[name]
    assert is_archive_name(name) == (STEMS[name] != name)


CONTENTS = {
    "x.zip": (zip_of(TREE), ArchiveFormat.ZIP),
    "e.zip": (zip_of({}), ArchiveFormat.ZIP),
    "x.7z": (seven_zip_of(TREE), ArchiveFormat.SEVEN_ZIP),
    "x.tar": (tar_of(TREE), ArchiveFormat.TAR),
    "e.tar": (tar_of({}), ArchiveFormat.TAR),
    "x.tgz": (gzip.compress(tar_of(TREE)), ArchiveFormat.TAR),
    "x.gz": (gzip.compress(b"text"), ArchiveFormat.SINGLE),
    "t.gz": (gzip.compress(tar_of(TREE)), ArchiveFormat.TAR),
    "e.bz2": (bz2.compress(b""), ArchiveFormat.SINGLE),
    "x.zst": (PACKERS["zst"](b"text"), ArchiveFormat.SINGLE),
}


@pytest.mark.parametrize("name", CONTENTS)
def test_name_and_first_bytes_agree(name: str) -> None:
    data, expected = CONTENTS[name]
    assert detect(name, data[:1024]) is expected
    assert detect(name + ".csv", data[:1024]) is None


@pytest.mark.parametrize("name", CONTENTS)
@pytest.mark.parametrize("content", [b"", b"<html>", b"%PDF-1.7" * 99, b"\xff" * 700])
def test_fault_45_other_bytes_are_no_archive(name: str, content: bytes) -> None:
    with pytest.raises(NotAnArchiveError) as caught:
        detect(name, content) if name != "x.tar" or content != b"\xff" else None
    assert name in str(caught.value)


@pytest.mark.parametrize("name", ["x.zip", "x.7z", "x.tgz", "x.gz", "x.zst"])
def test_fault_35_file_that_ends_in_its_first_bytes_is_incomplete(name: str) -> None:
    with pytest.raises(ArchiveIncompleteError):
        detect(name, CONTENTS[name][0][:2])


def test_single_file_of_zeros_is_no_empty_tar() -> None:
    from archive_world import files

    assert files(gzip.compress(bytes(5000)), "x.gz") == {"x": bytes(5000)}
