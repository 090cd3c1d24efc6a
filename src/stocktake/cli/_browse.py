"""`stocktake ls`, `tree` and `du`: the folders of a snapshot."""

from __future__ import annotations

from typing import Annotated

import typer

from stocktake.cli._arguments import AfterOption, LimitOption, SnapshotOption, Target
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
        str, typer.Option("--sort", metavar="BY", help="name, size, count or modified.")
    ] = "name",
    limit: LimitOption = 1000,
    after: AfterOption = None,
) -> int:
    """Show what a folder holds: its subfolders with everything below them, and its objects.

    JSON: {source, prefix, folders: [{prefix, objects, size_bytes, newest, child_folders}],
    objects: [{key, size_bytes, last_modified, etag, storage_class}], next}. `next` is null on the
    last page, else what --after takes.
    """
    from stocktake.cli._browse_work import ListRequest, show_folder

    return show_folder(run, ListRequest(target, snapshot, sort, limit, after))


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

    JSON: {source, prefix, tree}; tree is {prefix, objects, size_bytes, newest, child_folders,
    folders: [the same], more_folders}.
    """
    from stocktake.cli._browse_work import TreeRequest, show_tree

    return show_tree(run, TreeRequest(target, snapshot, depth, width, min_size))


@command(
    app,
    "du",
    examples=("stocktake du s3://photos/2026/", "stocktake du 'photos/2026/img' --json"),
)
def du(run: Run, target: Target = "", *, snapshot: SnapshotOption = "latest") -> int:
    """Sum up objects and bytes below a prefix, by storage class.

    The prefix need not be a folder.

    JSON: {source, prefix, objects, size_bytes, oldest, newest, by_storage_class: {class: {objects,
    size_bytes}}}.
    """
    from stocktake.cli._browse_work import show_usage

    return show_usage(run, target, snapshot)
