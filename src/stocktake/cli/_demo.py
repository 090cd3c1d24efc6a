"""`stocktake demo`: everything once, on a local store."""

from __future__ import annotations

from typing import Annotated

import typer

from stocktake.cli._declare import command, new_app
from stocktake.cli._run import Run

app = new_app("See it all on a local store.")


@command(
    app,
    "demo",
    examples=("stocktake demo", "stocktake demo --dir /tmp/my-demo", "stocktake demo --keep"),
)
def demo(
    run: Run,
    *,
    directory: Annotated[
        str, typer.Option("--dir", metavar="DIR", help="Where the demo's catalog goes.")
    ] = "demo-catalog",
    keep: Annotated[
        bool, typer.Option("--keep", help="Go on with the catalog of an earlier demo.")
    ] = False,
) -> int:
    """Start a local S3 server and do the main job on it, in half a minute.

    Fills a bucket, writes an inventory report of it, imports it, draws the folders; then changes
    the bucket, writes and imports a second report, and shows what changed and what it cost. The
    server ends with the demo; the catalog stays and can be asked. Nothing leaves this machine.
    Needs the extra: pip install 'stocktake[demo]'.

    JSON: {catalog, bucket, snapshots, changes, receipts, elapsed_s}.
    """
    from stocktake.cli._demo_work import run_demo

    return run_demo(run, directory, keep=keep)
