"""`stocktake export`: a view as a file."""

from __future__ import annotations

from typing import Annotated

import typer

from stocktake.cli._arguments import SnapshotOption, Target
from stocktake.cli._declare import command, new_app
from stocktake.cli._run import Run

app = new_app("Write views to files.")


@command(
    app,
    "export",
    examples=(
        "stocktake export s3://photos/ --format parquet --out photos.parquet",
        "stocktake export --view folders --format csv > folders.csv",
        "stocktake export --format ncdu | ncdu -f-",
    ),
)
def export(
    run: Run,
    target: Target = "",
    *,
    view: Annotated[
        str, typer.Option("--view", metavar="VIEW", help="objects, folders or diff.")
    ] = "objects",
    file_format: Annotated[
        str, typer.Option("--format", "-f", metavar="NAME", help="csv, ndjson, parquet or ncdu.")
    ] = "csv",
    out: Annotated[
        str, typer.Option("--out", "-o", metavar="FILE", help="Where to; - is stdout.")
    ] = "-",
    snapshot: SnapshotOption = "latest",
    old: Annotated[
        str, typer.Option("--old", metavar="REF", help="For --view diff: the older snapshot.")
    ] = "previous",
) -> int:
    """Write objects, folders or changes as CSV, NDJSON or Parquet, or the tree for ncdu.

    A file is there whole or not at all.

    JSON (with --out FILE): {source, view, format, path, rows, size_bytes}.
    """
    from stocktake.cli._export_work import ExportRequest, write_export

    return write_export(run, ExportRequest(target, view, file_format, out, snapshot, old))
