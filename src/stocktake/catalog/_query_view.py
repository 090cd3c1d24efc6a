"""Which rows of a snapshot an answer counts, as SQL predicates."""

from __future__ import annotations

from typing import Any

from stocktake.catalog._format import SnapshotManifest
from stocktake.catalog.engines._duckdb_fragments import (
    column,
    columns,
    is_current,
    is_folder_marker,
    quoted,
)
from stocktake.model import CORE_FIELDS, EXTRA_PREFIX


def counted_rows(
    manifest: SnapshotManifest, prefix: str, *, versions: bool
) -> tuple[str, list[Any]]:
    """The predicate of the rows an answer about `prefix` counts, and its parameters.

    The current view has the latest versions that are objects: no delete markers, no folder markers
    (size 0, key ends in `/`), nothing of the excluded prefixes unless `prefix` lies in one. With
    `versions` every row counts.
    """
    if versions:
        return "true", []
    excluded = [p for p in manifest.header.excluded_prefixes if not prefix.startswith(p)]
    parts = [is_current(manifest), f"NOT {is_folder_marker(manifest)}"]
    parts += ["NOT starts_with(key, ?)" for _ in excluded]
    return " AND ".join(parts), excluded


def all_columns(manifest: SnapshotManifest) -> str:
    """Every core column, absent ones as typed NULLs, then the extra ones that are there."""
    extras = [quoted(name) for name in manifest.header.columns if name.startswith(EXTRA_PREFIX)]
    return ", ".join([columns(manifest, CORE_FIELDS), *extras])


def value(manifest: SnapshotManifest, name: str) -> str:
    """A core column as an expression without a name of its own."""
    return column(manifest, name).removesuffix(f" AS {name}")
