"""A dataset whose bucket is a strict fake, for tests of verify and restore."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stocktake.clock import Clock, SystemClock
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
from stocktake.store import PutOptions, Store, crc64nvme, encode_crc64nvme, open_store
from stocktake.telemetry import Meter
from stocktake.testing import FakeS3

BUCKET = "photos"
PREFIX = "styles/16/"
MTIME_NS = 1_700_000_000_123_456_789


@dataclass
class RestoreWorld:
    """A fake S3, a dataset in it, and an empty folder."""

    fake: FakeS3
    store: Store
    meter: Meter
    state: State
    dataset: Dataset
    folder: Path

    def upload(self, path: str, data: bytes, **more: Any) -> UploadRecord:
        """Put an object as sync does and give its record; the manifest does not have it yet."""
        token = hashlib.sha256(f"{path}{data!r}".encode()).hexdigest()[:16]
        crc = encode_crc64nvme(crc64nvme(data))
        metadata = {"stocktake-token": token}
        head = self.store.put(
            BUCKET, PREFIX + path, data, PutOptions(metadata=metadata, crc64nvme=crc)
        )
        record = record_of(path, data, token=token, etag=head.etag, version_id=head.version_id)
        return replace(record, **more)

    def add(self, files: Mapping[str, bytes]) -> int:
        """Upload files and enter them; gives the manifest's version."""
        edits = [PutEntry(self.upload(path, data)) for path, data in files.items()]
        return self.dataset.commit(edits, Reason.SYNC).version

    def enter(self, *records: UploadRecord) -> int:
        """Enter records whose objects are whatever they are."""
        return self.dataset.commit([PutEntry(one) for one in records], Reason.IMPORT).version

    def drop(self, *paths: str) -> int:
        """Record that these are deleted."""
        edits = [DeleteEntry(PREFIX + path) for path in paths]
        return self.dataset.commit(edits, Reason.DELETE).version

    def put(self, path: str, data: bytes, options: PutOptions = PutOptions()) -> None:
        """Write an object behind the manifest's back."""
        self.store.put(BUCKET, PREFIX + path, data, options)

    def delete(self, path: str) -> None:
        """Delete an object behind the manifest's back."""
        self.store.delete(BUCKET, [PREFIX + path])

    def rot(self, path: str, **changes: Any) -> None:
        """Change what the store has of an object without it noticing: `blob`, `metadata`, ..."""
        table = self.fake.buckets[BUCKET].table
        version = table.find(PREFIX + path)
        table.put(replace(version, **changes))

    def tree(self) -> dict[str, bytes]:
        """The restored files."""
        return {
            path.relative_to(self.folder).as_posix(): path.read_bytes()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file() and not path.is_symlink()
        }


def record_of(path: str, data: bytes, **more: Any) -> UploadRecord:
    """The record of a small file that was uploaded unchanged."""
    sha256 = hashlib.sha256(data).hexdigest()
    md5 = hashlib.md5(data).hexdigest()
    record = UploadRecord(
        s3_key=PREFIX + path,
        size_bytes=len(data),
        etag=md5,
        version_id=None,
        md5=md5,
        sha256=sha256,
        crc64nvme=encode_crc64nvme(crc64nvme(data)),
        part_size_bytes=None,
        token="",
        uploaded_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        verified_by="checksum",
        source=path,
        source_raw=None,
        source_sha256=sha256,
        source_size_bytes=len(data),
        source_mtime_ns=MTIME_NS,
    )
    return replace(record, **more)


@dataclass
class Served:
    """A fake S3 and a store of it, for the worlds of many tests: the client takes its time."""

    fake: FakeS3
    store: Store
    meter: Meter

    def fresh_bucket(self, *, versioned: bool) -> None:
        """Begin anew with one empty bucket."""
        self.fake.buckets.clear()
        self.fake.create_bucket(BUCKET)
        if versioned:
            self.store.describe(
                "PutBucketVersioning", BUCKET, VersioningConfiguration={"Status": "Enabled"}
            )


@contextmanager
def serve() -> Iterator[Served]:
    """Serve worlds until the end of the block."""
    meter = Meter()
    with FakeS3() as fake:
        store = open_store(fake.options(), meter=meter)
        try:
            yield Served(fake, store, meter)
        finally:
            store.close()


@contextmanager
def restore_world(
    served: Served, tmp_path: Path, *, versioned: bool = False, clock: Clock | None = None
) -> Iterator[RestoreWorld]:
    """A world, ended after the block. One at a time for each server."""
    served.fresh_bucket(versioned=versioned)
    state = open_state(f"sqlite:///{tmp_path / 'state.db'}", clock=clock or SystemClock())
    try:
        dataset = create_dataset(state, DatasetSpec("16", "Style 16", BUCKET, PREFIX))
        yield RestoreWorld(served.fake, served.store, served.meter, state, dataset, tmp_path / "to")
    finally:
        state.close()
