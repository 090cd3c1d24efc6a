"""What is not installed is named with the command that installs it."""

from __future__ import annotations

import sys

import pytest

from archive_world import PACKERS, TREE, deflate64, files, tar_of, zip_by_hand, zip_ppmd
from stocktake.errors import ArchiveUnsupportedError, MissingExtraError
from stocktake.unpack import library_status

ROWS = TREE["data/rows.csv"]


@pytest.mark.parametrize(
    ("module", "data", "name"),
    [
        ("zstandard", PACKERS["zst"](tar_of(TREE)), "x.tar.zst"),
        ("inflate64", zip_by_hand([(b"a", 9, deflate64(ROWS), ROWS)]), "x.zip"),
    ],
)
def test_missing_package_is_named_with_its_extra(
    module: str, data: bytes, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=module) as caught:
        files(data, name)
    assert caught.value.hint == "pip install 'stocktake[unpack]'"


def test_status_names_missing_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    status = library_status()
    assert status.hint == "pip install 'stocktake[unpack]'"
    assert not {"zst", "deflate64"} & set(status.formats)


def test_ppmd_in_zip_without_libarchive_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STOCKTAKE_LIBARCHIVE", "none")
    with pytest.raises(ArchiveUnsupportedError, match="PPMd") as caught:
        files(zip_by_hand([(b"a", 98, zip_ppmd(ROWS), ROWS)]), "x.zip")
    assert "libarchive13" in str(caught.value.hint)
