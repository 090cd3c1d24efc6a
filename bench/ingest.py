"""100,000 small objects from a bucket into a sink: discover, claim, load, commit, with 4 workers.

The bucket is our fake S3 in a process of its own; the control database is SQLite. Loading
is done by threads of one process, or by processes that share the database (`--processes`). Every
way starts with an empty catalog; afterwards nothing is new, which is measured too.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench.measure import RESULTS, file_server, keep, python, table

DATA = Path(__file__).parent / "data"
TASKS = "bench.ingest_tasks"
ROWS_PER_FILE = 5
_HEAD = ["sink", "workers", "discover s", "load s", "objects/s", "CPU s", "peak MB", "again s"]


def make_bucket(root: Path, count: int) -> None:
    """Files of five JSON lines, 1,000 to a folder, unless they are there."""
    if (root / "made").exists():
        return
    shutil.rmtree(root, ignore_errors=True)
    for start in range(0, count, 1000):
        folder = root / "buckets" / "lake" / "in" / f"part={start // 1000:04}"
        folder.mkdir(parents=True)
        for n in range(start, min(count, start + 1000)):
            rows = [
                {"id": n * ROWS_PER_FILE + i, "name": f"photo {n}"} for i in range(ROWS_PER_FILE)
            ]
            text = "".join(json.dumps(row) + "\n" for row in rows)
            (folder / f"{n:07}.jsonl").write_text(text)
    (root / "made").touch()


def sinks(place: Path) -> dict[str, dict[str, Any] | None]:
    """Settings by name; None takes batches and does nothing."""
    lake = {"type": "sql", "uri": f"sqlite:///{place}/lake.db", "warehouse": f"file://{place}/lake"}
    dataset = {"kind": "parquet", "location": str(place / "dataset")}
    return {
        "nothing (claims and commits alone)": None,
        "Parquet, one row per object": dataset,
        "DuckDB, one row per object": {
            "kind": "duckdb",
            "database": str(place / "lake.duckdb"),
            "table": "objects",
        },
        "Iceberg, one row per object": {"kind": "iceberg", "table": "s3.lake", "catalog": lake},
        "Parquet, rows read from JSON lines": {**dataset, "reader": "jsonl"},
    }


def measure(
    name: str,
    spec: dict[str, Any] | None,
    count: int,
    workers: int,
    place: Path,
    endpoint: str,
    *,
    processes: bool,
) -> dict[str, Any]:
    catalog = str(place / "catalog")
    raw = json.dumps(spec)
    found = python("discover", TASKS, "discover", catalog, endpoint, raw)
    discovered = json.loads(found.output)
    if discovered["new"] != count:
        raise SystemExit(f"{discovered['new']} objects were discovered, not {count}")
    threads = 1 if processes else workers
    command = [sys.executable, "-m", TASKS, "load", catalog, endpoint, raw, str(threads)]
    started = time.perf_counter()
    if processes:
        runs = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(workers)]
        outputs = [json.loads(run.communicate()[0]) for run in runs]
    else:
        outputs = [json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)]
    wall_s = time.perf_counter() - started
    files = sum(output["files"] for output in outputs)
    if files != count:
        raise SystemExit(f"{name}: {files} objects were loaded, not {count}")
    rows = json.loads(python("count", TASKS, "count_rows", raw).output)["rows"]
    wanted = {None: None, "jsonl": count * ROWS_PER_FILE}.get((spec or {}).get("reader"), count)
    if spec is not None and rows != (wanted or count):
        raise SystemExit(f"{name}: the sink holds {rows} rows")
    again = [
        python("again", TASKS, "discover", catalog, endpoint, raw),
        python("again", TASKS, "load", catalog, endpoint, raw, "1"),
    ]
    if json.loads(again[1].output)["files"]:
        raise SystemExit(f"{name}: a second run loads objects")
    return {
        "sink": name,
        "workers": f"{workers} {'processes' if processes else 'threads'}",
        "objects": count,
        "discover_s": discovered["work_s"],
        "load_s": max(output["work_s"] for output in outputs),
        "load_wall_s": wall_s,
        "cpu_s": found.cpu_s + sum(output["cpu_s"] for output in outputs),
        "rss_mb": max(output["rss_mb"] for output in outputs),
        "again_s": sum(json.loads(cost.output)["work_s"] for cost in again),
        "batches": sum(output["batches"] for output in outputs),
    }


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench ingest", description=__doc__)
    parser.add_argument("--objects", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--processes", action="store_true")
    parser.add_argument("--only", default="", help="part of a sink's name")
    chosen, _ = parser.parse_known_args(argv)
    root = DATA / f"ingest-{chosen.objects}"
    make_bucket(root, chosen.objects)
    results = []
    with file_server(root / "buckets") as server:
        for name in sinks(root):
            if chosen.only.lower() not in name.lower():
                continue
            place = root / "place"
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            spec = sinks(place)[name]
            results.append(
                measure(
                    name,
                    spec,
                    chosen.objects,
                    chosen.workers,
                    place,
                    server.endpoint_url,
                    processes=chosen.processes,
                )
            )
            print(f"  {name}: {results[-1]['load_s']:.1f} s", flush=True)
            shutil.rmtree(place)
    lines = [
        [
            r["sink"],
            r["workers"],
            r["discover_s"],
            r["load_s"],
            f"{r['objects'] / r['load_s']:,.0f}",
            r["cpu_s"],
            f"{r['rss_mb']:.0f}",
            r["again_s"],
        ]
        for r in results
    ]
    table(f"{chosen.objects:,} objects", _HEAD, lines)
    kind = "processes" if chosen.processes else "threads"
    RESULTS.mkdir(exist_ok=True)
    keep(f"ingest-{chosen.objects}-{chosen.workers}-{kind}", results)
    return 0
