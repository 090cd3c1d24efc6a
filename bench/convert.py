"""CSV to Parquet: our two passes with SHA-256 beside the one pass of others, each on one core.

The rounds are interleaved, the least CPU seconds count (imports included), and the ratios are of
one run. Memory is the peak of the whole process. The others promise less: they take types from the
front of the file or from a sample, and change values (`00123` becomes 123).
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from bench import convert_data
from bench.measure import Cost, keep, python, table

OURS = "stocktake"
PEERS = ("pyarrow", "duckdb", "duckdb_all_rows", "polars")
WIDE = (5_000, 900)
BOMB_BYTES = 1 << 30


def files(folder: Path, *, small: bool) -> dict[str, Path]:
    """The test files, made if they are not there."""
    rows = 100_000 if small else convert_data.ROWS
    bomb_bytes = 10_000_000 if small else BOMB_BYTES
    made = {
        "table": folder / f"table-{rows}.csv",
        "wide": folder / "wide.csv",
        "bomb": folder / f"bomb-{bomb_bytes}.csv",
    }
    folder.mkdir(parents=True, exist_ok=True)
    if not made["table"].exists():
        convert_data.write_table(made["table"], rows)
    if not made["wide"].exists():
        convert_data.write_wide(made["wide"], *WIDE)
    if not made["bomb"].exists():
        convert_data.write_bomb(made["bomb"], bomb_bytes)
    return made


def compare(source: Path, rounds: int, core: int) -> list[dict[str, Any]]:
    """Every contender on one file; least of all rounds."""
    best: dict[str, Cost] = {}
    written: dict[str, dict[str, Any]] = {}
    for _ in range(rounds):
        for name in (OURS, *PEERS):
            target = source.with_suffix(f".{name}.parquet")
            cost = _task(name, str(source), str(target), core)
            if name not in best or cost.cpu_s < best[name].cpu_s:
                best[name] = cost
            if target.exists():
                written[name] = _written(target, source)
                target.unlink()
    megabytes = source.stat().st_size / 1e6
    return [
        {
            "name": name,
            "mb_per_cpu_s": megabytes / cost.cpu_s,
            "mb_per_s": megabytes / cost.wall_s,
            "cpu_to_ours": cost.cpu_s / best[OURS].cpu_s,
            "rss_mb": _peak_mb(cost),
            **written[name],
        }
        for name, cost in best.items()
    ]


def _task(name: str, source: str, target: str, core: int) -> Cost:
    return python(name, "bench.convert_task", name, source, target, str(core))


def _written(target: Path, source: Path) -> dict[str, Any]:
    meta = pq.ParquetFile(target).metadata
    size_bytes = target.stat().st_size
    return {
        "out_mb": size_bytes / 1e6,
        "saved_percent": 100 - 100 * size_bytes / source.stat().st_size,
        "row_groups": meta.num_row_groups,
    }


def memory(made: dict[str, Path], gigabytes: list[int], core: int) -> list[dict[str, Any]]:
    """Our peak memory where it could grow."""
    found = []
    for name in ("wide", "bomb"):
        source = made[name]
        target = source.with_suffix(".parquet")
        cost = _task(OURS, str(source), str(target), core)
        size_mb = source.stat().st_size / 1e6
        out = _written(target, source)
        found.append({"name": name, "mb": size_mb, **_figures(cost, size_mb), **out})
        target.unlink()
    for size in gigabytes:
        size_mb = size * 1000
        cost = _task("stocktake_repeated", str(made["table"]), str(size * 10**9), core)
        found.append({"name": f"{size} GB", "mb": size_mb, **_figures(cost, size_mb)})
    return found


def _figures(cost: Cost, size_mb: float) -> dict[str, float]:
    return {"mb_per_cpu_s": size_mb / cost.cpu_s, "rss_mb": _peak_mb(cost)}


def _peak_mb(cost: Cost) -> float:
    """As the task says it, in MiB."""
    return int(cost.output) / 1024


def _show(title: str, rows: list[dict[str, Any]]) -> None:
    head = list(rows[0])
    table(title, head, [[row.get(key, "") for key in head] for row in rows])


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench convert", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent / "data" / "convert")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)))
    parser.add_argument("--gigabytes", type=int, nargs="*", default=[2])
    parser.add_argument("--small", action="store_true", help="small files, to see that it runs")
    options = parser.parse_args(argv)
    made = files(options.folder, small=options.small)
    speeds = compare(made["table"], options.rounds, options.core)
    megabytes = made["table"].stat().st_size / 1e6
    _show(f"{megabytes:.0f} MB of CSV, 7 columns, one core", speeds)
    peaks = memory(made, options.gigabytes, options.core)
    _show("peak memory", peaks)
    if not options.small:
        keep("convert", {"source_mb": megabytes, "speed": speeds, "memory": peaks})
    return 0
