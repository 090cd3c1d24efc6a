"""`stocktake cost`: what each way to know a bucket costs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stocktake.cli._declare import command, new_app
from stocktake.cli._run import Run

app = new_app("Compare the ways to know a bucket by their price.")


@command(
    app,
    "cost",
    examples=(
        "stocktake cost s3://photos",
        "stocktake cost s3://photos --every 1h --changes 20000",
        "stocktake cost --objects 5000000 --prices my-region.toml --json",
    ),
)
def cost(
    run: Run,
    source: Annotated[
        str,
        typer.Argument(
            metavar="[SOURCE]", help="Bucket or prefix: s3://bucket/prefix.", show_default=False
        ),
    ] = "",
    *,
    objects: Annotated[
        int | None,
        typer.Option("--objects", metavar="N", min=0, help="How many objects; asks nobody."),
    ] = None,
    every: Annotated[
        str, typer.Option("--every", metavar="TIME", help="How often you want to know.")
    ] = "1d",
    changes: Annotated[
        int | None,
        typer.Option("--changes", metavar="N", min=0, help="Objects written or deleted in a day."),
    ] = None,
    prices: Annotated[
        Path | None,
        typer.Option("--prices", metavar="FILE", help="Prices of your own region or store."),
    ] = None,
) -> int:
    """Compare listing, inventory, S3 Metadata and events for a bucket, by price and freshness.

    The number of objects is that of the newest snapshot that covers the bucket, else an estimate
    from a few requests, or what --objects says. Without --changes, 1 % of them are assumed to
    change in a day. Prices come from one file, and its date, region and source are shown.

    JSON: {source, objects: {value, low, high, from, as_of}, every_s, runs_per_month,
    changes_per_day, changes_assumed, ways: [{id, title, fits, fresh_s, requests_per_run, per_run,
    per_day, per_month, parts, notes}], report_to_list_ratio, sentence, left_out, prices}.
    """
    from stocktake.cli._cost_work import CostRequest, show_cost

    return show_cost(run, CostRequest(source, objects, every, changes, prices))
