"""Folders of a snapshot: objects grouped by their folder, then level by level, deepest first.

Unnesting every ancestor of every object costs eight times as much as grouping once and climbing
from folder to folder (`docs/performance.md`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, BinaryIO

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from stocktake.catalog._format import FOLDERS
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

_BATCH_ROWS = 65_536

_FIGURES = ("size_bytes", "last_modified", "storage_class")

# parse_dirpath drops the last slash and cannot tell '/' from '//': hence `rooted`, and key = '/'


def roll_up(connections: DuckDbConnections, view: SnapshotView, sink: BinaryIO) -> RollUp:
    """Write `folders.parquet` (schema FOLDERS, then `bytes_by_class`) and return the totals.

    Rows are sorted by (parent, folder). Memory: the engine's limit; it spills beyond.
    """
    with connections.separate() as con:
        _group_by_folder(con, view)
        classes = _sized_classes(con)
        _direct_figures(con, classes)
        _climb(con, len(classes))
        folders = _write(con, view, classes, sink)
        totals = _totals(con, view)
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
                count(*) FILTER (marker) AS markers, sum(size_bytes) AS size_bytes,
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


def _direct_figures(con: duckdb.DuckDBPyConnection, classes: list[str]) -> None:
    """Make `direct`: one row per folder that holds objects (or is a marker), and the root."""
    sums = [f", sum(size_bytes) FILTER (storage_class = ?) AS c{n}" for n in range(len(classes))]
    con.execute(
        f"""
        CREATE TEMP TABLE direct AS
        SELECT folder, length(folder) - length(replace(folder, '/', '')) AS depth,
            sum(objects) AS objects, sum(size_bytes) AS size_bytes, max(newest) AS newest
            {"".join(sums)}
        FROM (SELECT * FROM by_folder UNION ALL SELECT '', NULL, 0, 0, NULL, NULL, NULL)
        GROUP BY folder
        """,
        classes,
    )


def _climb(con: duckdb.DuckDBPyConnection, class_count: int) -> None:
    """Make `folders`: every folder and every ancestor with direct and recursive figures."""
    con.execute(
        """
        CREATE TEMP MACRO folder_of(name) AS CASE
            WHEN name <> '/' AND parse_dirpath(name, 'forward_slash') <> ''
                THEN parse_dirpath(name, 'forward_slash') || '/'
            WHEN starts_with(name, '/') THEN '/' ELSE '' END
        """
    )
    per_class = "".join(f", c{n}" for n in range(class_count))
    sums = "".join(f", sum(c{n}) AS c{n}" for n in range(class_count))
    deepest = int(con.execute("SELECT max(depth) FROM direct").fetchall()[0][0])
    con.execute(
        f"CREATE TEMP TABLE climbing AS SELECT folder, objects, size_bytes, newest, "
        f"0 AS child_folders{per_class} FROM direct WHERE false"
    )
    for depth in range(deepest, -1, -1):
        made = "CREATE TEMP TABLE folders AS" if depth == deepest else "INSERT INTO folders"
        con.execute(
            f"""
            {made}
            SELECT folder, CASE WHEN folder <> '' THEN folder_of(folder[:-2]) END AS parent,
                CAST({depth} AS INTEGER) AS depth,
                CAST(sum(direct_objects) AS BIGINT) AS direct_objects,
                CAST(sum(direct_bytes) AS BIGINT) AS direct_bytes,
                CAST(sum(objects) AS BIGINT) AS total_objects,
                CAST(sum(size_bytes) AS BIGINT) AS total_bytes, max(newest) AS newest,
                CAST(sum(child_folders) AS BIGINT) AS child_folders{sums}
            FROM (
                SELECT folder, objects AS direct_objects, size_bytes AS direct_bytes, objects,
                    size_bytes, newest, 0 AS child_folders{per_class}
                FROM direct WHERE depth = {depth}
                UNION ALL
                SELECT folder, 0, NULL, objects, size_bytes, newest, child_folders{per_class}
                FROM climbing)
            GROUP BY folder
            """
        )
        con.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE climbing AS
            SELECT parent AS folder, sum(total_objects) AS objects, sum(total_bytes) AS size_bytes,
                max(newest) AS newest, count(*) AS child_folders{sums}
            FROM folders WHERE depth = {depth} AND depth > 0 GROUP BY parent
            """
        )


def _write(
    con: duckdb.DuckDBPyConnection, view: SnapshotView, classes: list[str], sink: BinaryIO
) -> int:
    figures = ", ".join(
        [*(_figure(view, name) for name in FOLDERS.names), *_class_columns(classes)]
    )
    relation = con.sql(f"SELECT {figures} FROM folders ORDER BY parent NULLS FIRST, folder")
    schema = FOLDERS
    if classes:
        # the names come from the report: any text, some equal but for their case
        by_class = pa.struct([pa.field(name, pa.int64()) for name in classes])
        schema = FOLDERS.append(pa.field("bytes_by_class", by_class))
    rows = 0
    with pq.ParquetWriter(sink, schema, compression="zstd", compression_level=1) as writer:
        for batch in relation.to_arrow_reader(_BATCH_ROWS):
            rows += batch.num_rows
            columns = batch.columns[: len(FOLDERS)]
            if classes:
                sums = batch.columns[len(FOLDERS) :]
                columns.append(pa.StructArray.from_arrays(sums, fields=list(by_class)))
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
    return rows


def _class_columns(classes: list[str]) -> list[str]:
    return [f"CAST(c{n} AS BIGINT)" for n in range(len(classes))]


def _figure(view: SnapshotView, name: str) -> str:
    """A column of FOLDERS; where there are no objects, their bytes are known to be none."""
    if not name.endswith("_bytes") or "size_bytes" not in view.manifest.header.columns:
        return name
    return f"CASE WHEN {name.removesuffix('bytes')}objects = 0 THEN 0 ELSE {name} END AS {name}"


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
