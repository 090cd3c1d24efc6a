"""Hosts that share a dataset by nothing but the copy of its manifest in the bucket."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from stocktake.clock import Clock, FixedClock
from stocktake.manifests import (
    Dataset,
    DatasetSpec,
    DeleteEntry,
    PutEntry,
    Reason,
    UploadRecord,
    create_dataset,
)
from stocktake.state import State, open_state
from stocktake.store import Store

BUCKET, PREFIX, ID = "photos", "styles/16/", "16"
COPY_KEY = "styles/16/.stocktake/manifests/16_s3_manifest.json"
SPEC = DatasetSpec(ID, "Foxes", BUCKET, PREFIX)
NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def upload(name: str, number: int, *, size_bytes: int = 0) -> UploadRecord:
    """The upload of a file at a time of its own: no two numbers are the same upload."""
    return UploadRecord(
        s3_key=PREFIX + name,
        size_bytes=size_bytes or number,
        etag=f"{number:032x}",
        version_id=None,
        md5=f"{number:032x}",
        sha256=f"{number:064x}",
        crc64nvme=None,
        part_size_bytes=None,
        token=f"{number:032x}",
        uploaded_at=NOON + timedelta(seconds=number),
        verified_by="checksum",
        source=name,
        source_raw=None,
        source_sha256=f"{number:064x}",
        source_size_bytes=size_bytes or number,
        source_mtime_ns=number * 10**9,
    )


def open_host(folder: Path, clock: Clock | None = None) -> State:
    """A host's own database."""
    folder.mkdir(parents=True, exist_ok=True)
    state = open_state(f"sqlite:///{folder / 'state.db'}", clock=clock or FixedClock(NOON))
    state.upgrade()
    return state


def dataset_of(state: State) -> Dataset:
    """The shared dataset as this host knows it."""
    return create_dataset(state, SPEC)


def put(dataset: Dataset, *records: UploadRecord) -> None:
    """Enter uploads."""
    dataset.commit([PutEntry(one) for one in records], Reason.SYNC)


def drop(dataset: Dataset, *names: str) -> None:
    """Record that files are deleted."""
    dataset.commit([DeleteEntry(PREFIX + name) for name in names], Reason.DELETE)


def numbers(dataset: Dataset) -> dict[str, int]:
    """What the dataset has: name -> number of the upload."""
    return {
        one.record.s3_key.removeprefix(PREFIX): int(one.record.token, 16)
        for one in dataset.entries()
    }


def make_bucket(store: Store) -> None:
    """The bucket they share."""
    store.describe("CreateBucket", BUCKET)
