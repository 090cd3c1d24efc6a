"""`python -m bench import --rows 1000000 --formats csv,parquet,orc`; results go to stdout as tables
and to `bench/results/<name>.json`.
"""

from __future__ import annotations

import argparse
import importlib
import sys

BENCHMARKS = {
    "import": ("bench.import_report", "reports to catalog, beside gzip, isal and plain DuckDB"),
    "diff": ("bench.diff_snapshots", "two snapshots compared, beside one hash join"),
    "feed": ("bench.feed", "absorbing listings into a feed, time and memory"),
    "pages": ("bench.pages", "latency of the questions a person asks"),
    "manifest": ("bench.manifest", "a manifest of 100,000 parts, fetched and parsed"),
    "storage": ("bench.storage_forms", "forms of an object file"),
    "peers": ("bench.peers", "scan beside s5cmd, rclone, aws and obstore on one local server"),
    "scenarios": ("bench.scenarios", "first and incremental discovery beside a sequential one"),
    "seen": ("bench.seen_state", "ways to keep what was processed, beside ours"),
    "ingest": ("bench.ingest", "100,000 objects discovered, claimed and loaded by 4 workers"),
    "parser": ("bench.listing_parser", "listing pages parsed and asked for, beside botocore"),
    "uploads": ("bench.uploads", "uploads beside botocore, s5cmd and rclone on one local server"),
    "ship-peers": ("bench.ship_peers", "ship once, the whole command, beside s5cmd and rclone"),
    "convert": ("bench.convert", "CSV to Parquet, beside pyarrow, DuckDB and Polars"),
    "documents": ("bench.convert_documents", "JSON and XML to Parquet, beside other readers"),
    "arrival": ("bench.arrival", "a poll of a folder of 100,000 files, beside walking it"),
    "unpack": ("bench.unpack", "archives beside the standard library and py7zr, and bombs"),
    "csv": ("bench.csv_reader", "the CSV reader alone, beside inflating and parsing"),
    "ledger": ("bench.ledger", "the shipping ledger: completions, size, restart, rebuild"),
    "ship-worker": ("bench.ship_worker", "one shipping worker: memory and speed, worst sources"),
    "sync": ("bench.manifests", "sync of a folder, first and again, beside its peers"),
    "restore": ("bench.restore", "restore and verify of 10,000 files, beside its peers"),
    "datasets": ("bench.manifest_store", "a dataset's manifest: cost per entry, at any size"),
    "manifest-copy": ("bench.manifest_copy", "a dataset shared by its copy in the bucket"),
    "reconcile": ("bench.reconcile", "1 M objects in every mode, and what samples are worth"),
    "soak": ("bench.soak", "a shipper for a long time: memory, descriptors, threads"),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("name", choices=[*BENCHMARKS, "all"], nargs="?", default="all")
    chosen, rest = parser.parse_known_args()
    names = list(BENCHMARKS) if chosen.name == "all" else [chosen.name]
    for name in names:
        module, about = BENCHMARKS[name]
        print(f"\n== {name}: {about}", flush=True)
        importlib.import_module(module).main(rest)
    return 0


if __name__ == "__main__":
    sys.exit(main())
