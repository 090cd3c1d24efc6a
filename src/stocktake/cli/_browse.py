"""`stocktake ls`, `tree` and `du`: the folders of a snapshot."""

from __future__ import annotations

from typing import Annotated

import typer

from stocktake.cli._arguments import CursorOption, LimitOption, SnapshotOption, Target
from stocktake.cli._declare import command, new_app
from stocktake.cli._run import Run

app = new_app("Look around in a snapshot.")


@command(
    app,
    "ls",
    examples=(
        "stocktake ls s3://photos/2026/",
        "stocktake ls 2026/ --sort size --limit 20",
        "stocktake ls 2026/ --snapshot latest~1 --json",
    ),
)
def ls(
    run: Run,
    target: Target = "",
    *,
    snapshot: SnapshotOption = "latest",
    sort: Annotated[
        str, typer.Option("--sort", metavar="BY", help="name, size, count or date.")
    ] = "name",
    reverse: Annotated[bool, typer.Option("--reverse", "-r", help="The other way round.")] = False,
    limit: LimitOption = 1000,
    cursor: CursorOption = None,
) -> int:
    """Show what a folder holds: its subfolders with everything below them, and its objects.

    Sorted by name from A, by size, count or date from the largest. Of an object, everything that
    is known is shown, version by version.

    JSON: {source, folder, rows: [{kind, name, path, objects, size_bytes, newest, child_folders,
    storage_class}], next}; kind is folder or object. `next` is null on the last page, else what
    --cursor takes. Of an object: {source, folder: null, object, rows: [its versions], next}.
    """
    from stocktake.cli._browse_work import ListRequest, show_folder

    return show_folder(run, ListRequest(target, snapshot, sort, reverse, limit, cursor))


@command(
    app,
    "tree",
    examples=("stocktake tree s3://photos/ --depth 3", "stocktake tree --min-size 1GiB"),
)
def tree(
    run: Run,
    target: Target = "",
    *,
    snapshot: SnapshotOption = "latest",
    depth: Annotated[
        int, typer.Option("--depth", "-d", metavar="N", min=1, help="Levels to draw.")
    ] = 2,
    width: Annotated[
        int, typer.Option("--width", metavar="N", min=1, help="Folders of each folder at most.")
    ] = 20,
    min_size: Annotated[
        str, typer.Option("--min-size", metavar="SIZE", help="Leave out smaller folders.")
    ] = "0",
) -> int:
    """Draw the folders with objects and bytes below them.

    JSON: {source, tree}; tree is {path, objects, size_bytes, newest, child_folders, folders: [the
    same], more_folders}.
    """
    from stocktake.cli._browse_work import TreeRequest, show_tree

    return show_tree(run, TreeRequest(target, snapshot, depth, width, min_size))


@command(
    app,
    "du",
    examples=("stocktake du s3://photos/2026/", "stocktake du photos/2026/img --depth 0 --json"),
)
def du(
    run: Run,
    target: Target = "",
    *,
    snapshot: SnapshotOption = "latest",
    depth: Annotated[
        int, typer.Option("--depth", "-d", metavar="N", min=0, help="Levels of folders; 0: none.")
    ] = 1,
) -> int:
    """Sum up objects and bytes below a prefix, and of each folder below it, largest first.

    The prefix need not be a folder: photos/2026/img sums up all that begins so.

    JSON: {source, total: {path, objects, size_bytes, newest}, rows: [the same per folder]}.
    """
    from stocktake.cli._browse_work import show_usage

    return show_usage(run, target, snapshot, depth)
