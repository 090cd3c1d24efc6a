"""What happened to the files of a dataset, newest first: a story that was kept, not a log file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import select
from sqlalchemy.sql import ColumnElement

from stocktake.manifests._dataset import Dataset
from stocktake.manifests._dataset_rows import COLUMNS, entry_of, key_bytes
from stocktake.manifests._dataset_values import Entry, VersionInfo
from stocktake.state import dataset_entries

_e = dataset_entries.c


class FileEventKind(StrEnum):
    """What happened to a file."""

    ADDED = "added"
    REPLACED = "replaced"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class FileEvent:
    """What a version did to a file. `entry` is the new one; of a deletion the one that ended."""

    kind: FileEventKind
    entry: Entry
    version: VersionInfo


def read_events(
    dataset: Dataset, *, limit: int, s3_key: str | None = None, deleted: bool = False
) -> list[FileEvent]:
    """The last events of a dataset, or of one of its files; newest first, then in key order.

    Args:
        dataset: Which.
        limit: At most so many.
        s3_key: Only of this key.
        deleted: Only deletions.
    """
    events: list[FileEvent] = []
    only = [] if s3_key is None else [_e.s3_key == key_bytes(s3_key)]
    for version in dataset.history():
        if len(events) >= limit:
            break
        if (version.deleted if deleted else version.added + version.replaced + version.deleted) > 0:
            found = [*_ended(dataset, version, only, limit)]
            if not deleted:
                found += _begun(dataset, version, only, limit)
            events += sorted(found, key=lambda one: one.entry.record.s3_key)
    return events[:limit]


def _begun(
    dataset: Dataset, version: VersionInfo, only: list[ColumnElement[bool]], limit: int
) -> Iterator[FileEvent]:
    other = dataset_entries.alias("earlier")
    replaced = (
        select(other.c.s3_key)
        .where(
            other.c.dataset_id == _e.dataset_id,
            other.c.s3_key == _e.s3_key,
            other.c.until_version == version.version,
        )
        .exists()
    )
    conditions = (_e.since_version == version.version, *only)
    for row in _rows(dataset, conditions, replaced, limit):
        kind = FileEventKind.REPLACED if row.other else FileEventKind.ADDED
        yield FileEvent(kind, entry_of(_entry_part(row)), version)


def _ended(
    dataset: Dataset, version: VersionInfo, only: list[ColumnElement[bool]], limit: int
) -> Iterator[FileEvent]:
    other = dataset_entries.alias("later")
    succeeded = (
        select(other.c.s3_key)
        .where(
            other.c.dataset_id == _e.dataset_id,
            other.c.s3_key == _e.s3_key,
            other.c.since_version == version.version,
        )
        .exists()
    )
    conditions = (_e.until_version == version.version, ~succeeded, *only)
    for row in _rows(dataset, conditions, succeeded, limit):
        yield FileEvent(FileEventKind.DELETED, entry_of(_entry_part(row)), version)


def _rows(
    dataset: Dataset,
    conditions: tuple[ColumnElement[bool], ...],
    other: ColumnElement[bool],
    limit: int,
) -> Sequence[Any]:
    query = select(*COLUMNS, other.label("other")).where(_e.dataset_id == dataset.id, *conditions)
    with dataset.state.read() as connection:
        return connection.execute(query.order_by(_e.s3_key).limit(limit)).all()


def _entry_part(row: Any) -> Any:
    return row[: len(COLUMNS)]
