"""`stocktake catalog`: the catalog for other engines."""

from __future__ import annotations

from typing import Annotated

import typer

from stocktake.cli._arguments import SnapshotOption
from stocktake.cli._declare import callback, command, new_app
from stocktake.cli._run import Run

app = new_app("Publish the catalog for other engines.")
callback(app)


@command(
    app,
    "publish",
    examples=("stocktake catalog publish --iceberg", "stocktake catalog publish --iceberg --json"),
)
def publish(
    run: Run,
    *,
    iceberg: Annotated[bool, typer.Option("--iceberg", help="As an Apache Iceberg table.")] = False,
    snapshot: SnapshotOption = "latest",
) -> int:
    """Register a snapshot's Parquet files as a table snapshot, without rewriting them.

    Spark, Trino, Athena and DuckDB then read the catalog as a table with time travel. Needs the
    extra: pip install 'stocktake[iceberg]'.

    JSON: {snapshot, table, location, metadata_location, files, rows}.
    """
    from stocktake.cli._publish_work import publish_snapshot

    return publish_snapshot(run, snapshot, iceberg=iceberg)
