"""For tests of sinks: a bucket of small files, batches over it, sinks of every kind, their rows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
from pyiceberg.catalog import load_catalog
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.table import Table

from stocktake.clock import Clock, SystemClock
from stocktake.errors import ObjectNotFoundError, PreconditionFailedError
from stocktake.ingest import Item, Sink
from stocktake.ingest.sinks import (
    DuckDbSink,
    IcebergSink,
    LocalDataset,
    ParquetSink,
    Reader,
    Reading,
    S3Dataset,
)
from stocktake.model import S3Url
from stocktake.store import ObjectBody, PutOptions, Store
from stocktake.testing import MemorySink, MemoryStore

BUCKET = "lake"
DURABLE = ("parquet", "parquet-s3", "duckdb", "iceberg")
KINDS = ("memory", *DURABLE)
SEQ = "_stocktake_seq"
T0 = datetime(2026, 11, 20, 12, tzinfo=UTC)


def lines(*rows: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def bucket_of(files: dict[str, bytes]) -> MemoryStore:
    store = MemoryStore()
    store.describe("CreateBucket", BUCKET)
    for key, body in files.items():
        store.put(BUCKET, key, body)
    return store


def items_of(store: Store, keys: Sequence[str], *, first_seq: int = 1) -> list[Item]:
    """The newest version of each key, numbered in this order."""
    found = []
    for seq, key in enumerate(keys, first_seq):
        head = store.head(BUCKET, key)
        found.append(Item(seq, key, None, head.etag, head.size_bytes, T0, False, 1))
    return found


@dataclass
class FixedBatch:
    """Some items under a token, as the runner hands them out; remembers what was said of them."""

    token: str
    store: Store
    items: list[Item]
    consumer: str = "photos"
    bucket: str = BUCKET
    failed: dict[int, BaseException] = field(default_factory=dict)
    gone: set[int] = field(default_factory=set)
    renewals: int = 0
    opened: int = 0

    @contextmanager
    def open(self, item: Item) -> Iterator[ObjectBody | None]:
        self.opened += 1
        try:
            body = self.store.get(BUCKET, item.key, if_match=item.etag)
        except (ObjectNotFoundError, PreconditionFailedError):
            self.gone.add(item.seq)
            yield None
            return
        with body:
            yield body

    def fail(self, item: Item, error: BaseException) -> None:
        self.failed[item.seq] = error
        self.items = [other for other in self.items if other.seq != item.seq]

    def renew(self) -> None:
        self.renewals += 1


@dataclass
class SinkPlace:
    """Where a sink of some kind keeps its data; `open` is what another process would do."""

    kind: str
    folder: Path
    store: Store
    memory: MemorySink = field(default_factory=lambda: MemorySink(read=True))

    def open(self, *, reading: Reading = Reading(Reader.AUTO), clock: Clock | None = None) -> Sink:
        clock = clock or SystemClock()
        if self.kind == "memory":
            return self.memory
        if self.kind == "parquet":
            return ParquetSink(LocalDataset(self.folder / "dataset"), reading, clock)
        if self.kind == "parquet-s3":
            return ParquetSink(S3Dataset(self.store, S3Url("sinks", "data/set")), reading, clock)
        if self.kind == "duckdb":
            return DuckDbSink(self.folder / "lake.duckdb", "photos", reading, clock)
        return IcebergSink(self.iceberg(), "s3.photos", reading, clock)

    def iceberg(self) -> dict[str, str]:
        """A catalog in a SQLite file."""
        (self.folder / "lake").mkdir(exist_ok=True)
        return {
            "name": "lake",
            "type": "sql",
            "uri": f"sqlite:///{self.folder / 'lake' / 'catalog.db'}",
            "warehouse": f"file://{self.folder / 'lake'}",
        }

    def iceberg_table(self) -> Table:
        return load_catalog(**self.iceberg()).load_table("s3.photos")

    def rows(self) -> list[dict[str, Any]]:
        """What other programs see, in order of number."""
        rows = self._rows()
        return sorted(rows, key=lambda row: (row[SEQ], str(row)))

    def seqs(self) -> list[int]:
        return [row[SEQ] for row in self.rows()]

    def _rows(self) -> list[dict[str, Any]]:
        if self.kind == "memory":
            return [{SEQ: effect.item.seq} for effect in self.memory.effects]
        if self.kind == "parquet":
            files = sorted((self.folder / "dataset").glob("*.parquet"))
            return [row for file in files for row in pq.read_table(file).to_pylist()]
        if self.kind == "parquet-s3":
            return list(self._s3_rows())
        if self.kind == "iceberg":
            try:
                return self.iceberg_table().scan().to_arrow().to_pylist()
            except NoSuchTableError:
                return []
        path = self.folder / "lake.duckdb"
        if not path.exists():
            return []
        with duckdb.connect(str(path)) as connection:
            known = connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
            if ("photos",) not in known:
                return []
            return connection.sql('FROM "photos"').to_arrow_table().to_pylist()

    def _s3_rows(self) -> Iterator[dict[str, Any]]:
        import io

        from stocktake.store import ListQuery, iter_listing

        for page in iter_listing(self.store, ListQuery("sinks", "data/set/")):
            for entry in page.objects:
                with self.store.get("sinks", entry.key) as body:
                    yield from pq.read_table(io.BytesIO(body.read())).to_pylist()


def overwrite(store: Store, key: str, body: bytes) -> None:
    store.put(BUCKET, key, body, PutOptions())
