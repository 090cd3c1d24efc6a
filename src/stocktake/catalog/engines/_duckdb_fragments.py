"""SQL fragments that depend on which columns a snapshot has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from stocktake.catalog._format import SnapshotManifest
from stocktake.catalog._ranges import KeyRange
from stocktake.catalog.engines._duckdb_connection import PARQUET
from stocktake.catalog.engines._protocol import SnapshotView
from stocktake.model import OBJECT

_SQL_TYPES = {
    "key": "VARCHAR",
    "version_id": "VARCHAR",
    "is_latest": "BOOLEAN",
    "is_delete_marker": "BOOLEAN",
    "size_bytes": "BIGINT",
    "last_modified": "TIMESTAMP_MS",
    "etag": "VARCHAR",
    "storage_class": "VARCHAR",
    "checksum_algorithm": "VARCHAR",
}


def quoted(identifier: str) -> str:
    """A column name as SQL: reports may call their columns anything."""
    return '"' + identifier.replace('"', '""') + '"'


def column(manifest: SnapshotManifest, name: str) -> str:
    """The column, or a typed NULL of its name if the snapshot does not have it."""
    if name in manifest.header.columns:
        return name
    return f"CAST(NULL AS {_SQL_TYPES[name]}) AS {name}"


def columns(manifest: SnapshotManifest, names: Iterable[str] = tuple(OBJECT.names)) -> str:
    """A select list of these columns, absent ones as typed NULLs."""
    return ", ".join(column(manifest, name) for name in names)


def is_current(manifest: SnapshotManifest) -> str:
    """True for rows that are objects now: the latest version, and not a delete marker."""
    parts = []
    if "is_latest" in manifest.header.columns:
        parts.append("is_latest")
    if "is_delete_marker" in manifest.header.columns:
        parts.append("is_delete_marker IS NOT TRUE")
    return " AND ".join(parts) or "true"


def is_folder_marker(manifest: SnapshotManifest) -> str:
    """True for keys that stand for a folder: they end in `/` and hold no data."""
    if "size_bytes" in manifest.header.columns:
        return "(ends_with(key, '/') AND coalesce(size_bytes, 0) = 0)"
    return "ends_with(key, '/')"


def is_excluded(manifest: SnapshotManifest) -> tuple[str, list[str]]:
    """True for keys that stay out of folders and totals, and the parameters of the predicate."""
    prefixes = list(manifest.header.excluded_prefixes)
    return " OR ".join("starts_with(key, ?)" for _ in prefixes) or "false", prefixes


def in_range(wanted: KeyRange) -> tuple[str, list[str]]:
    """True for keys of the range, and the parameters of the predicate."""
    low, high = wanted
    parts, values = [], []
    if low is not None:
        parts.append("key >= ?")
        values.append(low)
    if high is not None:
        parts.append("key < ?")
        values.append(high)
    return " AND ".join(parts) or "true", values


def objects_table(view: SnapshotView, paths: Sequence[str] | None = None) -> str:
    """The table of a snapshot's rows; its one parameter, if any, is `table_parameters`."""
    if paths if paths is not None else view.paths:
        return PARQUET
    empty = ", ".join(
        f"CAST(NULL AS {_SQL_TYPES.get(name, 'VARCHAR')}) AS {quoted(name)}"
        for name in view.manifest.header.columns
    )
    return f"(SELECT {empty} WHERE false)"


def table_parameters(view: SnapshotView, paths: Sequence[str] | None = None) -> list[list[str]]:
    """The parameters of `objects_table`: none for a snapshot without files."""
    chosen = list(view.paths if paths is None else paths)
    return [chosen] if chosen else []
