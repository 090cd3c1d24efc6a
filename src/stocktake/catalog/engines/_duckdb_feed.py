"""What is seen now against what a feed knows: an exact join, key range by key range.

A feed knows of each key the newest row of its segments, else a row carried over, else its base
snapshot. The first two are small beside the base and are put together once; the base is read range
by range, so memory stays the same at any size.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

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
from stocktake.catalog.engines._duckdb_feed_rules import SAME, verdict
from stocktake.catalog.engines._duckdb_fragments import (
    columns,
    in_range,
    is_current,
    objects_table,
    table_parameters,
)
from stocktake.catalog.engines._protocol import (
    KNOWN,
    NET_CHANGE,
    KnownObjects,
    SnapshotView,
    Witness,
)

_ROWS_PER_RANGE = 200_000
_RANGES_MAX = 200
_BATCH_ROWS = 65_536
_SEEN = ("key", "version_id", "size_bytes", "last_modified", "etag", "storage_class")
_SEEN_LIST = ", ".join(_SEEN)
_OF_KNOWN = ", ".join(KNOWN.names)

_OBSERVED = """
    CREATE TEMP TABLE observed (key VARCHAR, version_id VARCHAR, size_bytes BIGINT,
        last_modified TIMESTAMP_MS, etag VARCHAR, storage_class VARCHAR)
"""
_OVERLAY = """
    CREATE TEMP TABLE overlay (key VARCHAR, version_id VARCHAR, size_bytes BIGINT,
        last_modified TIMESTAMP_MS, etag VARCHAR, storage_class VARCHAR, sequencer VARCHAR,
        gone BOOLEAN, seen_from TIMESTAMP_MS, seen_to TIMESTAMP_MS)
"""
_SEGMENT_TABLE = (
    "read_parquet(?, hive_partitioning=false, union_by_name=false, filename=true, "
    "file_row_number=true)"
)
_CHANGED = ", ".join(
    f"n.{name}" for name in ("version_id", "size_bytes", "last_modified", "etag", "storage_class")
)
_WAS = ", ".join(f"k.{name} AS old_{name}" for name in KNOWN.names[1:])


def observe(
    connections: DuckDbConnections,
    known: KnownObjects,
    batches: Iterable[pa.RecordBatch],
    *,
    unchanged: bool = False,
) -> Iterator[pa.RecordBatch]:
    """Which of some objects that were seen are new or modified; see `Engine.observe`.

    Memory: the observations (they spill) and one range of the base.
    """
    with connections.separate() as con:
        if not _collect(con, batches, known.prefix):
            return
        overlaid = _lay_over(con, known, "AND key IN (SELECT key FROM observed)")
        for part in _ranges(known, None):
            sql, values = _known(known, part, overlaid=overlaid, semi_join=True)
            inside, bounds = in_range(part)
            statement = f"""
                SELECT n.key, CASE WHEN k.key IS NULL OR k.gone THEN 'new' WHEN {SAME} THEN 'same'
                    ELSE 'modified' END AS verdict, {_CHANGED}, {_WAS}
                FROM (SELECT * FROM observed WHERE {inside}) n LEFT JOIN ({sql}) k ON n.key = k.key
            """
            wanted = "true" if unchanged else "verdict <> 'same'"
            yield from _batches(
                con, f"SELECT * FROM ({statement}) WHERE {wanted} ORDER BY key", [*bounds, *values]
            )


def rescan(
    connections: DuckDbConnections, known: KnownObjects, now: SnapshotView, witness: Witness
) -> Iterator[pa.RecordBatch]:
    """All that a snapshot of the whole prefix says otherwise; see `Engine.rescan`.

    Memory: one range of both sides (about 200,000 rows, more beyond 40 M) and what lies over the
    base.
    """
    decided, instants = verdict(known, witness)
    with connections.separate() as con:
        overlaid = _lay_over(con, known, "")
        for part in _ranges(known, now):
            was, was_values = _known(known, part, overlaid=overlaid, semi_join=False)
            seen, seen_values = _rows(now, part)
            statement = f"""
                SELECT coalesce(n.key, k.key) AS key, {decided} AS verdict, {_CHANGED}, {_WAS}
                FROM ({was}) k FULL JOIN ({seen}) n ON n.key = k.key
            """
            yield from _batches(
                con,
                f"SELECT * FROM ({statement}) WHERE verdict <> 'same' ORDER BY key",
                [*instants, *was_values, *seen_values],
            )


def _batches(
    con: duckdb.DuckDBPyConnection, statement: str, values: list[Any]
) -> Iterator[pa.RecordBatch]:
    for batch in con.sql(statement, params=values).to_arrow_reader(_BATCH_ROWS):
        if batch.num_rows:
            yield pa.RecordBatch.from_arrays(batch.columns, schema=NET_CHANGE)


def _collect(
    con: duckdb.DuckDBPyConnection, batches: Iterable[pa.RecordBatch], prefix: str
) -> bool:
    """Put the observations into a table, each key once; False if there are none."""
    con.execute(_OBSERVED)
    inside, bounds = in_range(prefix_range(prefix))
    for batch in batches:
        names = [name for name in _SEEN if name in batch.schema.names]
        con.register("given", batch.select(names))
        con.execute(
            f"INSERT INTO observed BY NAME SELECT * FROM given WHERE {inside}", list(bounds)
        )
        con.unregister("given")
    count, keys = con.execute("SELECT count(*), count(DISTINCT key) FROM observed").fetchall()[0]
    if count != keys:
        con.execute(
            "CREATE OR REPLACE TEMP TABLE observed AS SELECT * FROM observed "
            "QUALIFY row_number() OVER (PARTITION BY key ORDER BY rowid DESC) = 1"
        )
    return bool(count)


def _lay_over(con: duckdb.DuckDBPyConnection, known: KnownObjects, only: str) -> bool:
    """Put what lies over the base into a table, each key once; False if nothing does."""
    con.execute(_OVERLAY)
    sources: list[str] = []
    values: list[Any] = []
    inside, bounds = in_range(prefix_range(known.prefix))
    if known.carried is not None:
        sources.append(f"SELECT 0 AS seq, {_OF_KNOWN} FROM {PARQUET} WHERE {inside} {only}")
        values += [[known.carried], *bounds]
    if known.files:
        sources.append(
            f"""
            SELECT f.first_seq + p.file_row_number AS seq, {", ".join(f"p.{n}" for n in _SEEN)},
                p.sequencer, p.change = 'deleted' AS gone, p.observed_at AS seen_from, p.seen_to
            FROM (SELECT * FROM {_SEGMENT_TABLE} WHERE {inside} {only}) p
            JOIN (SELECT unnest(?::VARCHAR[]) AS path, unnest(?::BIGINT[]) AS first_seq) f
                ON f.path = p.filename
            """
        )
        paths = [file.path for file in known.files]
        values += [paths, *bounds, paths, [file.first_seq for file in known.files]]
    if not sources:
        return False
    packed = ", ".join(f"{name} := {name}" for name in KNOWN.names[1:])
    con.execute(
        f"""
        INSERT INTO overlay SELECT key, unnest(newest) FROM (
            SELECT key, arg_max(struct_pack({packed}), seq) AS newest
            FROM ({" UNION ALL ".join(sources)}) GROUP BY key)
        """,
        values,
    )
    return True


def _known(
    known: KnownObjects, part: KeyRange, *, overlaid: bool, semi_join: bool
) -> tuple[str, list[Any]]:
    """What is known of the keys in a range (that were observed), as SQL and its parameters."""
    pieces: list[str] = []
    values: list[Any] = []
    if known.base is not None and known.base_seen is not None:
        rows, row_values = _rows(known.base, part)
        joins = " SEMI JOIN observed USING (key)" if semi_join else ""
        joins += " ANTI JOIN overlay USING (key)" if overlaid else ""
        pieces.append(
            f"SELECT {_SEEN_LIST}, CAST(NULL AS VARCHAR) AS sequencer, false AS gone, "
            "CAST(? AS TIMESTAMP_MS) AS seen_from, CAST(? AS TIMESTAMP_MS) AS seen_to "
            f"FROM ({rows}){joins}"
        )
        values += [*(_naive(at) for at in known.base_seen), *row_values]
    if overlaid or not pieces:
        inside, bounds = in_range(part)
        pieces.append(f"SELECT {_OF_KNOWN} FROM overlay WHERE {inside}")
        values += bounds
    return " UNION ALL ".join(pieces), values


def _rows(view: SnapshotView, part: KeyRange) -> tuple[str, list[Any]]:
    """The current rows of a snapshot in a range."""
    manifest = view.manifest
    paths = [view.paths[index] for index in files_in_range(manifest.files, part)]
    inside, bounds = in_range(part)
    sql = (
        f"SELECT {columns(manifest, _SEEN)} FROM {objects_table(view, paths)} "
        f"WHERE {inside} AND {is_current(manifest)}"
    )
    return sql, [*table_parameters(view, paths), *bounds]


def _ranges(known: KnownObjects, now: SnapshotView | None) -> list[KeyRange]:
    """The key ranges that the work is cut into, in order, within the prefix."""
    wanted = prefix_range(known.prefix)
    views = [view for view in (known.base, now) if view is not None]
    if not views:
        return [wanted]
    manifest = max(views, key=lambda view: view.manifest.stats.rows).manifest
    rows = manifest.stats.rows
    plan = plan_ranges(manifest.quantiles, rows, max(_ROWS_PER_RANGE, rows // _RANGES_MAX))
    parts = (intersect(piece, wanted) for piece in plan)
    return [part for part in parts if part is not None]


def _naive(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(tzinfo=None)
