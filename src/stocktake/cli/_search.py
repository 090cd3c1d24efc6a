"""`stocktake find`, `top` and `dupes`: objects wherever they are."""

from __future__ import annotations

from typing import Annotated

import typer

from stocktake.cli._arguments import CursorOption, LimitOption, SnapshotOption, Target
from stocktake.cli._declare import command, new_app
from stocktake.cli._run import Run

app = new_app("Find objects in a snapshot.")


@command(
    app,
    "find",
    examples=(
        "stocktake find s3://photos/ --name '*.cr3' --min-size 50MB",
        "stocktake find --name '2026/**/*.jpg' --json",
        "stocktake find --contains invoice --newer 2026-01-01 --limit 100",
    ),
)
def find(  # noqa: PLR0913 - one parameter per option
    run: Run,
    target: Target = "",
    *,
    snapshot: SnapshotOption = "latest",
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            metavar="GLOB",
            help="Pattern of the last name, or of the whole key if it has a /.",
        ),
    ] = None,
    contains: Annotated[
        str | None, typer.Option("--contains", metavar="TEXT", help="Anywhere in the key.")
    ] = None,
    ignore_case: Annotated[
        bool, typer.Option("--ignore-case", "-i", help="Capitals do not matter.")
    ] = False,
    min_size: Annotated[
        str | None, typer.Option("--min-size", metavar="SIZE", help="10MB, 1GiB, 4096.")
    ] = None,
    max_size: Annotated[
        str | None, typer.Option("--max-size", metavar="SIZE", help="At most so large.")
    ] = None,
    newer: Annotated[
        str | None, typer.Option("--newer", metavar="DATE", help="Modified at or after (UTC).")
    ] = None,
    older: Annotated[
        str | None, typer.Option("--older", metavar="DATE", help="Modified before (UTC).")
    ] = None,
    storage_class: Annotated[
        str | None, typer.Option("--class", metavar="NAME", help="Storage class, as GLACIER.")
    ] = None,
    limit: LimitOption = 10_000,
    cursor: CursorOption = None,
) -> int:
    """Find objects by name, size, date or storage class, in key order.

    In a pattern * and ? stop at /, ** does not; [abc] and [!a-z] are classes. A size or date that
    the source does not say matches no bound.

    JSON: {source, prefix, rows: [{key, size_bytes, last_modified, etag, storage_class, ...}],
    next}; the rows are streamed, one per line; all columns of the snapshot are there.
    """
    from stocktake.cli._search_work import FindRequest, show_found

    request = FindRequest(
        target=target,
        snapshot=snapshot,
        name=name,
        contains=contains,
        ignore_case=ignore_case,
        sizes=(min_size, max_size),
        dates=(newer, older),
        storage_class=storage_class,
        limit=limit,
        cursor=cursor,
    )
    return show_found(run, request)


@command(
    app,
    "top",
    examples=("stocktake top s3://photos/", "stocktake top --by oldest -n 50 --json"),
)
def top(
    run: Run,
    target: Target = "",
    *,
    snapshot: SnapshotOption = "latest",
    by: Annotated[
        str,
        typer.Option("--by", metavar="WHAT", help="size, oldest, newest, extension or class."),
    ] = "size",
    limit: LimitOption = 20,
    cursor: CursorOption = None,
) -> int:
    """Show the largest, oldest or newest objects, or the extensions or classes with most bytes.

    JSON: {source, prefix, by, rows, next}: objects as in `find`, or {extension or storage_class,
    objects, size_bytes, newest}.
    """
    from stocktake.cli._search_work import TopRequest, show_top

    return show_top(run, TopRequest(target, snapshot, by, limit, cursor))


@command(
    app,
    "dupes",
    examples=("stocktake dupes s3://photos/", "stocktake dupes --evidence likely --json"),
)
def dupes(
    run: Run,
    target: Target = "",
    *,
    snapshot: SnapshotOption = "latest",
    evidence: Annotated[
        str,
        typer.Option("--evidence", metavar="GRADE", help="At least: strong, likely or maybe."),
    ] = "strong",
    min_size: Annotated[
        str, typer.Option("--min-size", metavar="SIZE", help="Leave out smaller objects.")
    ] = "1",
    limit: LimitOption = 100,
    cursor: CursorOption = None,
) -> int:
    """Find objects that are there more than once, those that waste most bytes first.

    Evidence is strong (same size and same single-part ETag), likely (same size and same multipart
    ETag) or maybe (same size and same name, where there is no ETag). Nothing is read from the
    bucket: compare the bytes before you delete.

    JSON: {source, prefix, rows: [{evidence, size_bytes, copies, wasted_bytes, etag, name, keys}],
    next}; keys are the first ten.
    """
    from stocktake.cli._search_work import DupesRequest, show_duplicates

    return show_duplicates(run, DupesRequest(target, snapshot, evidence, min_size, limit, cursor))
