"""A reconciliation of 1 M objects in every mode, beside the bare listing; and seeded samples.

A page server in another process answers each LIST request after 82 ms. SHOULD is the snapshot of an
earlier scan, so that the listing starts warm, as it does in use. Each row is a process of its own.
`--runs 200` also takes 200 samples of damaged buckets in memory and counts how often the intervals
hold the truth.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from bench.measure import keep, python, table
from bench.reconcile_runs import MANNERS, seeded_runs
from stocktake.testing import PageDelays, key_shape, start_page_server

PAGE_S = 0.082
HINT_EVERY = 900
DATA = Path(__file__).parent / "data" / "reconcile"
CASES = ("full snapshot", "full rules", "catalog snapshot", "sample snapshot", "sample rules")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench reconcile", description=__doc__)
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--shape", default="one-dir-90")
    parser.add_argument("--probes", type=int, default=64)
    parser.add_argument("--runs", type=int, default=0)
    parser.add_argument("--run-keys", type=int, default=50_000)
    chosen, _ = parser.parse_known_args(argv)
    DATA.mkdir(parents=True, exist_ok=True)
    if chosen.keys:
        timed(chosen.shape, chosen.keys, chosen.probes)
    if chosen.runs:
        samples(chosen.run_keys, chosen.runs)
    return 0


def timed(shape: str, count: int, probes: int) -> None:
    """Every mode once, and the bare warm listing before and after."""
    catalog = DATA / "catalog"
    shutil.rmtree(catalog, ignore_errors=True)
    hints = DATA / f"{shape}-{count}.json"
    hints.write_text(json.dumps(key_shape(shape, count)[HINT_EVERY // 2 :: HINT_EVERY]))
    rows: list[list[object]] = []
    with start_page_server(DATA, shape, count, delays=PageDelays(0.0, 0.0)) as server:
        python("scan", "bench.reconcile_task", server.endpoint_url, str(catalog), "scan", "0")
    delays = PageDelays(page_s=PAGE_S, least_s=PAGE_S)
    with start_page_server(DATA, shape, count, delays=delays) as server:
        url = server.endpoint_url
        bare = ["bench.lister_task", url, "64", str(hints), str(count)]
        cost = python("bare listing", *bare)
        said = json.loads(cost.output)
        whole_s = said["wall_s"]
        rows.append(["bare listing", whole_s, 1.0, said["cpu_s"], cost.rss_mb, said["calls"], 0])
        for case in CASES:
            task = ["bench.reconcile_task", url, str(catalog), case, str(probes)]
            cost = python(case, *task)
            said = json.loads(cost.output)
            wall_s = said["wall_s"]
            ratio = wall_s / whole_s
            calls = said["calls"]
            rows.append(
                [case, wall_s, ratio, said["cpu_s"], cost.rss_mb, calls, said["saved"] or 0]
            )
    head = ["HAVE and SHOULD", "s", "of bare", "CPU s", "MB", "LIST calls", "calls saved"]
    table(f"reconcile, {count:,} objects ({shape}), 82 ms per page", head, rows)
    keep(f"reconcile-{count}", [dict(zip(head, row, strict=True)) for row in rows])


def samples(keys: int, runs: int) -> None:
    """How often intervals hold the truth, over damages and shapes of keys."""
    found = [
        seeded_runs(DATA / "runs", shape, manner, keys=keys, runs=runs, probes=20)
        for shape in ("flat-hex", "one-dir-90")
        for manner in MANNERS
    ]
    table(
        f"{runs} seeded samples of {keys:,} objects, 2 % missing, 2 % extra, 0.5 % of other size",
        list(found[0]),
        [list(row.values()) for row in found],
    )
    keep(f"reconcile-samples-{keys}", found)


if __name__ == "__main__":
    raise SystemExit(main())
