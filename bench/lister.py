"""The range lister on six key shapes: simulated (virtual time) and against a delayed page server.

The simulation runs the real scheduler; only the network is not there: every request takes 82 ms,
whatever it holds. `warm` starts from every 900th key of an older listing: 3 % of the keys went and
3 % came since, anywhere (`drift`) or all behind the last one (`append`). With `--real` the lister
itself, its threads, signing, HTTP and parser are timed against a page server in another process;
on two cores both share them, so the CPU column says more than the wall column.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

from bench.lister_simulation import SimulatedStore, simulate
from bench.measure import keep, python, table
from stocktake.listing._range_scheduler import ScanPlan
from stocktake.testing import KEY_SHAPES, PageDelays, key_shape, start_page_server

PAGE_S = 0.082
HINT_EVERY = 900
DRIFT = 0.03
DATA = Path(__file__).parent / "data" / "lister"


@dataclass(frozen=True)
class Listed:
    """One listing."""

    shape: str
    start: str
    seconds: float
    calls: int
    of_minimum: float
    buffered_mb: float
    cpu_s: float = 0.0


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench lister", description=__doc__)
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--shapes", default=",".join(KEY_SHAPES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--real", action="store_true", help="also against the page server")
    chosen, _ = parser.parse_known_args(argv)
    shapes = chosen.shapes.split(",")
    results = [
        row
        for shape in shapes
        for row in simulated(shape, chosen.keys, chosen.workers, chosen.seed)
    ]
    show(f"simulated, {chosen.keys:,} keys, {chosen.workers} workers, 82 ms", results)
    small = [row for shape in shapes for row in small_buckets(shape, chosen.workers, chosen.seed)]
    show("simulated, 10,000 keys: a serial listing takes 10 calls", small)
    keep(f"lister-{chosen.keys}", [asdict(row) for row in [*results, *small]])
    if chosen.real:
        real = [row for shape in shapes for row in timed(shape, chosen.keys, chosen.workers)]
        show(f"against a page server, {chosen.keys:,} keys, {chosen.workers} workers, 82 ms", real)
        keep(f"lister-{chosen.keys}-real", [asdict(row) for row in real])
    return 0


def simulated(shape: str, count: int, workers: int, seed: int) -> list[Listed]:
    """Serial, cold and warm listings of one shape in virtual time."""
    gone = round(count * DRIFT)
    every = key_shape(shape, count + gone, seed)
    random = Random(seed)
    places = random.sample(range(len(every)), 2 * gone)
    come, went = set(places[:gone]), set(places[gone:])
    before = [key for place, key in enumerate(every) if place not in come]
    now = [key for place, key in enumerate(every) if place not in went]
    pages = -(-count // 1000)
    rows = [Listed(shape, "serial", pages * PAGE_S, pages, 1.0, 0.0)]
    for speculation in (0.25, 0.5):
        plan = ScanPlan(workers=workers, speculation=speculation)
        rows.append(_simulated(shape, f"cold {speculation}", now, plan))
    plan = ScanPlan(workers=workers, split_keys=_hints(before), rows_expected=count)
    rows.append(_simulated(shape, "warm drift", now, plan))
    plan = ScanPlan(workers=workers, split_keys=_hints(every[:count]), rows_expected=count)
    rows.append(_simulated(shape, "warm append", every[gone:], plan))
    return rows


def small_buckets(shape: str, workers: int, seed: int) -> list[Listed]:
    """10,000 objects must not cost more than a serial listing and one call."""
    keys = key_shape(shape, 10_000, seed)
    cold = ScanPlan(workers=workers)
    warm = ScanPlan(workers=workers, split_keys=_hints(keys), rows_expected=len(keys))
    return [
        _simulated(shape, "10,000 cold", keys, cold),
        _simulated(shape, "10,000 warm", keys, warm),
    ]


def _hints(keys: list[str]) -> list[str]:
    return keys[HINT_EVERY // 2 :: HINT_EVERY]


def _simulated(shape: str, start: str, keys: list[str], plan: ScanPlan) -> Listed:
    found = simulate(SimulatedStore(keys), plan, latency_s=PAGE_S)
    calls, pages = sum(found.calls.values()), -(-len(keys) // 1000)
    buffered_mb = found.buffered_bytes_max / 1e6
    return Listed(shape, start, found.seconds, calls, calls / pages, buffered_mb)


def timed(shape: str, count: int, workers: int) -> list[Listed]:
    """Cold and warm listings by the lister itself, each in a process of its own."""
    DATA.mkdir(parents=True, exist_ok=True)
    hints = DATA / f"{shape}-{count}.json"
    hints.write_text(json.dumps(_hints(key_shape(shape, count))))
    delays = PageDelays(page_s=PAGE_S, least_s=PAGE_S)
    rows = []
    with start_page_server(DATA, shape, count, delays=delays) as server:
        for start, arguments in (("cold", []), ("warm", [str(hints), str(count)])):
            url = server.endpoint_url
            cost = python(start, "bench.lister_task", url, str(workers), *arguments)
            said = json.loads(cost.output)
            assert said["rows"] == count, said
            calls = said["calls"]
            rows.append(
                Listed(
                    shape, start, said["wall_s"], calls, calls * 1000 / count, 0.0, said["cpu_s"]
                )
            )
    return rows


def show(title: str, rows: list[Listed]) -> None:
    head = ["shape", "start", "s", "calls", "of minimum", "MB waiting", "CPU s"]
    table(title, head, [list(asdict(row).values()) for row in rows])


if __name__ == "__main__":
    raise SystemExit(main())
