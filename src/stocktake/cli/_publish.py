"""`stocktake catalog`: the catalog for other engines."""

from __future__ import annotations

from typing import Annotated

import typer

from stocktake.cli._arguments import SnapshotOption
from stocktake.cli._declare import callback, command, new_app
from stocktake.cli._run import Run
from stocktake.errors import UsageError

app = new_app("Publish the catalog for other engines.")
callback(app)


@command(
    app,
    "publish",
    examples=(
        "stocktake catalog publish --iceberg",
        "stocktake catalog publish --iceberg --table lake.photos --property type=glue",
    ),
)
def publish(
    run: Run,
    *,
    iceberg: Annotated[bool, typer.Option("--iceberg", help="As an Apache Iceberg table.")] = False,
    table: Annotated[
        str | None,
        typer.Option(
            "--table", metavar="NAME", help="namespace.name; default: stocktake.<bucket>."
        ),
    ] = None,
    properties: Annotated[
        list[str] | None,
        typer.Option(
            "--property",
            metavar="KEY=VALUE",
            help="Of the Iceberg catalog, as PyIceberg names them; may be repeated.",
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option("--source", metavar="SOURCE", help="Bucket or bucket/config to publish."),
    ] = None,
    snapshot: SnapshotOption = "latest",
) -> int:
    """Register a snapshot's Parquet files as a table snapshot, without rewriting them.

    Spark, Trino, Athena and DuckDB then read the catalog as a table with time travel. The snapshot
    is pinned, because the table needs its files. Without --property the Iceberg catalog is an
    SQLite file inside the catalog's directory. Needs the extra: pip install 'stocktake[iceberg]'.

    JSON: {snapshot, table, metadata_location, files, rows}.
    """
    from stocktake.cli._publish_work import PublishRequest, publish_snapshot

    if not iceberg:
        raise UsageError("no kind of table named", hint="add --iceberg")
    request = PublishRequest(snapshot, source, table, tuple(properties or ()))
    return publish_snapshot(run, request)
