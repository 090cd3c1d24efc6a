"""Folders of a snapshot: objects grouped by their folder here, then climbed by `FolderTree`.

Unnesting every ancestor of every object costs eight times as much as grouping once and climbing
from folder to folder.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, BinaryIO

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from stocktake.catalog._folder_tree import FolderTree
from stocktake.catalog._format import folders_schema
from stocktake.catalog._runs import ROW_GROUP_ROWS
from stocktake.catalog.engines._duckdb_connection import DuckDbConnections
from stocktake.catalog.engines._duckdb_fragments import (
    columns,
    is_current,
    is_excluded,
    is_folder_marker,
    objects_table,
    table_parameters,
)
from stocktake.catalog.engines._protocol import RollUp, SnapshotView
from stocktake.clock import format_utc
from stocktake.errors import CatalogError

_BATCH_ROWS = 65_536
INT64_MAX = 2**63 - 1

_FIGURES = ("size_bytes", "last_modified", "storage_class")

# parse_dirpath drops the last slash and cannot tell '/' from '//': hence `rooted`, and key = '/'


def roll_up(connections: DuckDbConnections, view: SnapshotView, sink: BinaryIO) -> RollUp:
    """Write `folders.parquet` and return the totals.

    Memory: the engine's limit, beyond which it spills, and a batch of folders.
    """
    with connections.separate() as con:
        _group_by_folder(con, view)
        classes = _sized_classes(con)
        sizes_known = "size_bytes" in view.manifest.header.columns
        totals = _totals(con, view)
        folders = _write(con, classes, sink, sizes_known=sizes_known)
    return RollUp(folders, totals)


def _group_by_folder(con: duckdb.DuckDBPyConnection, view: SnapshotView) -> None:
    """Make `by_folder`: figures of the objects directly in each folder, by storage class."""
    manifest = view.manifest
    excluded, prefixes = is_excluded(manifest)
    con.execute(
        f"""
        CREATE TEMP TABLE by_folder AS
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
                FROM {objects_table(view)}
                WHERE {is_current(manifest)} AND NOT ({excluded}))
            GROUP BY dp, rooted, storage_class)
        """,
        [*table_parameters(view), *prefixes],
    )


def _sized_classes(con: duckdb.DuckDBPyConnection) -> list[str]:
    rows = con.execute(
        "SELECT storage_class FROM by_folder WHERE storage_class IS NOT NULL AND objects > 0 "
        "AND size_bytes IS NOT NULL GROUP BY 1 ORDER BY 1"
    ).fetchall()
    return [str(row[0]) for row in rows]


def _write(
    con: duckdb.DuckDBPyConnection, classes: list[str], sink: BinaryIO, *, sizes_known: bool
) -> int:
    tree = FolderTree(classes, sizes_known=sizes_known)
    direct = con.sql(
        "SELECT folder, storage_class, CAST(objects AS BIGINT) AS objects, "
        "CAST(size_bytes AS BIGINT) AS size_bytes, newest FROM by_folder ORDER BY folder DESC"
    )
    rows: int = 0
    schema = folders_schema(classes if sizes_known else [])
    options = {"compression": "zstd", "compression_level": 1, "use_dictionary": ["depth"]}
    with pq.ParquetWriter(sink, schema, **options) as writer:
        for batch in direct.to_arrow_reader(_BATCH_ROWS):
            done = tree.add(pa.Table.from_batches([batch]))
            rows += done.num_rows
            writer.write_table(done, row_group_size=ROW_GROUP_ROWS)
        last = tree.finish()
        writer.write_table(last, row_group_size=ROW_GROUP_ROWS)
    return rows + int(last.num_rows)


def _totals(con: duckdb.DuckDBPyConnection, view: SnapshotView) -> dict[str, Any]:
    """Figures of the whole snapshot, named as in `SnapshotStats`."""
    row = con.execute(
        "SELECT coalesce(sum(objects), 0), sum(size_bytes), coalesce(sum(markers), 0), "
        "min(oldest), max(newest) FROM by_folder"
    ).fetchall()[0]
    classes = con.execute(
        "SELECT storage_class, sum(objects), sum(size_bytes) FROM by_folder "
        "WHERE storage_class IS NOT NULL AND objects > 0 GROUP BY 1 ORDER BY 1"
    ).fetchall()
    if row[1] is not None and row[1] > INT64_MAX:
        raise CatalogError(
            f"the objects of {view.manifest.header.source_name} sum up to more than 2^63 bytes",
            hint="a size in the report must be wrong: stocktake inventory verify",
        )
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
        **_outside_current(con, view),
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


def _total(view: SnapshotView, count: int, size: int | None) -> int | None:
    """The bytes of so many objects: none is a figure too, if the source has sizes at all."""
    if not count and "size_bytes" in view.manifest.header.columns:
        return 0
    return None if size is None else int(size)
