"""Rows of a new snapshot that must not stay: the same version twice, or two latest versions.

Only key ranges in which row groups overlap (or hold a key twice) can have any; a report whose parts
are disjoint costs nothing here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import duckdb
import pyarrow as pa

from stocktake.catalog._format import RowGroup
from stocktake.catalog._ranges import KeyRange, files_in_range, intersect, plan_ranges
from stocktake.catalog.engines._duckdb_connection import DuckDbConnections
from stocktake.catalog.engines._duckdb_fragments import columns, in_range
from stocktake.catalog.engines._protocol import SnapshotView

SURPLUS: pa.Schema = pa.schema(
    [
        pa.field("file_index", pa.int64(), nullable=False),
        pa.field("row_number", pa.int64(), nullable=False),
        pa.field("drop", pa.bool_(), nullable=False),
        pa.field("differs", pa.bool_(), nullable=False),
    ]
)
"""Rows to take out (`drop`), or to keep with `is_latest` false. `differs`: not a mere copy."""

_ROWS_PER_RANGE = 1_000_000
_QUERIES_PER_RANGE = 3
_FILE_TABLE = (
    "read_parquet(?, hive_partitioning=false, union_by_name=false, filename=true, "
    "file_row_number=true)"
)


def suspect_ranges(view: SnapshotView, repeats: Iterable[RowGroup]) -> list[KeyRange]:
    """Disjoint ranges, in order, outside of which no key can stand twice.

    `repeats` are row groups known to hold a key twice within themselves.
    """
    groups = [group for file in view.manifest.files for group in file.row_groups]
    spans = [*_overlaps(groups), *((group.min_key, group.max_key) for group in repeats)]
    ranges: list[KeyRange] = []
    for low, high in sorted(spans):
        past = high + "\0"  # the smallest key after `high`: the bound is inclusive
        if ranges and low <= str(ranges[-1][1]):
            ranges[-1] = (ranges[-1][0], max(str(ranges[-1][1]), past))
        else:
            ranges.append((low, past))
    return ranges


def _overlaps(groups: list[RowGroup]) -> Iterator[tuple[str, str]]:
    """Inclusive spans that lie in two row groups at least (a shared bound is such a span)."""
    reach = ""
    started = False
    for group in sorted(groups, key=lambda group: (group.min_key, group.max_key)):
        if started and group.min_key <= reach:
            yield (group.min_key, min(group.max_key, reach))
        reach = max(reach, group.max_key)
        started = True


def find_surplus(
    connections: DuckDbConnections, view: SnapshotView, repeats: Iterable[RowGroup]
) -> Iterator[pa.Table]:
    """Tables of schema SURPLUS, none for most snapshots; no row is named twice.

    Of several rows of one (key, version) the newest last_modified stays, of equal ones the first.
    Of several latest versions of a key the newest stays the latest.
    Memory: about one million rows within the engine's limit.
    """
    suspects = suspect_ranges(view, repeats)
    if not suspects:
        return
    rows = view.manifest.stats.rows
    plan = plan_ranges(view.manifest.quantiles, rows, _ROWS_PER_RANGE)
    with connections.separate() as con:
        for part in _pieces(plan, suspects):
            yield from _surplus_in(con, view, part)


def _pieces(plan: list[KeyRange], suspects: list[KeyRange]) -> Iterator[KeyRange]:
    """The suspect ranges cut to the plan; many in one range of the plan become their hull."""
    for outer in plan:
        parts = [part for part in (intersect(outer, inner) for inner in suspects) if part]
        if len(parts) > _QUERIES_PER_RANGE:
            parts = [(parts[0][0], parts[-1][1])]
        yield from parts


def _surplus_in(
    con: duckdb.DuckDBPyConnection, view: SnapshotView, part: KeyRange
) -> Iterator[pa.Table]:
    manifest = view.manifest
    indexes = files_in_range(manifest.files, part)
    paths = [view.paths[index] for index in indexes]
    inside, bounds = in_range(part)
    names = columns(manifest, ("key", "version_id", "is_latest", "last_modified"))
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE twice AS SELECT key FROM {_FILE_TABLE} WHERE {inside} "
        "GROUP BY key HAVING count(*) > 1",
        [paths, *bounds],
    )
    if not con.execute("SELECT count(*) FROM twice").fetchall()[0][0]:
        return
    payload = ", ".join(
        name for name in manifest.header.columns if name not in ("key", "version_id")
    )
    differs = f"hash(struct_pack({payload}))" if payload else "0"
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE ranked AS
        SELECT *, row_number() OVER (PARTITION BY key, version_id ORDER BY last_modified DESC
                NULLS LAST, file_index, row_number) AS copy,
            min(content) OVER same <> max(content) OVER same AS differs
        FROM (
            SELECT {names}, {differs} AS content, file_row_number AS row_number,
                list_position(?, filename) - 1 AS file_index
            FROM {_FILE_TABLE} WHERE {inside} AND key IN (SELECT key FROM twice))
        WINDOW same AS (PARTITION BY key, version_id)
        """,
        [paths, paths, *bounds],
    )
    table = con.sql(
        """
        SELECT file_index, row_number, copy > 1 AS drop, differs FROM (
            SELECT *, row_number() OVER (PARTITION BY key, copy = 1 AND is_latest IS TRUE
                ORDER BY last_modified DESC NULLS LAST, file_index, row_number) AS latest_rank
            FROM ranked)
        WHERE copy > 1 OR (is_latest AND latest_rank > 1)
        """
    ).to_arrow_table()
    if table.num_rows:
        position = pa.array(indexes, pa.int64()).take(table.column("file_index").combine_chunks())
        arrays = [position, *(table.column(name) for name in SURPLUS.names[1:])]
        yield pa.table(arrays, schema=SURPLUS)
