"""A folder, a bucket of the strict fake, and a dataset: sync after sync, in one process."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stocktake.clock import Clock, SystemClock
from stocktake.manifests import Dataset, DatasetSpec, Entry, create_dataset
from stocktake.manifests._sync import sync_folder
from stocktake.manifests._sync_values import KeyOutcome, SyncOptions, SyncResult
from stocktake.state import State, open_state
from stocktake.store import ListQuery, PutOptions, RetryPolicy, Store, iter_listing, open_store
from stocktake.telemetry import Meter
from stocktake.testing import FakeS3, FaultStore

BUCKET = "photos"
PREFIX = "set/"


@dataclass
class FolderSyncWorld:
    """Everything that a sync is about."""

    fake: FakeS3
    state: State
    dataset: Dataset
    store: FaultStore
    inner: Store
    meter: Meter
    folder: Path
    clock: Clock = field(default_factory=SystemClock)
    calls: dict[str, int] = field(default_factory=dict)
    sent_bytes: int = 0
    told: list[KeyOutcome] = field(default_factory=list)

    def write(self, files: Mapping[str, bytes]) -> None:
        """Write files."""
        for name, data in files.items():
            path = self.folder / os.fsdecode(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    def put(self, name: str, data: bytes) -> str:
        """Write an object behind the manifest's back; its ETag."""
        head = self.inner.put(BUCKET, PREFIX + name, data, PutOptions())
        assert head.etag is not None
        return head.etag

    def sync(self, **options: Any) -> SyncResult:
        """Synchronise; `calls` and `sent_bytes` are those of this sync."""
        calls, sent_bytes = self.meter.calls, self.meter.sent_bytes
        try:
            return sync_folder(
                self.dataset,
                self.store,
                self.folder,
                SyncOptions(**options),
                clock=self.clock,
                told=self.told.append,
            )
        finally:
            now = self.meter.calls
            counts = {name: count - calls.get(name, 0) for name, count in now.items()}
            self.calls = {name: count for name, count in counts.items() if count}
            self.sent_bytes = self.meter.sent_bytes - sent_bytes

    def objects(self) -> dict[str, bytes]:
        """What the bucket has below the prefix."""
        found = {}
        for page in iter_listing(self.store, ListQuery(BUCKET, PREFIX)):
            for one in page.objects:
                with self.store.get(BUCKET, one.key) as body:
                    found[one.key.removeprefix(PREFIX)] = body.read()
        return found

    def files(self) -> dict[str, bytes]:
        """What the folder has."""
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file()
        }

    def entries(self) -> dict[str, Entry]:
        """What the manifest has."""
        return {one.record.s3_key.removeprefix(PREFIX): one for one in self.dataset.entries()}

    def open_uploads(self) -> list[Any]:
        """Multipart uploads that nobody ended."""
        answer = self.store.describe("ListMultipartUploads", BUCKET)
        return list(answer.get("Uploads", []))

    def check_agreement(self) -> None:
        """Manifest, bucket and folder say the same of every key, and no upload is open."""
        objects, entries, files = self.objects(), self.entries(), self.files()
        assert objects == files
        assert entries.keys() == objects.keys()
        info = self.dataset.info()
        size_bytes = sum(map(len, files.values()))
        assert (info.total_files, info.total_size_bytes) == (len(files), size_bytes)
        for name, entry in entries.items():
            head = self.store.head(BUCKET, PREFIX + name)
            assert (entry.record.etag, entry.record.size_bytes) == (head.etag, head.size_bytes)
        assert self.dataset.uploads() == []
        assert self.open_uploads() == []


@dataclass
class SyncServer:
    """A fake, a client of it and an empty control database, for all worlds of a test file."""

    fake: FakeS3
    store: Store
    meter: Meter
    database: Path


@contextmanager
def sync_server(folder: Path) -> Iterator[SyncServer]:
    """Start it."""
    database = folder / "empty.db"
    with open_state(f"sqlite:///{database}", clock=SystemClock()) as state:
        state.upgrade()
    meter = Meter()
    with FakeS3() as fake:
        options = fake.options(retry=RetryPolicy(attempts_max=2, base_s=0.0, cap_s=0.0))
        store = open_store(options, meter=meter)
        try:
            yield SyncServer(fake, store, meter, database)
        finally:
            store.close()


@contextmanager
def folder_sync_world(tmp_path: Path, server: SyncServer) -> Iterator[FolderSyncWorld]:
    """An empty folder, an empty bucket and a new dataset."""
    folder = tmp_path / "folder"
    folder.mkdir()
    shutil.copyfile(server.database, tmp_path / "state.db")
    clock = SystemClock()
    server.fake.buckets.pop(BUCKET, None)
    server.fake.create_bucket(BUCKET)
    with open_state(f"sqlite:///{tmp_path}/state.db", clock=clock) as state:
        dataset = create_dataset(state, DatasetSpec("16", "Set", BUCKET, PREFIX))
        store = FaultStore(server.store)
        yield FolderSyncWorld(
            server.fake, state, dataset, store, server.store, server.meter, folder
        )
