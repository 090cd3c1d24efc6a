"""`stocktake ingest metrics`."""

from __future__ import annotations

from typing import Annotated

import typer

from stocktake.cli._declare import command
from stocktake.cli._ingest_app import app
from stocktake.cli._run import Run


@command(
    app,
    "metrics",
    examples=(
        "stocktake ingest metrics",
        "stocktake ingest metrics --out /var/lib/node_exporter/stocktake.prom",
    ),
)
def metrics(
    run: Run,
    *,
    out: Annotated[
        str | None,
        typer.Option("--out", metavar="FILE", help="Replace this file instead of printing."),
    ] = None,
) -> int:
    """Print figures of discovery and ingestion for Prometheus.

    For the textfile collector of the node exporter, or behind any HTTP server. The file of --out is
    replaced as a whole. --json needs no extra package.

    JSON: {metrics: [{name, labels, value}]}.
    """
    from stocktake.cli._ingest_metrics_work import show_metrics

    return show_metrics(run, out)
