"""Import of a report, end to end: S3 over HTTP, checksums, decoding, sorted runs, folders.

Beside it, on the same parts and in the same run: `gzip -dc`, isal inflate alone, and for CSV what
DuckDB does by itself (unsorted copy and a roll-up of its own, from local files, without checksums).
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

from bench.measure import Cost, file_server, keep, python, run, table

DATA = Path(__file__).parent / "data"
REPORT = "s3://inventory/reports/demo-data/daily"
STAMPS = {1: "2026-01-05T01-00Z", 2: "2026-01-06T01-00Z"}


def make_report(root: Path, rows: int, file_format: str, generation: int, order: str) -> None:
    """A synthetic report as plain files, unless it is there."""
    manifest = root / f"inventory/reports/demo-data/daily/{STAMPS[generation]}/manifest.checksum"
    if manifest.exists():
        return
    parts = max(8, min(100, rows // 500_000))
    arguments = ["--rows", str(rows), "--format", file_format, "--parts", str(parts)]
    arguments += ["--generation", str(generation), "--order", order, "--out", str(root)]
    python("generate", "stocktake.testing.reports", *arguments, "--threads", "2")


def part_files(root: Path, generation: int) -> str:
    """A pattern of the parts of one generation: they are linked into a folder of their own."""
    base = root / "inventory/reports/demo-data/daily"
    manifest = json.loads((base / STAMPS[generation] / "manifest.json").read_text())
    folder = root / f"parts-{generation}"
    folder.mkdir(exist_ok=True)
    for file in manifest["files"]:
        link = folder / Path(file["key"]).name
        if not link.exists():
            link.symlink_to((root / "inventory" / file["key"]).resolve())
    return str(folder / "*")


def measure(rows: int, file_format: str, *, order: str, peers: bool, again: bool) -> list[Cost]:
    root = DATA / f"{file_format}-{rows}-{order}"
    root.mkdir(parents=True, exist_ok=True)
    make_report(root, rows, file_format, 1, order)
    parts = part_files(root, 1)
    costs: list[Cost] = []
    if peers and file_format == "csv":
        costs.append(run("gzip -dc", ["sh", "-c", f"gzip -dc {parts} > /dev/null"]))
        costs.append(python("isal inflate", "bench.tasks", "isal_inflate", parts))
        scratch = root / "duckdb"
        costs.append(
            python("DuckDB copy + roll-up", "bench.tasks", "duckdb_import", parts, str(scratch))
        )
        shutil.rmtree(scratch)
    catalog = root / "catalog"
    shutil.rmtree(catalog, ignore_errors=True)
    with file_server(root) as server:
        arguments = (str(catalog), server.endpoint_url, REPORT)
        ours = python("stocktake", "bench.tasks", "import_report", *arguments, STAMPS[1])
        costs.append(ours)
        if again:
            make_report(root, rows, file_format, 2, order)
            second = python(
                "+ second report", "bench.tasks", "import_report", *arguments, STAMPS[2]
            )
            costs.append(second)
    return costs


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench import", description=__doc__)
    parser.add_argument("--rows", default="1000000", help="comma-separated")
    parser.add_argument("--formats", default="csv,parquet,orc")
    parser.add_argument("--order", default="runs", choices=["runs", "sorted", "shuffled"])
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--again", action="store_true", help="a second, changed report too")
    chosen, _ = parser.parse_known_args(argv)
    results = []
    for rows in (int(text) for text in chosen.rows.split(",")):
        for file_format in chosen.formats.split(","):
            costs = measure(
                rows, file_format, order=chosen.order, peers=not chosen.no_peers, again=chosen.again
            )
            lines = []
            for cost in costs:
                output = json.loads(cost.output) if cost.output.startswith("{") else {}
                phases = output.get("phase_s", {})
                shown = " ".join(
                    f"{name} {value:.1f}" for name, value in phases.items() if value > 0.05
                )
                lines.append(
                    [
                        cost.name,
                        cost.wall_s,
                        cost.cpu_s,
                        f"{cost.rss_mb:.0f}",
                        cost.ratio(costs[0]),
                        shown,
                    ]
                )
                results.append(
                    {
                        "rows": rows,
                        "format": file_format,
                        "order": chosen.order,
                        "tool": cost.name,
                        "wall_s": cost.wall_s,
                        "cpu_s": cost.cpu_s,
                        "rss_mb": cost.rss_mb,
                        "phase_s": phases,
                    }
                )
            table(
                f"{rows:,} rows, {file_format}, {chosen.order}",
                ["tool", "wall s", "CPU s", "peak MB", "CPU ratio", "phases, wall s"],
                lines,
            )
    what = f"{chosen.rows}-{chosen.formats}-{chosen.order}".replace(",", "-")
    keep(f"import-{what}", results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
