"""A commit: edits checked one by one against what the manifest says now, all in one transaction.

Rows are never overwritten: an entry is ended by the version that brings its successor. Only what
this same commit made a moment ago (a key named twice) is replaced in place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, update

from stocktake.manifests._dataset_rows import entry_of, key_bytes, row_of, select_entries
from stocktake.manifests._dataset_values import ANY, DeleteEntry, Edit, Entry, PutEntry
from stocktake.state import dataset_entries

_EDITS_PER_ROUND = 500
_e = dataset_entries.c

_END = (
    update(dataset_entries)
    .where(
        _e.dataset_id == bindparam("of_dataset"),
        _e.s3_key == bindparam("of_key"),
        _e.since_version == bindparam("of_since"),
    )
    .values(until_version=bindparam("ended"))
)
_REMOVE = delete(dataset_entries).where(
    _e.dataset_id == bindparam("of_dataset"),
    _e.s3_key == bindparam("of_key"),
    _e.since_version == bindparam("of_since"),
)


@dataclass(slots=True)
class Tally:
    """What the edits so far come to."""

    added: int = 0
    replaced: int = 0
    deleted: int = 0
    files: int = 0
    size_bytes: int = 0
    conflicts: list[tuple[Edit, Entry | None]] = field(default_factory=list)

    @property
    def changes(self) -> int:
        """Keys that are another than before."""
        return self.added + self.replaced + self.deleted


@dataclass(slots=True)
class _Round:
    """What a round writes at its end; `had`: keys whose entry this same commit has ended."""

    had: set[bytes]
    ended: list[dict[str, Any]] = field(default_factory=list)
    removed: list[dict[str, Any]] = field(default_factory=list)
    plain: list[dict[str, Any]] = field(default_factory=list)
    rich: list[dict[str, Any]] = field(default_factory=list)


class EditApplier:
    """Applies edits to the entries of one dataset; the dataset's row is locked."""

    def __init__(self, connection: Connection, dataset_id: str, version: int) -> None:
        self._connection = connection
        self._dataset_id = dataset_id
        self._version = version
        self.tally = Tally()

    def apply(self, edits: Iterable[Edit]) -> Tally:
        """Make every edit that nothing stands against."""
        for some in _rounds(edits):
            self._round(some)
        return self.tally

    def _round(self, edits: dict[bytes, Edit]) -> None:
        """Edits of different keys: one question, then all writes."""
        current, ended = self._look(list(edits))
        writes = _Round(ended)
        for key, edit in edits.items():
            row = current.get(key)
            if isinstance(edit, PutEntry):
                self._put(key, edit, row, writes)
            else:
                self._delete(key, edit, row, writes)
        self._write(writes)

    def _look(self, keys: Sequence[bytes]) -> tuple[dict[bytes, Row[Any]], set[bytes]]:
        """The current rows of these keys, and the keys that had one when this commit began."""
        # so written that no index of `until_version` seems to help: a commit that ends a million
        # entries would have each round look through all of them
        of_interest = func.coalesce(_e.until_version, self._version) == self._version
        rows = self._connection.execute(
            select_entries(self._dataset_id, _e.s3_key.in_(keys), of_interest)
        ).all()
        current = {bytes(row.s3_key): row for row in rows if row.until_version is None}
        return current, {bytes(row.s3_key) for row in rows if row.until_version is not None}

    def _put(self, key: bytes, edit: PutEntry, row: Row[Any] | None, writes: _Round) -> None:
        record = edit.record
        if row is not None and entry_of(row).record == record:
            return  # said again, perhaps by a writer that was not told of its success
        if self._stands_against(edit, row):
            return
        self._end(key, row, writes)
        values = row_of(record)
        values |= {"dataset_id": self._dataset_id, "since_version": self._version}
        (writes.rich if "rest" in values else writes.plain).append(values)
        if row is None:
            self.tally.files += 1
        self.tally.size_bytes += record.size_bytes - (row.size_bytes if row is not None else 0)
        if row is not None:
            self.tally.replaced += row.since_version != self._version
        elif key in writes.had:  # deleted a moment ago, by this same commit
            self.tally.deleted -= 1
            self.tally.replaced += 1
        else:
            self.tally.added += 1

    def _delete(self, key: bytes, edit: DeleteEntry, row: Row[Any] | None, writes: _Round) -> None:
        if row is None or self._stands_against(edit, row):
            return
        self._end(key, row, writes)
        self.tally.files -= 1
        self.tally.size_bytes -= row.size_bytes
        if row.since_version != self._version:
            self.tally.deleted += 1
        elif key in writes.had:
            self.tally.replaced -= 1
            self.tally.deleted += 1
        else:
            self.tally.added -= 1

    def _stands_against(self, edit: Edit, row: Row[Any] | None) -> bool:
        expected = edit.expected
        since = row.since_version if row is not None else None
        if expected is ANY or expected == since:
            return False
        self.tally.conflicts.append((edit, entry_of(row) if row is not None else None))
        return True

    def _end(self, key: bytes, row: Row[Any] | None, writes: _Round) -> None:
        if row is None:
            return
        which = {"of_dataset": self._dataset_id, "of_key": key, "of_since": row.since_version}
        if row.since_version == self._version:
            writes.removed.append(which)
        else:
            writes.ended.append(which | {"ended": self._version})

    def _write(self, writes: _Round) -> None:
        run = self._connection.execute
        if writes.removed:
            run(_REMOVE, writes.removed)
        if writes.ended:
            run(_END, writes.ended)
        for rows in (writes.plain, writes.rich):
            if rows:
                run(insert(dataset_entries), rows)


def _rounds(edits: Iterable[Edit]) -> Iterator[dict[bytes, Edit]]:
    """Edits by key, in their order; a key that comes again begins another round."""
    some: dict[bytes, Edit] = {}
    for edit in edits:
        key = key_bytes(edit.record.s3_key if isinstance(edit, PutEntry) else edit.s3_key)
        if key in some or len(some) == _EDITS_PER_ROUND:
            yield some
            some = {}
        some[key] = edit
    if some:
        yield some
