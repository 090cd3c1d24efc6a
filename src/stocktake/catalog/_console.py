"""The read-only SQL console: a user's SELECT over one snapshot's views, and over diffs.

Views: `objects` (current objects), `object_versions` (every row), `folders`, `undecodable` (rows
whose key could not be decoded), `snapshots`. Table macros, with literal snapshot references:
`diff('a', 'b')`, `objects_at('a')`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from stocktake.catalog._catalog import Catalog
from stocktake.catalog._compare import diff_snapshots
from stocktake.catalog._query import Origin
from stocktake.catalog._query_view import all_columns, counted_rows
from stocktake.catalog._snapshot_uses import use_snapshot
from stocktake.catalog._snapshots import Snapshot, find_snapshot, list_snapshots
from stocktake.catalog.engines._duckdb_console import table_function_calls
from stocktake.catalog.engines._duckdb_fragments import objects_table
from stocktake.catalog.engines._protocol import QueryLimits, Sandbox
from stocktake.errors import InvalidQueryError

_REFERENCES_MAX = 16
_SNAPSHOTS_TABLE = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("bucket", pa.string()),
        pa.field("config_id", pa.string()),
        pa.field("kind", pa.string()),
        pa.field("as_of", pa.timestamp("ms")),
        pa.field("published_at", pa.timestamp("ms")),
        pa.field("objects", pa.int64()),
        pa.field("size_bytes", pa.int64()),
        pa.field("pinned", pa.bool_()),
    ]
)


@dataclass(frozen=True, slots=True)
class SqlResult:
    """The rows of a statement, and where they come from.

    Attributes:
        columns: Their names, in order.
        rows: The rows, at most the limit.
        truncated: True if there were more.
        origin: The snapshot that `objects` and `folders` are of; None if the catalog has none.
    """

    columns: tuple[str, ...]
    rows: pa.Table
    truncated: bool
    origin: Origin | None


def run_sql(
    catalog: Catalog,
    statement: str,
    *,
    snapshot: Snapshot | None = None,
    limits: QueryLimits = QueryLimits(),
) -> SqlResult:
    """Run one SELECT in a sandbox that sees only the snapshots it speaks of.

    Args:
        catalog: The catalog.
        statement: The user's text.
        snapshot: What the views show; None: only `snapshots` and the macros are there.
        limits: Rows (more are cut off), seconds, memory of the sandbox.

    Raises:
        InvalidQueryError: Not one SELECT, or it does not run, or tries what is not allowed.
        QueryLimitError: Too long, or too much memory.
        SnapshotNotFoundError: A reference in a macro means none.
    """
    with ExitStack() as held:
        sandbox = _sandbox(catalog, statement, snapshot, held)
        rows, truncated = catalog.engine.console(statement, sandbox, limits)
    origin = Origin.of(snapshot) if snapshot is not None else None
    return SqlResult(tuple(rows.column_names), rows, truncated, origin)


def _sandbox(
    catalog: Catalog, statement: str, snapshot: Snapshot | None, held: ExitStack
) -> Sandbox:
    """Views and macros for one statement; the snapshots it reads are in use until `held` ends."""
    setup: list[str] = []
    paths: list[str] = []
    if snapshot is not None:
        held.enter_context(use_snapshot(catalog, snapshot))
        setup += _views(snapshot)
        paths += _paths(snapshot)
    diffs: dict[tuple[str, ...], str] = {}
    for pair in _references(statement, "diff", 2):
        old, new = (find_snapshot(catalog, text, source=_source(snapshot)) for text in pair)
        result = diff_snapshots(catalog, old, new)
        paths.append(result.engine_path)
        diffs[pair] = f"SELECT * FROM {_parquet([result.engine_path])}"
    others: dict[tuple[str, ...], str] = {}
    for (text,) in _references(statement, "objects_at", 1):
        other = find_snapshot(catalog, text, source=_source(snapshot))
        held.enter_context(use_snapshot(catalog, other))
        paths += _paths(other)
        others[(text,)] = _objects(other, versions=False)
    setup += _macro("diff", ("a", "b"), diffs) + _macro("objects_at", ("a",), others)
    return Sandbox(setup, paths, {"snapshots": _snapshots_table(catalog)})


def _references(statement: str, macro: str, count: int) -> list[tuple[str, ...]]:
    calls = [call for call in table_function_calls(statement, macro) if len(call) == count]
    if len(calls) > _REFERENCES_MAX:
        raise InvalidQueryError(f"a statement may call {macro}() for {_REFERENCES_MAX} references")
    return calls


def _source(snapshot: Snapshot | None) -> str | None:
    return snapshot.source_name if snapshot is not None else None


def _views(snapshot: Snapshot) -> list[str]:
    undecodable = snapshot.view.undecodable_paths
    lost = (
        f"SELECT * FROM {_parquet(undecodable)}"
        if undecodable
        else f"SELECT * FROM ({_objects(snapshot, versions=True)}) WHERE false"
    )
    return [
        f"CREATE VIEW objects AS {_objects(snapshot, versions=False)}",
        f"CREATE VIEW object_versions AS {_objects(snapshot, versions=True)}",
        f"CREATE VIEW folders AS SELECT * FROM {_parquet([snapshot.view.folders_path])}",
        f"CREATE VIEW undecodable AS {lost}",
    ]


def _paths(snapshot: Snapshot) -> list[str]:
    view = snapshot.view
    return [*view.paths, view.folders_path, *view.undecodable_paths]


def _objects(snapshot: Snapshot, *, versions: bool) -> str:
    where, parameters = counted_rows(snapshot.manifest, "", versions=versions)
    for parameter in parameters:  # a view cannot have parameters
        where = where.replace("?", _literal(parameter), 1)
    table = _parquet(snapshot.view.paths) if snapshot.view.paths else objects_table(snapshot.view)
    return f"SELECT {all_columns(snapshot.manifest)} FROM {table} WHERE {where}"


def _macro(name: str, arguments: tuple[str, ...], selects: dict[tuple[str, ...], str]) -> list[str]:
    """A table macro that gives one of several queries by its literal arguments."""
    statements = []
    cases = []
    for index, (values, select) in enumerate(selects.items()):
        view = f"{name}_{index}"
        statements.append(f"CREATE VIEW {view} AS {select}")
        equal = " AND ".join(
            f"{argument} = {_literal(text)}"
            for argument, text in zip(arguments, values, strict=True)
        )
        cases.append(f"WHEN {equal} THEN {_literal(view)}")
    text = _literal(f"{name}() takes snapshot references written as texts")
    # without an argument in it, DuckDB raises the error when it creates the macro
    wrong = f"error({text} || left(coalesce({arguments[0]}::VARCHAR, ''), 0))"
    choice = f"CASE {' '.join(cases)} ELSE {wrong} END" if cases else wrong
    statements.append(
        f"CREATE MACRO {name}({', '.join(arguments)}) AS TABLE SELECT * FROM query_table({choice})"
    )
    return statements


def _snapshots_table(catalog: Catalog) -> pa.Table:
    rows: list[dict[str, Any]] = [
        {
            "id": snapshot.id,
            "bucket": snapshot.bucket,
            "config_id": snapshot.config_id,
            "kind": snapshot.kind,
            "as_of": snapshot.as_of.replace(tzinfo=None),
            "published_at": snapshot.published_at.replace(tzinfo=None),
            "objects": snapshot.objects,
            "size_bytes": snapshot.size_bytes,
            "pinned": snapshot.pinned,
        }
        for snapshot in list_snapshots(catalog)
    ]
    return pa.Table.from_pylist(rows, _SNAPSHOTS_TABLE)


def _parquet(paths: Sequence[str]) -> str:
    names = ", ".join(_literal(path) for path in paths)
    return f"read_parquet([{names}], hive_partitioning=false)"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
