"""Synthetic reports as plain files: `python -m stocktake.testing.reports --rows 1000000 --out DIR`.

The files lie in `DIR/<destination bucket>/...` as they would in the store, so that anything that
serves the folder as S3 serves a report. Prints one JSON object that says where the manifest is.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from stocktake.inventory import WrittenReport, parse_format
from stocktake.model import S3Url
from stocktake.testing._buckets import SyntheticBucket
from stocktake.testing._directories import DirectoryStore
from stocktake.testing._reports import ReportLook, ReportOrder, write_synthetic_report


def main(arguments: Sequence[str] | None = None) -> int:
    """Write one report and print where it is."""
    options = _parser().parse_args(arguments)
    bucket = SyntheticBucket(
        rows=options.rows,
        seed=options.seed,
        generation=options.generation,
        shape=options.shape,
        nasty=options.nasty,
        versions=options.schema != "basic",
        extras=options.schema == "full",
        name=options.source_bucket,
    )
    look = ReportLook(
        file_format=parse_format(options.format),
        parts=options.parts,
        order=ReportOrder(options.order),
        config_id=options.config_id,
    )
    report = write_synthetic_report(
        bucket,
        DirectoryStore(options.out),
        S3Url.parse(options.to),
        look,
        threads=options.threads,
    )
    sys.stdout.write(json.dumps(_summary(report, bucket)) + "\n")
    return 0


def _summary(report: WrittenReport, bucket: SyntheticBucket) -> dict[str, object]:
    return {
        "manifest": str(report.manifest_url),
        "generation": bucket.generation,
        "rows": report.rows,
        "current_objects": bucket.row_count,
        "parts": len(report.parts),
        "size_bytes": report.size_bytes,
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m stocktake.testing.reports")
    add = parser.add_argument
    add("--rows", type=int, required=True, help="objects in generation 1")
    add("--out", type=Path, required=True, help="folder to write into")
    add("--to", default="s3://inventory/reports", help="destination within it")
    add("--source-bucket", default="demo-data")
    add("--config-id", default="daily")
    add("--format", default="csv", help="csv, orc or parquet")
    add("--parts", type=int, default=8)
    add("--order", choices=[order.value for order in ReportOrder], default="runs")
    add("--generation", type=int, default=1)
    add("--seed", type=int, default=1)
    add("--shape", choices=["mixed", "photos", "hashed", "lake"], default="mixed")
    add("--schema", choices=["basic", "versions", "full"], default="basic")
    add("--nasty", action="store_true", help="with keys that break programs")
    add("--threads", type=int, default=2)
    return parser


if __name__ == "__main__":
    sys.exit(main())
