"""The embedded engine: its settings, its limits, and its failures in our words."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from stocktake.catalog.engines._duckdb import DuckDbEngine
from stocktake.catalog.engines._duckdb_connection import (
    DuckDbConnections,
    DuckDbSettings,
    typed_failure,
)
from stocktake.catalog.engines._protocol import QueryLimits
from stocktake.errors import (
    CatalogCorruptError,
    CatalogError,
    DiskFullError,
    QueryLimitError,
    StocktakeError,
)

ENDLESS = QueryLimits(rows_max=1 << 62, timeout_s=math.inf)


@pytest.fixture
def connections(tmp_path: Path) -> Iterator[DuckDbConnections]:
    made = DuckDbConnections(DuckDbSettings(memory_mb=64, threads=1, temp_parent=tmp_path / "tmp"))
    yield made
    made.close()


@pytest.fixture
def engine(connections: DuckDbConnections) -> DuckDbEngine:
    return DuckDbEngine(connections)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("IO Error: Could not write: No space left on device", DiskFullError),
        ("IO Error: Disk quota exceeded", DiskFullError),
        ("Out of Memory Error: failed to offload data: max_temp_directory_size", DiskFullError),
        ("Out of Memory Error: failed to allocate\nmore text", QueryLimitError),
        ("INTERRUPT Error: Interrupted!", QueryLimitError),
        ("IO Error: No files found that match the pattern", CatalogCorruptError),
        (
            "Invalid Input Error: No magic bytes found at end of file 'x.parquet'",
            CatalogCorruptError,
        ),
        ("Binder Error: column not found", CatalogError),
    ],
)
def test_failures_are_what_they_mean(text: str, kind: type[StocktakeError]) -> None:
    failure = typed_failure(duckdb.Error(text))
    assert type(failure) is kind
    assert "\n" not in failure.message


def test_failures_of_others_pass_unchanged(connections: DuckDbConnections) -> None:
    for error in (OSError("no such host"), ValueError("IO Error: mine")):
        with pytest.raises(type(error)) as caught, connections.failures():
            raise error
        assert caught.value is error


def test_nothing_is_fetched_and_no_variable_is_a_table(connections: DuckDbConnections) -> None:
    with connections.connection() as connection:
        settings = dict(connection.execute("select name, value from duckdb_settings()").fetchall())
    assert settings["autoinstall_known_extensions"] == "false"
    assert settings["autoload_known_extensions"] == "false"
    assert settings["python_enable_replacements"] == "false"
    assert settings["memory_limit"] == "64.0 MiB"


def test_what_does_not_fit_in_memory_is_spilled_and_removed(
    connections: DuckDbConnections, engine: DuckDbEngine, tmp_path: Path
) -> None:
    statement = "select max(r) m from (select hash(range) r, repeat('x', 40) from range(2000000) "
    statement += "order by r) where r % 2 = 0"
    seen: list[Path] = []
    with connections.separate(memory_mb=64) as connection:
        connection.execute(
            "create temp table t as select hash(range) h, repeat('x', 60) || range s "
            "from range(1500000)"
        )
        seen = list((tmp_path / "tmp").iterdir())
        assert connection.execute("select count(*) from t").fetchall() == [(1_500_000,)]
    assert len(seen) == 1
    assert list((tmp_path / "tmp").iterdir()) == []
    assert engine.query(statement, [], ENDLESS).read_all().num_rows == 1


def test_a_catalog_one_may_only_read_is_read_without_spilling(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    settings = DuckDbSettings(memory_mb=64, threads=1, temp_parent=tmp_path / "file" / "tmp")
    connections = DuckDbConnections(settings)
    answer = DuckDbEngine(connections).query("select 1 a", [], QueryLimits())
    assert answer.read_all().to_pylist() == [{"a": 1}]
    connections.close()


def test_without_a_place_to_spill_memory_is_the_limit() -> None:
    connections = DuckDbConnections(DuckDbSettings(memory_mb=64, threads=1))
    engine = DuckDbEngine(connections)
    with pytest.raises(QueryLimitError, match="needs more memory"):
        engine.query("select count(distinct hash(range)) from range(20000000)", [], ENDLESS)
    assert not Path(".tmp").exists()
    connections.close()


def test_every_thread_has_its_connection(connections: DuckDbConnections) -> None:
    used: list[int] = []

    def use() -> None:
        with connections.connection() as one, connections.connection() as same:
            assert one is same
            used.append(id(one))
            barrier.wait()

    barrier = threading.Barrier(3)
    threads = [threading.Thread(target=use) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(used)) == 3


def test_it_may_be_used_again_after_closing(engine: DuckDbEngine) -> None:
    for _ in range(2):
        assert engine.query("select 1 a", [], QueryLimits()).read_all().to_pylist() == [{"a": 1}]
        engine.close()


def test_more_rows_than_allowed_are_refused(engine: DuckDbEngine) -> None:
    with pytest.raises(QueryLimitError, match="more than 20000 rows"):
        engine.query("from range(100000)", [], QueryLimits(rows_max=20_000)).read_all()
    allowed = engine.query("from range(20000)", [], QueryLimits(rows_max=20_000))
    assert allowed.read_all().num_rows == 20_000


def test_a_query_that_takes_too_long_is_stopped_and_the_next_one_runs(
    engine: DuckDbEngine,
) -> None:
    slow = "select sum(a.range * b.range) from range(10000000) a, range(10000000) b"
    with pytest.raises(QueryLimitError, match=r"longer than 0\.05 s"):
        engine.query(slow, [], QueryLimits(timeout_s=0.05)).read_all()
    assert engine.query("select 1", [], QueryLimits()).read_all().num_rows == 1


def test_a_reader_that_is_given_up_frees_its_query(engine: DuckDbEngine) -> None:
    reader = engine.query("from range(100000000)", [], ENDLESS)
    assert reader.read_next_batch().num_rows
    del reader
    assert engine.query("select 1", [], QueryLimits()).read_all().num_rows == 1


def test_wrong_statements_are_told(engine: DuckDbEngine) -> None:
    with pytest.raises(CatalogError, match="does not exist"):
        engine.query("from nowhere", [], QueryLimits())
