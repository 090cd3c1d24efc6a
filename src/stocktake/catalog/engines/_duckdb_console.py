"""A DuckDB that runs a user's SQL and can touch nothing but the files it was given.

Each statement gets an instance of its own. Before the user's text is looked at, file and network
access are cut down to the given files and the configuration is locked; DuckDB itself then refuses
what is not allowed, whatever the text does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import duckdb
import pyarrow as pa

from stocktake.catalog.engines._duckdb_connection import DuckDbConnections, open_duckdb
from stocktake.catalog.engines._duckdb_query import deadline
from stocktake.catalog.engines._protocol import QueryLimits, Sandbox
from stocktake.errors import InvalidQueryError, QueryLimitError

_BATCH_ROWS = 2_048
_REFUSED = (
    duckdb.ParserException,
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.SyntaxException,
    duckdb.ConversionException,
    duckdb.InvalidInputException,
    duckdb.InvalidTypeException,
    duckdb.TypeMismatchException,
    duckdb.OutOfRangeException,
    duckdb.NotImplementedException,
    duckdb.PermissionException,
    duckdb.ConstraintException,
    duckdb.DependencyException,
    duckdb.TransactionException,
    duckdb.SequenceException,
)


def table_function_calls(statement: str, name: str) -> list[tuple[str, ...]]:
    """The literal text arguments of every call of a table function in one SELECT statement.

    Calls with other arguments are left out. The statement is parsed by DuckDB, not run.

    Raises:
        InvalidQueryError: It does not parse, or is not exactly one SELECT.
    """
    with _refusals(), open_duckdb(memory_mb=64, threads=1) as connection:
        _check_single_select(connection, statement)
        text = connection.execute("SELECT json_serialize_sql(?)", [statement]).fetchall()[0][0]
    parsed = json.loads(text)
    if parsed["error"]:
        raise InvalidQueryError(f"the statement cannot run here: {parsed['error_message']}")
    return list(dict.fromkeys(_calls(parsed, name)))


def run_console(
    connections: DuckDbConnections, statement: str, sandbox: Sandbox, limits: QueryLimits
) -> tuple[pa.Table, bool]:
    """The first `limits.rows_max` rows of one SELECT, and whether there were more.

    Raises:
        InvalidQueryError: Not one SELECT, or DuckDB refuses it (syntax, names, forbidden access).
        QueryLimitError: It took too long or needs too much memory.
    """
    connection = open_duckdb(
        memory_mb=limits.memory_mb,
        threads=connections.settings.threads,
        file_system=connections.settings.file_system,
    )
    with connection, connections.failures():
        _prepare(connection, sandbox)
        with _refusals(), deadline(connection, limits.timeout_s):
            _check_single_select(connection, statement)
            reader = connection.sql(statement).to_arrow_reader(_BATCH_ROWS)
            return _first_rows(reader, limits)


def _prepare(connection: duckdb.DuckDBPyConnection, sandbox: Sandbox) -> None:
    for name, table in sandbox.tables.items():
        connection.register("given", table)
        connection.execute(f"CREATE TABLE {name} AS SELECT * FROM given")
        connection.unregister("given")
    connection.execute("SET GLOBAL allowed_paths = $paths", {"paths": list(sandbox.paths)})
    for statement in sandbox.setup:
        connection.execute(statement)
    connection.execute("SET GLOBAL enable_external_access = false")
    connection.execute("SET GLOBAL lock_configuration = true")


def _check_single_select(connection: duckdb.DuckDBPyConnection, statement: str) -> None:
    statements = connection.extract_statements(statement)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise InvalidQueryError(
            "the console runs exactly one SELECT statement",
            hint="write one SELECT, WITH ... SELECT, DESCRIBE or SHOW, without a second statement",
        )


def _first_rows(reader: pa.RecordBatchReader, limits: QueryLimits) -> tuple[pa.Table, bool]:
    batches: list[pa.RecordBatch] = []
    rows = size_bytes = 0
    for batch in reader:
        batches.append(batch)
        rows += batch.num_rows
        size_bytes += batch.nbytes
        if size_bytes > limits.memory_mb << 20:
            raise QueryLimitError(
                f"the result is larger than {limits.memory_mb} MiB",
                hint="select fewer or shorter columns",
                limit="memory",
            )
        if rows > limits.rows_max:
            break
    table = pa.Table.from_batches(batches, reader.schema)
    return table.slice(0, limits.rows_max), rows > limits.rows_max


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except _REFUSED as error:
        text = str(error).split("\n", 1)[0]
        raise InvalidQueryError(f"the statement cannot run here: {text}") from error


def _calls(node: Any, name: str) -> Iterator[tuple[str, ...]]:
    if isinstance(node, list):
        for item in node:
            yield from _calls(item, name)
        return
    if not isinstance(node, dict):
        return
    if node.get("class") == "FUNCTION" and str(node.get("function_name", "")).lower() == name:
        literals = [
            argument.get("expression", {}).get("literal") or {}
            for argument in node.get("arguments", [])
        ]
        if literals and all(literal.get("kind") == "STRING" for literal in literals):
            yield tuple(str(literal["text"]) for literal in literals)
    for value in node.values():
        yield from _calls(value, name)
