"""Steps of the ingest benchmark, each as a process of its own: prints JSON."""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

NAME = "bench"


def discover(catalog: str, endpoint: str, sink: str) -> dict[str, object]:
    """List the bucket and number what is new; makes the ingestion the first time."""
    from stocktake.catalog import open_catalog
    from stocktake.errors import IngestionNotFoundError
    from stocktake.ingest import IngestionSpec, create_ingestion, open_ingestion
    from stocktake.model import S3Url

    store = _store(endpoint)
    with open_catalog(catalog, create=True) as opened:
        try:
            ingestion = open_ingestion(opened, store, NAME)
        except IngestionNotFoundError:
            spec = IngestionSpec(NAME, S3Url("lake", "in/"), sink=json.loads(sink))
            ingestion = create_ingestion(opened, spec, store)

        def work() -> dict[str, object]:
            report = ingestion.discover()
            return {"new": report.metrics.new, "calls": dict(report.metrics.calls)}

        return _measured(work)


def load(catalog: str, endpoint: str, sink: str, workers: str) -> dict[str, object]:
    """Load until nothing is left."""
    from stocktake.catalog import open_catalog
    from stocktake.ingest import CallableSink, open_ingestion, open_sink

    store = _store(endpoint)
    spec = json.loads(sink)
    with open_catalog(catalog) as opened:
        ingestion = open_ingestion(opened, store, NAME)
        target = CallableSink(lambda _: None) if spec is None else open_sink(spec)

        def work() -> dict[str, object]:
            result = ingestion.run(target, workers=int(workers))
            return {"files": result.files, "batches": result.batches, "lost": result.lost}

        return _measured(work)


def count_rows(sink: str) -> dict[str, object]:
    """What another program finds in the sink."""
    import duckdb

    spec = json.loads(sink)
    if spec is None:
        return {"rows": None}
    if spec["kind"] == "iceberg":
        from pyiceberg.catalog import load_catalog

        table = load_catalog("stocktake", **spec["catalog"]).load_table(spec["table"])
        return {"rows": table.scan().count()}
    if spec["kind"] == "duckdb":
        with duckdb.connect(spec["database"], read_only=True) as connection:
            rows = connection.execute(f"SELECT count(*) FROM {spec['table']}").fetchall()
    else:
        rows = duckdb.sql(f"SELECT count(*) FROM '{spec['location']}/*.parquet'").fetchall()
    return {"rows": rows[0][0]}


def _measured(work: Callable[[], dict[str, object]]) -> dict[str, object]:
    started = time.perf_counter()
    found = work()
    used = resource.getrusage(resource.RUSAGE_SELF)
    return found | {
        "work_s": time.perf_counter() - started,
        "cpu_s": used.ru_utime + used.ru_stime,
        "rss_mb": used.ru_maxrss / 1024,
    }


def _store(endpoint: str) -> Any:
    from stocktake.store import S3StoreOptions, open_store

    return open_store(S3StoreOptions(endpoint_url=endpoint, region="us-east-1"))


TASKS = {task.__name__: task for task in (discover, load, count_rows)}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("task", choices=list(TASKS))
    parser.add_argument("arguments", nargs="*")
    chosen = parser.parse_args()
    print(json.dumps(TASKS[chosen.task](*chosen.arguments)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
