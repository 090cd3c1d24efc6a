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


@command(
    app,
    "create",
    exits=(0, 1, 2),
    examples=(
        "stocktake setup create s3://photos --to s3://my-reports/inventory --dry-run",
        "stocktake setup create s3://photos/2026/ --to s3://my-reports --weekly",
    ),
)
def create(  # noqa: PLR0913 - one parameter per option
    run: Run,
    bucket: Source,
    *,
    to: Annotated[
        str, typer.Option("--to", metavar="PLACE", help="Where reports go: s3://bucket/prefix.")
    ],
    config_id: Annotated[
        str, typer.Option("--id", metavar="ID", help="Name of the configuration.")
    ] = "stocktake",
    report_format: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="parquet, orc or csv.")
    ] = "parquet",
    weekly: Annotated[bool, typer.Option("--weekly", help="Every Sunday, not daily.")] = False,
    versions: Annotated[
        bool, typer.Option("--versions", help="All versions, not only current ones.")
    ] = False,
    field: Annotated[
        list[str] | None,
        typer.Option("--field", metavar="NAME", help="Instead of the usual fields; repeatable."),
    ] = None,
    kms_key: Annotated[
        str | None, typer.Option("--kms-key", metavar="ARN", help="Encrypt reports with it.")
    ] = None,
    account_id: Annotated[
        str | None,
        typer.Option("--account-id", metavar="ID", help="Owner of BUCKET, if it is not you."),
    ] = None,
    no_policy: Annotated[
        bool, typer.Option("--no-policy", help="Leave the destination's policy alone.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Also over a configuration that differs.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the JSON; write nothing.")
    ] = False,
) -> int:
    """Write an inventory configuration, and let S3 deliver by the destination's policy.

    The policy gets one statement with a name of its own, which lets only this bucket of this
    account deliver; every other statement stays as it is. It is read again before and after it is
    written. A KMS key's policy is not changed: what it needs is printed.

    JSON: {bucket, configuration, configuration_exists, differences, writes_configuration,
    destination_bucket, policy, writes_policy, statement, notes, checks, dry_run, receipt}.
    """
    from stocktake.cli._setup_create_work import CreateOptions, create_setup

    options = CreateOptions(
        to=to,
        config_id=config_id,
        report_format=report_format,
        weekly=weekly,
        versions=versions,
        fields=tuple(field or ()),
        kms_key=kms_key,
        account_id=account_id,
        no_policy=no_policy,
        replace=replace,
        dry_run=dry_run,
    )
    return create_setup(run, bucket, options)
