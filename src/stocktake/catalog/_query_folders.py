"""Questions about folders: what is in one, the tree below it, what it weighs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from stocktake.catalog._catalog import Catalog
from stocktake.catalog._query import Keyset, Origin, Page, PageRequest, SortKey, fetch, page_of
from stocktake.catalog._query_gaps import direct_ranges
from stocktake.catalog._query_scan import Selection, scan_in_key_order
from stocktake.catalog._query_view import counted_rows, value
from stocktake.catalog._ranges import prefix_range
from stocktake.catalog._snapshots import Snapshot, describe_snapshot
from stocktake.catalog.engines._duckdb_connection import PARQUET
from stocktake.catalog.engines._duckdb_fragments import column, objects_table, table_parameters
from stocktake.errors import InvalidQueryError, NotInSnapshotError
from stocktake.model import display_key, parent_folder, successor

ENTRIES: pa.Schema = pa.schema(
    [
        pa.field("kind", pa.string(), nullable=False),
        pa.field("name", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("objects", pa.int64(), nullable=False),
        pa.field("size_bytes", pa.int64()),
        pa.field("newest", pa.timestamp("ms")),
        pa.field("child_folders", pa.int64()),
        pa.field("storage_class", pa.string()),
    ]
)
"""Rows of `list_children`. `kind` is folder or object; `name` is the path below the folder (a
folder's with its `/`; '' for data under the folder's own key); `newest` of an object is its
last-modified."""

_FOLDER_COLUMNS = (
    "folder AS path, depth, direct_objects, direct_bytes, total_objects AS objects, "
    "total_bytes AS size_bytes, newest, child_folders"
)

_FOLDER_NAMES = (
    "folder",
    "depth",
    "direct_objects",
    "direct_bytes",
    "total_objects",
    "total_bytes",
    "newest",
    "child_folders",
)


class ChildSort(StrEnum):
    """By what the children of a folder are sorted."""

    NAME = "name"
    SIZE = "size"
    COUNT = "count"
    DATE = "date"


_AFTER_ALL = "\U0010ffff" * 2

_SORT_COLUMN = {
    ChildSort.NAME: SortKey("path"),
    ChildSort.SIZE: SortKey("size_bytes", nullable=True),
    ChildSort.COUNT: SortKey("objects"),
    ChildSort.DATE: SortKey("newest", nullable=True),
}


@dataclass(frozen=True, slots=True)
class ChildOrder:
    """How to sort the children of a folder."""

    by: ChildSort = ChildSort.NAME
    descending: bool = False

    def keyset(self, *question: object) -> Keyset:
        """The order as sort keys; the path makes places unique."""
        first = _SORT_COLUMN[self.by]
        if first.column == "path":
            return Keyset([SortKey("path", self.descending)], *question)
        key = SortKey(first.column, self.descending, first.nullable)
        return Keyset([key, SortKey("path")], *question)


def list_children(
    catalog: Catalog,
    snapshot: Snapshot,
    folder: str = "",
    *,
    order: ChildOrder = ChildOrder(),
    page: PageRequest = PageRequest(),
) -> Page:
    """A page of what lies directly in a folder: subfolders and objects in one order.

    Args:
        catalog: The catalog.
        snapshot: The snapshot.
        folder: '' (the root) or a prefix that ends in `/`.
        order: The order.
        page: Which page.

    Returns:
        Rows of `ENTRIES`; `attrs["folder"]` has the folder's own figures.

    Raises:
        NotInSnapshotError: There is no such folder.
    """
    own = folder_figures(catalog, snapshot, folder)
    keyset = order.keyset("children", snapshot.id, folder)
    tables = [ENTRIES.empty_table()]
    if own["child_folders"]:
        tables.append(_child_folders(catalog, snapshot, folder, keyset, page))
    if own["direct_objects"]:
        tables.append(_direct_objects(catalog, snapshot, own, keyset, page))
    merged = pa.concat_tables([table.cast(ENTRIES) for table in tables])
    directions = [(k.column, "descending" if k.descending else "ascending") for k in keyset.keys]
    # NULLs go last, as in SQL above
    first = pc.sort_indices(merged, directions)[: page.rows_max + 1]
    return page_of(merged.take(first), keyset, page, Origin.of(snapshot), {"folder": own})


def folder_figures(catalog: Catalog, snapshot: Snapshot, folder: str) -> dict[str, Any]:
    """The figures of one folder: path, depth, objects, bytes, newest, child folders, classes.

    Raises:
        NotInSnapshotError: There is no such folder.
        InvalidQueryError: Not a folder: it does not end in `/`.
    """
    if folder and not folder.endswith("/"):
        raise InvalidQueryError(
            f"`{display_key(folder)}` is not a folder: it does not end in `/`",
            hint=f"write {display_key(folder)}/",
        )
    rest = "* EXCLUDE (parent, " + ", ".join(_FOLDER_NAMES) + ")"
    rows = fetch(
        catalog,
        f"SELECT {_FOLDER_COLUMNS}, {rest} FROM {PARQUET} WHERE folder = ?",
        [[snapshot.view.folders_path], folder],
    ).to_pylist()
    if not rows:
        raise NotInSnapshotError(
            f"there is no folder `{display_key(folder)}` in {describe_snapshot(snapshot)}",
            path=folder,
        )
    own: dict[str, Any] = rows[0]
    return own


def _child_folders(
    catalog: Catalog, snapshot: Snapshot, folder: str, keyset: Keyset, page: PageRequest
) -> pa.Table:
    after, parameters = keyset.after(page.cursor)
    # the file is in order of folder: what is below one lies together, one level of it is few rows
    end = successor(folder)
    bounds = [folder, end, end, _depth_of(folder) + 1]
    statement = f"""
        SELECT 'folder' AS kind, substr(path, {len(folder) + 1}) AS name, path, objects,
            size_bytes, newest, child_folders, CAST(NULL AS VARCHAR) AS storage_class
        FROM (SELECT * FROM (SELECT {_FOLDER_COLUMNS} FROM {PARQUET}
                WHERE folder > ? AND (? IS NULL OR folder < ?) AND depth = ?)
            WHERE {after} ORDER BY {keyset.order_by} LIMIT {page.rows_max + 1})"""
    return fetch(catalog, statement, [[snapshot.view.folders_path], *bounds, *parameters])


def _direct_objects(
    catalog: Catalog, snapshot: Snapshot, own: dict[str, Any], keyset: Keyset, page: PageRequest
) -> pa.Table:
    folder: str = own["path"]
    manifest = snapshot.manifest
    counted, excluded = counted_rows(manifest, folder, versions=False)
    # without subfolders every object below is a direct one, which need not be tested then
    direct, bound = _is_direct(folder) if own["child_folders"] else ("true", [])
    where, parameters = f"{counted} AND {direct}", [*excluded, *bound]
    near = direct_ranges(manifest.files, folder)
    where, parameters = f"({near.predicate}) AND {where}", [*near.parameters, *parameters]
    raw = (
        f"key AS path, 1 AS objects, {column(manifest, 'size_bytes')}, "
        f"{value(manifest, 'last_modified')} AS newest, {column(manifest, 'storage_class')}"
    )
    low, high = prefix_range(folder)
    after_path = _path_order(keyset, page.cursor)
    if after_path is not None:
        low = max(low or "", after_path)
        selection = Selection(raw, where, tuple(parameters))
        found = scan_in_key_order(
            catalog, snapshot, (low, high), selection, page.rows_max + 1, near.files
        )
    else:
        after, after_parameters = keyset.after(page.cursor)
        paths = [p for p, f in zip(snapshot.view.paths, near.files, strict=True) if f.row_groups]
        statement = f"""
            SELECT * FROM (SELECT {raw} FROM {objects_table(snapshot.view, paths)} WHERE {where})
            WHERE {after} ORDER BY {keyset.order_by} LIMIT {page.rows_max + 1}"""
        tables = table_parameters(snapshot.view, paths)
        found = fetch(catalog, statement, [*tables, *parameters, *after_parameters])
    return _as_entries(found, len(folder))


def _path_order(keyset: Keyset, cursor: str | None) -> str | None:
    """From which path on the objects come in path order, if they do; else None.

    Sorted by count they do too: each counts 1.
    """
    first = keyset.keys[0]
    if first.column == "path":
        if first.descending:
            return None
        return keyset.values_of(cursor)[0] + "\0" if cursor else ""
    if first.column != "objects":
        return None
    count, path = keyset.values_of(cursor) if cursor else (None, "")
    if count is None or (count > 1 if first.descending else count < 1):
        return ""
    return path + "\0" if count == 1 else _AFTER_ALL


def _as_entries(objects: pa.Table, folder_length: int) -> pa.Table:
    """Rows of direct objects as `ENTRIES`. Names are cut only now that few rows are left."""
    names = [path[folder_length:] for path in objects.column("path").to_pylist()]
    count = objects.num_rows
    added = {
        "kind": pa.array(["object"] * count, pa.string()),
        "name": pa.array(names, pa.string()),
        "child_folders": pa.nulls(count, pa.int64()),
    }
    columns = [added[name] if name in added else objects.column(name) for name in ENTRIES.names]
    return pa.table(columns, names=ENTRIES.names)


def _is_direct(folder: str) -> tuple[str, list[Any]]:
    """The predicate of keys, all below the folder, with no further `/`."""
    if folder == "":
        return "NOT contains(key, '/')", []
    if folder == "/":
        return "NOT contains(substr(key, 2), '/')", []
    # many times faster than cutting the key, and exact for all but the two folders above
    return "parse_dirpath(key, 'forward_slash') = ?", [folder[:-1]]


def folder_tree(
    catalog: Catalog,
    snapshot: Snapshot,
    prefix: str = "",
    *,
    depth: int = 2,
    children_max: int = 100,
) -> Page:
    """The folders below one, level by level down to `depth`, parents before their children.

    Args:
        catalog: The catalog.
        snapshot: The snapshot.
        prefix: '' or a prefix that ends in `/`.
        depth: How many levels below it.
        children_max: At most so many children of each folder: the largest ones.

    Returns:
        Rows: path, depth, direct_objects, direct_bytes, objects, size_bytes, newest,
        child_folders, rank (1 is the largest of its parent). The folder itself comes first.
        A branch whose upper folder is left out is left out too.

    Raises:
        NotInSnapshotError: There is no such folder.
        QueryLimitError: More than 10,000 folders.
    """
    own = folder_figures(catalog, snapshot, prefix)
    statement = f"""
        SELECT * FROM (
            SELECT {_FOLDER_COLUMNS}, row_number() OVER (
                PARTITION BY parent ORDER BY total_bytes DESC NULLS LAST, total_objects DESC, folder
            ) AS rank
            FROM {PARQUET}
            WHERE folder > ? AND (? IS NULL OR folder < ?) AND depth <= ?)
        WHERE rank <= ? ORDER BY path"""
    end = successor(prefix)
    parameters = [
        [snapshot.view.folders_path],
        prefix,
        end,
        end,
        own["depth"] + depth,
        children_max,
    ]
    rows = _connected(fetch(catalog, statement, parameters), prefix)
    return Page(rows, Origin.of(snapshot), None, {"folder": own})


def _connected(rows: pa.Table, top: str) -> pa.Table:
    """Only rows whose parent is there too; parents come before their children."""
    present = {top}
    keep = []
    for path in rows.column("path").to_pylist():
        kept = parent_folder(path) in present
        keep.append(kept)
        if kept:
            present.add(path)
    return rows.filter(pa.array(keep, pa.bool_()))


def usage(catalog: Catalog, snapshot: Snapshot, prefix: str = "", *, depth: int = 1) -> Page:
    """What a prefix weighs, and each folder below it down to `depth`, largest first.

    Args:
        catalog: The catalog.
        snapshot: The snapshot.
        prefix: Any prefix: a folder, or the beginning of some names.
        depth: How many levels of folders; 0 is the total alone.

    Returns:
        Rows: path, objects, size_bytes, newest; `attrs["total"]` has the same of the prefix.

    Raises:
        QueryLimitError: More than 10,000 folders.
    """
    top = prefix[: prefix.rfind("/") + 1]
    total = _total(catalog, snapshot, prefix, top)
    statement = f"""
        SELECT folder AS path, total_objects AS objects, total_bytes AS size_bytes, newest
        FROM {PARQUET}
        WHERE folder > ? AND (? IS NULL OR folder < ?) AND depth <= ?
        ORDER BY size_bytes DESC NULLS LAST, objects DESC, path"""
    end = successor(prefix)
    levels = _depth_of(top) + depth
    rows = fetch(catalog, statement, [[snapshot.view.folders_path], prefix, end, end, levels])
    return Page(rows, Origin.of(snapshot), None, {"total": total})


def _depth_of(folder: str) -> int:
    return folder.count("/")


def _total(catalog: Catalog, snapshot: Snapshot, prefix: str, top: str) -> dict[str, Any]:
    if prefix == top:
        own = folder_figures(catalog, snapshot, prefix)
        return {name: own[name] for name in ("path", "objects", "size_bytes", "newest")}
    manifest = snapshot.manifest
    low, high = prefix_range(prefix)
    counted, excluded = counted_rows(manifest, prefix, versions=False)
    size, newest = value(manifest, "size_bytes"), value(manifest, "last_modified")
    statement = f"""
        SELECT ? AS path, count(*) AS objects, CAST(sum({size}) AS BIGINT) AS size_bytes,
            max({newest}) AS newest
        FROM {objects_table(snapshot.view)}
        WHERE key >= ? AND (? IS NULL OR key < ?) AND {counted}"""
    parameters = [prefix, *table_parameters(snapshot.view), low, high, high, *excluded]
    found: dict[str, Any] = fetch(catalog, statement, parameters).to_pylist()[0]
    return found
