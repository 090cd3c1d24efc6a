"""A bucket, a catalog and a reconciliation of them: the ground of reconcile's tests."""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from stocktake.catalog import Catalog, open_catalog
from stocktake.clock import FixedClock
from stocktake.errors import BucketNotFoundError
from stocktake.model import S3Url, successor
from stocktake.reconcile import (
    Desk,
    HaveSpec,
    ReconcileConfig,
    ReconcileReport,
    ScanMode,
    ShouldKind,
    ShouldSpec,
    reconcile,
)
from stocktake.store import KeyPage, ListedObject, ListPage, ListQuery, Store, listed_schema
from stocktake.testing import MemoryStore

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
EARLIER = datetime(2026, 11, 1, tzinfo=UTC)


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


class World:
    """A store and a catalog."""

    def __init__(self, folder: Path, store: Store):
        self.store = store
        self.folder = folder
        self.elsewhere: dict[str, Store] = {}
        self.clock = FixedClock(NOW)
        self.catalog: Catalog = open_catalog(str(folder / "cat"), create=True, clock=self.clock)

    def config(self, have: str = "s3://have/", should: str = "s3://should/", **more: Any):
        """A configuration; `have__x` and `should__x` are those parts' own."""
        have_more = {k.removeprefix("have__"): more.pop(k) for k in list(more) if "have__" in k}
        parts = {k.removeprefix("should__"): more.pop(k) for k in list(more) if "should__" in k}
        kind = parts.pop("kind", ShouldKind.BUCKET)
        return ReconcileConfig(
            HaveSpec(S3Url.parse(have), **have_more), ShouldSpec(kind, should, **parts), **more
        )

    def run(self, *args: Any, **more: Any) -> ReconcileReport:
        return self.reconcile(self.config(*args, **more))

    def reconcile(self, config: ReconcileConfig) -> ReconcileReport:
        opens = self.elsewhere.__getitem__ if self.elsewhere else None
        return reconcile(config, Desk(self.store, self.catalog, self.clock, open_store=opens))

    def sample(self, config: ReconcileConfig, **have: Any) -> ReconcileReport:
        have_spec = replace(config.have, mode=ScanMode.SAMPLE, **have)
        return self.reconcile(replace(config, have=have_spec))


def kinds(report: ReconcileReport) -> dict[str, str]:
    """Key -> kind of every kept finding about an object."""
    return {one.key: str(one.kind) for one in report.findings if not one.is_prefix}


def _plain(value: Any) -> Any:
    return value.replace(tzinfo=None) if isinstance(value, datetime) else value


def listed(key: str, size_bytes: int = 1, **more: Any) -> ListedObject:
    """One row of a listing."""
    known: Mapping[str, Any] = {
        "etag": md5(f"{key} {size_bytes}".encode()),
        "last_modified": EARLIER,
        "storage_class": "STANDARD",
    }
    return ListedObject(key=key, size_bytes=size_bytes, **{**known, **more})


class RowStore(MemoryStore):
    """Buckets of rows, listed as they are: any ETag, time, size and class; counts LIST requests."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[str, list[ListedObject]] = {}
        self.keys: dict[str, list[str]] = {}
        self.columns: dict[str, pa.RecordBatch] = {}
        self.calls = 0
        self.per_page = 1000

    def fill(self, bucket: str, rows: list[ListedObject]) -> None:
        ordered = sorted(rows, key=lambda one: one.key)
        self.rows[bucket] = ordered
        self.keys[bucket] = [one.key for one in ordered]
        schema = listed_schema(versions=False)
        columns = [
            pa.array([_plain(getattr(one, name)) for one in ordered], schema.field(name).type)
            for name in schema.names
        ]
        self.columns[bucket] = pa.RecordBatch.from_arrays(columns, schema=schema)

    def fill_columns(self, bucket: str, rows: pa.RecordBatch) -> None:
        """Fill it with rows in key order; folders of such a bucket cannot be asked for."""
        self.rows[bucket] = []
        self.keys[bucket] = rows.column("key").to_pylist()
        self.columns[bucket] = rows

    def list_columns(self, query: ListQuery) -> KeyPage:
        if query.delimiter or query.bucket not in self.rows:
            page = self.list_page(query)
            rows = [self.keys[query.bucket].index(one.key) for one in page.objects]
            columns = self.columns[query.bucket].take(pa.array(rows, pa.int64()))
            return KeyPage(columns, page.prefixes, page.next_token)
        self.calls += 1
        keys, end = self.keys[query.bucket], successor(query.prefix)
        after = query.token or query.start_after
        at = max(bisect_left(keys, query.prefix), bisect_right(keys, after))
        stop = len(keys) if end is None else bisect_left(keys, end)
        last = min(at + min(self.per_page, query.keys_max), stop)
        token = keys[last - 1] if last < stop else None
        return KeyPage(self.columns[query.bucket].slice(at, max(0, last - at)), (), token)

    def list_page(self, query: ListQuery) -> ListPage:
        self.calls += 1
        if query.bucket not in self.rows:
            raise BucketNotFoundError(f"there is no bucket `{query.bucket}`")
        keys, rows = self.keys[query.bucket], self.rows[query.bucket]
        after = query.token or query.start_after
        at = max(bisect_left(keys, query.prefix), bisect_right(keys, after))
        found: list[ListedObject] = []
        folders: list[str] = []
        last = after
        limit = min(self.per_page, query.keys_max)
        while at < len(keys) and keys[at].startswith(query.prefix):
            if len(found) + len(folders) == limit:
                return ListPage(tuple(found), tuple(folders), last)
            cut = keys[at].find(query.delimiter, len(query.prefix)) if query.delimiter else -1
            if cut < 0:
                found.append(rows[at])
                last, at = keys[at], at + 1
                continue
            folder = keys[at][: cut + 1]
            at = bisect_left(keys, successor(folder) or "\U0010ffff")
            if folder > after:
                folders.append(folder)
            last = folder + "\U0010ffff"
        return ListPage(tuple(found), tuple(folders), None)
