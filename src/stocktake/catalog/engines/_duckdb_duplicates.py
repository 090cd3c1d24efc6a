"""Rows of a new snapshot that must not stay: the same version twice, or two latest versions.

Only key ranges in which row groups overlap (or hold a key twice) can have any; a report whose parts
are disjoint costs nothing here.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from stocktake.catalog._format import RowGroup
from stocktake.catalog._ranges import KeyRange, files_in_range, intersect, plan_ranges
from stocktake.catalog.engines._duckdb_connection import DuckDbConnections
from stocktake.catalog.engines._duckdb_fragments import columns, in_range, quoted
from stocktake.catalog.engines._protocol import SnapshotView
from stocktake.errors import CatalogCorruptError

SURPLUS: pa.Schema = pa.schema(
    [
        pa.field("file_index", pa.int64(), nullable=False),
        pa.field("row_number", pa.int64(), nullable=False),
        pa.field("drop", pa.bool_(), nullable=False),
        pa.field("differs", pa.bool_(), nullable=False),
    ]
)
"""Rows to take out (`drop`), or to keep with `is_latest` false. `differs`: it is not a mere copy of
the row that stays."""

_ROWS_PER_RANGE = 1_000_000
_QUERIES_PER_RANGE = 3
_OVERLAPS_UNSEEN = 2
_PAIRS_PER_GROUP = 200
_FILE_TABLE = (
    "read_parquet(?, hive_partitioning=false, union_by_name=false, filename=true, "
    "file_row_number=true)"
)


@dataclass(frozen=True, slots=True)
class _Place:
    """A row group, and where it stands: the `number`-th of a file."""

    group: RowGroup
    file_index: int
    number: int


def suspect_ranges(
    view: SnapshotView,
    repeats: Iterable[RowGroup],
    keys_of: Callable[[int, int], Sequence[str]],
) -> list[KeyRange]:
    """Disjoint ranges, in order, outside of which no key can stand twice.

    Args:
        view: The snapshot's files.
        repeats: Row groups known to hold a key twice within themselves.
        keys_of: The sorted keys of a row group, by file index and number in the file.
    """
    places = _places(view)
    wide = _wide(places)
    spans = [(group.min_key, group.max_key) for group in repeats]
    if wide is None:
        spans += [(place.group.min_key, place.group.max_key) for place in places]
    else:
        spans += _common_spans(_intervals(places, wide, keys_of))
    ranges: list[KeyRange] = []
    for low, high in sorted(spans):
        past = high + "\0"  # the smallest key after `high`: the bound is inclusive
        if ranges and low <= str(ranges[-1][1]):
            ranges[-1] = (ranges[-1][0], max(str(ranges[-1][1]), past))
        else:
            ranges.append((low, past))
    return ranges


def _places(view: SnapshotView) -> list[_Place]:
    """Every row group, by smallest key."""
    places = []
    for index, file in enumerate(view.manifest.files):
        places += [_Place(group, index, n) for n, group in enumerate(file.row_groups)]
    return sorted(places, key=lambda place: (place.group.min_key, place.group.max_key))


def _wide(places: list[_Place]) -> set[int] | None:
    """Row groups that reach into several later ones: mostly runs with a jump in them.

    None if too many reach over each other (shuffled input): then everything is suspect.
    """
    reached: Counter[int] = Counter()
    active: list[int] = []
    pairs = 0
    for number, place in enumerate(places):
        active = [n for n in active if places[n].group.max_key >= place.group.min_key]
        pairs += len(active)
        if pairs > _PAIRS_PER_GROUP * len(places):
            return None
        reached.update(active)
        active.append(number)
    return {n for n, others in reached.items() if others > _OVERLAPS_UNSEEN}


def _intervals(
    places: list[_Place], wide: set[int], keys_of: Callable[[int, int], Sequence[str]]
) -> list[tuple[str, str]]:
    """The inclusive bounds of every row group; of a wide one those of its islands of keys."""
    marks = [place.group.min_key for place in places]
    intervals: list[tuple[str, str]] = []
    for number, place in enumerate(places):
        if number in wide:
            intervals += _islands(keys_of(place.file_index, place.number), marks)
        else:
            intervals.append((place.group.min_key, place.group.max_key))
    return intervals


def _islands(keys: Sequence[str], marks: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Bounds of the pieces into which sorted marks cut sorted keys; between them is nothing."""
    start = 0
    while start < len(keys):
        mark = bisect_right(marks, keys[start])
        stop = bisect_left(keys, marks[mark], start) if mark < len(marks) else len(keys)
        yield keys[start], keys[stop - 1]
        start = stop


def _common_spans(intervals: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Spans that lie in two intervals at least; a shared bound is one."""
    reach: str | None = None
    for low, high in sorted(intervals):
        if reach is not None and low <= reach:
            yield low, min(high, reach)
        reach = high if reach is None else max(reach, high)


def find_surplus(
    connections: DuckDbConnections, view: SnapshotView, repeats: Iterable[RowGroup]
) -> Iterator[pa.Table]:
    """Tables of schema SURPLUS, none for most snapshots; no row is named twice.

    Of several rows of one (key, version) the newest last_modified stays, of equal ones one that
    claims to be the latest (else the key would vanish from the current view), then the first.
    Of several latest versions of a key the newest stays the latest.
    Memory: about one million rows within the engine's limit.
    """
    with connections.separate() as con:

        def keys_of(file_index: int, number: int) -> list[str]:
            return _keys(connections, view.paths[file_index], number)

        suspects = suspect_ranges(view, repeats, keys_of)
        rows = view.manifest.stats.rows
        plan = plan_ranges(view.manifest.quantiles, rows, _ROWS_PER_RANGE)
        for part in _pieces(plan, suspects):
            yield from _surplus_in(con, view, part)


def _keys(connections: DuckDbConnections, path: str, number: int) -> list[str]:
    """The keys of one row group, sorted as the file is."""
    file_system = connections.settings.file_system
    try:
        source = path if file_system is None else file_system.open(path)
        with pq.ParquetFile(source) as file:
            keys: list[str] = file.read_row_group(number, columns=["key"]).column("key").to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise CatalogCorruptError(f"`{path}` cannot be read: {error}", path=path) from error
    return keys


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
        quoted(name) for name in manifest.header.columns if name not in ("key", "version_id")
    )
    content = f"hash(row({payload}))" if payload else "0"
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE ranked AS
        SELECT *, row_number() OVER copies AS copy,
            content <> first_value(content) OVER copies AS differs
        FROM (
            SELECT {names}, {content} AS content, file_row_number AS row_number,
                list_position(?, filename) - 1 AS file_index
            FROM {_FILE_TABLE} WHERE {inside} AND key IN (SELECT key FROM twice))
        WINDOW copies AS (PARTITION BY key, version_id ORDER BY last_modified DESC NULLS LAST,
            is_latest DESC NULLS LAST, file_index, row_number)
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
