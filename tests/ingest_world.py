"""Consumers under test: a feed in memory, a catalog, a store, and a sink that keeps tokens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from pyroaring import BitMap64

from stocktake.catalog import Catalog, Claim
from stocktake.clock import FixedClock
from stocktake.ingest import Ingestion, IngestionSpec, Item, Landed, OpenItems, create_ingestion
from stocktake.model import FEED_CHANGE, S3Url
from stocktake.testing import MemoryStore

BUCKET = "lake"
NOW = datetime(2026, 1, 10, 12, tzinfo=UTC)


class FakeFeed:
    """Rows in a list, with the answers of `catalog.Feed`."""

    def __init__(self, clock: FixedClock, prefix: str = "") -> None:
        self.id = "fed_fake"
        self.bucket = BUCKET
        self.prefix = prefix
        self.rows: list[dict[str, Any]] = []
        self.read_rows = 0
        self._clock = clock

    def add(self, key: str, change: str = "new", **more: Any) -> int:
        """Append a change; its number."""
        now = self._clock.now().replace(tzinfo=None)
        row: dict[str, Any] = dict.fromkeys(FEED_CHANGE.names)
        row |= {
            "seq": len(self.rows) + 1,
            "change": change,
            "key": key,
            "observed_at": now,
            "origin": "full",
            "run_id": "run_1",
            "late": False,
        }
        if change != "deleted":
            row |= {"size_bytes": 10, "etag": f"e{len(self.rows) + 1}", "last_modified": now}
        self.rows.append(row | more)
        return len(self.rows)

    def last_seq(self) -> int:
        return len(self.rows)

    def read(self, after_seq: int, limit: int) -> Iterator[pa.RecordBatch]:
        rows = self.rows[after_seq : after_seq + limit]
        self.read_rows += len(rows)
        for start in range(0, len(rows), 1000):
            yield pa.RecordBatch.from_pylist(rows[start : start + 1000], FEED_CHANGE)

    def rows_at(self, seqs: Iterable[int]) -> pa.Table:
        wanted = sorted(set(seqs))
        return pa.Table.from_pylist([self.rows[seq - 1] for seq in wanted], FEED_CHANGE)

    def claim(self) -> Claim:
        return Claim(NOW, 3, NOW)

    def history(self, key: str) -> list[dict[str, Any]]:
        return [dict(row) for row in self.rows if row["key"] == key]


@dataclass
class TokenSink:
    """Keeps what it loads, by token; loading a token again changes nothing.

    `effects` says how often each number was loaded; `broken` is raised instead of loading, or
    after it if `late`.
    """

    keeps_tokens: bool = True
    tokens: dict[str, BitMap64] = field(default_factory=dict)
    effects: dict[int, int] = field(default_factory=dict)
    bad: set[int] = field(default_factory=set)
    broken: BaseException | None = None
    late: bool = False
    forgets_empty: bool = False
    asked: list[str] = field(default_factory=list)

    def load(self, batch: OpenItems) -> None:
        if self.broken is not None and not self.late:
            raise self.broken
        if not (self.keeps_tokens and batch.token in self.tokens):
            for item in list(batch.items):
                if item.seq in self.bad:
                    batch.fail(item, ValueError("not readable"))
            self.take(batch.token, batch.items)
        if self.broken is not None:
            raise self.broken

    def take(self, token: str, items: Sequence[Item]) -> None:
        """One transaction: the data and the token."""
        if self.forgets_empty and not items:
            return
        for item in items:
            self.effects[item.seq] = self.effects.get(item.seq, 0) + 1
        self.tokens[token] = BitMap64([item.seq for item in items])

    def landed(self, consumer: str, tokens: Sequence[str]) -> Mapping[str, Landed]:
        self.asked += tokens
        return {t: Landed(t, self.tokens[t]) for t in tokens if t in self.tokens}

    def close(self) -> None:
        pass


@dataclass
class World:
    """One ingestion with a feed in memory."""

    catalog: Catalog
    clock: FixedClock
    store: MemoryStore
    feed: FakeFeed

    def ingestion(self, name: str = "it", prefix: str = "", **settings: Any) -> Ingestion:
        spec = IngestionSpec(name=name, source=S3Url(BUCKET, prefix), **settings)
        return self.attach(create_ingestion(self.catalog, spec, self.store))

    def attach(self, ingestion: Ingestion) -> Ingestion:
        ingestion.feed = self.feed  # type: ignore[assignment]
        return ingestion

    def put(self, key: str, body: bytes = b"0123456789", change: str = "new") -> int:
        """An object in the store, and its change in the feed."""
        head = self.store.put(BUCKET, key, body)
        return self.feed.add(
            key,
            change,
            etag=head.etag,
            size_bytes=len(body),
            version_id=head.version_id,
        )


def make_world(catalog: Catalog, clock: FixedClock) -> World:
    store = MemoryStore(clock=clock)
    store.describe("CreateBucket", BUCKET)
    return World(catalog, clock, store, FakeFeed(clock))


def seqs(batch: OpenItems | None) -> list[int]:
    """Numbers of a batch; empty if there is none."""
    return [] if batch is None else [item.seq for item in batch.items]
