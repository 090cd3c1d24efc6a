"""Finding new files: a first and an incremental run, beside a sequential SDK listing.

For each size: everything is new, then one percent is. Discovery is what a process that runs takes;
the process beside it starts, opens its database and ends. The peer lists page after page with
botocore and asks a local SQLite database about each file; ours is `ingest` with the strategy
`full`, from an empty catalog to numbered changes, and again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

from bench.measure import Cost, keep, python, table
from bench.peers import BUCKET, serving

DATA = Path(__file__).parent / "data" / "scenarios"
TARGETS_S = {10_000: 1.0, 100_000: 5.0, 1_000_000: 10.0, 10_000_000: 60.0}
NEW_SHARE = 0.01


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench scenarios", description=__doc__)
    parser.add_argument("--objects", default="10000,100000")
    parser.add_argument("--shape", default="cloudtrail")
    parser.add_argument("--page-delay-ms", type=float, default=82.0)
    parser.add_argument("--naive-max", type=int, default=1_000_000, help="the peer's largest size")
    chosen, _ = parser.parse_known_args(argv)
    results = []
    for objects in map(int, chosen.objects.split(",")):
        results += scenario(
            objects, chosen.shape, chosen.page_delay_ms / 1000, naive=objects <= chosen.naive_max
        )
    table(
        f"{chosen.shape}, {chosen.page_delay_ms:g} ms a page, {NEW_SHARE:.0%} new the second time",
        ["objects", "target s", "run", "program", "discovery s", "process s", "CPU s", "peak MB"],
        [[f"{row['objects']:,}", *list(row.values())[1:]] for row in results],
    )
    keep("scenarios-" + chosen.objects.replace(",", "-"), results)
    return 0


def scenario(objects: int, shape: str, delay_s: float, *, naive: bool) -> list[dict[str, object]]:
    """Both programs, both runs, on fresh state."""
    place = DATA / str(objects)
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    rows = []
    every = round(1 / NEW_SHARE) + 1
    keys = objects + -(-objects // (every - 1))
    left_out = -(-keys // every)
    for run, skip_every in (("first", every), ("incremental", 0)):
        with serving(shape, keys, delay_s, skip_every=skip_every) as endpoint:
            ours = ("bench.tasks", "discover", str(place / "catalog"), endpoint, BUCKET)
            costs = [python("stocktake", *ours)]
            if naive:
                database = str(place / "known.db")
                costs.append(python("sequential", "bench.naive", database, endpoint, BUCKET))
        new = keys - left_out if run == "first" else left_out
        rows += [_row(objects, run, cost, new) for cost in costs]
    return rows


def _row(objects: int, run: str, cost: Cost, new: int) -> dict[str, object]:
    said = json.loads(cost.output)
    if said["new"] != new:
        sys.exit(f"{cost.name} found {said['new']:,} new objects of {new:,}")
    return {
        "objects": objects,
        "target_s": TARGETS_S.get(objects),
        "run": run,
        "program": cost.name,
        "discovery_s": said["discovery_s"],
        "wall_s": cost.wall_s,
        "cpu_s": cost.cpu_s,
        "rss_mb": cost.rss_mb,
    }
