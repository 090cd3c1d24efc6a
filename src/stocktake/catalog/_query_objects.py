"""Questions about objects: those below a prefix, one of them, a search, the extreme ones."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import pyarrow as pa

from stocktake.catalog._catalog import Catalog
from stocktake.catalog._query import Keyset, Origin, Page, PageRequest, SortKey, fetch, page_of
from stocktake.catalog._query_pattern import KeyPattern
from stocktake.catalog._query_scan import Selection, scan_in_key_order, select_range
from stocktake.catalog._query_view import all_columns, counted_rows
from stocktake.catalog._ranges import KeyRange, files_in_range, intersect, prefix_range
from stocktake.catalog._snapshots import Snapshot, describe_snapshot
from stocktake.catalog.engines._duckdb_fragments import (
    in_range,
    is_current,
    objects_table,
    table_parameters,
)
from stocktake.errors import NotInSnapshotError
from stocktake.model import FileInfo, display_key

_BY_KEY = (SortKey("key"),)
_BY_VERSION = (
    SortKey("key"),
    SortKey("last_modified", descending=True, nullable=True),
    SortKey("version_id", nullable=True),
)
_VERSIONS_MAX = 10_000


class Extreme(StrEnum):
    """Which end of which column `top_objects` gives."""

    LARGEST = "largest"
    OLDEST = "oldest"
    NEWEST = "newest"


_EXTREMES = {
    Extreme.LARGEST: SortKey("size_bytes", descending=True, nullable=True),
    Extreme.OLDEST: SortKey("last_modified", nullable=True),
    Extreme.NEWEST: SortKey("last_modified", descending=True, nullable=True),
}


@dataclass(frozen=True, slots=True)
class ObjectAnswer:
    """What a snapshot knows of one key: the current object, and every version, newest first."""

    current: FileInfo | None
    versions: pa.Table
    origin: Origin


def list_objects(
    catalog: Catalog,
    snapshot: Snapshot,
    prefix: str = "",
    *,
    versions: bool = False,
    page: PageRequest = PageRequest(),
) -> Page:
    """A page of the objects whose keys start with `prefix`, in key order (UTF-8 bytes).

    Rows have every core column, absent ones NULL, then the extra columns that are there. With
    `versions` every version and delete marker, of each key newest first.
    """
    wanted = prefix_range(prefix)
    where, parameters = counted_rows(snapshot.manifest, prefix, versions=versions)
    keyset = Keyset(_BY_VERSION if versions else _BY_KEY, "objects", snapshot.id, prefix)
    selected = _Selected(wanted, where, parameters)
    return _in_key_order(catalog, snapshot, keyset, selected, page)


def search(
    catalog: Catalog,
    snapshot: Snapshot,
    pattern: KeyPattern,
    *,
    prefix: str = "",
    versions: bool = False,
    page: PageRequest = PageRequest(),
) -> Page:
    """A page of the objects whose keys match a pattern, in key order. Rows as `list_objects`.

    Costs a scan of the keys below `prefix` (and below the pattern's own literal beginning) until
    the page is full.
    """
    wanted = intersect(prefix_range(prefix), prefix_range(pattern.literal_prefix))
    where, parameters = counted_rows(snapshot.manifest, prefix, versions=versions)
    keys = _BY_VERSION if versions else _BY_KEY
    keyset = Keyset(keys, "search", snapshot.id, prefix, pattern)
    if wanted is None:
        wanted, where, parameters = ("", ""), "false", []
    matched = f"{where} AND {pattern.predicate}"
    selected = _Selected(wanted, matched, [*parameters, *pattern.parameters])
    return _in_key_order(catalog, snapshot, keyset, selected, page)


def find_object(catalog: Catalog, snapshot: Snapshot, key: str) -> ObjectAnswer:
    """Everything the snapshot knows of one key, folder markers and excluded keys included.

    Raises:
        NotInSnapshotError: It has no version and no delete marker of it.
        QueryLimitError: More than 10,000 versions.
    """
    manifest = snapshot.manifest
    keyset = Keyset(_BY_VERSION)
    selection = Selection(
        f"{all_columns(manifest)}, {is_current(manifest)} AS is_current",
        "true",
        order_by=keyset.order_by,
    )
    wanted = (key, key + "\0")
    table = select_range(catalog, snapshot, wanted, selection, _VERSIONS_MAX + 1)
    if table.num_rows == 0:
        raise NotInSnapshotError(
            f"there is no object `{display_key(key)}` in {describe_snapshot(snapshot)}", key=key
        )
    current = [row for row in table.to_pylist() if row["is_current"]]
    info = _file_info(current[0]) if current else None
    return ObjectAnswer(info, table.drop_columns(["is_current"]), Origin.of(snapshot))


def top_objects(
    catalog: Catalog,
    snapshot: Snapshot,
    extreme: Extreme,
    *,
    prefix: str = "",
    versions: bool = False,
    page: PageRequest = PageRequest(),
) -> Page:
    """A page of the largest, oldest or newest objects below a prefix. Rows as `list_objects`.

    Objects whose size or time is unknown come last.
    """
    manifest = snapshot.manifest
    unique = SortKey("version_id", nullable=True)
    keyset = Keyset(
        [_EXTREMES[extreme], SortKey("key"), unique], "top", snapshot.id, prefix, versions
    )
    wanted = prefix_range(prefix)
    within, bounds = in_range(wanted)
    where, parameters = counted_rows(manifest, prefix, versions=versions)
    after, after_parameters = keyset.after(page.cursor)
    paths = [snapshot.view.paths[i] for i in files_in_range(manifest.files, wanted)]
    statement = f"""
        SELECT * FROM (SELECT {all_columns(manifest)}
            FROM {objects_table(snapshot.view, paths)} WHERE {within} AND {where})
        WHERE {after} ORDER BY {keyset.order_by} LIMIT {page.rows_max + 1}"""
    tables = table_parameters(snapshot.view, paths)
    table = fetch(catalog, statement, [*tables, *bounds, *parameters, *after_parameters])
    return page_of(table, keyset, page, Origin.of(snapshot))


@dataclass(frozen=True, slots=True)
class _Selected:
    wanted: KeyRange
    where: str
    parameters: list[Any]


def _in_key_order(
    catalog: Catalog, snapshot: Snapshot, keyset: Keyset, selected: _Selected, page: PageRequest
) -> Page:
    low, high = selected.wanted
    where, parameters = selected.where, list(selected.parameters)
    if page.cursor is not None:
        last_key = keyset.values_of(page.cursor)[0]
        # of one key there may be more versions, so that key itself is looked at again
        low = max(low or "", last_key if len(keyset.keys) > 1 else last_key + "\0")
    if len(keyset.keys) > 1:
        after, after_parameters = keyset.after(page.cursor)
        where, parameters = f"{where} AND {after}", [*parameters, *after_parameters]
    selection = Selection(all_columns(snapshot.manifest), where, tuple(parameters), keyset.order_by)
    table = scan_in_key_order(catalog, snapshot, (low, high), selection, page.rows_max + 1)
    return page_of(table, keyset, page, Origin.of(snapshot))


def _file_info(row: dict[str, Any]) -> FileInfo:
    modified: datetime | None = row["last_modified"]
    return FileInfo(
        key=row["key"],
        size_bytes=row["size_bytes"],
        last_modified=modified.replace(tzinfo=UTC) if modified else None,
        etag=row["etag"],
        storage_class=row["storage_class"],
        checksum_algorithm=row["checksum_algorithm"],
    )
