"""`stocktake snapshots`: list, pin, delete and thin out snapshots."""

from __future__ import annotations

from typing import Annotated

import typer

from stocktake.cli._declare import callback, command, new_app
from stocktake.cli._run import Run

app = new_app(
    "List, pin, delete and thin out snapshots. Without a command: list.\n\nA snapshot is named by "
    "latest, previous, latest~2, a date (2026-11-20), a stamp (2026-11-20T01-00Z), an id or its "
    "beginning; with several sources as bucket/config@latest."
)

Reference = Annotated[str, typer.Argument(metavar="REF", help="Which snapshot.")]
SourceOption = Annotated[
    str | None,
    typer.Option("--source", metavar="SOURCE", help="Only of this bucket or bucket/config."),
]


def _keep(name: str, what: str) -> object:
    text = f"Keep the newest of each of the last N {what}."
    return typer.Option(f"--keep-{name}", metavar="N", min=0, help=text, show_default=False)


def _default(run: Run) -> int:
    from stocktake.cli._snapshot_work import show_snapshots

    return show_snapshots(run, None)


callback(app, _default)


@command(app, "list", examples=("stocktake snapshots", "stocktake snapshots list --json"))
def list_(run: Run, *, source: SourceOption = None) -> int:
    """List the snapshots, newest first, with source, objects and bytes.

    JSON: {catalog, snapshots: [{id, source, bucket, kind, as_of, published_at, objects, size_bytes,
    pinned, coverage}]}.
    """
    from stocktake.cli._snapshot_work import show_snapshots

    return show_snapshots(run, source)


@command(app, "pin", examples=("stocktake snapshots pin 2026-11-20",))
def pin(run: Run, reference: Reference) -> int:
    """Keep a snapshot whatever the retention says.

    JSON: {snapshot}.
    """
    from stocktake.cli._snapshot_work import set_pin

    return set_pin(run, reference, pinned=True)


@command(app, "unpin", examples=("stocktake snapshots unpin 2026-11-20",))
def unpin(run: Run, reference: Reference) -> int:
    """Let a pinned snapshot go again.

    JSON: {snapshot}.
    """
    from stocktake.cli._snapshot_work import set_pin

    return set_pin(run, reference, pinned=False)


@command(app, "delete", examples=("stocktake snapshots delete latest~3",))
def delete(
    run: Run,
    reference: Reference,
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Also a pinned one or the newest of its source.")
    ] = False,
) -> int:
    """Delete a snapshot and its files. One that is being read stays, with or without --force.

    JSON: {deleted}.
    """
    from stocktake.cli._snapshot_work import delete_one

    return delete_one(run, reference, force=force)


@command(
    app,
    "retain",
    examples=(
        "stocktake snapshots retain --keep-last 7 --keep-monthly 12",
        "stocktake snapshots retain --keep-last 7 --keep-monthly 12 --apply",
    ),
)
def retain(
    run: Run,
    *,
    last: Annotated[
        int,
        typer.Option(
            "--keep-last", metavar="N", min=0, help="Keep the newest N.", show_default=False
        ),
    ] = 0,
    daily: Annotated[int, _keep("daily", "days")] = 0,
    weekly: Annotated[int, _keep("weekly", "weeks")] = 0,
    monthly: Annotated[int, _keep("monthly", "months")] = 0,
    source: SourceOption = None,
    apply: Annotated[bool, typer.Option("--apply", help="Delete; otherwise only say.")] = False,
) -> int:
    """Thin out the snapshots of each source: what no rule keeps goes.

    The newest of a source, pinned ones and those being read always stay. Nothing is deleted
    without --apply.

    JSON: {applied, kept: [{snapshot, reasons}], deleted: [snapshot]}.
    """
    from stocktake.catalog import RetentionPolicy
    from stocktake.cli._snapshot_work import thin_out

    policy = RetentionPolicy(last=last, daily=daily, weekly=weekly, monthly=monthly)
    return thin_out(run, policy, source, apply=apply)
