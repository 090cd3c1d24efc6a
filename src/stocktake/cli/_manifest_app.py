"""The group `stocktake manifest`: what its commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from stocktake.cli._declare import callback, new_app
from stocktake.cli._run import Run

app = new_app(
    "Show, compare, verify and restore what was uploaded to datasets. Without a command: list.\n\n"
    "A dataset is a folder in a bucket whose manifest says what we put there, version by version. "
    "VERSION is a number, latest, previous, latest~2, a day (2026-11-20) or a time "
    "(2026-11-20T12:00Z)."
)

DatasetId = Annotated[str, typer.Argument(metavar="ID", help="Id of the dataset.")]
DatasetIds = Annotated[
    list[str] | None,
    typer.Argument(metavar="[ID]...", help="Ids of datasets.", show_default=False),
]
AllDatasets = Annotated[bool, typer.Option("--all", help="Every dataset.")]
VersionOption = Annotated[
    str,
    typer.Option("--version", metavar="VERSION", help="A number, latest, previous, a day or time."),
]


def _default(run: Run) -> int:
    from stocktake.cli._manifest_work import show_datasets

    return show_datasets(run)


callback(app, _default)
