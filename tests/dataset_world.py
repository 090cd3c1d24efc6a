"""Records and datasets for tests of manifests."""

from __future__ import annotations

import functools
import itertools
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from stocktake.clock import Clock, FixedClock
from stocktake.manifests import (
    Dataset,
    DatasetSpec,
    Edit,
    PutEntry,
    Reason,
    UploadRecord,
    create_dataset,
)
from stocktake.state import State, open_state

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
BUCKET = "photos"
PREFIX = "styles/16/"
_numbers = itertools.count(1)


AWKWARD = [
    "a/b.jpg",
    "a//b",
    " ",
    "100%",
    "%2F",
    "new\nline",
    "nul\x00byte",
    "\x7f",
    "ü/\U0001f600",
    "\uffff",
    "e\u0301",
    "\xe9",
    "../x",
    "..",
    ".stocktake",
    "x" * 900,
]
"""Names that have gone wrong somewhere."""


def record(name: str, number: int = 0, *, prefix: str = PREFIX, **other: Any) -> UploadRecord:
    """An upload of `name`; another number is other content."""
    sha256 = f"{number:064x}"
    plain = UploadRecord(
        s3_key=prefix + name,
        size_bytes=1000 + number,
        etag=f"{number:032x}",
        version_id=None,
        md5=f"{number:032x}",
        sha256=sha256,
        crc64nvme="AAAAAAAAAAA=",
        part_size_bytes=None,
        token=f"t{number}",
        uploaded_at=NOW + timedelta(seconds=number),
        verified_by="checksum",
        source=name,
        source_raw=None,
        source_sha256=sha256,
        source_size_bytes=1000 + number,
        source_mtime_ns=1_790_000_000_123_456_789 + number,
    )
    return replace(plain, **other)


def new_dataset(state: State, *, prefix: str | None = None) -> Dataset:
    """A dataset of its own, in a database that others may share."""
    number = next(_numbers)
    where = f"styles/{number}/" if prefix is None else prefix
    return create_dataset(state, DatasetSpec(f"d{number}", f"Dataset {number}", BUCKET, where))


@functools.cache
def _empty_database() -> bytes:
    """A database with its tables: making them takes a third of a second."""
    with tempfile.TemporaryDirectory() as folder:
        open_state(f"sqlite:///{folder}/state.db", clock=FixedClock(NOW)).close()
        return (Path(folder) / "state.db").read_bytes()


def sqlite_state(folder: Path, clock: Clock) -> State:
    """A new database in a folder."""
    (folder / "state.db").write_bytes(_empty_database())
    return open_state(f"sqlite:///{folder}/state.db", clock=clock)


def of(dataset: Dataset, name: str, number: int = 0, **other: Any) -> PutEntry:
    return PutEntry(record(name, number, prefix=dataset.info().prefix, **other))


def names(dataset: Dataset, **how: Any) -> list[str]:
    prefix = dataset.info().prefix
    return [one.record.s3_key.removeprefix(prefix) for one in dataset.entries(**how)]


def counts(dataset: Dataset, *edits: Edit, **how: Any) -> tuple[int, int, int, int]:
    done = dataset.commit(edits, Reason.SYNC, **how)
    return done.version, done.added, done.replaced, done.deleted
