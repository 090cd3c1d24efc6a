"""Feeds: a first listing, a second one with 2 % changes, and 10,000 observations over the base.

Each step is a process of its own over one catalog. "over base" is the peak memory beyond that of a
process that only opens the catalog and imports what the work needs.
"""

from __future__ import annotations

import argparse
import json
import shutil

from bench.import_report import DATA
from bench.measure import keep, python, table

STEPS = ("open", "first", "again", "observe")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench feed", description=__doc__)
    parser.add_argument("--rows", default="1000000", help="comma-separated")
    chosen, _ = parser.parse_known_args(argv)
    results = []
    for rows in (int(text) for text in chosen.rows.split(",")):
        place = DATA / f"feed-{rows}"
        shutil.rmtree(place, ignore_errors=True)
        python("prepare", "bench.feed_tasks", "prepare", str(place), str(rows))
        base_mb = 0.0
        lines = []
        for step in STEPS:
            cost = python(step, "bench.feed_tasks", step, str(place), str(rows))
            said = json.loads(cost.output)
            base_mb = base_mb or cost.rss_mb
            over_mb = cost.rss_mb - base_mb
            found = " ".join(f"{k} {said[k]}" for k in ("new", "modified", "deleted") if k in said)
            lines.append([step, said["wall_s"], said["cpu_s"], f"{over_mb:.0f}", found])
            results.append({"rows": rows, "step": step, "over_mb": over_mb, **said})
        table(f"{rows:,} objects", ["step", "wall s", "CPU s", "MB over base", "found"], lines)
        shutil.rmtree(place)
    keep(f"feed-{chosen.rows.replace(',', '-')}", results)
    return 0
