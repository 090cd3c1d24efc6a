"""A part as a file over ranged requests: right bytes, few requests, bounded cache."""

from __future__ import annotations

import io

import pytest

from stocktake.errors import PartCorruptError, ReportExpiredError
from stocktake.inventory import _ranged_file
from stocktake.inventory._part_access import PartAccess
from stocktake.inventory._part_location import PartPlace
from stocktake.inventory._ranged_file import RangedFile
from stocktake.model import PartRef

DATA = bytes(range(256)) * 8


def access(desk, key: str = "part", fallback: str | None = None) -> PartAccess:
    desk.put("part", DATA)
    return PartAccess(desk.store, PartPlace("dest", key, fallback), PartRef(0, key, len(DATA), ""))


def test_reads_seeks_and_tells_like_a_file(desk) -> None:
    """INV-9."""
    file, real = RangedFile(access(desk), None, block_bytes=100), io.BytesIO(DATA)
    assert file.size() == len(DATA)
    for offset, whence, size_bytes in [
        (0, io.SEEK_SET, 10),
        (-5, io.SEEK_END, 100),
        (150, io.SEEK_SET, 333),
        (-20, io.SEEK_CUR, 20),
        (0, io.SEEK_END, 1),
        (5000, io.SEEK_SET, 1),
        (7, io.SEEK_SET, -1),
    ]:
        assert file.seek(offset, whence) == real.seek(offset, whence)
        assert file.read(size_bytes) == real.read(size_bytes)
    assert (file.readable(), file.seekable(), file.writable()) == (True, True, False)
    file.close()
    assert not file.closed


def test_bytes_that_are_read_forward_travel_once(desk) -> None:
    """INV-9: also when several columns are read side by side."""
    file = RangedFile(access(desk), None, block_bytes=256)
    cursors = [0, 700, 1400]
    for _ in range(20):
        for which, position in enumerate(cursors):
            file.seek(position)
            assert file.read(30) == DATA[position : position + 30]
            cursors[which] += 30
    assert len({span.start for span in desk.store.ranges}) == len(desk.store.ranges) == 8


def test_blocks_that_were_read_are_forgotten(desk) -> None:
    """INV-9."""
    file = RangedFile(access(desk), None, block_bytes=100)
    while file.read(50):
        assert len(file._blocks) <= 1
    assert not file._blocks


def test_cache_is_bounded(desk, monkeypatch) -> None:
    """INV-9."""
    monkeypatch.setattr(_ranged_file, "BLOCKS_MAX", 3)
    file = RangedFile(access(desk), None, block_bytes=100)
    for position in range(0, 2000, 100):
        file.seek(position)
        file.read(1)
        assert len(file._blocks) <= 3


def test_part_of_another_size_is_told_by_its_head(desk) -> None:
    """INV-5."""
    wrong = PartAccess(desk.store, PartPlace("dest", "part", None), PartRef(0, "part", 7, ""))
    desk.put("part", DATA)
    with pytest.raises(PartCorruptError, match="has 2048 bytes, the manifest says 7"):
        wrong.head()


def test_part_that_is_in_neither_place_is_expired(desk) -> None:
    """INV-5."""
    for fallback in (None, "neither"):
        with pytest.raises(ReportExpiredError):
            access(desk, "nowhere", fallback).open()


def test_part_beside_the_manifest_is_remembered_there(desk) -> None:
    """INV-1: one failed request, not one per range."""
    found = access(desk, "nowhere", "part")
    for _ in range(3):
        assert found.read_range(0, 4, etag=None) == DATA[:4]
    assert desk.store.meter.calls["GetObject"] == 4
    assert "found at part instead" in (found.warning or "")
