"""What is done with a file, by its name: only the name is known before it is read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from stocktake.convert import table_kind
from stocktake.ship._records import SourceKind
from stocktake.unpack import is_archive_name

if TYPE_CHECKING:
    from stocktake.ship._settings import ShipSettings


def kind_of(settings: ShipSettings, path: bytes, size_bytes: int) -> SourceKind:
    """Archive, table or plain. A name that says archive is believed: the content is checked."""
    name = os.fsdecode(path.rpartition(b"/")[2])
    if is_archive_name(name):
        return SourceKind.ARCHIVE
    if settings.convert_tables and table_kind(name) is not None:
        return SourceKind.TABLE
    return SourceKind.PLAIN


def extension_of(name: str) -> str:
    """The last extension with its dot; empty if the name has none (`.csv` has none)."""
    stem, dot, extension = name.rpartition("/")[2].rpartition(".")
    return dot + extension if stem.strip(".") else ""
