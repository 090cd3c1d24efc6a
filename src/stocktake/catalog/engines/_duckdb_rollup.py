"""Folders of a snapshot: objects grouped by their folder here, then climbed by `FolderTree`.

Unnesting every ancestor of every object costs eight times as much as grouping once and climbing
from folder to folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, BinaryIO

import duckdb
import pyarrow as pa

from stocktake.catalog._folder_tree import FolderTree
from stocktake.catalog._format import folders_schema
from stocktake.catalog._parquet import parquet_writer
from stocktake.catalog._ranges import KeyRange, files_in_range, plan_ranges
from stocktake.catalog._runs import ROW_GROUP_ROWS
from stocktake.catalog.engines._duckdb_connection import DuckDbConnections
from stocktake.catalog.engines._duckdb_fragments import (
    columns,
    in_range,
    is_current,
    is_excluded,
    is_folder_marker,
    objects_table,
    table_parameters,
)
from stocktake.catalog.engines._protocol import RollUp, SnapshotView
from stocktake.clock import format_utc
from stocktake.errors import CatalogError

_BATCH_ROWS = 8_192
_ROWS_PER_RANGE = 2_000_000
_INT64_MAX = 2**63 - 1

_FIGURES = ("size_bytes", "last_modified", "storage_class")


def roll_up(connections: DuckDbConnections, view: SnapshotView, sink: BinaryIO) -> RollUp:
    """Write `folders.parquet` and return the totals.

    Works from the last key range to the first; while the tree climbs one range, the engine groups
    the next. Memory: the folders of 4 M rows within the engine's limit, beyond which it spills,
    and a batch of the tree.
    """
    manifest = view.manifest
    ranges = plan_ranges(manifest.quantiles, manifest.stats.rows, _ROWS_PER_RANGE)[::-1]
    with connections.separate() as con, ThreadPoolExecutor(max_workers=1) as pool:

        def group(number: int) -> Future[str]:
            return pool.submit(_group_by_folder, con.cursor(), view, ranges[number], number)

        classes = _sized_classes(con, view)
        sizes_known = "size_bytes" in manifest.header.columns
        tree = FolderTree(classes, sizes_known=sizes_known)
        schema = folders_schema(classes if sizes_known else [])
        con.execute(_TOTALS)
        folders = 0
        with parquet_writer(sink, schema, **_PARQUET_OPTIONS) as writer:
            ahead = group(0)
            for number, key_range in enumerate(ranges, start=1):
                table = ahead.result()
                if number < len(ranges):
                    ahead = group(number)
                _add_totals(con, view, table)
                for rows in _descending(con, table, key_range):
                    done = tree.add(rows)
                    folders += done.num_rows
                    writer.write_table(done, row_group_size=ROW_GROUP_ROWS)
            last = tree.finish()
            writer.write_table(last, row_group_size=ROW_GROUP_ROWS)
        totals = {**_totals(con, view), **_outside_current(con, view)}
    return RollUp(folders + last.num_rows, totals)


_PARQUET_OPTIONS = {"compression": "zstd", "compression_level": 1, "use_dictionary": ["depth"]}

_TOTALS = """
    CREATE TEMP TABLE totals (storage_class VARCHAR, objects HUGEINT, markers HUGEINT,
        size_bytes HUGEINT, newest TIMESTAMP_MS, oldest TIMESTAMP_MS);
    CREATE TEMP TABLE carried (folder VARCHAR, storage_class VARCHAR, objects BIGINT,
        size_bytes BIGINT, newest TIMESTAMP_MS)
"""


_DIRECT = """
    SELECT folder, storage_class, objects, size_bytes, newest FROM (
        SELECT folder, storage_class, CAST(objects AS BIGINT) AS objects,
            CAST(size_bytes AS BIGINT) AS size_bytes, newest FROM {table}
        UNION ALL SELECT * FROM carried)
"""


def _sized_classes(con: duckdb.DuckDBPyConnection, view: SnapshotView) -> list[str]:
    """Every storage class of a current object with a known size, sorted."""
    manifest = view.manifest
    rows = con.execute(
        f"""
        SELECT DISTINCT storage_class FROM (
            SELECT {columns(manifest, ("storage_class", "size_bytes"))} FROM {objects_table(view)}
            WHERE {is_current(manifest)})
        WHERE storage_class IS NOT NULL AND size_bytes IS NOT NULL ORDER BY 1
        """,
        table_parameters(view),
    ).fetchall()
    return [str(row[0]) for row in rows]


def _group_by_folder(
    con: duckdb.DuckDBPyConnection, view: SnapshotView, key_range: KeyRange, number: int
) -> str:
    """Figures of the range's objects in each folder, by storage class; returns the table's name.

    There are two tables, in turn: one is made while the other is read.
    """
    table = f"by_folder_{number % 2}"
    manifest = view.manifest
    paths = [view.paths[index] for index in files_in_range(manifest.files, key_range)]
    inside, bounds = in_range(key_range)
    excluded, prefixes = is_excluded(manifest)
    # parse_dirpath drops the last slash and cannot tell '/' from '//': hence `rooted` and key = '/'
    con.execute(
        f"""
        CREATE OR REPLACE TABLE {table} AS
        SELECT CASE WHEN dp <> '' THEN dp || '/' WHEN rooted THEN '/' ELSE '' END AS folder,
            storage_class, objects, markers, size_bytes, newest, oldest
        FROM (
            SELECT dp, rooted, storage_class, count(*) FILTER (NOT marker) AS objects,
                count(*) FILTER (marker) AS markers,
                sum(size_bytes) FILTER (NOT marker) AS size_bytes,
                max(last_modified) FILTER (NOT marker) AS newest,
                min(last_modified) FILTER (NOT marker) AS oldest
            FROM (
                SELECT CASE WHEN key = '/' THEN '' ELSE parse_dirpath(key, 'forward_slash') END
                    AS dp, starts_with(key, '/') AS rooted, {is_folder_marker(manifest)} AS marker,
                    {columns(manifest, _FIGURES)}
                FROM {objects_table(view, paths)}
                WHERE {inside} AND {is_current(manifest)} AND NOT ({excluded}))
            GROUP BY dp, rooted, storage_class)
        """,
        [*table_parameters(view, paths), *bounds, *prefixes],
    )
    con.close()
    return table


def _descending(
    con: duckdb.DuckDBPyConnection, table: str, key_range: KeyRange
) -> Iterator[pa.Table]:
    """Rows of DIRECT in descending order of folder.

    A folder that is smaller than every key of the range has objects in a smaller range too (it is
    an ancestor of the range's lower bound): its rows are carried over to that one.
    """
    low = key_range[0] or ""
    direct = _DIRECT.format(table=table)
    rows = con.sql(f"{direct} WHERE folder >= ? ORDER BY folder DESC", params=[low])
    for batch in rows.to_arrow_reader(_BATCH_ROWS):
        yield pa.Table.from_batches([batch])
    con.execute(f"CREATE OR REPLACE TEMP TABLE carried AS {direct} WHERE folder < ?", [low])


def _add_totals(con: duckdb.DuckDBPyConnection, view: SnapshotView, table: str) -> None:
    con.execute(
        "INSERT INTO totals SELECT storage_class, sum(objects), sum(markers), sum(size_bytes), "
        f"max(newest), min(oldest) FROM {table} GROUP BY storage_class"
    )
    size = con.execute("SELECT sum(size_bytes) FROM totals").fetchall()[0][0]
    if size is not None and size > _INT64_MAX:
        raise CatalogError(
            f"the objects of {view.manifest.header.source_name} sum up to more than 2^63 bytes",
            hint="a size in the report must be wrong: stocktake inventory verify",
        )


def _totals(con: duckdb.DuckDBPyConnection, view: SnapshotView) -> dict[str, Any]:
    """Figures of the whole snapshot, named as in `SnapshotStats`."""
    row = con.execute(
        "SELECT coalesce(sum(objects), 0), sum(size_bytes), coalesce(sum(markers), 0), "
        "min(oldest), max(newest) FROM totals"
    ).fetchall()[0]
    classes = con.execute(
        "SELECT storage_class, sum(objects), sum(size_bytes) FROM totals "
        "WHERE storage_class IS NOT NULL AND objects > 0 GROUP BY 1 ORDER BY 1"
    ).fetchall()
    return {
        "objects": int(row[0]),
        "size_bytes": _total(view, row[0], row[1]),
        "folder_markers": int(row[2]),
        "oldest": _instant(row[3]),
        "newest": _instant(row[4]),
        "by_storage_class": {
            str(name): [int(count), None if size is None else int(size)]
            for name, count, size in classes
        },
    }


def _outside_current(con: duckdb.DuckDBPyConnection, view: SnapshotView) -> dict[str, Any]:
    """What folders leave out: old versions, delete markers, excluded prefixes."""
    manifest = view.manifest
    excluded, prefixes = is_excluded(manifest)
    figures: dict[str, Any] = {}
    if prefixes:
        row = con.execute(
            f"SELECT count(*) FROM {objects_table(view)} "
            f"WHERE {is_current(manifest)} AND ({excluded})",
            [*table_parameters(view), *prefixes],
        ).fetchall()[0]
        figures["excluded_objects"] = int(row[0])
    if manifest.has_versions:
        names = ("is_delete_marker", "size_bytes", "is_latest")
        row = con.execute(
            f"""
            SELECT count(*) FILTER (is_delete_marker),
                count(*) FILTER (is_latest IS NOT TRUE AND is_delete_marker IS NOT TRUE),
                sum(size_bytes) FILTER (is_latest IS NOT TRUE AND is_delete_marker IS NOT TRUE)
            FROM (SELECT {columns(manifest, names)} FROM {objects_table(view)})
            """,
            table_parameters(view),
        ).fetchall()[0]
        figures["delete_markers"] = int(row[0])
        figures["noncurrent_versions"] = int(row[1])
        figures["noncurrent_bytes"] = _total(view, row[1], row[2])
    return figures


def _instant(value: datetime | None) -> str | None:
    return None if value is None else format_utc(value.replace(tzinfo=UTC))


def _total(view: SnapshotView, count: int, size_bytes: int | None) -> int | None:
    """The bytes of so many objects: none is a figure too, if the source has sizes at all."""
    if not count and "size_bytes" in view.manifest.header.columns:
        return 0
    return None if size_bytes is None else int(size_bytes)
