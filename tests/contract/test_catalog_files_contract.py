"""`CatalogFiles`: one suite for the directory and for the object store (CAT-1)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stocktake.catalog import CatalogFiles
from stocktake.catalog._files_local import LocalFiles
from stocktake.catalog._files_s3 import ENGINE_SCHEME, S3Files
from stocktake.catalog.engines._duckdb import DuckDbEngine
from stocktake.catalog.engines._duckdb_connection import DuckDbConnections, DuckDbSettings
from stocktake.catalog.engines._duckdb_filesystem import StoreFileSystem
from stocktake.catalog.engines._protocol import QueryLimits
from stocktake.clock import SystemClock
from stocktake.errors import CatalogCorruptError
from stocktake.model import S3Url
from stocktake.testing import MemoryStore


@pytest.fixture(params=["directory", "store", "store at the bucket's top"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> CatalogFiles:
    if request.param == "directory":
        (tmp_path / "a=b").mkdir()
        return LocalFiles(tmp_path / "a=b" / "cat [1]*")
    store = MemoryStore()
    store.describe("CreateBucket", "lake")
    store.put("lake", "other/x.parquet", b"not ours")
    prefix = "team/catalog" if request.param == "store" else ""
    return S3Files(store, S3Url("lake", prefix))


@pytest.fixture
def engine(files: CatalogFiles) -> Iterator[DuckDbEngine]:
    system = StoreFileSystem(files, ENGINE_SCHEME) if isinstance(files, S3Files) else None
    connections = DuckDbConnections(DuckDbSettings(threads=1, file_system=system))
    yield DuckDbEngine(connections)
    connections.close()


def write(files: CatalogFiles, path: str, content: bytes) -> None:
    with files.create(path) as sink:
        sink.write(content)


def interrupted(files: CatalogFiles, path: str, content: bytes) -> None:
    with files.create(path) as sink:
        sink.write(content)
        raise ZeroDivisionError


def test_what_was_written_is_there(files: CatalogFiles) -> None:
    write(files, "snapshots/b/x.json", b"abc")
    assert files.exists("snapshots/b/x.json")
    assert files.read("snapshots/b/x.json") == b"abc"
    assert files.size_bytes("snapshots/b/x.json") == 3


def test_an_empty_file_is_a_file(files: CatalogFiles) -> None:
    write(files, "empty", b"")
    assert (files.read("empty"), files.size_bytes("empty")) == (b"", 0)


def test_a_file_appears_only_when_its_block_ends(files: CatalogFiles) -> None:
    with files.create("a/x") as sink:
        sink.write(b"abc")
        assert not files.exists("a/x")
        assert list(files.listing("a")) == []
    assert list(files.listing("a")) == ["a/x"]


def test_a_failed_block_leaves_nothing(files: CatalogFiles) -> None:
    with pytest.raises(ZeroDivisionError):
        interrupted(files, "a/x", b"abc")
    assert not files.exists("a/x")
    assert files.remove_leftovers(SystemClock()) == []


@pytest.mark.parametrize("size_bytes", [8 << 20, (8 << 20) + 1, (20 << 20) + 7])
def test_large_files_come_back_whole(files: CatalogFiles, size_bytes: int) -> None:
    content = bytes(range(256)) * (size_bytes // 256) + b"z" * (size_bytes % 256)
    with files.create("big") as sink:
        for start in range(0, len(content), 1 << 20):
            sink.write(memoryview(content)[start : start + (1 << 20)])
    assert files.size_bytes("big") == size_bytes
    assert files.read("big") == content


def test_a_failed_large_upload_leaves_nothing(files: CatalogFiles) -> None:
    with pytest.raises(ZeroDivisionError):
        interrupted(files, "big", b"x" * (9 << 20))
    assert not files.exists("big")


def test_writing_a_name_again_replaces_it_whole(files: CatalogFiles) -> None:
    write(files, "x", b"one, and longer")
    write(files, "x", b"two")
    assert files.read("x") == b"two"


def test_listing_is_recursive_and_of_one_folder(files: CatalogFiles) -> None:
    for path in ("a/1", "a/b/2", "ab/3", "a.txt"):
        write(files, path, b"x")
    assert sorted(files.listing("a")) == ["a/1", "a/b/2"]
    assert {"a/1", "a/b/2", "ab/3", "a.txt"} <= set(files.listing(""))
    assert list(files.listing("nowhere")) == []


def test_removing_twice_is_no_error(files: CatalogFiles) -> None:
    write(files, "a/b/x", b"x")
    files.remove("a/b/x")
    files.remove("a/b/x")
    files.remove("never/was")
    assert not files.exists("a/b/x")
    assert list(files.listing("a")) == []


@pytest.mark.parametrize("call", ["read", "size_bytes"])
def test_a_missing_file_is_a_corrupt_catalog(files: CatalogFiles, call: str) -> None:
    write(files, "file", b"x")
    for path in ("nowhere", "file/below"):
        with pytest.raises(CatalogCorruptError, match=f"`{path}` is missing"):
            getattr(files, call)(path)


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../x", "a/../../x"])
def test_paths_stay_inside_the_catalog(files: CatalogFiles, path: str) -> None:
    with pytest.raises(CatalogCorruptError, match="not a path inside"):
        files.engine_path(path)
    with pytest.raises(CatalogCorruptError, match="not a path inside"):
        files.read(path)


def test_the_engine_reads_what_arrow_wrote(files: CatalogFiles, engine: DuckDbEngine) -> None:
    table = pa.table({"key": [f"k{n:07}" for n in range(200_000)], "n": list(range(200_000))})
    for name in ("x[1]=*.parquet", "y.parquet"):
        with files.create(f"objects/a=b/{name}") as sink:
            pq.write_table(table, sink, row_group_size=20_000, compression="none")
    paths = [files.engine_path(f"objects/a=b/{name}") for name in ("x[1]=*.parquet", "y.parquet")]
    statement = "select sum(n), count(*) from read_parquet(?, hive_partitioning=false) where key>=?"
    for _ in range(2):
        answer = engine.query(statement, [paths, "k0199990"], QueryLimits()).read_all()
        assert answer.to_pylist() == [
            {"sum(n)": 2 * sum(range(199_990, 200_000)), "count_star()": 20}
        ]


def test_the_engine_says_which_file_is_missing(files: CatalogFiles, engine: DuckDbEngine) -> None:
    path = files.engine_path("objects/gone.parquet")
    with pytest.raises(CatalogCorruptError, match=r"gone\.parquet"):
        engine.query("select * from read_parquet(?)", [[path]], QueryLimits()).read_all()


def test_the_engine_says_that_a_file_is_not_parquet(
    files: CatalogFiles, engine: DuckDbEngine
) -> None:
    write(files, "objects/bad.parquet", b"PAR1 nonsense" * 10)
    path = files.engine_path("objects/bad.parquet")
    with pytest.raises(CatalogCorruptError, match="cannot be read"):
        engine.query("select * from read_parquet(?)", [[path]], QueryLimits()).read_all()


def test_the_location_is_what_people_know(files: CatalogFiles, tmp_path: Path) -> None:
    expected = {str(tmp_path / "a=b" / "cat [1]*"), "s3://lake/team/catalog", "s3://lake"}
    assert files.location in expected
