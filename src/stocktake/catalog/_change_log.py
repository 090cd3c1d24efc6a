"""The change log: net changes between consecutive snapshots of a source, numbered without gaps.

Row `r` (from 0) of a segment's file has number `first_seq + r`. Numbers are given out in the
transaction that publishes the snapshot, so a reader never sees one before its snapshot.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from sqlalchemy import Connection, Row, insert, select, update

from stocktake.catalog._catalog import Catalog
from stocktake.catalog.engines._protocol import QueryLimits
from stocktake.clock import format_utc
from stocktake.errors import CatalogCorruptError
from stocktake.state import change_segments, sources

CHANGES_FOLDER = "changes"
SEQ_COLUMN = "seq"
_BATCH_ROWS = 16_384


def changes_path(source_id: str, new_snapshot_id: str) -> str:
    """Where the changes that lead to a snapshot lie, relative to the catalog."""
    return f"{CHANGES_FOLDER}/{source_id}/{new_snapshot_id}.parquet"


def append_changes(
    connection: Connection,
    catalog: Catalog,
    source_id: str,
    *,
    old_snapshot_id: str | None,
    new_snapshot_id: str,
    path: str,
    count: int,
) -> tuple[int, int] | None:
    """Give numbers to the rows of a file, in the caller's (publishing) transaction.

    Concurrent publishers of one source take their numbers one after the other: the update locks
    the source's row until the transaction ends.

    Returns:
        The first and last number; None if there are no rows, and then the file is not needed.
    """
    if count == 0:
        return None
    last = connection.execute(
        update(sources)
        .where(sources.c.id == source_id)
        .values(last_seq=sources.c.last_seq + count)
        .returning(sources.c.last_seq)
    ).scalar_one()
    first = last - count + 1
    connection.execute(
        insert(change_segments).values(
            source_id=source_id,
            first_seq=first,
            last_seq=last,
            old_snapshot_id=old_snapshot_id,
            new_snapshot_id=new_snapshot_id,
            path=path,
            created_at=format_utc(catalog.clock.now()),
        )
    )
    return first, last


def newest_seq(catalog: Catalog, source_id: str) -> int:
    """The newest number given out; 0 if there were no changes yet."""
    with catalog.state.read() as connection:
        newest: int = connection.execute(
            select(sources.c.last_seq).where(sources.c.id == source_id)
        ).scalar_one()
    return newest


def read_changes(
    catalog: Catalog, source_id: str, after_seq: int, limit: int
) -> Iterator[pa.RecordBatch]:
    """The changes numbered `after_seq + 1` and on, at most `limit` of them, in order.

    Batches have the columns of the diff with `seq` (int64) before them. A segment is read from
    where it is needed, in batches of 16k rows.

    Raises:
        CatalogCorruptError: A segment's file is missing or has another number of rows.
    """
    with catalog.state.read() as connection:
        segments = connection.execute(
            select(change_segments)
            .where(change_segments.c.source_id == source_id)
            .where(change_segments.c.last_seq > after_seq)
            .where(change_segments.c.first_seq <= after_seq + limit)
            .order_by(change_segments.c.first_seq)
        ).all()
    for segment in segments:
        first = max(segment.first_seq, after_seq + 1)
        last = min(segment.last_seq, after_seq + limit)
        yield from _read_segment(catalog, segment, first, last)


def _read_segment(
    catalog: Catalog, segment: Row[Any], first: int, last: int
) -> Iterator[pa.RecordBatch]:
    # the row number in the file is what counts, whatever order the engine reads in
    statement = (
        f"select file_row_number + ? as {SEQ_COLUMN}, * exclude (file_row_number) "
        "from read_parquet(?, hive_partitioning=false, file_row_number=true) "
        f"where file_row_number between ? and ? order by {SEQ_COLUMN}"
    )
    start = segment.first_seq
    parameters = [start, [catalog.files.engine_path(segment.path)], first - start, last - start]
    limits = QueryLimits(rows_max=last - first + 1, timeout_s=600.0)
    found = 0
    for batch in catalog.engine.query(statement, parameters, limits):
        found += batch.num_rows
        yield batch
    if found != last - first + 1:
        raise CatalogCorruptError(
            f"the changes {first} to {last} are not all in `{segment.path}`: {found} rows",
            path=segment.path,
        )
