"""`stocktake catalog`: the catalog for other engines, and its upkeep."""

from __future__ import annotations

from typing import Annotated

import typer

from stocktake.cli._arguments import SnapshotOption
from stocktake.cli._declare import callback, command, new_app
from stocktake.cli._run import Run
from stocktake.errors import UsageError

app = new_app("Publish the catalog for other engines, and keep it quick.")
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


@command(
    app,
    "compact",
    examples=("stocktake catalog compact", "stocktake catalog compact --snapshot previous"),
)
def compact(
    run: Run,
    *,
    source: Annotated[
        str | None,
        typer.Option("--source", metavar="SOURCE", help="Bucket or bucket/config to compact."),
    ] = None,
    snapshot: SnapshotOption = "latest",
) -> int:
    """Rewrite a snapshot's files in key order, so that pages open one file instead of many.

    Answers stay the same. It pays for reports in no order; a snapshot in order is left as it is.
    Pinned snapshots, and those in use, are refused.

    JSON: {snapshot, files_before, files_after, files_left, rows}.
    """
    from stocktake.cli._publish_work import compact_files

    return compact_files(run, snapshot, source)


@command(
    app,
    "upgrade",
    examples=("stocktake catalog upgrade --state-url postgresql://stocktake@db/stocktake",),
)
def upgrade(run: Run) -> int:
    """Bring the control database to this version's schema.

    SQLite is upgraded by itself, after a copy; PostgreSQL only by this command, because programs
    that share it are upgraded at different times.

    JSON: {state, catalog}.
    """
    from stocktake.cli._publish_work import upgrade_state

    return upgrade_state(run)
