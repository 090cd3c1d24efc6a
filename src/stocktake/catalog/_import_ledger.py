"""What the control database knows of imports: who runs one, which parts are done, what came of it.

A running import holds a lease and a fence number. Whoever takes over a dead one raises the fence,
and every later write of the old holder is refused, so two processes never mix their parts.

    running --publish--> published
    running --error----> failed --same report again--> running
    running --owner dead, same report--> running (fence + 1)
    running --owner dead, other report, or failed--> abandoned
"""

from __future__ import annotations

import os
import re
import secrets
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from stocktake.catalog._catalog import Catalog, snapshot_folder
from stocktake.catalog._format import ObjectFile
from stocktake.catalog._owners import host, is_gone
from stocktake.catalog._retention import finish_deletion
from stocktake.catalog._snapshots import DELETING, PUBLISHED
from stocktake.clock import format_utc, parse_utc
from stocktake.errors import ImportRunningError, StaleReportError, StocktakeError
from stocktake.model import PartRef, PartTally, SourceHeader, new_id
from stocktake.state import import_parts, imports, snapshots, sources

LEASE = timedelta(seconds=60)
_FUTURE = timedelta(days=1)
_FENCE = re.compile(r"/[0-9a-z-]*-(\d+)\.parquet$")
_RUNNING, _FAILED, _ABANDONED = "running", "failed", "abandoned"


@dataclass(frozen=True, slots=True)
class PartRecord:
    """A finished part: its files, and what reading it found.

    `repeats` are indexes of row groups of `file` that hold a key twice; `samples` some of its keys.
    """

    tally: PartTally
    file: ObjectFile | None = None
    undecodable: ObjectFile | None = None
    repeats: tuple[int, ...] = ()
    samples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImportRun:
    """An import that this process holds.

    Attributes:
        id: Of the import.
        source_id: Of its source.
        snapshot_id: Of the snapshot it will publish.
        fence: Number of this holder.
        folder: Where the snapshot's files go, relative to the catalog.
        previous_id: The newest published snapshot of the source. None if there is none, or if this
            report is older (forced): what changes from now to then is nobody's news.
        finished: Parts that an earlier run finished, by index.
    """

    id: str
    source_id: str
    snapshot_id: str
    fence: int
    folder: str
    previous_id: str | None
    finished: dict[int, PartRecord] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AlreadyPublished:
    """The same content is a snapshot already."""

    snapshot_id: str


def begin_import(
    catalog: Catalog, header: SourceHeader, parts: dict[int, str], *, force: bool
) -> ImportRun | AlreadyPublished:
    """Take the lease of this source, going on from an earlier run of the same report.

    Args:
        catalog: The catalog.
        header: What the source says about itself.
        parts: Part index -> fingerprint; only finished parts of the same fingerprint are used.
        force: Import a report that is older than the newest snapshot.

    Raises:
        ImportRunningError: Another process is at it.
        StaleReportError: Older than the newest snapshot, or from the future.
    """
    _finish_deletion(catalog, header)
    try:
        with catalog.state.write() as connection:
            source_id = _source_id(connection, catalog, header)
            known = connection.execute(
                select(snapshots.c.id).where(
                    snapshots.c.source_id == source_id,
                    snapshots.c.identity == header.identity,
                    snapshots.c.state == PUBLISHED,
                )
            ).scalar()
            if known is not None:
                return AlreadyPublished(known)
            newest = _newest(connection, source_id)
            older = newest is not None and header.as_of < parse_utc(newest.as_of)
            if not force:
                _refuse_stale(catalog, header, newest if older else None)
            row = _take_over(connection, catalog, source_id, header)
            finished = _finished_parts(connection, row["id"], parts)
    except IntegrityError as error:  # two began at the same instant: the unique index chose one
        raise _running_error(header, None) from error
    folder = snapshot_folder(header.bucket, header.config_id, row["snapshot_id"])
    return ImportRun(
        id=row["id"],
        source_id=source_id,
        snapshot_id=row["snapshot_id"],
        fence=row["fence"],
        folder=folder,
        previous_id=newest.id if newest is not None and not older else None,
        finished=_still_there(catalog, folder, finished),
    )


def finished_parts(
    catalog: Catalog, import_id: str, folder: str, fingerprint: str
) -> dict[int, PartRecord]:
    """The finished parts of an import that have this fingerprint and whose files are there."""
    with catalog.state.read() as connection:
        rows = connection.execute(
            select(import_parts)
            .where(import_parts.c.import_id == import_id, import_parts.c.part_md5 == fingerprint)
            .order_by(import_parts.c.part_index)
        ).all()
    return _still_there(catalog, folder, {row.part_index: _part_record(row) for row in rows})


def fence_of(name: str) -> int:
    """The fence of the run that wrote an object file, 0 for any other file."""
    match = _FENCE.search(name)
    return int(match[1]) if match else 0


def renew_lease(catalog: Catalog, run: ImportRun) -> None:
    """Say that this process still lives. Raises `ImportRunningError` if somebody took over."""
    with catalog.state.write() as connection:
        hold(connection, catalog, run)


def record_part(
    catalog: Catalog, run: ImportRun, part: PartRef, fingerprint: str, record: PartRecord
) -> None:
    """Note a finished part: a later run will not read it again."""
    with catalog.state.write() as connection:
        hold(connection, catalog, run)
        connection.execute(
            delete(import_parts).where(
                import_parts.c.import_id == run.id, import_parts.c.part_index == part.index
            )
        )
        connection.execute(
            insert(import_parts).values(
                import_id=run.id,
                part_index=part.index,
                part_name=part.name,
                part_md5=fingerprint,
                file=_file_json(record),
                undecodable_file=record.undecodable.to_dict() if record.undecodable else None,
                tally=asdict(record.tally),
            )
        )


def replace_part(catalog: Catalog, run: ImportRun, part_index: int, record: PartRecord) -> None:
    """Note that a finished part now has another file."""
    with catalog.state.write() as connection:
        hold(connection, catalog, run)
        connection.execute(
            update(import_parts)
            .where(import_parts.c.import_id == run.id, import_parts.c.part_index == part_index)
            .values(file=_file_json(record), tally=asdict(record.tally))
        )


def fail_import(catalog: Catalog, run: ImportRun, error: BaseException) -> None:
    """Give the lease back; finished parts stay for the next run. Not ours any more: no change."""
    if isinstance(error, StocktakeError):
        what = error.to_dict()
    else:
        what = {"code": "internal", "message": f"{type(error).__name__}: {error}"}
    with catalog.state.write() as connection:
        connection.execute(
            update(imports)
            .where(imports.c.id == run.id, imports.c.fence == run.fence)
            .where(imports.c.state == _RUNNING)
            .values(state=_FAILED, error=what, finished_at=format_utc(catalog.clock.now()))
        )


def end_import(connection: Connection, catalog: Catalog, run: ImportRun, receipt: Any) -> None:
    """Mark the import published, in the transaction that publishes its snapshot."""
    hold(connection, catalog, run)
    connection.execute(
        update(imports)
        .where(imports.c.id == run.id)
        .values(
            state="published",
            lease_until=None,
            error=None,
            receipt=receipt,
            finished_at=format_utc(catalog.clock.now()),
        )
    )
    connection.execute(delete(import_parts).where(import_parts.c.import_id == run.id))


def hold(connection: Connection, catalog: Catalog, run: ImportRun) -> None:
    """Renew the lease inside a transaction, or refuse the transaction."""
    renewed = connection.execute(
        update(imports)
        .where(imports.c.id == run.id, imports.c.fence == run.fence)
        .where(imports.c.state == _RUNNING)
        .values(lease_until=format_utc(catalog.clock.now() + LEASE))
    )
    if renewed.rowcount == 0:
        raise ImportRunningError(
            f"the import `{run.id}` was taken over by another process",
            hint="this one stopped renewing its lease for a minute; let the other finish",
            import_id=run.id,
        )


def _source_id(connection: Connection, catalog: Catalog, header: SourceHeader) -> str:
    known: str | None = connection.execute(
        select(sources.c.id)
        .where(sources.c.bucket == header.bucket, sources.c.config_id == header.config_id)
        .with_for_update()
    ).scalar()
    if known is not None:
        return known
    source_id = new_id("src", catalog.clock)
    connection.execute(
        insert(sources).values(
            id=source_id,
            kind=header.kind.value,
            bucket=header.bucket,
            config_id=header.config_id,
            location=header.location,
            settings={},
            created_at=format_utc(catalog.clock.now()),
        )
    )
    return source_id


def _finish_deletion(catalog: Catalog, header: SourceHeader) -> None:
    """Finish what a killed deletion left of this very content, so that it can be made again."""
    with catalog.state.read() as connection:
        rows = connection.execute(
            select(snapshots.c.id, snapshots.c.path)
            .join_from(snapshots, sources)
            .where(sources.c.bucket == header.bucket, sources.c.config_id == header.config_id)
            .where(snapshots.c.identity == header.identity, snapshots.c.state == DELETING)
        ).all()
    for row in rows:
        finish_deletion(catalog, row.id, row.path)


def _newest(connection: Connection, source_id: str) -> Row[str, str] | None:
    return connection.execute(
        select(snapshots.c.id, snapshots.c.as_of)
        .where(snapshots.c.source_id == source_id, snapshots.c.state == PUBLISHED)
        .order_by(snapshots.c.as_of.desc(), snapshots.c.id.desc())
        .limit(1)
    ).first()


def _refuse_stale(catalog: Catalog, header: SourceHeader, newer: Row[str, str] | None) -> None:
    if header.as_of > catalog.clock.now() + _FUTURE:
        raise StaleReportError(
            f"the report of {header.source_name} is of {format_utc(header.as_of)}, in the future",
            as_of=format_utc(header.as_of),
        )
    if newer is not None:
        raise StaleReportError(
            f"the report of {header.source_name} is of {format_utc(header.as_of)}, "
            f"older than the newest snapshot ({newer.as_of})",
            as_of=format_utc(header.as_of),
            newest=newer.as_of,
        )


def _take_over(
    connection: Connection, catalog: Catalog, source_id: str, header: SourceHeader
) -> dict[str, Any]:
    """The row of this import: a dead or failed run of the same report, or a new one."""
    rows = connection.execute(
        select(imports)
        .where(imports.c.source_id == source_id, imports.c.state.in_([_RUNNING, _FAILED]))
        .order_by(imports.c.started_at.desc(), imports.c.id.desc())
        .with_for_update()
    ).all()
    again: Row[Any] | None = None
    for row in rows:
        if row.state == _RUNNING and is_alive(catalog, row):
            raise _running_error(header, row)
        if row.identity == header.identity and again is None:
            again = row
            continue
        connection.execute(
            update(imports).where(imports.c.id == row.id).values(state=_ABANDONED, lease_until=None)
        )
        connection.execute(delete(import_parts).where(import_parts.c.import_id == row.id))
    now = catalog.clock.now()
    mine = {
        "state": _RUNNING,
        "owner": secrets.token_hex(8),
        "owner_host": host(),
        "owner_pid": os.getpid(),
        "lease_until": format_utc(now + LEASE),
        "finished_at": None,
        "error": None,
    }
    if again is not None:
        mine |= {"fence": again.fence + 1}
        connection.execute(update(imports).where(imports.c.id == again.id).values(**mine))
        return {"id": again.id, "snapshot_id": again.snapshot_id, **mine}
    mine |= {
        "id": new_id("imp", catalog.clock),
        "source_id": source_id,
        "snapshot_id": new_id("snp", catalog.clock),
        "identity": header.identity,
        "as_of": format_utc(header.as_of),
        "fence": 1,
        "started_at": format_utc(now),
    }
    connection.execute(insert(imports).values(**mine))
    return mine


def is_alive(catalog: Catalog, row: Row[Any]) -> bool:
    """Is the process that runs this import still at work, as far as can be told?"""
    if row.owner_pid is not None and is_gone(row.owner_host, row.owner_pid):
        return False
    return row.lease_until is not None and parse_utc(row.lease_until) > catalog.clock.now()


def _running_error(header: SourceHeader, row: Row[Any] | None) -> ImportRunningError:
    who = f" (process {row.owner_pid} on {row.owner_host})" if row is not None else ""
    return ImportRunningError(
        f"another import of {header.source_name} is running{who}",
        hint="wait for it; a killed import is taken over at once on the same machine, "
        "after a minute from another",
        source=header.source_name,
    )


def _finished_parts(
    connection: Connection, import_id: str, parts: dict[int, str]
) -> dict[int, PartRecord]:
    rows = connection.execute(
        select(import_parts).where(import_parts.c.import_id == import_id)
    ).all()
    return {
        row.part_index: _part_record(row)
        for row in rows
        if parts.get(row.part_index) == row.part_md5
    }


def _still_there(
    catalog: Catalog, folder: str, finished: dict[int, PartRecord]
) -> dict[int, PartRecord]:
    """The parts whose files are there: those of a run that failed long ago are swept away."""
    if not finished:
        return finished
    present = {path.removeprefix(f"{folder}/") for path in catalog.files.listing(folder)}
    return {
        index: record
        for index, record in finished.items()
        if all(file.name in present for file in (record.file, record.undecodable) if file)
    }


def _part_record(row: Row[Any]) -> PartRecord:
    file = row.file
    return PartRecord(
        tally=PartTally(**row.tally),
        file=ObjectFile.from_dict(file) if file else None,
        undecodable=ObjectFile.from_dict(row.undecodable_file) if row.undecodable_file else None,
        repeats=tuple(file["repeats"]) if file else (),
        samples=tuple(file["samples"]) if file else (),
    )


def _file_json(record: PartRecord) -> dict[str, Any] | None:
    if record.file is None:
        return None
    extra = {"repeats": list(record.repeats), "samples": list(record.samples)}
    return {**record.file.to_dict(), **extra}
