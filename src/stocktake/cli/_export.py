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
def export(  # noqa: PLR0913 - one parameter per option
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
    versions: Annotated[
        bool, typer.Option("--versions", help="All versions and delete markers.")
    ] = False,
    spreadsheet_safe: Annotated[
        bool,
        typer.Option("--spreadsheet-safe", help="CSV: no text that a spreadsheet would run."),
    ] = False,
) -> int:
    """Write objects, folders or changes as CSV, NDJSON or Parquet, or the tree for ncdu.

    A file is there whole or not at all. Rows come in key order and hold every column.

    JSON (with --out FILE): {source, prefix, view, format, path, rows, size_bytes}.
    """
    from stocktake.cli._export_work import ExportRequest, write_export

    request = ExportRequest(
        target=target,
        view=view,
        file_format=file_format,
        path=out,
        snapshot=snapshot,
        old=old,
        versions=versions,
        spreadsheet_safe=spreadsheet_safe,
    )
    return write_export(run, request)
