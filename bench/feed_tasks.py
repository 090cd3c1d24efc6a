"""The steps of the feed benchmark, each a process of its own: prints JSON."""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import sys
import time
from collections.abc import Iterator

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from stocktake.catalog import (
    ImportOptions,
    QueryLimits,
    find_snapshot,
    import_snapshot,
    list_snapshots,
    open_catalog,
    open_feed,
)
from stocktake.clock import SystemClock
from stocktake.listing import ListingMetrics, StrategyName
from stocktake.model import (
    Block,
    Coverage,
    PartRef,
    PartTally,
    S3Url,
    SourceHeader,
    SourceKind,
    object_schema,
)

SOURCE = S3Url("lake")
COLUMNS = ("key", "size_bytes", "last_modified", "etag", "storage_class")
PARTS = 8
_LIMITS = QueryLimits()
# of 200 objects one is gone the second time, one has other content, and two came
ROWS = """
    SELECT format('logs/{:04d}/{:02d}/part-{:09d}.parquet', n // 20000, n // 1000 % 20, n) AS key,
        CAST(hash(n) % 1000000 AS BIGINT) AS size_bytes,
        CAST(TIMESTAMP '2026-01-01' + to_seconds(n % 20000000) AS TIMESTAMP_MS) AS last_modified,
        md5(CAST(n + CASE WHEN $again AND n % 200 = 3 THEN 1 ELSE 0 END AS VARCHAR)) AS etag,
        'STANDARD' AS storage_class
    FROM range($first, $last) t(n)
    WHERE CASE WHEN $again THEN n % 200 <> 5 ELSE n % 200 NOT IN (7, 9) END
    ORDER BY key
"""


class Listing:
    """A listing made up by DuckDB, in key order and in parts."""

    def __init__(self, rows: int, *, again: bool) -> None:
        self._rows = rows
        self._again = again
        as_of = SystemClock().now()
        self.header = SourceHeader(
            kind=SourceKind.LIST,
            bucket=SOURCE.bucket,
            config_id="list",
            as_of=as_of,
            identity=hashlib.sha256(f"{rows} {again}".encode()).hexdigest(),
            location=str(SOURCE),
            columns=COLUMNS,
            coverage=Coverage(prefix=""),
        )

    def parts(self) -> list[PartRef]:
        return [PartRef(n, f"part {n}", 0, "") for n in range(PARTS)]

    def read(self, part: PartRef, tally: PartTally) -> Iterator[Block]:
        step = -(-self._rows // PARTS)
        for first in range(part.index * step, min((part.index + 1) * step, self._rows), 50_000):
            last = min(first + 50_000, (part.index + 1) * step, self._rows)
            for batch in made_up(first, last, again=self._again):
                tally.rows += batch.num_rows
                yield Block(batch)

    def recheck(self, found: PartTally | None = None) -> None:
        return None


def made_up(first: int, last: int, *, again: bool) -> list[pa.RecordBatch]:
    con = duckdb.connect(config={"threads": 1})
    values = {"first": first, "last": last, "again": again}
    table = con.sql(ROWS, params=values).to_arrow_table()
    return table.cast(object_schema(COLUMNS)).to_batches(10_000)


def prepare(place: str, rows: str) -> dict[str, object]:
    """A catalog with two listings."""
    with open_catalog(place, create=True) as catalog:
        for again in (False, True):
            import_snapshot(catalog, Listing(int(rows), again=again), ImportOptions(compare=False))
    _keep_seen(place, int(rows))
    return {}


def open_(place: str, rows: str) -> dict[str, object]:
    """Open the catalog, read both manifests, and nothing else."""
    with open_catalog(place) as catalog:
        for snapshot in list_snapshots(catalog):
            _ = snapshot.manifest
        list(catalog.engine.query("SELECT 1", [], _LIMITS))
    return {}


def first(place: str, rows: str) -> dict[str, object]:
    """Absorb the first listing: everything is new."""
    return _absorb(place, "previous")


def again(place: str, rows: str) -> dict[str, object]:
    """Absorb the second one: what is otherwise."""
    return _absorb(place, "latest")


def observe(place: str, rows: str) -> dict[str, object]:
    """Absorb 10,000 objects that a partial listing saw, spread over all keys; half are known."""
    batches = pq.read_table(f"{place}/seen.parquet").to_batches(1000)
    with open_catalog(place) as catalog:
        feed = open_feed(catalog, SOURCE)
        with feed.discovering(StrategyName.INCREMENTAL_LEXICAL) as writer:
            started_s = time.perf_counter()
            done = writer.absorb(batches, cursor={}, metrics=ListingMetrics())
            return {"wall_s": time.perf_counter() - started_s, "new": done.new}


def _keep_seen(place: str, count: int) -> None:
    con = duckdb.connect(config={"threads": 1})
    values = {"first": 0, "last": count, "again": True}
    spread = con.sql(f"SELECT * FROM ({ROWS}) USING SAMPLE reservoir(5000 ROWS)", params=values)
    fresh = pa.Table.from_batches(made_up(count, count + 5_025, again=True))
    known = spread.to_arrow_table().cast(object_schema(COLUMNS))
    pq.write_table(pa.concat_tables([known, fresh]), f"{place}/seen.parquet")


def _absorb(place: str, which: str) -> dict[str, object]:
    with open_catalog(place) as catalog:
        feed = open_feed(catalog, SOURCE)
        snapshot = find_snapshot(catalog, which)
        with feed.discovering(StrategyName.FULL) as writer:
            started_s = time.perf_counter()
            done = writer.absorb_snapshot(
                snapshot,
                started_at=snapshot.as_of,
                proves_complete=True,
                metrics=ListingMetrics(),
                accept_deletions=True,
            )
            wall_s = time.perf_counter() - started_s
    kinds = {"new": done.new, "modified": done.modified, "deleted": done.deleted}
    return {"wall_s": wall_s, **kinds}


TASKS = {"prepare": prepare, "open": open_, "first": first, "again": again, "observe": observe}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("task", choices=list(TASKS))
    parser.add_argument("place")
    parser.add_argument("rows")
    chosen = parser.parse_args()
    started_s = time.perf_counter()
    said = TASKS[chosen.task](chosen.place, chosen.rows)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    wall_s = time.perf_counter() - started_s
    print(json.dumps({"wall_s": wall_s, "cpu_s": usage.ru_utime + usage.ru_stime, **said}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
