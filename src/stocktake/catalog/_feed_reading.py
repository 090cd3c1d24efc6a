"""Reading the rows of a feed by number or by key, many small segments at once.

A segment may be replaced by a larger one with the same rows while somebody reads; then its file is
gone, and the reader looks again where the number it waits for is now.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from sqlalchemy import select

from stocktake.catalog._catalog import Catalog
from stocktake.catalog.engines._protocol import QueryLimits
from stocktake.errors import CatalogCorruptError
from stocktake.model import FEED_CHANGE
from stocktake.state import feed_segments

_FILES_PER_QUERY = 200
_ROWS_PER_QUERY = 100_000
_LIMITS = QueryLimits(rows_max=2**62, timeout_s=600.0)
_COLUMNS = ", ".join(f"p.{name}" for name in FEED_CHANGE.names[1:])
_TABLE = (
    "read_parquet(?, hive_partitioning=false, union_by_name=false, filename=true, "
    "file_row_number=true)"
)


@dataclass(frozen=True, slots=True)
class Segment:
    """Numbers `first_seq..last_seq` are the rows of the file `path`."""

    first_seq: int
    last_seq: int
    path: str


def segments_of(catalog: Catalog, feed_id: str, first: int, last: int) -> list[Segment]:
    """Those that hold a number of the inclusive range, in order."""
    statement = (
        select(feed_segments)
        .where(feed_segments.c.feed_id == feed_id)
        .where(feed_segments.c.last_seq >= first, feed_segments.c.first_seq <= last)
        .order_by(feed_segments.c.first_seq)
    )
    with catalog.state.read() as connection:
        rows = connection.execute(statement).all()
    return [Segment(row.first_seq, row.last_seq, row.path) for row in rows]


def read_rows(catalog: Catalog, feed_id: str, first: int, last: int) -> Iterator[pa.RecordBatch]:
    """Rows numbered `first` to `last` as far as there are any: FEED_CHANGE, in order.

    Raises:
        CatalogCorruptError: A segment's file is missing or has another number of rows.
    """
    following = first
    failed_at = 0
    while segments := segments_of(catalog, feed_id, following, last):
        try:
            for group in _groups(segments):
                until = min(group[-1].last_seq, last)
                for batch in _numbered(catalog, group, following, until):
                    yield batch
                    following = batch.column("seq")[-1].as_py() + 1
                _check_all(following, until, group)
        except CatalogCorruptError:
            if failed_at == following:
                raise
            failed_at = following
            continue
        return


def pick_rows(catalog: Catalog, feed_id: str, seqs: Sequence[int]) -> Iterator[pa.RecordBatch]:
    """The rows of these sorted numbers, as far as they are there: FEED_CHANGE, in order."""

    def found() -> list[pa.RecordBatch]:
        batches: list[pa.RecordBatch] = []
        for group in _groups(segments_of(catalog, feed_id, seqs[0], seqs[-1])):
            own = [n for n in seqs if group[0].first_seq <= n <= group[-1].last_seq]
            if own:
                where = "seq IN (SELECT unnest(?::BIGINT[]))"
                batches += _select(catalog, group, "true", [], where, [own])
        return batches

    yield from _twice(found)


def rows_of_key(catalog: Catalog, feed_id: str, key: str) -> Iterator[pa.RecordBatch]:
    """Every row of one key: FEED_CHANGE, in order."""

    def found() -> list[pa.RecordBatch]:
        batches: list[pa.RecordBatch] = []
        for group in _groups(segments_of(catalog, feed_id, 1, 2**62)):
            batches += _select(catalog, group, "key = ?", [key], "true", [])
        return batches

    yield from _twice(found)


def _twice(found: Any) -> list[pa.RecordBatch]:
    """What it gives, also if a segment was replaced while it was looked for."""
    try:
        return list(found())
    except CatalogCorruptError:
        return list(found())


def _groups(segments: Sequence[Segment]) -> Iterator[list[Segment]]:
    """Segments that are read by one statement."""
    rest = iter(segments)
    group: list[Segment] = []
    rows = 0
    for segment in rest:
        own = segment.last_seq - segment.first_seq + 1
        if group and (rows + own > _ROWS_PER_QUERY or len(group) == _FILES_PER_QUERY):
            yield group
            group, rows = [], 0
        group.append(segment)
        rows += own
    if group:
        yield group


def _numbered(
    catalog: Catalog, group: list[Segment], first: int, last: int
) -> Iterator[pa.RecordBatch]:
    if len(group) == 1:  # a large one is not read whole for a few of its rows
        start = group[0].first_seq
        where = "file_row_number BETWEEN ? AND ?"
        return _select(catalog, group, where, [first - start, last - start], "true", [])
    return _select(catalog, group, "true", [], "seq BETWEEN ? AND ?", [first, last])


def _select(
    catalog: Catalog,
    group: list[Segment],
    of_file: str,
    of_file_values: list[Any],
    of_row: str,
    of_row_values: list[Any],
) -> Iterator[pa.RecordBatch]:
    paths = [catalog.files.engine_path(segment.path) for segment in group]
    statement = f"""
        SELECT * FROM (
            SELECT p.file_row_number + f.first_seq AS seq, {_COLUMNS}
            FROM (SELECT * FROM {_TABLE} WHERE {of_file}) p
            JOIN (SELECT unnest(?::VARCHAR[]) AS path, unnest(?::BIGINT[]) AS first_seq) f
                ON f.path = p.filename)
        WHERE {of_row} ORDER BY seq
    """
    starts = [segment.first_seq for segment in group]
    values = [paths, *of_file_values, paths, starts, *of_row_values]
    for batch in catalog.engine.query(statement, values, _LIMITS):
        if batch.num_rows:
            yield pa.RecordBatch.from_arrays(batch.columns, schema=FEED_CHANGE)


def _check_all(following: int, until: int, group: list[Segment]) -> None:
    if following != until + 1:
        raise CatalogCorruptError(
            f"the changes up to {until} are not all there: {following} is not in `{group[-1].path}`"
            f" or a segment before it",
            path=group[-1].path,
        )
