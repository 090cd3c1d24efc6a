"""Latency of the questions a person asks of a big catalog: median and 99th percentile, warm."""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable

from bench.import_report import DATA, measure
from bench.measure import keep, table


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench pages", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--order", default="runs", choices=["runs", "sorted", "shuffled"])
    parser.add_argument("--times", type=int, default=200)
    chosen, _ = parser.parse_known_args(argv)
    from stocktake import catalog as rooms

    place = DATA / f"csv-{chosen.rows}-{chosen.order}" / "catalog"
    if not place.exists():
        measure(chosen.rows, "csv", order=chosen.order, peers=False, again=False)
    chance = random.Random(1)
    results = []
    with rooms.open_catalog(str(place)) as opened:
        snapshot = rooms.find_snapshot(opened, "latest")
        keys = [group.min_key for file in snapshot.manifest.files for group in file.row_groups]
        folders = sorted({key[: key.rfind("/") + 1] for key in keys})
        tops = sorted({folder[: folder.find("/") + 1] for folder in folders})

        def some_folder() -> str:
            return chance.choice(folders)

        questions: dict[str, Callable[[], object]] = {
            "children of the root": lambda: rooms.list_children(opened, snapshot, ""),
            "children of a top folder": lambda: rooms.list_children(
                opened, snapshot, chance.choice(tops)
            ),
            "children of a folder": lambda: rooms.list_children(opened, snapshot, some_folder()),
            "1,000 objects under a top folder": lambda: rooms.list_objects(
                opened, snapshot, chance.choice(tops), page=rooms.PageRequest(rows_max=1000)
            ),
            "1,000 objects under a folder": lambda: rooms.list_objects(
                opened, snapshot, some_folder(), page=rooms.PageRequest(rows_max=1000)
            ),
            "one object": lambda: rooms.find_object(opened, snapshot, chance.choice(keys)),
        }
        for name, ask in questions.items():
            ask()
            times = []
            for _ in range(chosen.times):
                started = time.perf_counter()
                ask()
                times.append((time.perf_counter() - started) * 1000)
            times.sort()
            p99 = times[min(len(times) - 1, int(len(times) * 0.99))]
            results.append({"question": name, "p50_ms": statistics.median(times), "p99_ms": p99})
    table(
        f"{chosen.rows:,} objects, {chosen.order}, {chosen.times} times each",
        ["question", "median ms", "p99 ms"],
        [[row["question"], row["p50_ms"], row["p99_ms"]] for row in results],
    )
    keep(f"pages-{chosen.rows}-{chosen.order}", results)
    return 0
