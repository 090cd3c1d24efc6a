"""`stocktake ingest status`, `explain` and `dead`."""

from __future__ import annotations

from typing import Annotated

import typer

from stocktake.cli._declare import command
from stocktake.cli._ingest_app import Name, app
from stocktake.cli._run import Run


@command(
    app, "status", examples=("stocktake ingest status", "stocktake ingest status photos --json")
)
def status(
    run: Run,
    name: Annotated[
        str, typer.Argument(metavar="[NAME]", help="One of them, in detail.", show_default=False)
    ] = "",
    *,
    runs: Annotated[
        int, typer.Option("--runs", metavar="N", min=0, help="With NAME: its last discoveries.")
    ] = 5,
) -> int:
    """Show how far ingestions are: what is left, in work and wrong.

    JSON: {ingestions: [{name, source, strategy, state, ...}]}; with NAME {ingestion, status, runs}.
    """
    from stocktake.cli._ingest_look_work import show_all, show_one

    return show_one(run, name, runs) if name else show_all(run)


@command(
    app,
    "explain",
    examples=("stocktake ingest explain photos 2026/05/IMG_0042.jpg",),
)
def explain(
    run: Run,
    name: Name,
    key: Annotated[str, typer.Argument(metavar="KEY", help="The key, as it is in the bucket.")],
) -> int:
    """Say why a file was loaded or not.

    For every version that discovery saw: when and by which strategy, which rule decided, every
    attempt, and the batch that loaded it.

    JSON: {key, ingestion, sentence, claim, changes: [{seq, change, state, rule, why, ...}]}.
    """
    from stocktake.cli._ingest_look_work import explain_one

    return explain_one(run, name, key)


@command(app, "dead", examples=("stocktake ingest dead photos",))
def dead(
    run: Run,
    name: Name,
    *,
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", min=1, help="Rows at most.")
    ] = 100,
) -> int:
    """List what failed for the last time, and why.

    JSON: {items: [{seq, key, version_id, attempts, reason, died_at, history}], total}.
    """
    from stocktake.cli._ingest_look_work import show_dead

    return show_dead(run, name, limit)
