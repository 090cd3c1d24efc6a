"""Finds the scan that was interrupted, so that the next one goes on with it."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from stocktake.catalog._catalog import Catalog, snapshot_folder
from stocktake.catalog._import_ledger import finished_parts, is_alive
from stocktake.catalog._import_parts import fingerprint
from stocktake.catalog._snapshots import PUBLISHED
from stocktake.clock import parse_utc
from stocktake.listing import InterruptedScan, KeyBounds, ListSource
from stocktake.model import PartRef, SourceHeader
from stocktake.state import imports, snapshots, sources


def take_up_scan(
    catalog: Catalog, source: ListSource, *, younger_than: timedelta | None = None
) -> ListSource:
    """The source, going on with what an interrupted scan of the same keys had finished, if any.

    A scan that goes on proves what the first one would have: it speaks of the first one's instant.
    So what is older than `younger_than` is better begun anew.
    """
    found = interrupted_scan(catalog, source.header, younger_than=younger_than)
    return source if found is None else source.resume(found)


def interrupted_scan(
    catalog: Catalog, header: SourceHeader, *, younger_than: timedelta | None = None
) -> InterruptedScan | None:
    """The newest unfinished scan of the same source and columns with finished parts, or None.

    None also if it is at work in another process, or a newer snapshot has been published since.
    """
    with catalog.state.read() as connection:
        row = connection.execute(
            select(imports)
            .join_from(imports, sources)
            .where(sources.c.bucket == header.bucket, sources.c.config_id == header.config_id)
            .where(imports.c.state.in_(["running", "failed"]))
            .order_by(imports.c.started_at.desc(), imports.c.id.desc())
            .limit(1)
        ).first()
        if row is None or (row.state == "running" and is_alive(catalog, row)):
            return None
        newer = connection.execute(
            select(snapshots.c.id)
            .where(snapshots.c.source_id == row.source_id, snapshots.c.state == PUBLISHED)
            .where(snapshots.c.as_of > row.as_of)
            .limit(1)
        ).first()
    as_of = parse_utc(row.as_of)
    if newer is not None or (younger_than and catalog.clock.now() - as_of > younger_than):
        return None
    folder = snapshot_folder(header.bucket, header.config_id, row.snapshot_id)
    # a part of a listing has no bytes of its own: all have one fingerprint, made of the columns
    wanted = fingerprint(header, PartRef(0, "", 0, ""))
    finished = {
        index: KeyBounds(record.file.min_key, record.file.max_key) if record.file else None
        for index, record in finished_parts(catalog, row.id, folder, wanted).items()
    }
    return InterruptedScan(row.identity, as_of, finished) if finished else None
