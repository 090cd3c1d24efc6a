"""One piece of work as a process of its own, for `measure.run`: prints JSON."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path


def import_report(catalog: str, endpoint: str, report: str, date: str) -> dict[str, object]:
    """Our import, from S3 over HTTP to a published snapshot."""
    from stocktake.catalog import ImportOptions, import_snapshot, open_catalog
    from stocktake.inventory import ReportAddress, open_report
    from stocktake.store import open_store
    from stocktake.telemetry import Meter

    meter = Meter()
    store = open_store(_options(endpoint), meter=meter)
    with open_catalog(catalog, create=True) as opened:
        source = open_report(store, ReportAddress.parse(report), date=date)
        result = import_snapshot(opened, source, ImportOptions(accept_deletions=True, force=True))
    store.close()
    return {**result.to_dict(), "calls": meter.calls}


def list_keys(endpoint: str, bucket: str) -> dict[str, object]:
    """Our listing alone, as Arrow batches, without a catalog."""
    from stocktake.listing import RangeLister
    from stocktake.model import S3Url
    from stocktake.store import open_store

    store, lister = open_store(_options(endpoint)), RangeLister()
    began_s = time.perf_counter()
    rows = sum(batch.num_rows for batch in lister.list_objects(store, S3Url(bucket)))
    listing_s = time.perf_counter() - began_s
    return {"rows": rows, "listing_s": listing_s, "metrics": lister.metrics.to_dict()}


def discover(catalog: str, endpoint: str, bucket: str) -> dict[str, object]:
    """A discovery by a full scan: from the listing to numbered changes."""
    from stocktake.catalog import open_catalog
    from stocktake.errors import IngestionNotFoundError
    from stocktake.ingest import IngestionSpec, create_ingestion, open_ingestion
    from stocktake.model import S3Url
    from stocktake.store import open_store

    store = open_store(_options(endpoint))
    with open_catalog(catalog, create=True) as opened:
        try:
            ingestion = open_ingestion(opened, store, "bench")
        except IngestionNotFoundError:
            ingestion = create_ingestion(opened, IngestionSpec("bench", S3Url(bucket)), store)
        began_s = time.perf_counter()
        report = ingestion.discover()
        discovery_s = time.perf_counter() - began_s
    store.close()
    metrics = report.metrics
    return {"new": metrics.new, "discovery_s": discovery_s, "metrics": metrics.to_dict()}


def _paths(pattern: str) -> list[str]:
    folder, _, name = pattern.rpartition("/")
    return sorted(str(path) for path in Path(folder).glob(name))


def _options(endpoint: str) -> object:
    from stocktake.store import S3StoreOptions

    return S3StoreOptions(endpoint_url=endpoint, region="us-east-1")


def duckdb_import(files: str, out: str) -> dict[str, object]:
    """DuckDB alone: unsorted COPY of the decoded rows, and its own roll-up of every ancestor."""
    import duckdb

    Path(out).mkdir(parents=True, exist_ok=True)
    con = duckdb.connect(config={"memory_limit": "400MB", "threads": 2, "temp_directory": out})
    con.execute("SET preserve_insertion_order = false")
    paths = _paths(files)
    con.execute(
        f"""COPY (
            SELECT url_decode(replace(key, '+', '%20')) AS key, size_bytes, last_modified, etag,
                storage_class
            FROM read_csv({paths!r}, header = false, auto_detect = false, quote = '"',
                delim = ',', columns = {{'bucket': 'VARCHAR', 'key': 'VARCHAR',
                'size_bytes': 'BIGINT', 'last_modified': 'TIMESTAMP', 'etag': 'VARCHAR',
                'storage_class': 'VARCHAR'}}))
        TO '{out}/objects.parquet' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)"""
    )
    con.execute(
        f"""COPY (
            WITH direct AS (
                SELECT parse_dirpath(key, 'forward_slash') AS folder, count(*) AS n,
                    sum(size_bytes) AS b, max(last_modified) AS m
                FROM '{out}/objects.parquet' GROUP BY 1),
            every AS (
                SELECT unnest(list_transform(range(1, len(p) + 1),
                    lambda i: array_to_string(p[1:i], '/'))) AS folder, n, b, m
                FROM (SELECT string_split(folder, '/') AS p, n, b, m FROM direct))
            SELECT folder, sum(n) AS n, sum(b) AS b, max(m) AS m FROM every GROUP BY 1)
        TO '{out}/folders.parquet' (FORMAT parquet, COMPRESSION zstd)"""
    )
    rows = con.execute(f"SELECT count(*) FROM '{out}/objects.parquet'").fetchall()[0][0]
    return {"rows": rows}


def isal_inflate(files: str) -> dict[str, object]:
    """Streaming inflate alone: the floor of any reader."""
    from isal import isal_zlib

    total = 0
    for path in _paths(files):
        inflater = isal_zlib.decompressobj(31)
        with Path(path).open("rb") as file:
            while chunk := file.read(1 << 18):
                total += len(inflater.decompress(chunk))
    return {"bytes": total}


def diff(catalog: str) -> dict[str, object]:
    """Our comparison of the catalog's two snapshots, without what an earlier run kept."""
    import shutil

    from stocktake.catalog import diff_snapshots, find_snapshot, open_catalog

    shutil.rmtree(Path(catalog) / "diffs", ignore_errors=True)
    with open_catalog(catalog) as opened:
        old, new = find_snapshot(opened, "previous"), find_snapshot(opened, "latest")
        return diff_snapshots(opened, old, new).summary.to_dict()


def duckdb_diff(old: str, new: str) -> dict[str, object]:
    """DuckDB alone: one full join of all files."""
    import duckdb

    con = duckdb.connect(config={"memory_limit": "400MB", "threads": 2, "temp_directory": "/tmp"})
    row = con.execute(
        f"""SELECT count(*) FILTER (o.key IS NULL), count(*) FILTER (n.key IS NULL),
                count(*) FILTER (o.etag <> n.etag OR o.size_bytes <> n.size_bytes)
            FROM (SELECT key, etag, size_bytes FROM read_parquet('{old}')) o
            FULL JOIN (SELECT key, etag, size_bytes FROM read_parquet('{new}')) n
            ON o.key = n.key"""
    ).fetchall()[0]
    return {"new": row[0], "deleted": row[1], "modified": row[2]}


TASKS = {
    f.__name__: f
    for f in (
        import_report,
        list_keys,
        discover,
        duckdb_import,
        isal_inflate,
        diff,
        duckdb_diff,
    )
}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("task", choices=list(TASKS))
    parser.add_argument("arguments", nargs="*")
    chosen = parser.parse_args()
    print(json.dumps(TASKS[chosen.task](*chosen.arguments)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
