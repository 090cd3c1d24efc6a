"""Runs the catalog's own SQL over snapshot files, with limits."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb
import pyarrow as pa

from stocktake.catalog.engines._duckdb_connection import DuckDbConnections
from stocktake.catalog.engines._protocol import QueryLimits
from stocktake.errors import QueryLimitError

_BATCH_ROWS = 16_384
# the longest wait a timer can be given; beyond it a limit is none
_TIMER_MAX_S = threading.TIMEOUT_MAX


def stream_query(
    connections: DuckDbConnections, statement: str, parameters: Sequence[Any], limits: QueryLimits
) -> pa.RecordBatchReader:
    """The result as a stream of batches; close the reader, or read it to its end.

    The statement runs as the batches are taken. `limits.memory_mb` is the engine's own limit here.

    Raises:
        QueryLimitError: More rows or time than `limits` allow, also while the batches are taken.
    """
    with connections.connection() as warm:
        connection = warm.cursor()
    with connections.failures(), deadline(connection, limits.timeout_s):
        relation = connection.sql(statement, params=list(parameters))
        reader: pa.RecordBatchReader = relation.to_arrow_reader(_BATCH_ROWS)
    batches = _limited(connections, connection, reader, limits)
    return pa.RecordBatchReader.from_batches(reader.schema, batches)


def _limited(
    connections: DuckDbConnections,
    connection: duckdb.DuckDBPyConnection,
    reader: pa.RecordBatchReader,
    limits: QueryLimits,
) -> Iterator[pa.RecordBatch]:
    rows = 0
    try:
        while True:
            with connections.failures(), deadline(connection, limits.timeout_s):
                batch = next(reader, None)
            if batch is None:
                return
            rows += batch.num_rows
            if rows > limits.rows_max:
                raise QueryLimitError(
                    f"the query gives more than {limits.rows_max} rows",
                    hint="add a limit, or export it instead: stocktake export",
                    limit="rows",
                )
            yield batch
    finally:
        connection.close()


def fetch_table(
    connections: DuckDbConnections, statement: str, parameters: Sequence[Any], timeout_s: float
) -> pa.Table:
    """The whole result on the thread's warm connection: for pages, which are small.

    Raises:
        QueryLimitError: It took longer than `timeout_s`.
    """
    with connections.connection() as connection, deadline(connection, timeout_s):
        return connection.sql(statement, params=list(parameters)).to_arrow_table()


@contextmanager
def deadline(connection: duckdb.DuckDBPyConnection, timeout_s: float) -> Iterator[None]:
    """Interrupt whatever the connection runs inside the block after that many seconds.

    Raises:
        QueryLimitError: It was interrupted.
    """
    expired = threading.Event()

    def _stop() -> None:
        expired.set()
        connection.interrupt()

    timer = threading.Timer(min(timeout_s, _TIMER_MAX_S), _stop)
    timer.daemon = True
    timer.start()
    try:
        yield
    except duckdb.InterruptException as error:
        if not expired.is_set():
            raise
        raise QueryLimitError(
            f"the query took longer than {timeout_s:g} s",
            hint="narrow it by a prefix, or allow more time: --timeout",
            limit="time",
        ) from error
    finally:
        timer.cancel()
