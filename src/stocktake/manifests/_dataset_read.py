"""Reading entries: pages by key of one version, so that memory is bounded and the moment is one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Row, select
from sqlalchemy.sql import ColumnElement, Select

from stocktake.clock import parse_utc
from stocktake.errors import DatasetNotFoundError
from stocktake.manifests._dataset_rows import at_version, entry_of, key_bytes, select_entries
from stocktake.manifests._dataset_values import Entry, Reason, VersionInfo
from stocktake.state import State, dataset_entries, dataset_versions, datasets

PAGE_ROWS = 2000
CHANGES_AT_ONCE = 20_000
"""Up to this many changed rows are taken at once, by index; beyond, two versions are merged."""

_e = dataset_entries.c
_v = dataset_versions.c


def read_entries(
    state: State, dataset_id: str, version: int, *, prefix: str = "", after: str = ""
) -> Iterator[Entry]:
    """The entries of a version in key order.

    Raises:
        DatasetNotFoundError: The dataset was forgotten meanwhile; there may have been more.
    """
    bounds: list[ColumnElement[bool]] = [*at_version(version)]
    start = prefix.encode()
    if start:
        bounds.append(_e.s3_key >= start)
        bounds.append(_e.s3_key < start[:-1] + bytes([start[-1] + 1]))  # UTF-8 has no 0xFF
    last = after.encode()
    while True:
        query = select_entries(dataset_id, *bounds, _e.s3_key > last).order_by(_e.s3_key)
        with state.read() as connection:
            rows = connection.execute(query.limit(PAGE_ROWS)).all()
            if len(rows) < PAGE_ROWS:
                _check_there(connection, dataset_id, version)
        yield from map(entry_of, rows)
        if len(rows) < PAGE_ROWS:
            return
        last = bytes(rows[-1].s3_key)


def _check_there(connection: Connection, dataset_id: str, version: int) -> None:
    """An end that came because the rows were deleted is none."""
    there = connection.scalar(select(datasets.c.version).where(datasets.c.id == dataset_id))
    if there is None or there < version:
        raise DatasetNotFoundError(
            f"dataset `{dataset_id}` was forgotten while it was read", dataset=dataset_id
        )


def find_entry(state: State, dataset_id: str, s3_key: str, version: int) -> Entry | None:
    """The entry of a key in a version."""
    return _first(
        state, select_entries(dataset_id, _e.s3_key == key_bytes(s3_key), *at_version(version))
    )


def find_current(state: State, dataset_id: str, s3_key: str) -> Entry | None:
    """The entry that a key has now."""
    key = key_bytes(s3_key)
    return _first(state, select_entries(dataset_id, _e.s3_key == key, _e.until_version.is_(None)))


def _first(state: State, query: Select[Any]) -> Entry | None:
    with state.read() as connection:
        row = connection.execute(query).first()
    return None if row is None else entry_of(row)


def read_history(
    state: State, dataset_id: str, limit: int | None, up_to: int | None = None
) -> list[VersionInfo]:
    """The versions, newest first."""
    query = select(dataset_versions).where(_v.dataset_id == dataset_id)
    if up_to is not None:
        query = query.where(_v.version <= up_to)
    with state.read() as connection:
        rows = connection.execute(query.order_by(_v.version.desc()).limit(limit)).all()
    return [version_of(row) for row in rows]


def version_of(row: Row[Any]) -> VersionInfo:
    """A row of `dataset_versions`."""
    return VersionInfo(
        version=row.version,
        at=parse_utc(row.at),
        reason=Reason(row.reason),
        writer=row.writer,
        run_id=row.run_id,
        added=row.added,
        replaced=row.replaced,
        deleted=row.deleted,
        total_files=row.total_files,
        total_size_bytes=row.total_size_bytes,
    )


def read_changes(
    state: State, dataset_id: str, old: int, new: int
) -> Iterator[tuple[Entry | None, Entry | None]]:
    """What is another in `new` than in `old`: (before, after), in key order."""
    first, last = min(old, new), max(old, new)
    pairs = _few_changes(state, dataset_id, first, last)
    if pairs is None:
        pairs = _merged(
            read_entries(state, dataset_id, first), read_entries(state, dataset_id, last)
        )
    for before, after in pairs:
        if before is not None and after is not None and before.record == after.record:
            continue  # changed and changed back
        yield (before, after) if old <= new else (after, before)


def _few_changes(
    state: State, dataset_id: str, first: int, last: int
) -> Iterator[tuple[Entry | None, Entry | None]] | None:
    """By the versions' indexes; None if there are too many to hold."""
    gone = select_entries(
        dataset_id,
        _e.until_version > first,
        _e.until_version <= last,
        _e.since_version <= first,
    )
    came = select_entries(
        dataset_id,
        _e.since_version > first,
        _e.since_version <= last,
        _e.until_version.is_(None) | (_e.until_version > last),
    )
    found: list[dict[bytes, Entry]] = []
    with state.read() as connection:
        for query in (gone, came):
            rows = connection.execute(query.limit(CHANGES_AT_ONCE + 1)).all()
            if len(rows) > CHANGES_AT_ONCE:
                return None
            found.append({bytes(row.s3_key): entry_of(row) for row in rows})
    before, after = found
    return ((before.get(key), after.get(key)) for key in sorted({*before, *after}))


def _merged(
    old: Iterator[Entry], new: Iterator[Entry]
) -> Iterator[tuple[Entry | None, Entry | None]]:
    one, other = next(old, None), next(new, None)
    while one is not None or other is not None:
        if other is None or (one is not None and one.record.s3_key < other.record.s3_key):
            yield one, None
            one = next(old, None)
        elif one is None or other.record.s3_key < one.record.s3_key:
            yield None, other
            other = next(new, None)
        else:
            if one.since_version != other.since_version:
                yield one, other
            one, other = next(old, None), next(new, None)


def read_deletions(state: State, dataset_id: str, limit: int) -> list[tuple[Entry, VersionInfo]]:
    """What was deleted, with the version that did; newest first. Entries that came back count."""
    later = dataset_entries.alias("later")
    query = (
        select_entries(dataset_id, ~_successor(later), _e.until_version.is_not(None))
        .order_by(_e.until_version.desc(), _e.s3_key)
        .limit(limit)
    )
    with state.read() as connection:
        rows = connection.execute(query).all()
        numbers = {row.until_version for row in rows}
        versions = {
            row.version: version_of(row)
            for number in numbers
            for row in connection.execute(
                select(dataset_versions).where(_v.dataset_id == dataset_id, _v.version == number)
            )
        }
    return [(entry_of(row), versions[row.until_version]) for row in rows]


def _successor(later: Any) -> ColumnElement[bool]:
    """Whether the version that ended an entry brought another one of its key."""
    return (
        select(later.c.s3_key)
        .where(
            later.c.dataset_id == _e.dataset_id,
            later.c.s3_key == _e.s3_key,
            later.c.since_version == _e.until_version,
        )
        .exists()
    )
