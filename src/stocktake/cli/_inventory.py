"""`stocktake inventory`: find, import, verify and write inventory reports."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from stocktake.cli._declare import callback, command, new_app
from stocktake.cli._run import Run

app = new_app(
    "Find, import, verify and write inventory reports.\n\nA report's address is "
    "s3://destination-bucket/[prefix/]source-bucket/configuration-id; a dated folder or a "
    "manifest.json below it is taken too."
)
callback(app)

Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="Where the report lies.")]
DateOption = Annotated[
    str | None,
    typer.Option(
        "--date", metavar="DATE", help="2026-11-20, 2026-11-20T01-00Z or latest (default)."
    ),
]
ManifestOption = Annotated[
    str | None,
    typer.Option("--manifest", metavar="URL", help="This manifest.json, also of a copied report."),
]
KeyEncodingOption = Annotated[
    str,
    typer.Option(
        "--key-encoding", metavar="HOW", help="Keys of CSV reports: auto, form, percent or none."
    ),
]
UnverifiedOption = Annotated[
    bool,
    typer.Option(
        "--allow-unverified-manifest", help="Accept a copy without manifest.checksum or MD5s."
    ),
]
WorkersOption = Annotated[
    int | None, typer.Option("--workers", metavar="N", help="Parts read at the same time.")
]
_EXAMPLE = "s3://my-reports/photos/daily"


@command(app, "dates", examples=(f"stocktake inventory dates {_EXAMPLE}",))
def dates(
    run: Run,
    address: Address,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, help="The newest so many.")
    ] = 30,
) -> int:
    """List the deliveries of a report, newest first, with their state.

    A state is ready, not-ready (being written), expired (a lifecycle rule took the manifest) or
    denied; IMPORTED names the snapshot made of it.

    JSON: {address, warnings, deliveries: [{date, as_of, state, manifest_url, snapshot_id}], more}.
    """
    from stocktake.cli._report_dates import show_dates

    return show_dates(run, address, limit)


@command(
    app,
    "import",
    exits=(0, 1, 2, 3),
    examples=(
        f"stocktake inventory import {_EXAMPLE}",
        f"stocktake inventory import {_EXAMPLE} --date 2026-11-20",
        f"stocktake inventory import {_EXAMPLE} --dry-run --json",
    ),
)
def import_(  # noqa: PLR0913 - one parameter per option
    run: Run,
    address: Annotated[
        str, typer.Argument(metavar="ADDRESS", help="Where the report lies.", show_default=False)
    ] = "",
    *,
    date: DateOption = None,
    manifest: ManifestOption = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also a report that is older, or dated in the future.")
    ] = False,
    accept_deletions: Annotated[
        bool, typer.Option("--accept-deletions", help="Many objects really are gone.")
    ] = False,
    deletion_margin: Annotated[
        float,
        typer.Option(
            "--deletion-margin",
            metavar="HOURS",
            min=0,
            help="Younger objects that are gone count as unconfirmed, not deleted.",
        ),
    ] = 48.0,
    key_encoding: KeyEncodingOption = "auto",
    allow_unverified_manifest: UnverifiedOption = False,
    include_own_files: Annotated[
        bool, typer.Option("--include-own-files", help="Count the report's own files too.")
    ] = False,
    keep_acl: Annotated[
        bool, typer.Option("--keep-acl", help="Keep the ACL column (up to 15 KB per object).")
    ] = False,
    workers: WorkersOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be imported; write nothing.")
    ] = False,
) -> int:
    """Make a snapshot of a report in the catalog, and say what changed since the one before.

    Every part's size and MD5 is checked before its rows count, and a snapshot is published whole
    or not at all. A killed or failed import goes on with its finished parts when it is run again;
    the same delivery again is "no change" and cheap. An empty report, or one that lacks many
    objects of the snapshot before, exits with 3 until --accept-deletions says that it is right.

    JSON: {state, snapshot_id, snapshot, stats, parts, resumed_parts, part_bytes, phase_s, diff,
    warnings, receipt}; stats and diff are null for no change.
    """
    from stocktake.cli._report_import import ImportRequest, import_report

    request = ImportRequest(
        address=address,
        date=date,
        manifest_url=manifest,
        force=force,
        accept_deletions=accept_deletions,
        key_encoding=key_encoding,
        allow_unverified_manifest=allow_unverified_manifest,
        include_own_files=include_own_files,
        keep_acl=keep_acl,
        deletion_margin=timedelta(hours=deletion_margin),
        dry_run=dry_run,
    )
    return import_report(run.with_options(workers=workers), request)


@command(
    app, "verify", exits=(0, 1, 2, 3), examples=(f"stocktake inventory verify {_EXAMPLE} --json",)
)
def verify(
    run: Run,
    address: Address,
    *,
    date: DateOption = None,
    manifest: ManifestOption = None,
    key_encoding: KeyEncodingOption = "auto",
    allow_unverified_manifest: UnverifiedOption = False,
    workers: WorkersOption = None,
) -> int:
    """Read a report whole and check size, MD5 and rows of every part, without importing it.

    Exits with 3 if a part is damaged or too many rows are unreadable: an import would refuse it.

    JSON: {ok, manifest_url, rows, bad_rows, size_bytes, parts: [{name, size_bytes, rows, bad_rows,
    error}], warnings, receipt}.
    """
    from stocktake.cli._report_import import ImportRequest
    from stocktake.cli._report_verify import verify_parts

    request = ImportRequest(
        address=address,
        date=date,
        manifest_url=manifest,
        force=True,
        key_encoding=key_encoding,
        allow_unverified_manifest=allow_unverified_manifest,
    )
    return verify_parts(run.with_options(workers=workers), request)


@command(
    app,
    "write",
    examples=(
        "stocktake inventory write s3://photos --to s3://my-reports",
        "stocktake inventory write s3://photos/2026/ --to s3://my-reports --format orc",
    ),
)
def write(
    run: Run,
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="Bucket or prefix to list: s3://bucket/prefix.")
    ],
    *,
    to: Annotated[
        str, typer.Option("--to", metavar="URL", help="Where the report goes: s3://bucket/prefix.")
    ],
    file_format: Annotated[
        str, typer.Option("--format", metavar="NAME", help="csv, orc or parquet.")
    ] = "csv",
    versions: Annotated[
        bool, typer.Option("--versions", help="All versions and delete markers.")
    ] = False,
    config_id: Annotated[
        str, typer.Option("--config-id", metavar="NAME", help="Name of the configuration.")
    ] = "stocktake",
    rows_per_part: Annotated[
        int, typer.Option("--rows-per-part", metavar="N", min=1, help="Rows of each data file.")
    ] = 1_000_000,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a delivery of this minute.")
    ] = False,
) -> int:
    """List a live bucket and write what is there as a report in AWS layout.

    This gives every S3-compatible store an inventory at once; stocktake and any other reader of
    S3 Inventory can import it. Nothing is a delivery until its checksum is written, last.

    JSON: {address, manifest_url, as_of, format, rows, parts, size_bytes, receipt}.
    """
    from stocktake.cli._report_write import WriteRequest, write_inventory

    request = WriteRequest(
        source=source,
        destination=to,
        file_format=file_format,
        versions=versions,
        config_id=config_id,
        rows_per_part=rows_per_part,
        overwrite=overwrite,
    )
    return write_inventory(run, request)
