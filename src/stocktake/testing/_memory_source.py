"""A source of a snapshot whose rows are Python values: for tests of what is done with rows."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from stocktake.errors import ReportChangedError
from stocktake.model import (
    Block,
    Coverage,
    PartRef,
    PartTally,
    SourceHeader,
    SourceKind,
    object_schema,
)

Row = Mapping[str, Any]

_CORE = ("key", "size_bytes", "last_modified", "etag", "storage_class")
_BYTES_PER_ROW = 100


@dataclass(frozen=True, slots=True)
class MemoryPart:
    """One part: rows in its own order, rows whose key could not be decoded, unreadable rows."""

    rows: Sequence[Row] = ()
    undecodable: Sequence[Row] = ()
    bad: Sequence[str] = ()


@dataclass(slots=True)
class MemorySource:
    """A `SnapshotSource` of rows in memory; equal content has an equal identity.

    >>> source = MemorySource([[{"key": "b"}, {"key": "a"}]], columns=("key",))
    >>> [block.rows.num_rows for block in source.read(source.parts()[0], PartTally())]
    [2]

    Attributes:
        contents: Rows of each part, or `MemoryPart`s. A column that a row lacks is NULL there.
        columns: Our column names.
        as_of: The instant it speaks of, aware UTC.
        bucket: The bucket.
        config_id: The configuration.
        coverage: What it speaks about.
        excluded_prefixes: Of the report's own files.
        identity: Of the content; made of it if empty.
        attrs: Further facts.
        block_rows: Rows per block.
        changed: True: `recheck` says that it was rewritten.
        reads: Index of each part whenever somebody begins to read it.
    """

    contents: Sequence[MemoryPart | Sequence[Row]]
    columns: tuple[str, ...] = _CORE
    as_of: datetime = datetime(2026, 1, 5, 1, tzinfo=UTC)
    bucket: str = "photos"
    config_id: str = "daily"
    coverage: Coverage = Coverage()
    excluded_prefixes: tuple[str, ...] = ()
    identity: str = ""
    attrs: dict[str, Any] = field(default_factory=dict)
    block_rows: int = 1000
    changed: bool = False
    reads: list[int] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def header(self) -> SourceHeader:
        """What the source says about itself."""
        said = "".join(part.md5 for part in self.parts()) + f"{self.as_of} {self.columns}"
        return SourceHeader(
            kind=SourceKind.AWS_INVENTORY,
            bucket=self.bucket,
            config_id=self.config_id,
            as_of=self.as_of,
            identity=self.identity or _md5(said),
            location=f"memory://{self.bucket}/{self.config_id}/",
            columns=tuple(object_schema(self.columns).names),
            coverage=self.coverage,
            excluded_prefixes=self.excluded_prefixes,
            attrs=self.attrs,
        )

    def parts(self) -> list[PartRef]:
        """Every part; its size is made up of the number of its rows."""
        refs = []
        for index, content in enumerate(self.contents):
            part = _part(content)
            size = (len(part.rows) + len(part.undecodable)) * _BYTES_PER_ROW
            md5 = _md5(f"{index} {part!r}")
            refs.append(PartRef(index, f"data/part-{index}.csv.gz", size, md5))
        return refs

    def read(self, part: PartRef, tally: PartTally) -> Iterator[Block]:
        """The rows of one part; the undecodable ones come with the last block."""
        with self._lock:
            self.reads.append(part.index)
        content = _part(self.contents[part.index])
        for text in content.bad:
            tally.note_bad(part.name, text, "unreadable")
        schema = object_schema(self.columns)
        for start in range(0, len(content.rows), self.block_rows):
            rows = _batch(content.rows[start : start + self.block_rows], schema)
            tally.rows += rows.num_rows
            tally.bytes_read += rows.num_rows * _BYTES_PER_ROW
            yield Block(rows)
        if content.undecodable:
            raw = _batch(content.undecodable, schema)
            tally.undecodable_keys += raw.num_rows
            tally.bytes_read += raw.num_rows * _BYTES_PER_ROW
            yield Block(_batch([], schema), raw)

    def recheck(self, found: PartTally | None = None) -> None:
        """Raise `ReportChangedError` if `changed`."""
        if self.changed:
            raise ReportChangedError(f"{self.header.location} was rewritten meanwhile")


def _part(content: MemoryPart | Sequence[Row]) -> MemoryPart:
    return content if isinstance(content, MemoryPart) else MemoryPart(content)


def _batch(rows: Sequence[Row], schema: pa.Schema) -> pa.RecordBatch:
    arrays = [
        pa.array([row.get(name) for row in rows], schema.field(name).type) for name in schema.names
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _md5(text: str) -> str:
    return hashlib.md5(text.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()
