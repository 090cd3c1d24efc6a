"""What is done with a file, by its name: only the name is known before it is read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from stocktake.ship._records import SourceKind

if TYPE_CHECKING:
    from stocktake.ship._settings import ShipSettings

_TABLES = frozenset({".csv", ".tsv", ".tab", ".json", ".jsonl", ".ndjson", ".xml"})
_ARCHIVES = (
    *(".tar" + packed for packed in (".gz", ".bz2", ".xz", ".zst", ".lzma", ".z")),
    *(".tgz", ".tbz", ".tbz2", ".txz", ".tzst", ".zip", ".tar", ".7z", ".rar"),
    *(".gz", ".bz2", ".xz", ".zst"),
)


def kind_of(settings: ShipSettings, path: bytes, size_bytes: int) -> SourceKind:
    """Archive, table or plain. A name that says archive is believed: the content is checked."""
    name = os.fsdecode(path).rpartition("/")[2]
    if is_archive(name):
        return SourceKind.ARCHIVE
    if settings.convert_tables and is_table(name):
        return SourceKind.TABLE
    return SourceKind.PLAIN


def is_archive(name: str) -> bool:
    """Whether the name is one of an archive."""
    return name.lower().endswith(_ARCHIVES)


def is_table(name: str) -> bool:
    """Whether the name is one of a data file that becomes Parquet."""
    return extension_of(name).lower() in _TABLES


def stem_of(name: str) -> str:
    """An archive's name without what makes it one: `x.tar.gz` is `x`."""
    low = name.lower()
    for suffix in _ARCHIVES:
        if low.endswith(suffix):
            return name[: -len(suffix)]
    return name


def extension_of(name: str) -> str:
    """The last extension with its dot; empty if the name has none (`.csv` has none)."""
    stem, dot, extension = name.rpartition("/")[2].rpartition(".")
    return dot + extension if stem.strip(".") else ""
