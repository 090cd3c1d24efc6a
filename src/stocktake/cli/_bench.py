"""`stocktake bench`: how fast an import is on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from stocktake.cli._declare import command, new_app
from stocktake.cli._run import Run

app = new_app("Measure an import on this machine.")


@command(
    app,
    "bench",
    examples=("stocktake bench", "stocktake bench --rows 10000000 --format parquet --json"),
)
def bench(
    run: Run,
    *,
    rows: Annotated[
        int, typer.Option("--rows", metavar="N", min=1, help="Objects in the report.")
    ] = 1_000_000,
    file_format: Annotated[
        str, typer.Option("--format", metavar="NAME", help="csv, orc or parquet.")
    ] = "csv",
    parts: Annotated[
        int, typer.Option("--parts", metavar="N", min=1, help="Data files of the report.")
    ] = 8,
    directory: Annotated[
        str, typer.Option("--dir", metavar="DIR", help="Where to work; removed afterwards.")
    ] = "stocktake-bench",
) -> int:
    """Generate a report, serve it from a local S3, import it, and say how fast that was.

    The import runs as a process of its own; its time, CPU and peak memory are what is printed.
    Compare ratios on one machine, not numbers of two: the server shares the cores.

    JSON: {rows, format, parts, report_bytes, wall_s, cpu_s, peak_rss_bytes, rows_per_s, cores}.
    """
    from stocktake.cli._bench_work import BenchRequest, run_bench

    return run_bench(run, BenchRequest(rows, file_format, parts, directory))
