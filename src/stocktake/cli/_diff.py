"""`stocktake diff`: what changed between two snapshots."""

from __future__ import annotations

from typing import Annotated

import typer

from stocktake.cli._arguments import LimitOption
from stocktake.cli._declare import command, new_app
from stocktake.cli._run import Run

app = new_app("Compare snapshots.")


@command(
    app,
    "diff",
    exits=(0, 1, 2, 4),
    examples=(
        "stocktake diff",
        "stocktake diff latest~2 latest --under 2026/",
        "stocktake diff 2026-11-01 2026-11-20 --under s3://photos/ --kind deleted",
        "stocktake diff --folders --json",
    ),
)
def diff(
    run: Run,
    old: Annotated[
        str, typer.Argument(metavar="OLD", help="The older snapshot: previous, latest~2, a date.")
    ] = "previous",
    new: Annotated[str, typer.Argument(metavar="NEW", help="The newer snapshot.")] = "latest",
    *,
    under: Annotated[
        str,
        typer.Option(
            "--under",
            metavar="TARGET",
            help="Only below s3://bucket/prefix or a prefix.",
            show_default=False,
        ),
    ] = "",
    kind: Annotated[
        list[str] | None,
        typer.Option(
            "--kind",
            metavar="KIND",
            help="new, modified, deleted, renamed or unconfirmed; may be repeated.",
        ),
    ] = None,
    folders: Annotated[
        bool, typer.Option("--folders", help="Totals per folder instead of objects.")
    ] = False,
    summary: Annotated[bool, typer.Option("--summary", help="Only the totals.")] = False,
    limit: LimitOption = 100,
) -> int:
    """Show what is new, modified, deleted or renamed between two snapshots.

    Modified means another ETag, or another size; where one of the two reports has no ETag, another
    date. Nothing outside what both snapshots cover is called deleted. Exits with 4 if there are
    differences, 0 if there are none.

    JSON: {old, new, prefix, summary: {new, modified, deleted, renamed, unconfirmed, changes,
    new_bytes, deleted_bytes, modified_old_bytes, modified_new_bytes, bytes_delta}, warnings, rows:
    [{key, change, renamed_from, and old_... and new_... of size_bytes, etag, last_modified,
    storage_class}]}; with --folders the rows are {folder, new, modified, deleted, renamed,
    unconfirmed, bytes_delta}.
    """
    from stocktake.cli._diff_work import DiffRequest, show_diff

    view = "summary" if summary else "folders" if folders else "rows"
    return show_diff(run, DiffRequest(under, old, new, tuple(kind or ()), view, limit))
