"""`stocktake ingest run`: discover and load."""

from __future__ import annotations

from typing import Annotated

import typer

from stocktake.cli._declare import command
from stocktake.cli._ingest_app import Name, app
from stocktake.cli._run import Run


@command(
    app,
    "run",
    exits=(0, 1, 2, 3),
    examples=(
        "stocktake ingest run photos",
        "stocktake ingest run photos --workers 4 --follow --every 1m",
        "stocktake ingest run photos --exec './load-batch'",
    ),
)
def run_(  # noqa: PLR0913 - one parameter per option
    run: Run,
    name: Name,
    *,
    workers: Annotated[
        int, typer.Option("--workers", metavar="N", min=1, help="Batches loaded at the same time.")
    ] = 1,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on until interrupted; otherwise until all is done.")
    ] = False,
    every: Annotated[
        str, typer.Option("--every", metavar="TIME", help="With --follow: how often to discover.")
    ] = "1m",
    exec_: Annotated[
        str | None,
        typer.Option(
            "--exec", metavar="COMMAND", help="Load with this command instead of the sink."
        ),
    ] = None,
    no_discover: Annotated[
        bool, typer.Option("--no-discover", help="Load what is known; list nothing.")
    ] = False,
    audit: Annotated[
        bool, typer.Option("--audit", help="A full scan first, whatever the strategy.")
    ] = False,
    accept_deletions: Annotated[
        bool,
        typer.Option("--accept-deletions", help="Also a listing that looks like a mass deletion."),
    ] = False,
    full_refresh: Annotated[
        bool,
        typer.Option("--full-refresh", help="A full scan, then load everything once more."),
    ] = False,
) -> int:
    """Find out what is new, and load it into the sink in batches.

    Safe to kill at any time, and to run in several processes at once. Exits with 3 if objects
    failed; they come again, and after the last attempt `stocktake ingest dead` lists them.

    A command (--exec, or a sink of that kind) reads one JSON line per object of a batch; with
    {key}, {url} or another placeholder among its arguments it runs once per object instead. It is
    not run by a shell.

    JSON: {ingestion, discovery, result, status, receipt}; discovery is null with --no-discover.
    """
    from stocktake.cli._ingest_load_work import RunRequest, run_ingestion

    request = RunRequest(
        name=name,
        workers=workers,
        follow=follow,
        every=every,
        command=exec_,
        discover=not no_discover,
        audit=audit,
        full_refresh=full_refresh,
        accept_deletions=accept_deletions,
    )
    return run_ingestion(run, request)
