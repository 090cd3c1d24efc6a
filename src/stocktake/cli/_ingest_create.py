"""`stocktake ingest create`."""

from __future__ import annotations

from typing import Annotated

import typer

from stocktake.cli._declare import command
from stocktake.cli._ingest_app import Name, app
from stocktake.cli._run import Run

_DISCOVERY, _FILTERS, _SINK, _BATCHES = "Discovery", "Filters", "Sink", "Batches"

Source = Annotated[
    str, typer.Argument(metavar="SOURCE", help="Bucket or prefix: s3://bucket/prefix.")
]
Strategy = Annotated[
    str,
    typer.Option(
        "--strategy",
        metavar="NAME",
        help="full, incremental_time, incremental_lexical, partitioned, inventory, event_driven.",
        rich_help_panel=_DISCOVERY,
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="A setting of the strategy; may be repeated.",
        rich_help_panel=_DISCOVERY,
    ),
]
MaxAge = Annotated[
    str | None,
    typer.Option(
        "--max-age",
        metavar="TIME",
        help="A listing this young is used instead of listing again.",
        rich_help_panel=_DISCOVERY,
    ),
]
AuditEvery = Annotated[
    str | None,
    typer.Option(
        "--audit-every",
        metavar="TIME",
        help="A full scan at least that often: 1d.",
        rich_help_panel=_DISCOVERY,
    ),
]
OnlyNew = Annotated[
    bool,
    typer.Option("--only-new", help="Not what is there already.", rich_help_panel=_DISCOVERY),
]
Include = Annotated[
    list[str] | None,
    typer.Option(
        "--include",
        metavar="GLOB",
        help="Only keys like it, below the source: '*.csv', 'a/**'.",
        rich_help_panel=_FILTERS,
    ),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option("--exclude", metavar="GLOB", help="Not these.", rich_help_panel=_FILTERS),
]
MinSize = Annotated[
    str | None,
    typer.Option("--min-size", metavar="SIZE", help="1MB, 4KiB.", rich_help_panel=_FILTERS),
]
MaxSize = Annotated[
    str | None,
    typer.Option("--max-size", metavar="SIZE", help="10GiB.", rich_help_panel=_FILTERS),
]
ModifiedAfter = Annotated[
    str | None,
    typer.Option(
        "--modified-after",
        metavar="TIME",
        help="2026-11-20 or 2026-11-20T18:00:00Z.",
        rich_help_panel=_FILTERS,
    ),
]
ModifiedBefore = Annotated[
    str | None,
    typer.Option(
        "--modified-before", metavar="TIME", help="And not later.", rich_help_panel=_FILTERS
    ),
]
Settle = Annotated[
    str,
    typer.Option(
        "--settle",
        metavar="TIME",
        help="Younger objects wait.",
        rich_help_panel=_FILTERS,
    ),
]
KeepNoise = Annotated[
    bool,
    typer.Option(
        "--keep-noise",
        help="Also folder markers, _SUCCESS, .crc, _temporary/, dot files.",
        rich_help_panel=_FILTERS,
    ),
]
Overwrite = Annotated[
    str,
    typer.Option(
        "--overwrite",
        metavar="POLICY",
        help="New content of a key: once-per-version, once-per-key, latest-only.",
        rich_help_panel=_FILTERS,
    ),
]
Deletions = Annotated[
    bool,
    typer.Option("--deletions", help="Also tell the sink what is gone.", rich_help_panel=_FILTERS),
]
SinkKind = Annotated[
    str | None,
    typer.Option(
        "--sink",
        metavar="KIND",
        help="iceberg, duckdb, parquet or command; none: your own Python code.",
        rich_help_panel=_SINK,
    ),
]
SinkSettings = Annotated[
    list[str] | None,
    typer.Option(
        "--sink-set",
        metavar="NAME=VALUE",
        help="A setting of the sink; may be repeated.",
        rich_help_panel=_SINK,
    ),
]
BatchFiles = Annotated[
    int,
    typer.Option(
        "--batch-files", metavar="N", min=1, help="Most files of a batch.", rich_help_panel=_BATCHES
    ),
]
BatchSize = Annotated[
    str,
    typer.Option(
        "--batch-size", metavar="SIZE", help="Most bytes of a batch.", rich_help_panel=_BATCHES
    ),
]
Order = Annotated[
    str,
    typer.Option(
        "--order",
        metavar="ORDER",
        help="Which come first: seq, oldest or newest.",
        rich_help_panel=_BATCHES,
    ),
]
Lease = Annotated[
    str,
    typer.Option(
        "--lease",
        metavar="TIME",
        help="How long a worker may be silent.",
        rich_help_panel=_BATCHES,
    ),
]
Attempts = Annotated[
    int,
    typer.Option(
        "--attempts",
        metavar="N",
        min=1,
        help="Failures of an object before it is dead.",
        rich_help_panel=_BATCHES,
    ),
]
Backoff = Annotated[
    str,
    typer.Option(
        "--backoff",
        metavar="TIME",
        help="Wait before the second attempt; doubles with each.",
        rich_help_panel=_BATCHES,
    ),
]


@command(
    app,
    "create",
    examples=(
        "stocktake ingest create photos s3://photos/2026/ --include '*.csv' \\\n"
        "      --sink parquet --sink-set location=s3://lake/photos --sink-set reader=csv",
        "stocktake ingest create logs s3://logs/ --strategy incremental_lexical \\\n"
        "      --audit-every 1d --sink iceberg --sink-set table=lake.logs",
    ),
)
def create(  # noqa: PLR0913 - one parameter per option
    run: Run,
    name: Name,
    source: Source,
    *,
    strategy: Strategy = "full",
    settings: Settings = None,
    max_age: MaxAge = None,
    audit_every: AuditEvery = None,
    only_new: OnlyNew = False,
    include: Include = None,
    exclude: Exclude = None,
    min_size: MinSize = None,
    max_size: MaxSize = None,
    modified_after: ModifiedAfter = None,
    modified_before: ModifiedBefore = None,
    settle: Settle = "0s",
    keep_noise: KeepNoise = False,
    overwrite: Overwrite = "once-per-version",
    deletions: Deletions = False,
    sink: SinkKind = None,
    sink_settings: SinkSettings = None,
    batch_files: BatchFiles = 1000,
    batch_size: BatchSize = "1GiB",
    order: Order = "seq",
    lease: Lease = "5m",
    attempts: Attempts = 5,
    backoff: Backoff = "30s",
) -> int:
    """Make an ingestion.

    Nothing is listed or loaded before it runs. Settings of strategies are in the reference of
    strategies, those of sinks in "Ingest new files". Strategy, filters and sink are checked here;
    the sink is opened when it runs.

    JSON: {ingestion}.
    """
    from stocktake.cli._ingest_create_work import CreateRequest, create_one

    request = CreateRequest(
        name=name,
        source=source,
        strategy=strategy,
        settings=tuple(settings or ()),
        max_age=max_age,
        audit_every=audit_every,
        only_new=only_new,
        include=tuple(include or ()),
        exclude=tuple(exclude or ()),
        min_size=min_size,
        max_size=max_size,
        modified_after=modified_after,
        modified_before=modified_before,
        settle=settle,
        keep_noise=keep_noise,
        overwrite=overwrite,
        deletions=deletions,
        sink=sink,
        sink_settings=tuple(sink_settings or ()),
        batch_files=batch_files,
        batch_size=batch_size,
        order=order,
        lease=lease,
        attempts=attempts,
        backoff=backoff,
    )
    return create_one(run, request)
