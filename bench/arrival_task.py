"""One way to look at a folder, as a process of its own: prints JSON. For `arrival`."""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from stocktake.clock import SystemClock
from stocktake.ship import ShipSettings, SourceState
from stocktake.ship._arrival import Arrival
from stocktake.ship._folder import identity_of

TURNS = 5


def empty(top: Path) -> dict[str, object]:
    """Nothing: what a process with these imports takes."""
    return {"what": "process alone", "found": 0, **times([0.0], [0.0])}


def walk(top: Path) -> dict[str, object]:
    """os.walk and a stat of each file."""

    def turn() -> int:
        count = 0
        for place, _, names in os.walk(top / "in"):
            for name in names:
                os.lstat(f"{place}/{name}")
                count += 1
        return count

    return measured("os.walk and stat", turn)


def known(top: Path) -> dict[str, object]:
    """Every file is known already: the poll of every few seconds."""
    arrival = Arrival(
        settings(top),
        clock=SystemClock(),
        known=(
            (os.fsencode(p.relative_to(top / "in")), identity_of(p.stat()), SourceState.COMPLETED)
            for folder in (top / "in").iterdir()
            for p in folder.iterdir()
        ),
    )
    return measured("poll, all known", lambda: len(arrival.poll().ready))


def first(top: Path) -> dict[str, object]:
    """Every file is new; the settle time is 0, so they are reported in portions."""
    arrival, found = Arrival(settings(top), clock=SystemClock()), 0
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    while True:
        sighting = arrival.poll()
        found += len(sighting.ready)
        if not sighting.waiting:
            wall_s, cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
            return {"what": "all polls, all new", "found": found, **times([wall_s], [cpu_s])}


def settings(top: Path) -> ShipSettings:
    return ShipSettings(
        folder=top / "in",
        bucket="bench",
        state_folder=top / "state",
        error_folder=top / "in" / ".failed",
        settle_s=0.0,
    )


def measured(what: str, turn: Callable[[], int]) -> dict[str, object]:
    wall_s, cpu_s, found = [], [], 0
    for _ in range(TURNS):
        began_s, began_cpu_s = time.perf_counter(), time.process_time()
        found = turn()
        wall_s.append(time.perf_counter() - began_s)
        cpu_s.append(time.process_time() - began_cpu_s)
    return {"what": what, "found": found, **times(wall_s, cpu_s)}


def times(wall_s: list[float], cpu_s: list[float]) -> dict[str, float]:
    return {
        "best_s": round(min(wall_s), 3),
        "median_s": round(statistics.median(wall_s), 3),
        "cpu_s": round(min(cpu_s), 3),
    }


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](Path(sys.argv[2]))))
