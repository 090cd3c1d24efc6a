"""The SQL console: what it answers, and that nobody gets out of it (CAT-8)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from snapshot_world import DAY, PLAIN, VERSIONED, naive, publish, row
from stocktake.catalog import Catalog, Snapshot, open_catalog
from stocktake.catalog._console import run_sql
from stocktake.catalog.engines._duckdb_console import table_function_calls
from stocktake.catalog.engines._protocol import QueryLimits
from stocktake.clock import FixedClock
from stocktake.errors import (
    CatalogCorruptError,
    InvalidQueryError,
    QueryLimitError,
    SnapshotNotFoundError,
)
from stocktake.testing import MemoryStore


@pytest.fixture
def snapshot(catalog: Catalog) -> Snapshot:
    return publish(catalog, [row("a/1", 5), row("a/2", 7), row("m/", 0)])


def rows(catalog: Catalog, statement: str, snapshot: Snapshot | None = None) -> list[dict]:
    return run_sql(catalog, statement, snapshot=snapshot).rows.to_pylist()


def test_the_views_show_the_snapshot(catalog: Catalog, snapshot: Snapshot) -> None:
    answer = run_sql(catalog, "SELECT key, size_bytes FROM objects ORDER BY key", snapshot=snapshot)
    assert answer.rows.to_pylist() == [
        {"key": "a/1", "size_bytes": 5},
        {"key": "a/2", "size_bytes": 7},
    ]
    assert (answer.columns, answer.truncated) == (("key", "size_bytes"), False)
    assert answer.origin is not None
    assert answer.origin.snapshot_id == snapshot.id
    assert rows(catalog, "select count(*) n from object_versions", snapshot) == [{"n": 3}]
    folders = "select folder, total_bytes from folders where depth = 1 order by folder"
    assert rows(catalog, folders, snapshot) == [
        {"folder": "a/", "total_bytes": 12},
        {"folder": "m/", "total_bytes": 0},
    ]
    assert rows(catalog, "from undecodable", snapshot) == []


def test_versions_excluded_and_undecodable_rows_are_where_they_belong(catalog: Catalog) -> None:
    def version(key: str, latest: bool) -> dict:
        return row(key, version_id="v", is_latest=latest, is_delete_marker=False)

    snapshot = publish(
        catalog,
        [version("a", True), version("a", False), version("it's?/x", True)],
        columns=VERSIONED,
        excluded=["it's?/"],
        undecodable=[version("caf\\xe9", True)],
    )
    assert rows(catalog, "select key from objects", snapshot) == [{"key": "a"}]
    assert rows(catalog, "select count(*) n from object_versions", snapshot) == [{"n": 3}]
    assert rows(catalog, "select key from undecodable", snapshot) == [{"key": "caf\\xe9"}]


def test_an_empty_snapshot_has_its_views(catalog: Catalog) -> None:
    snapshot = publish(catalog, [])
    assert rows(catalog, "from objects", snapshot) == []
    assert rows(catalog, "select folder from folders", snapshot) == [{"folder": ""}]


def test_snapshots_are_there_without_choosing_one(catalog: Catalog, snapshot: Snapshot) -> None:
    publish(catalog, [row("a")], bucket="films")
    answer = run_sql(catalog, "select bucket, objects, as_of, pinned from snapshots order by 1")
    assert answer.rows.to_pylist() == [
        {"bucket": b, "objects": n, "as_of": naive(2026, 11, 20, 1), "pinned": False}
        for b, n in (("films", 1), ("photos", 3))
    ]
    assert answer.origin is None
    with pytest.raises(InvalidQueryError, match="objects does not exist"):
        rows(catalog, "from objects")


def test_diffs_and_other_snapshots_by_reference(catalog: Catalog) -> None:
    old = publish(catalog, [row("a", 1), row("b", 1)])
    new = publish(catalog, [row("b", 2), row("c", 1)], as_of=DAY + timedelta(days=1))
    statement = "select key, change from diff('previous', 'latest') order by key"
    assert rows(catalog, statement, new) == [
        {"key": "a", "change": "deleted"},
        {"key": "b", "change": "modified"},
        {"key": "c", "change": "new"},
    ]
    statement = (
        "with d as (from diff('latest', 'photos@previous')) "
        "select (select count(*) from d) backwards, (select count(*) from objects_at('previous')) "
        f"before, (select count(*) from objects_at('{old.id}') where key = 'c') c"
    )
    assert rows(catalog, statement, new) == [{"backwards": 3, "before": 2, "c": 0}]


def test_references_that_mean_nothing_are_told(catalog: Catalog, snapshot: Snapshot) -> None:
    with pytest.raises(SnapshotNotFoundError):
        rows(catalog, "from diff('2020-01-01', 'latest')", snapshot)
    for statement in (
        "from diff('latest', lower('LATEST') || '')",
        "from diff(1, 2)",
        "from diff('latest', 'latest') union all from diff('latest', upper('latest'))",
        "from objects_at(getvariable('x'))",
    ):
        with pytest.raises(InvalidQueryError):
            rows(catalog, statement, snapshot)
    many = " union all ".join(f"from objects_at('latest~{n}')" for n in range(17))
    with pytest.raises(InvalidQueryError, match="for 16 references"):
        rows(catalog, many, snapshot)


def test_words_in_texts_are_no_calls() -> None:
    statement = "select 'diff(''a'', ''b'')' x, DIFF.y from Diff('c', 'd''e') -- diff('f', 'g')"
    assert table_function_calls(statement, "diff") == [("c", "d'e")]


@pytest.mark.parametrize(
    "statement",
    [
        "select * from read_text('{secret}')",
        "select * from read_blob('{secret}')",
        "select * from read_csv('{secret}')",
        "select * from read_csv_auto('/etc/passwd')",
        "select * from sniff_csv('/etc/passwd')",
        "select * from '{secret}'",
        "select * from read_text('{state}')",
        "select * from read_parquet('{other}')",
        "select * from parquet_metadata('{other}')",
        "select * from glob('/etc/*')",
        "select * from glob('{catalog}/*')",
        "select * from read_parquet('s3://bucket/key')",
        "select * from read_csv('https://example.org/x.csv')",
        "select * from query('select * from read_text(''/etc/passwd'')')",
        "select getenv('HOME')",
        "select * from read_json('/proc/self/environ')",
        "select * from sqlite_scan('{state}', 'sources')",
        "copy (select 1) to '{catalog}/x.csv'",
        "copy objects to '/tmp/x.parquet'",
        "attach '{state}' as s",
        "install httpfs",
        "load httpfs",
        "set memory_limit = '100GB'",
        "set enable_external_access = true",
        "reset lock_configuration",
        "pragma database_list",
        "call pragma_version()",
        "export database '{catalog}/out'",
        "import database '{catalog}/out'",
        "create table x as select 1",
        "drop view objects",
        "insert into snapshots select * from snapshots",
        "delete from snapshots",
        "update snapshots set pinned = true",
        "begin",
        "explain select 1",
        "select 1; select 2",
        "select 1; drop view objects",
        "select 1; copy (select 1) to '/tmp/x.csv'",
        "prepare p as select 1",
        "vacuum",
        "checkpoint",
        "use memory",
        "",
        "-- nothing",
        "selec 1",
        "select * from nowhere",
        "select 'a'::int",
        "select error('mine')",
    ],
)
def test_no_statement_gets_out(
    catalog: Catalog, snapshot: Snapshot, statement: str, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("hush")
    other = publish(catalog, [row("private")], bucket="films")
    text = statement.format(
        secret=secret,
        state=tmp_path / "catalog" / "state.db",
        other=other.view.paths[0],
        catalog=tmp_path / "catalog",
    )
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InvalidQueryError):
        run_sql(catalog, text, snapshot=snapshot)
    with pytest.raises(InvalidQueryError):
        # also when the statement is looked at without a snapshot
        run_sql(catalog, text)
    after = [p for p in sorted(tmp_path.rglob("*")) if "state.db" not in p.name]
    assert after == [p for p in before if "state.db" not in p.name]


def test_python_variables_are_no_tables(catalog: Catalog, snapshot: Snapshot) -> None:
    connection = statement = sandbox = [1]  # noqa: F841 - names a replacement scan would find
    with pytest.raises(InvalidQueryError, match="does not exist"):
        rows(catalog, "from sandbox", snapshot)


def test_no_stored_secret_is_there(catalog: Catalog, snapshot: Snapshot) -> None:
    assert rows(catalog, "from duckdb_secrets()", snapshot) == []


def test_statements_do_not_see_each_other(catalog: Catalog, snapshot: Snapshot) -> None:
    with pytest.raises(InvalidQueryError):
        rows(catalog, "create table left_over as select 1", snapshot)
    with pytest.raises(InvalidQueryError, match="does not exist"):
        rows(catalog, "from left_over", snapshot)


def test_more_rows_than_allowed_are_cut_off_and_it_says_so(
    catalog: Catalog, snapshot: Snapshot
) -> None:
    for count, rows_max, truncated in ((10, 10, False), (11, 10, True), (10**10, 5_000, True)):
        answer = run_sql(
            catalog, f"from range({count})", snapshot=snapshot, limits=QueryLimits(rows_max)
        )
        assert (answer.rows.num_rows, answer.truncated) == (rows_max, truncated)


def test_a_statement_that_takes_too_long_is_stopped(catalog: Catalog) -> None:
    started = time.monotonic()
    with pytest.raises(QueryLimitError, match=r"longer than 0\.1 s"):
        run_sql(
            catalog,
            "select sum(a.range * b.range) from range(10000000) a, range(10000000) b",
            limits=QueryLimits(timeout_s=0.1),
        )
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    "statement",
    [
        "select count(distinct hash(range)) from range(30000000)",
        "select repeat('x', 50000000) || range from range(100)",
        "select repeat('x', 200000) || range from range(1000)",
    ],
)
def test_a_statement_that_takes_too_much_memory_is_stopped(
    catalog: Catalog, statement: str
) -> None:
    with pytest.raises(QueryLimitError, match=r"memory|larger than"):
        run_sql(catalog, statement, limits=QueryLimits(memory_mb=64))


def test_a_result_too_large_to_keep_is_refused(catalog: Catalog) -> None:
    with pytest.raises(QueryLimitError, match="the result is larger than 64 MiB"):
        run_sql(
            catalog,
            "select repeat('x', 2000) || range from range(60000)",
            limits=QueryLimits(rows_max=100_000, memory_mb=64),
        )


def test_a_missing_file_is_the_catalogs_fault(catalog: Catalog, snapshot: Snapshot) -> None:
    Path(snapshot.view.paths[0]).unlink()
    with pytest.raises(CatalogCorruptError, match="cannot be read"):
        rows(catalog, "select count(etag) from objects", snapshot)


@pytest.fixture
def catalog_in_store(clock: FixedClock) -> Iterator[Catalog]:
    store = MemoryStore()
    store.describe("CreateBucket", "lake")
    where = "s3://lake/catalog"
    with open_catalog(where, store=store, create=True, clock=clock, threads=1) as catalog:
        yield catalog


def test_a_catalog_in_a_store_is_as_closed(catalog_in_store: Catalog) -> None:
    snapshot = publish(catalog_in_store, [row("a")], columns=PLAIN)
    other = publish(catalog_in_store, [row("private")], bucket="films")
    assert rows(catalog_in_store, "select key from objects", snapshot) == [{"key": "a"}]
    with pytest.raises(InvalidQueryError, match="disabled"):
        rows(catalog_in_store, f"from read_parquet('{other.view.paths[0]}')", snapshot)
