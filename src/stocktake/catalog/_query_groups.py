"""Questions that group objects: by extension, by storage class."""

from __future__ import annotations

from typing import Any

from stocktake.catalog._catalog import Catalog
from stocktake.catalog._query import Keyset, Origin, Page, PageRequest, SortKey, fetch, page_of
from stocktake.catalog._query_view import counted_rows, value
from stocktake.catalog._ranges import files_in_range, prefix_range
from stocktake.catalog._snapshots import Snapshot
from stocktake.catalog.engines._duckdb_fragments import in_range, objects_table, table_parameters

# a regular expression takes three times as long
_EXTENSION = """CASE WHEN len(string_split(key, '.')) < 2
        OR contains(string_split(key, '.')[-1], '/')
        OR string_split(key, '.')[-2] = ''
        OR ends_with(string_split(key, '.')[-2], '/')
    THEN '' ELSE lower(string_split(key, '.')[-1]) END"""


def by_extension(
    catalog: Catalog,
    snapshot: Snapshot,
    prefix: str = "",
    *,
    versions: bool = False,
    page: PageRequest = PageRequest(),
) -> Page:
    """Objects and bytes by file extension (lower case, '' for none), most bytes first.

    The extension is what follows the last dot of the last name, unless that dot begins the name or
    follows another dot. Rows: extension, objects, size_bytes, newest.
    """
    return _grouped(
        catalog, snapshot, ("extension", _EXTENSION), prefix, versions=versions, page=page
    )


def by_storage_class(
    catalog: Catalog,
    snapshot: Snapshot,
    prefix: str = "",
    *,
    versions: bool = False,
    page: PageRequest = PageRequest(),
) -> Page:
    """Objects and bytes by storage class (NULL if the source does not say), most bytes first.

    Rows: storage_class, objects, size_bytes, newest. With `versions` noncurrent ones count too.
    """
    of = ("storage_class", value(snapshot.manifest, "storage_class"))
    return _grouped(catalog, snapshot, of, prefix, versions=versions, page=page)


def _grouped(
    catalog: Catalog,
    snapshot: Snapshot,
    group: tuple[str, str],
    prefix: str,
    *,
    versions: bool,
    page: PageRequest,
) -> Page:
    name, expression = group
    manifest = snapshot.manifest
    keys = [
        SortKey("size_bytes", descending=True, nullable=True),
        SortKey("objects", descending=True),
        SortKey(name, nullable=True),
    ]
    keyset = Keyset(keys, "group", snapshot.id, prefix, versions)
    after, after_parameters = keyset.after(page.cursor)
    source, parameters = counted_table(snapshot, prefix, versions=versions)
    statement = f"""
        SELECT * FROM (
            SELECT {expression} AS {name}, count(*) AS objects,
                CAST(sum({value(manifest, "size_bytes")}) AS BIGINT) AS size_bytes,
                max({value(manifest, "last_modified")}) AS newest
            FROM {source} GROUP BY 1)
        WHERE {after} ORDER BY {keyset.order_by} LIMIT {page.rows_max + 1}"""
    table = fetch(catalog, statement, [*parameters, *after_parameters])
    return page_of(table, keyset, page, Origin.of(snapshot))


def counted_table(snapshot: Snapshot, prefix: str, *, versions: bool) -> tuple[str, list[Any]]:
    """The table expression of the rows that count below a prefix, and its parameters."""
    wanted = prefix_range(prefix)
    within, bounds = in_range(wanted)
    where, excluded = counted_rows(snapshot.manifest, prefix, versions=versions)
    paths = [snapshot.view.paths[i] for i in files_in_range(snapshot.manifest.files, wanted)]
    table = objects_table(snapshot.view, paths)
    parameters = [*table_parameters(snapshot.view, paths), *bounds, *excluded]
    return f"(SELECT * FROM {table} WHERE {within} AND {where})", parameters
