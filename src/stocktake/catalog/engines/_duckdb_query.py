"""Runs the catalog's own SQL over snapshot files, with limits."""

from __future__ import annotations

import math
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


def stream_query(
    connections: DuckDbConnections, statement: str, parameters: Sequence[Any], limits: QueryLimits
) -> pa.RecordBatchReader:
    """The result as a stream of batches, computed as they are taken.

    `limits.memory_mb` does not count here: the engine has its own limit for all queries together.

    Raises:
        QueryLimitError: More rows or time than `limits` allow, also while the batches are taken.
    """
    with connections.connection() as warm:
        connection = warm.cursor()
    batches = _run(connections, connection, (statement, parameters), limits)
    schema: pa.Schema = next(batches)
    return pa.RecordBatchReader.from_batches(schema, batches)


def _run(
    connections: DuckDbConnections,
    connection: duckdb.DuckDBPyConnection,
    query: tuple[str, Sequence[Any]],
    limits: QueryLimits,
) -> Iterator[Any]:
    """The schema first, then the batches."""
    rows = 0
    try:
        with connections.failures(), deadline(connection, limits.timeout_s):
            # sql() and not execute(): the latter keeps a second copy of every row
            relation = connection.sql(query[0], params=list(query[1]))
            reader: pa.RecordBatchReader = relation.to_arrow_reader(_BATCH_ROWS)
            yield reader.schema
            for batch in reader:
                rows += batch.num_rows
                if rows > limits.rows_max:
                    raise too_many_rows(limits.rows_max)
                yield batch
    finally:
        connection.close()


def too_many_rows(rows_max: int) -> QueryLimitError:
    """The error for a result beyond the row limit."""
    return QueryLimitError(
        f"the query gives more than {rows_max} rows",
        hint="add a limit, or export it instead: stocktake export",
        limit="rows",
    )


@contextmanager
def deadline(connection: duckdb.DuckDBPyConnection, timeout_s: float) -> Iterator[None]:
    """Interrupt whatever the connection runs once the block has lasted that many seconds.

    Raises:
        QueryLimitError: It was interrupted.
    """
    if timeout_s == math.inf:
        yield
        return
    expired = threading.Event()

    def stop() -> None:
        expired.set()
        connection.interrupt()

    timer = threading.Timer(timeout_s, stop)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (duckdb.Error, OSError) as error:
        # a stream of batches reports its interruption as an OSError of Arrow's
        if not expired.is_set():
            raise
        raise QueryLimitError(
            f"the query took longer than {timeout_s:g} s",
            hint="narrow it by a prefix, or allow more time: --timeout",
            limit="time",
        ) from error
    finally:
        timer.cancel()
