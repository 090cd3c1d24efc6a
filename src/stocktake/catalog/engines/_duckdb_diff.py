"""What differs between two snapshots: an exact join, key range by key range.

Both sides are sorted runs with known bounds, so a range reads only what overlaps it, and memory
stays the same at any size. The result is what `DIFF` says, in key order.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC

import duckdb
import pyarrow as pa

from stocktake.catalog._ranges import (
    KeyRange,
    files_in_range,
    intersect,
    plan_ranges,
    prefix_range,
)
from stocktake.catalog.engines._duckdb_connection import PARQUET, DuckDbConnections
from stocktake.catalog.engines._duckdb_fragments import (
    columns,
    in_range,
    is_current,
    is_excluded,
    objects_table,
    table_parameters,
)
from stocktake.catalog.engines._protocol import DIFF, DiffRules, SnapshotView

_ROWS_PER_RANGE = 600_000
_RANGES_MAX = 80
_BATCH_ROWS = 65_536
_COMPARED = ("key", "size_bytes", "etag", "last_modified", "storage_class")

# modified: the ETag differs; or the size; or, where one side has no ETag, the date
_MODIFIED = """
    (o.etag <> n.etag) OR (o.size_bytes <> n.size_bytes)
    OR ((o.etag IS NULL OR n.etag IS NULL) AND o.last_modified <> n.last_modified)
"""

_CHANGES = """
    CREATE TEMP TABLE changes (
        key VARCHAR, change VARCHAR, old_size_bytes BIGINT, new_size_bytes BIGINT,
        old_etag VARCHAR, new_etag VARCHAR, old_last_modified TIMESTAMP_MS,
        new_last_modified TIMESTAMP_MS, old_storage_class VARCHAR, new_storage_class VARCHAR)
"""

# the n-th vanished key with some content goes with the n-th key that appeared with it
_PAIRS = """
    CREATE TEMP TABLE renames AS
    WITH gone AS (
        SELECT key, old_etag AS etag, old_size_bytes AS size_bytes,
            row_number() OVER (PARTITION BY old_etag, old_size_bytes ORDER BY key) AS turn
        FROM changes WHERE change = 'deleted' AND old_etag IS NOT NULL AND old_size_bytes > 0),
    came AS (
        SELECT key, new_etag AS etag, new_size_bytes AS size_bytes,
            row_number() OVER (PARTITION BY new_etag, new_size_bytes ORDER BY key) AS turn
        FROM changes WHERE change = 'new' AND new_etag IS NOT NULL AND new_size_bytes > 0)
    SELECT gone.key AS old_key, came.key AS new_key
    FROM gone JOIN came USING (etag, size_bytes, turn)
"""

_RESULT = """
    SELECT c.key, CASE WHEN r.old_key IS NULL THEN c.change ELSE 'renamed' END AS change,
        r.old_key AS renamed_from,
        coalesce(c.old_size_bytes, old.old_size_bytes) AS old_size_bytes, c.new_size_bytes,
        coalesce(c.old_etag, old.old_etag) AS old_etag, c.new_etag,
        coalesce(c.old_last_modified, old.old_last_modified) AS old_last_modified,
        c.new_last_modified,
        coalesce(c.old_storage_class, old.old_storage_class) AS old_storage_class,
        c.new_storage_class
    FROM changes c
    LEFT JOIN renames r ON c.key = r.new_key AND c.change = 'new'
    LEFT JOIN changes old ON old.key = r.old_key AND old.change = 'deleted'
    WHERE NOT (c.change = 'deleted' AND c.key IN (SELECT old_key FROM renames))
    ORDER BY c.key
"""


def diff(
    connections: DuckDbConnections, old: SnapshotView, new: SnapshotView, rules: DiffRules
) -> Iterator[pa.RecordBatch]:
    """Every current key that differs, as batches of schema DIFF in key order, each key once.

    Memory: one range (about 600,000 rows of each side, more beyond 48 M rows) and the changes
    themselves, within the engine's limit; changes spill beyond it.
    """
    wanted = prefix_range(rules.key_prefix)
    with connections.separate() as con:
        con.execute(_CHANGES)
        for key_range in _ranges(old, new):
            part = intersect(key_range, wanted)
            if part is not None:
                _diff_range(con, old, new, part, rules)
        if rules.deleted_before is not None:
            con.execute(
                "UPDATE changes SET change = 'unconfirmed' WHERE change = 'deleted' "
                "AND old_last_modified >= ?",
                [rules.deleted_before.astimezone(UTC).replace(tzinfo=None)],
            )
        con.execute(_PAIRS)
        for batch in con.sql(_RESULT).to_arrow_reader(_BATCH_ROWS):
            if batch.num_rows:
                yield pa.RecordBatch.from_arrays(batch.columns, schema=DIFF)


def _ranges(old: SnapshotView, new: SnapshotView) -> list[KeyRange]:
    larger = max((old, new), key=lambda view: view.manifest.stats.rows)
    rows = larger.manifest.stats.rows
    per_range = max(_ROWS_PER_RANGE, rows // _RANGES_MAX)
    return plan_ranges(larger.manifest.quantiles, rows, per_range)


def _diff_range(
    con: duckdb.DuckDBPyConnection,
    old: SnapshotView,
    new: SnapshotView,
    part: KeyRange,
    rules: DiffRules,
) -> None:
    old_rows, old_values = _side(old, part)
    new_rows, new_values = _side(new, part)
    if rules.pending_path is not None:
        in_part, bounds = in_range(part)
        old_rows += (
            " UNION ALL SELECT key, old_size_bytes, old_etag, old_last_modified, old_storage_class "
            f"FROM {PARQUET} WHERE {in_part}"
        )
        old_values += [[rules.pending_path], *bounds]
    con.execute(
        f"""
        INSERT INTO changes
        SELECT coalesce(n.key, o.key),
            CASE WHEN o.key IS NULL THEN 'new' WHEN n.key IS NULL THEN 'deleted'
                ELSE 'modified' END,
            o.size_bytes, n.size_bytes, o.etag, n.etag, o.last_modified, n.last_modified,
            o.storage_class, n.storage_class
        FROM ({old_rows}) o FULL JOIN ({new_rows}) n ON o.key = n.key
        WHERE o.key IS NULL OR n.key IS NULL OR {_MODIFIED}
        """,
        [*old_values, *new_values],
    )


def _side(view: SnapshotView, part: KeyRange) -> tuple[str, list[object]]:
    """The current rows of one snapshot in a range, as SQL and its parameters."""
    manifest = view.manifest
    paths = [view.paths[index] for index in files_in_range(manifest.files, part)]
    in_part, bounds = in_range(part)
    excluded, prefixes = is_excluded(manifest)
    sql = (
        f"SELECT {columns(manifest, _COMPARED)} FROM {objects_table(view, paths)} "
        f"WHERE {in_part} AND {is_current(manifest)} AND NOT ({excluded})"
    )
    return sql, [*table_parameters(view, paths), *bounds, *prefixes]
