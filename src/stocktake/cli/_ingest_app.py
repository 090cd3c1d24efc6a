"""The group `stocktake ingest`: what its commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from stocktake.cli._declare import callback, new_app

app = new_app(
    "Feed each new object version to a table, a command or your own code, once.\n\nAn ingestion "
    "has a name, a source, a strategy that finds what is new, filters, and a sink. What it has "
    "done is kept in the catalog's control database; several workers may run one ingestion."
)
callback(app)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the ingestion.")]
