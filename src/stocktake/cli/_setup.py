"""`stocktake setup`: check, create and list the inventory configurations of a bucket."""

from __future__ import annotations

from typing import Annotated

import typer

from stocktake.cli._declare import callback, command, new_app
from stocktake.cli._run import Run

app = new_app(
    "Check, create and list inventory configurations.\n\nAn inventory needs a configuration on the "
    "bucket, a destination in the same region whose policy lets S3 write there, and two days of "
    "patience. `check` walks through all of it and prints the exact fix."
)

Source = Annotated[
    str, typer.Argument(metavar="BUCKET", help="Bucket, or prefix in it: s3://bucket/prefix.")
]

callback(app)


@command(
    app,
    "check",
    exits=(0, 1, 2, 3, 4),
    examples=(
        "stocktake setup check s3://photos",
        "stocktake setup check s3://photos --id daily --json",
    ),
)
def check(
    run: Run,
    bucket: Source,
    *,
    config_id: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="Only this configuration.")
    ] = None,
    frequency: Annotated[
        str | None,
        typer.Option("--frequency", metavar="daily|weekly", help="What it has to be."),
    ] = None,
) -> int:
    """Walk through all that an inventory needs, and print the fix of what is wrong.

    Changes nothing. Looks at the configuration, the destination, its policy and that of a KMS key,
    ownership, encryption, Object Lock, lifecycle, and at what was delivered: due, late, partial,
    readable. Exit code 4: there is something to mend; 3: not all of it could be looked at.

    JSON: {bucket, region, account, configurations: [...], checks: [{id, title, state: ok | warning
    | failed | unknown, configuration, why, fix: {text, command, file, document}}], receipt}.
    """
    from stocktake.cli._setup_work import show_check

    return show_check(run, bucket, config_id, frequency)


@command(
    app, "list", examples=("stocktake setup list s3://photos", "stocktake setup list photos --json")
)
def list_(run: Run, bucket: Source) -> int:
    """List all inventory configurations of a bucket, however many pages they are.

    JSON: {bucket, configurations: [{id, enabled, frequency, format, versions, fields,
    filter_prefix, destination_bucket, prefix, encryption, kms_key, account_id}]}.
    """
    from stocktake.cli._setup_work import show_list

    return show_list(run, bucket)
