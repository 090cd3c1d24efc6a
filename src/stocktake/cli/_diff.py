"""`stocktake diff`: what changed between two snapshots."""

from __future__ import annotations

from typing import Annotated

import typer

from stocktake.cli._arguments import LimitOption, Target
from stocktake.cli._declare import command, new_app
from stocktake.cli._run import Run

app = new_app("Compare snapshots.")


@command(
    app,
    "diff",
    exits=(0, 1, 2, 4),
    examples=(
        "stocktake diff",
        "stocktake diff s3://photos/2026/ --old 2026-11-01 --new latest",
        "stocktake diff --kind deleted --limit 1000 --json",
        "stocktake diff --folders",
    ),
)
def diff(
    run: Run,
    target: Target = "",
    *,
    old: Annotated[
        str, typer.Option("--old", metavar="REF", help="The older snapshot.")
    ] = "previous",
    new: Annotated[
        str, typer.Option("--new", metavar="REF", help="The newer snapshot.")
    ] = "latest",
    kind: Annotated[
        list[str] | None,
        typer.Option(
            "--kind", metavar="KIND", help="new, modified, deleted, renamed; may be repeated."
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

    JSON: {old, new, prefix, summary: {new, modified, deleted, renamed, bytes_new, bytes_deleted,
    bytes_delta, warnings}, rows: [{key, change, renamed_from, old_size_bytes, new_size_bytes,
    old_etag, new_etag, old_last_modified, new_last_modified}]}; with --folders the rows are
    {folder, new, modified, deleted, renamed, bytes_delta}.
    """
    from stocktake.cli._diff_work import DiffRequest, show_diff

    view = "summary" if summary else "folders" if folders else "rows"
    return show_diff(run, DiffRequest(target, old, new, tuple(kind or ()), view, limit))
