"""Cleaning up after processes that were killed: nothing of this is needed to read the catalog."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import PurePosixPath

from sqlalchemy import Connection, select

from stocktake.catalog._catalog import SNAPSHOTS_FOLDER, Catalog
from stocktake.catalog._change_log import CHANGES_FOLDER
from stocktake.catalog._compare import DIFFS_FOLDER
from stocktake.catalog._feed_segments import FEEDS_FOLDER
from stocktake.catalog._feed_uses import feed_files, holding_runs
from stocktake.catalog._retention import finish_deletion
from stocktake.catalog._snapshots import DELETING
from stocktake.catalog.engines._duckdb_connection import remove_dead_temp
from stocktake.clock import Clock, parse_utc
from stocktake.state import change_segments, imports, snapshots

_FAILED_KEPT = timedelta(days=7)
"""So long a failed import's finished parts stay, for it to go on from."""


@dataclass(frozen=True, slots=True)
class SweepResult:
    """What was removed: paths of files, ids of snapshots, names of temporary folders."""

    leftovers: tuple[str, ...]
    deletions_finished: tuple[str, ...]
    orphans: tuple[str, ...]
    temp_folders: tuple[str, ...]


def sweep(catalog: Catalog) -> SweepResult:
    """Finish interrupted deletions; remove half-written files, orphans and spilled data.

    An orphan is a file of a snapshot that is neither published nor being imported (running, or
    failed within the last week and able to go on), of changes that no segment names, or of a diff
    one of whose snapshots is gone, or of a feed if nothing names it and its run has ended. Safe
    beside running imports, discoveries and readers.
    """
    leftovers = catalog.files.remove_leftovers(catalog.clock)
    finished = _finish_deletions(catalog)
    orphans = _remove_orphans(catalog)
    temp = remove_dead_temp(catalog.temp_parent)
    return SweepResult(tuple(leftovers), tuple(finished), tuple(orphans), tuple(temp))


def _finish_deletions(catalog: Catalog) -> list[str]:
    with catalog.state.read() as connection:
        rows = connection.execute(
            select(snapshots.c.id, snapshots.c.path).where(snapshots.c.state == DELETING)
        ).all()
    for row in rows:
        finish_deletion(catalog, row.id, row.path)
    return [row.id for row in rows]


def _remove_orphans(catalog: Catalog) -> list[str]:
    # files first, rows second: the row of an import is there before its first file
    files = [
        path
        for folder in (SNAPSHOTS_FOLDER, CHANGES_FOLDER, DIFFS_FOLDER)
        for path in catalog.files.listing(folder)
    ]
    of_feeds = list(catalog.files.listing(FEEDS_FOLDER))
    with catalog.state.read() as connection:
        wanted = _wanted_ids(connection, catalog.clock)
        segments = set(connection.execute(select(change_segments.c.path)).scalars())
        kept, running = feed_files(connection), holding_runs(connection)
    orphans = [path for path in files if path not in segments and _snapshots_of(path) - wanted]
    orphans += [path for path in of_feeds if path not in kept and _run_of(path) not in running]
    for path in orphans:
        catalog.files.remove(path)
    return orphans


def _run_of(path: str) -> str:
    """The run that wrote a file of a feed."""
    return PurePosixPath(path).name.partition("-")[0]


def _snapshots_of(path: str) -> set[str]:
    """The ids of the snapshots that a file is there for; none if it is no file of ours."""
    parts = PurePosixPath(path).parts
    newest = PurePosixPath(path).stem.partition("-")[0]
    if parts[0] == CHANGES_FOLDER:
        return {newest}
    if parts[0] == DIFFS_FOLDER:
        return {*parts[1:-1], newest}
    return {parts[3]} if len(parts) > 4 else set()


def _wanted_ids(connection: Connection, clock: Clock) -> set[str]:
    wanted: set[str] = set(connection.execute(select(snapshots.c.id)).scalars())
    rows = connection.execute(
        select(imports.c.snapshot_id, imports.c.state, imports.c.finished_at).where(
            imports.c.state.in_(["running", "failed"])
        )
    )
    for row in rows:
        failed_at = parse_utc(row.finished_at) if row.finished_at else clock.now()
        if row.state == "running" or clock.now() - failed_at < _FAILED_KEPT:
            wanted.add(row.snapshot_id)
    return wanted
