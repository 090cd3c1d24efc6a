"""Many seeded samples of damaged buckets in memory: how often the interval holds the truth."""

from __future__ import annotations

import shutil
from bisect import bisect_left, bisect_right
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from statistics import median

import numpy as np
import pyarrow as pa

from stocktake.catalog import open_catalog
from stocktake.model import S3Url, successor
from stocktake.reconcile import (
    Desk,
    HaveSpec,
    ReconcileConfig,
    SampleFigures,
    ScanMode,
    ShouldKind,
    ShouldSpec,
    reconcile,
)
from stocktake.store import KeyPage, ListQuery, listed_schema
from stocktake.testing import MemoryStore, key_shape

MANNERS = ("scattered", "in one place")
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None)
_SCHEMA = listed_schema(versions=False)


class ColumnStore(MemoryStore):
    """Buckets of columns in key order; lists pages of them, without folders."""

    def __init__(self) -> None:
        super().__init__()
        self.columns: dict[str, pa.RecordBatch] = {}
        self.keys: dict[str, list[str]] = {}

    def fill(self, bucket: str, rows: pa.RecordBatch) -> None:
        self.columns[bucket], self.keys[bucket] = rows, rows.column("key").to_pylist()

    def list_columns(self, query: ListQuery) -> KeyPage:
        keys, end = self.keys[query.bucket], successor(query.prefix)
        if query.delimiter:
            return KeyPage(self.columns[query.bucket].slice(0, 0), (), None)
        after = query.token or query.start_after
        at = max(bisect_left(keys, query.prefix), bisect_right(keys, after))
        stop = len(keys) if end is None else bisect_left(keys, end)
        last = min(at + query.keys_max, stop)
        token = keys[last - 1] if last < stop else None
        return KeyPage(self.columns[query.bucket].slice(at, max(0, last - at)), (), token)


def rows_of(keys: list[str], sizes: list[int]) -> pa.RecordBatch:
    """Objects with these keys and sizes, in key order."""
    values = {
        "key": keys,
        "size_bytes": sizes,
        "last_modified": [_EPOCH] * len(keys),
        "etag": ["0" * 32] * len(keys),
    }
    columns = [pa.array(values.get(f.name, [None] * len(keys)), f.type) for f in _SCHEMA]
    return pa.RecordBatch.from_arrays(columns, schema=_SCHEMA)


def seeded_runs(
    folder: Path, shape: str, manner: str, *, keys: int, runs: int, probes: int
) -> dict[str, object]:
    """One row of the table: `runs` samples, each of another damage of 2 % of the objects."""
    every = key_shape(shape, keys)
    store = ColumnStore()
    store.fill("should", rows_of(every, [1] * keys))
    shutil.rmtree(folder, ignore_errors=True)
    held = {"missing": 0, "different": 0, "extra": 0}
    widths: list[float] = []
    figures: SampleFigures | None = None
    with open_catalog(str(folder), create=True) as catalog:
        for seed in range(runs):
            truth = _damage(store, every, manner, seed)
            config = ReconcileConfig(
                HaveSpec(S3Url("have"), ScanMode.SAMPLE, probes=probes, seed=seed),
                ShouldSpec(ShouldKind.BUCKET, "s3://should/"),
                findings_max=100,
            )
            figures = reconcile(config, Desk(store, catalog)).sample
            assert figures is not None
            for name in held:
                estimate = getattr(figures, name)
                held[name] += estimate.low <= truth[name] <= estimate.high
            widths.append(100 * (figures.missing.high - figures.missing.low) / keys)
    assert figures is not None
    return {
        "shape": shape,
        "damage": manner,
        "runs": runs,
        **{f"{name} held": count for name, count in held.items()},
        "width % of all": median(widths),
        "calls": figures.calls,
        "full listing": figures.calls_full,
    }


def _damage(store: ColumnStore, every: list[str], manner: str, seed: int) -> dict[str, int]:
    """Fill `have` with what is left of the keys; how much of each damage there is."""
    random, count = Random(seed), len(every) // 50
    start = random.randrange(len(every) - count)
    missing = np.zeros(len(every), dtype=bool)
    if manner == "in one place":
        missing[start : start + count] = True
    else:
        missing[random.sample(range(len(every)), count)] = True
    kept = store.columns["should"].filter(pa.array(~missing))
    different = random.sample(range(kept.num_rows), count // 4)
    sizes = np.ones(kept.num_rows, dtype=np.int64)
    sizes[different] = 2
    changed = [pa.array(sizes) if f.name == "size_bytes" else kept.column(f.name) for f in _SCHEMA]
    extra = [f"{every[place]}.new" for place in random.sample(range(len(every)), count)]
    pieces = [pa.RecordBatch.from_arrays(changed, schema=_SCHEMA), rows_of(extra, [1] * count)]
    there = pa.Table.from_batches(pieces).sort_by("key").combine_chunks()
    store.fill("have", there.to_batches()[0])
    return {"missing": count, "different": len(different), "extra": count}
