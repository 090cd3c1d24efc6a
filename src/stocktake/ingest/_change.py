"""One numbered change, as a consumer looks at it: rows of the feed as small tuples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Protocol

import pyarrow as pa

from stocktake.ingest._sink import Item
from stocktake.model import ChangeKind

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_COLUMNS = ("seq", "change", "key", "version_id", "size_bytes", "etag")
_TIMES = ("last_modified", "observed_at")


class Change(NamedTuple):
    """A row of the feed. Times are milliseconds since 1970, UTC: tens of millions are compared."""

    seq: int
    change: str
    key: str
    version_id: str | None
    size_bytes: int | None
    etag: str | None
    modified_ms: int | None
    observed_ms: int

    @property
    def is_deletion(self) -> bool:
        """The key is gone."""
        return self.change == ChangeKind.DELETED

    def to_item(self, attempt: int) -> Item:
        """What a sink sees of it."""
        return Item(
            seq=self.seq,
            key=self.key,
            version_id=self.version_id,
            etag=self.etag,
            size_bytes=self.size_bytes,
            last_modified=None if self.modified_ms is None else from_ms(self.modified_ms),
            deleted=self.is_deletion,
            attempt=attempt,
        )


class ChangeFeed(Protocol):
    """What a consumer needs of a feed (`catalog.Feed`)."""

    def last_seq(self) -> int:
        """The newest number given out, 0 if there is none."""

    def read(self, after_seq: int, limit: int) -> Iterator[pa.RecordBatch]:
        """Rows `after_seq + 1` and on, at most `limit`, in order."""

    def rows_at(self, seqs: Iterable[int]) -> pa.Table:
        """The rows of these numbers, in order."""

    def history(self, key: str) -> list[dict[str, Any]]:
        """Every row of one key, oldest first."""


def changes_of(rows: pa.RecordBatch | pa.Table) -> Iterator[Change]:
    """The rows as tuples."""
    columns = [rows.column(name).to_pylist() for name in _COLUMNS]
    columns += [rows.column(name).cast(pa.int64()).to_pylist() for name in _TIMES]
    return map(Change._make, zip(*columns, strict=True))


def change_of(row: dict[str, Any]) -> Change:
    """A row of a key's history as a tuple."""
    times = (None if row[name] is None else to_ms(row[name]) for name in _TIMES)
    return Change._make((*(row[name] for name in _COLUMNS), *times))


def to_ms(value: datetime) -> int:
    """Milliseconds since 1970; a naive time is UTC."""
    aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    return (aware - _EPOCH) // _MS


def from_ms(value: int) -> datetime:
    """The aware UTC time of milliseconds since 1970."""
    return _EPOCH + value * _MS
