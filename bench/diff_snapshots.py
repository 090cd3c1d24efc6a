"""Two snapshots compared, beside one full join by DuckDB over the same files, in the same run.

Uses the catalogs that `python -m bench import --again` left; makes them if they are not there.
"""

from __future__ import annotations

import argparse
import json

from bench.import_report import DATA, measure
from bench.measure import keep, python, table


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench diff", description=__doc__)
    parser.add_argument("--rows", default="1000000", help="comma-separated")
    parser.add_argument("--order", default="runs", choices=["runs", "sorted", "shuffled"])
    parser.add_argument("--no-peers", action="store_true")
    chosen, _ = parser.parse_known_args(argv)
    results = []
    for rows in (int(text) for text in chosen.rows.split(",")):
        catalog = DATA / f"csv-{rows}-{chosen.order}" / "catalog"
        snapshots = sorted(catalog.glob("snapshots/*/*/*/snapshot.json"))
        if len(snapshots) != 2:
            measure(rows, "csv", order=chosen.order, peers=False, again=True)
            snapshots = sorted(catalog.glob("snapshots/*/*/*/snapshot.json"))
        old, new = (str(path.parent / "objects" / "*.parquet") for path in snapshots)
        costs = [python("stocktake diff", "bench.tasks", "diff", str(catalog))]
        if not chosen.no_peers:
            costs.append(python("DuckDB full join", "bench.tasks", "duckdb_diff", old, new))
        lines = []
        for cost in costs:
            counts = json.loads(cost.output)
            shown = " ".join(f"{k} {counts[k]}" for k in ("new", "modified", "deleted"))
            lines.append([cost.name, cost.wall_s, cost.cpu_s, f"{cost.rss_mb:.0f}", shown])
            results.append(
                {
                    "rows": rows,
                    "tool": cost.name,
                    "wall_s": cost.wall_s,
                    "cpu_s": cost.cpu_s,
                    "rss_mb": cost.rss_mb,
                    "counts": counts,
                }
            )
        table(
            f"{rows:,} against {rows:,} rows, {chosen.order}",
            ["tool", "wall s", "CPU s", "peak MB", "found"],
            lines,
        )
    keep(f"diff-{chosen.rows.replace(',', '-')}-{chosen.order}", results)
    return 0
