"""Catalog files in an object store: how they are read and uploaded."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stocktake.catalog._files_s3 import S3Files, _UploadSink
from stocktake.catalog.engines._duckdb_filesystem import BlockCache, RangedFile, StoreFileSystem
from stocktake.clock import FixedClock
from stocktake.errors import CatalogCorruptError, CatalogError, StoreError
from stocktake.model import S3Url
from stocktake.telemetry import Meter
from stocktake.testing import MemoryStore

MIB = 1 << 20


@pytest.fixture
def meter() -> Meter:
    return Meter()


@pytest.fixture
def store(meter: Meter) -> MemoryStore:
    store = MemoryStore(clock=FixedClock(datetime(2026, 1, 10, tzinfo=UTC)), meter=meter)
    store.describe("CreateBucket", "lake")
    return store


@pytest.fixture
def files(store: MemoryStore) -> S3Files:
    return S3Files(store, S3Url("lake", "catalog/"))


def put(files: S3Files, path: str, content: bytes) -> bytes:
    with files.create(path) as sink:
        sink.write(content)
    return content


def test_small_files_are_one_request(files: S3Files, meter: Meter) -> None:
    before = meter.calls
    put(files, "x", b"abc")
    assert {k: v for k, v in meter.calls.items() if v != before.get(k)} == {"PutObject": 1}


def test_parts_grow_so_that_ten_thousand_are_enough() -> None:
    sink = _UploadSink(MemoryStore(), "lake", "x")
    sink._etags = dict.fromkeys(range(9_999), "")
    assert sink._part_bytes() == 8 * MIB << 9
    assert sum((8 * MIB << n) * 1000 for n in range(10)) > 5 << 40


def test_blocks_are_fetched_once_and_neighbours_together(files: S3Files, meter: Meter) -> None:
    content = put(files, "x", bytes(range(256)) * (5 * MIB // 256))
    cache = BlockCache(files)
    assert cache.read("x", MIB - 5, 3 * MIB + 5) == content[MIB - 5 : 3 * MIB + 5]
    assert meter.calls["GetObject"] == 1  # four blocks in a row
    assert cache.read("x", 0, 10) == content[:10]
    assert meter.calls["GetObject"] == 1
    assert cache.read("x", 5 * MIB - 3, 9 * MIB) == content[-3:]
    assert meter.calls == {**meter.calls, "GetObject": 2, "HeadObject": 1}
    assert cache.read("x", 5 * MIB, 6 * MIB) == b""


def test_holes_between_known_blocks_are_fetched_apart(files: S3Files, meter: Meter) -> None:
    content = put(files, "x", b"abcdefgh" * (5 * MIB // 8))
    cache = BlockCache(files)
    cache.read("x", 2 * MIB, 2 * MIB + 1)
    assert cache.read("x", 0, 5 * MIB) == content
    assert meter.calls["GetObject"] == 3


def test_the_cache_forgets_the_blocks_used_longest_ago(files: S3Files, meter: Meter) -> None:
    put(files, "x", b"x" * (26 * MIB))
    cache = BlockCache(files)
    for number in range(24):
        cache.read("x", number * MIB, number * MIB + 1)
    cache.read("x", 0, 1)
    cache.read("x", 24 * MIB, 24 * MIB + 1)  # block 1 goes, block 0 was used since
    known = meter.calls["GetObject"]
    cache.read("x", 0, 1)
    assert meter.calls["GetObject"] == known
    cache.read("x", MIB, MIB + 1)
    assert meter.calls["GetObject"] == known + 1


def test_a_file_shorter_than_it_says_is_corrupt() -> None:
    class Short:
        def size_bytes(self, path: str) -> int:
            return 100

        def read_range(self, path: str, start: int, stop: int) -> bytes:
            return b"x" * 99

    with pytest.raises(CatalogCorruptError, match="gave 99 bytes where 100 were expected"):
        BlockCache(Short()).read("x", 0, 10)


def test_files_seek_like_files(files: S3Files) -> None:
    content = put(files, "x", bytes(range(100)))
    system = StoreFileSystem(files, "stocktake")
    with system.open("stocktake://x") as file:
        assert isinstance(file, RangedFile)
        assert (file.readable(), file.seekable(), file.tell()) == (True, True, 0)
        assert file.read(3) == content[:3]
        assert file.seek(2, io.SEEK_CUR) == 5
        assert file.read(1) == content[5:6]
        assert file.seek(-4, io.SEEK_END) == 96
        assert file.read() == content[96:]
        assert file.read(5) == b""
    assert system.size("stocktake://x") == 100


def test_failures_keep_their_own_type_through_the_engine(files: S3Files) -> None:
    system = StoreFileSystem(files, "stocktake")
    with pytest.raises(CatalogCorruptError):
        system.open("stocktake://gone")
    failure = system.take_failure()
    assert isinstance(failure, CatalogCorruptError)
    assert system.take_failure() is None


def test_failures_while_reading_are_kept_too(files: S3Files) -> None:
    put(files, "x", b"x" * 100)
    system = StoreFileSystem(files, "stocktake")
    file = system.open("stocktake://x")
    files.remove("x")
    with pytest.raises(CatalogCorruptError):
        file.read(10)
    assert isinstance(system.take_failure(), CatalogCorruptError)


def test_uploads_nobody_finished_are_aborted_after_a_day(
    files: S3Files, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = store.begin_upload("lake", "catalog/old")
    upload.put_part(1, b"x")
    started = datetime(2026, 1, 10, tzinfo=UTC)

    def describe(operation: str, bucket: str, **parameters: Any) -> dict[str, Any]:
        assert (operation, bucket, parameters) == (
            "ListMultipartUploads",
            "lake",
            {"Prefix": "catalog/"},
        )
        unfinished = {"Key": "catalog/old", "UploadId": upload.upload_id, "Initiated": started}
        return {"Uploads": [unfinished]}

    monkeypatch.setattr(store, "describe", describe)
    today = FixedClock(started + timedelta(hours=20))
    assert files.remove_leftovers(today) == []
    upload.put_part(2, b"x")
    today.advance(timedelta(days=1).total_seconds())
    assert files.remove_leftovers(today) == ["old"]
    with pytest.raises(StoreError):
        upload.put_part(3, b"x")


def test_a_store_that_cannot_list_uploads_has_no_leftovers(files: S3Files) -> None:
    assert files.remove_leftovers(FixedClock(datetime(2030, 1, 1, tzinfo=UTC))) == []


def test_a_delete_that_the_store_refuses_is_told(
    files: S3Files, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(bucket: str, keys: list[str]) -> dict[str, Any]:
        return dict.fromkeys(keys, "AccessDenied")

    monkeypatch.setattr(store, "delete", refuse)
    with pytest.raises(CatalogError, match="cannot remove `s3://lake/catalog/x`: AccessDenied"):
        files.remove("x")


def test_folder_placeholders_are_no_files(files: S3Files, store: MemoryStore) -> None:
    store.put("lake", "catalog/snapshots/", b"")
    put(files, "snapshots/x", b"x")
    assert list(files.listing("snapshots")) == ["snapshots/x"]
