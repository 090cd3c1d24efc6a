"""Batches as rows of a DuckDB table, with the token in the same transaction."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import duckdb
import pyarrow as pa

from stocktake.clock import Clock, format_utc
from stocktake.errors import SinkError
from stocktake.faults import reached
from stocktake.ingest._sink import Landed, OpenItems
from stocktake.ingest.sinks._columns import Settled, settle
from stocktake.ingest.sinks._landing import decode_seqs, encode_seqs
from stocktake.ingest.sinks._read import Found, Reading, read_batch
from stocktake.ingest.sinks._types import lake_type

T = TypeVar("T")

_COMMITS = "_stocktake_commits"
_MAKE = """CREATE TABLE IF NOT EXISTS _stocktake_commits (
    token VARCHAR PRIMARY KEY, consumer VARCHAR NOT NULL, table_name VARCHAR NOT NULL,
    seqs VARCHAR NOT NULL, committed_at VARCHAR NOT NULL)"""
_IS_THERE = "SELECT 1 FROM _stocktake_commits WHERE token = ?"
_ADD = "INSERT INTO _stocktake_commits VALUES (?, ?, ?, ?, ?)"
_FIND = """SELECT token, seqs FROM _stocktake_commits
    WHERE consumer = ? AND table_name = ? AND list_contains(?::VARCHAR[], token)"""
_LOCKS: dict[str, threading.Lock] = {}
"""By file: threads of one process share its instance, would collide on commit, and may even find
it half-opened."""
_TRIES_MAX = 60
_WAIT_S = 0.05
_WAIT_S_MAX = 2.0


class DuckDbSink:
    """Appends batches to one table of a DuckDB database file.

    Rows and the token's row in `_stocktake_commits` are one transaction. The table is made with
    the first batch; columns that it lacks are added, always nullable; values that do not fit a
    column are the failure of their item. Names of columns are the same if they differ in ASCII
    case only, as DuckDB has it.

    DuckDB lets one process write at a time: the file is opened for each batch only, and workers of
    several processes wait for each other (a minute or two, then `SinkError`). A program that keeps
    the file open keeps the ingestion out.

    Args:
        path: The database file; made if it is not there, its directory too.
        table: `name` or `schema.name`.
        reading: What is read out of objects.
        clock: Waits between tries.
    """

    keeps_tokens = True

    def __init__(self, path: Path, table: str, reading: Reading, clock: Clock) -> None:
        self._path = path.absolute()
        self._table = table
        self._reading = reading
        self._clock = clock
        self._lock = _LOCKS.setdefault(str(self._path.resolve()), threading.Lock())

    def load(self, batch: OpenItems) -> None:
        """Insert all rows and the token. A batch that is there is read again, and left as it is.

        Raises:
            SinkError: The database cannot be opened or written, or the table does not fit.
            StoreError: Objects cannot be read.
        """
        found = read_batch(batch, self._reading, self._clock)
        if not found.seqs:
            return
        batch.renew()
        reached("sink.rows-ready")
        settled = self._tried(lambda connection: self._insert(connection, batch, found))
        reached("sink.committed")
        for item, error in settled.failures if settled is not None else ():
            batch.fail(item, error)

    def landed(self, consumer: str, tokens: Sequence[str]) -> Mapping[str, Landed]:
        """Batches whose token is in the database, of this consumer and table."""
        if not tokens or not self._path.exists():
            return {}
        asked = [consumer, self._table, list(tokens)]
        rows = self._tried(
            lambda connection: (
                connection.execute(_FIND, asked).fetchall()
                if _columns_of(connection, _COMMITS) is not None
                else []
            )
        )
        where = f"`{_COMMITS}` in {self._path}"
        return {token: Landed(token, decode_seqs(seqs, where)) for token, seqs in rows}

    def close(self) -> None:
        """Nothing to give back: the file is open during a batch only."""

    def _insert(
        self, connection: duckdb.DuckDBPyConnection, batch: OpenItems, found: Found
    ) -> Settled | None:
        """Everything of a batch, inside a transaction; None if it is there already."""
        connection.execute(_MAKE)
        if connection.execute(_IS_THERE, [batch.token]).fetchall():
            return None
        known = _columns_of(connection, self._table)
        where = f"the table `{self._table}`"
        settled = settle(found.rows, known, where, fold=_ascii_lower, adapt=lake_type)
        seqs = found.seqs - {item.seq for item, _ in settled.failures}
        if not seqs:
            return settled
        if settled.rows.num_columns:
            self._append(connection, settled.rows, known)
        reached("sink.rows-inserted")
        now = format_utc(self._clock.now())
        row = [batch.token, batch.consumer, self._table, encode_seqs(seqs), now]
        try:
            connection.execute(_ADD, row)
        except duckdb.ConstraintException as error:
            # committed by another worker since this transaction began
            raise duckdb.TransactionException(str(error)) from error
        reached("sink.token-written")
        return settled

    def _append(
        self, connection: duckdb.DuckDBPyConnection, rows: pa.Table, known: pa.Schema | None
    ) -> None:
        connection.register("_stocktake_batch", rows)
        target = _quoted(self._table)
        if known is None:
            if "." in self._table:
                schema = self._table.rpartition(".")[0]
                connection.execute(f"CREATE SCHEMA IF NOT EXISTS {_quoted(schema)}")
            connection.execute(f"CREATE TABLE {target} AS FROM _stocktake_batch LIMIT 0")
        else:
            described = connection.execute("DESCRIBE FROM _stocktake_batch").fetchall()
            for name, kind in [(row[0], row[1]) for row in described][len(known) :]:
                connection.execute(f"ALTER TABLE {target} ADD COLUMN {_quoted_name(name)} {kind}")
        connection.execute(f"INSERT INTO {target} BY NAME FROM _stocktake_batch")
        connection.unregister("_stocktake_batch")

    def _tried(self, work: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
        """Run `work` in a transaction; again while other writers are in the way."""
        tries = itertools.count(1)
        while True:
            number = next(tries)
            try:
                with self._lock, self._transaction() as connection:
                    return work(connection)
            except duckdb.Error as error:
                if number == _TRIES_MAX or not _passes(error):
                    raise self._failure(error) from error
            self._clock.sleep(min(_WAIT_S_MAX, _WAIT_S * 2**number))

    @contextmanager
    def _transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._failure(error) from error
        # no settings of our own: DuckDB wants the same ones of all who open a file in one process
        connection = duckdb.connect(str(self._path))
        try:
            # a table name must never find a Python variable of whoever calls
            connection.execute("SET python_enable_replacements = false")
            connection.execute("SET TimeZone = 'UTC'")
            connection.begin()
            yield connection
            connection.commit()
        finally:
            connection.close()

    def _failure(self, error: Exception) -> SinkError:
        cause = " ".join(str(error).split())
        return SinkError(
            f"the DuckDB database `{self._path}` did not take a batch: {cause}",
            hint="close other programs that have it open" if "lock" in cause else None,
            database=str(self._path),
        )


def _passes(error: duckdb.Error) -> bool:
    """True if another writer is the reason: a lock of another process, a conflict on commit."""
    text = str(error)
    return isinstance(error, duckdb.TransactionException) or (
        isinstance(error, duckdb.IOException) and "lock" in text.lower()
    )


def _columns_of(connection: duckdb.DuckDBPyConnection, table: str) -> pa.Schema | None:
    """The columns of a table as Arrow sees them; None if there is no such table."""
    try:
        return connection.sql(f"FROM {_quoted(table)} LIMIT 0").to_arrow_table().schema
    except duckdb.CatalogException:
        return None


def _quoted(table: str) -> str:
    return ".".join(_quoted_name(part) for part in table.split("."))


def _quoted_name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _ascii_lower(name: str) -> str:
    return name.encode().lower().decode()
