"""`stocktake manifest create|write|forget`: datasets made, written out and forgotten."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stocktake.cli._declare import command
from stocktake.cli._manifest_app import AllDatasets, DatasetId, DatasetIds, app
from stocktake.cli._run import Run


@command(
    app,
    "create",
    examples=('stocktake manifest create 16 s3://photos/styles/16/ --title "Watercolour"',),
)
def create(
    run: Run,
    dataset_id: DatasetId,
    target: Annotated[str, typer.Argument(metavar="s3://BUCKET/PREFIX/", help="Where it is.")],
    *,
    title: Annotated[
        str, typer.Option("--title", metavar="TEXT", help="For people.", show_default=False)
    ] = "",
) -> int:
    """Make an empty dataset, or give one another title.

    No request is made to the store. `stocktake sync` makes the datasets it needs by itself.

    JSON: {dataset: as in `list`}.
    """
    from stocktake.cli._manifest_make_work import make

    return make(run, dataset_id, target, title)


@command(
    app,
    "write",
    exits=(0, 1, 2, 3),
    examples=(
        "stocktake manifest write 16",
        "stocktake manifest write --all --dir /srv/app/data/s3_manifests",
    ),
)
def write(
    run: Run,
    dataset_ids: DatasetIds = None,
    *,
    all_: AllDatasets = False,
    folder: Annotated[
        Path, typer.Option("--dir", metavar="DIR", help="The folder they are written to.")
    ] = Path("manifests"),
) -> int:
    """Write manifests as JSON files.

    Each is DIR/ID_s3_manifest.json, whole or not at all, and never older than the one there. A
    dataset that fails does not stop the others; then the exit code is 3.

    JSON: {files: [{id, file, error}]}.
    """
    from stocktake.cli._manifest_make_work import write_files

    return write_files(run, dataset_ids or [], folder, every=all_)


@command(
    app,
    "forget",
    exits=(0, 1, 2, 3),
    examples=("stocktake manifest forget 16 --yes",),
)
def forget(
    run: Run,
    dataset_ids: DatasetIds = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; otherwise only say.")] = False,
) -> int:
    """Forget datasets, with all their versions and runs.

    The objects stay, and so does a copy of the manifest in the bucket.

    JSON: {forgotten: [as in `list`], applied}.
    """
    from stocktake.cli._manifest_make_work import forget_them

    return forget_them(run, dataset_ids or [], yes=yes)
