"""Figures of a dataset: what kinds of files, how they were proven, the largest, the oldest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, select

from stocktake.clock import parse_utc
from stocktake.manifests._dataset_rows import at_version
from stocktake.state import State, dataset_entries, dataset_versions

_PAGE_ROWS = 10_000
_EXTENSION_CHARS_MAX = 16
_EXTENSIONS_MAX = 1000
_OTHERS = "(others)"
_e = dataset_entries.c
_v = dataset_versions.c


@dataclass(frozen=True, slots=True)
class Share:
    """Files of one kind, and their bytes."""

    files: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Extreme:
    """A file that is the largest, or the first or last to be uploaded."""

    s3_key: str
    size_bytes: int
    uploaded_at: datetime


@dataclass(frozen=True, slots=True)
class DatasetStats:
    """Figures of a version of a dataset.

    Attributes:
        version: Which.
        files: Entries.
        size_bytes: Of all of them.
        by_extension: Lower case with the dot, `""` for none; most bytes first.
        by_verified_by: How each was proven; most files first.
        largest: None in an empty dataset.
        oldest: The one that was uploaded first.
        newest: The one that was uploaded last.
        versions: Commits up to that version.
        replacements: Entries that others took the place of, up to that version.
        deletions: Entries that were deleted, up to that version.
    """

    version: int
    files: int
    size_bytes: int
    by_extension: Mapping[str, Share]
    by_verified_by: Mapping[str, Share]
    largest: Extreme | None
    oldest: Extreme | None
    newest: Extreme | None
    versions: int
    replacements: int
    deletions: int


class _Figures:
    """Counts rows of (key, size, uploaded, how)."""

    def __init__(self) -> None:
        self.sizes: Counter[str] = Counter()
        self.files: Counter[str] = Counter()
        self.proof_sizes: Counter[str] = Counter()
        self.proof_files: Counter[str] = Counter()
        self.largest: Row[Any] | None = None
        self.oldest: Row[Any] | None = None
        self.newest: Row[Any] | None = None

    def add(self, row: Row[Any]) -> None:
        name = extension_of(bytes(row.s3_key).decode())
        if name not in self.files and len(self.files) >= _EXTENSIONS_MAX:
            name = _OTHERS
        self.files[name] += 1
        self.sizes[name] += row.size_bytes
        self.proof_files[row.verified_by] += 1
        self.proof_sizes[row.verified_by] += row.size_bytes
        if self.largest is None or row.size_bytes > self.largest.size_bytes:
            self.largest = row
        if self.oldest is None or _time(row) < _time(self.oldest):
            self.oldest = row
        if self.newest is None or _time(row) > _time(self.newest):
            self.newest = row


def dataset_stats(state: State, dataset_id: str, version: int) -> DatasetStats:
    """The figures of a version. Reads four columns of every entry; memory is bounded."""
    figures = _Figures()
    for row in _light_rows(state, dataset_id, version):
        figures.add(row)
    with state.read() as connection:
        versions, replaced, deleted = connection.execute(
            select(
                func.count(),
                func.coalesce(func.sum(_v.replaced), 0),
                func.coalesce(func.sum(_v.deleted), 0),
            ).where(_v.dataset_id == dataset_id, _v.version <= version)
        ).one()
    return DatasetStats(
        version=version,
        files=figures.files.total(),
        size_bytes=figures.sizes.total(),
        by_extension={
            name: Share(figures.files[name], size) for name, size in figures.sizes.most_common()
        },
        by_verified_by={
            name: Share(files, figures.proof_sizes[name])
            for name, files in figures.proof_files.most_common()
        },
        largest=_extreme(figures.largest),
        oldest=_extreme(figures.oldest),
        newest=_extreme(figures.newest),
        versions=versions,
        replacements=int(replaced),
        deletions=int(deleted),
    )


def extension_of(s3_key: str) -> str:
    """`.jpg` of `a/b.JPG`; `""` if the name has none, or what follows the dot is no extension.

    >>> extension_of("a.b/c"), extension_of("x/.hidden"), extension_of("a.tar.gz")
    ('', '', '.gz')
    """
    name = s3_key[s3_key.rfind("/") + 1 :]
    stem, dot, extension = name.rpartition(".")
    legal = dot and stem and 0 < len(extension) <= _EXTENSION_CHARS_MAX and extension.isalnum()
    return f".{extension.lower()}" if legal else ""


def _light_rows(state: State, dataset_id: str, version: int) -> Iterator[Any]:
    query = select(_e.s3_key, _e.size_bytes, _e.uploaded_at, _e.verified_by)
    query = query.where(_e.dataset_id == dataset_id, *at_version(version)).order_by(_e.s3_key)
    last = b""
    while True:
        with state.read() as connection:
            rows = connection.execute(query.where(_e.s3_key > last).limit(_PAGE_ROWS)).all()
        yield from rows
        if len(rows) < _PAGE_ROWS:
            return
        last = bytes(rows[-1].s3_key)


def _time(row: Row[Any]) -> str:
    """Text that sorts by time: `Z` stands after `.` but means less."""
    return str(row.uploaded_at).removesuffix("Z")


def _extreme(row: Row[Any] | None) -> Extreme | None:
    if row is None:
        return None
    return Extreme(bytes(row.s3_key).decode(), row.size_bytes, parse_utc(row.uploaded_at))
