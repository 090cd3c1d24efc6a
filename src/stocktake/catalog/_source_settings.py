"""What was settled for a source and holds for its later reports too."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select, update

from stocktake.catalog._catalog import Catalog
from stocktake.model import SourceHeader
from stocktake.state import sources

KEY_ENCODING = "key_encoding"
"""How the keys of a source's CSV reports turned out to be encoded."""


def source_setting(catalog: Catalog, header: SourceHeader, name: str) -> Any:
    """The value kept for a source; None if there is none, or the source is new."""
    with catalog.state.read() as connection:
        settings = connection.execute(
            select(sources.c.settings).where(
                sources.c.bucket == header.bucket, sources.c.config_id == header.config_id
            )
        ).scalar()
    return (settings or {}).get(name)


def keep_source_setting(catalog: Catalog, header: SourceHeader, name: str, value: Any) -> None:
    """Keep a JSON value for a source that was imported from, or tried to, before."""
    which = (sources.c.bucket == header.bucket, sources.c.config_id == header.config_id)
    with catalog.state.write() as connection:
        settings = connection.execute(
            select(sources.c.settings).where(*which).with_for_update()
        ).scalar_one()
        connection.execute(update(sources).where(*which).values(settings={**settings, name: value}))
