"""`stocktake scan`: list a bucket and keep what it holds as a snapshot."""

from __future__ import annotations

from typing import Annotated

import typer

from stocktake.cli._declare import command, new_app
from stocktake.cli._run import Run

app = new_app("List a bucket.")

_EXAMPLE = "s3://photos/2026/"

LiveSource = Annotated[
    str, typer.Argument(metavar="SOURCE", help="Bucket or prefix: s3://bucket/prefix.")
]
RequestsOption = Annotated[
    int | None,
    typer.Option("--workers", metavar="N", min=1, help="Most requests in flight at once."),
]
MaxAgeOption = Annotated[
    str | None,
    typer.Option("--max-age", metavar="TIME", help="A snapshot this young will do: 15m, 1h, 2d."),
]


@command(
    app,
    "scan",
    exits=(0, 1, 2, 3),
    examples=(
        "stocktake scan s3://photos",
        f"stocktake scan {_EXAMPLE} --max-age 1h --json",
        "stocktake scan s3://photos --sample",
    ),
)
def scan(  # noqa: PLR0913 - one parameter per option
    run: Run,
    source: LiveSource,
    *,
    versions: Annotated[
        bool, typer.Option("--versions", help="All versions and delete markers.")
    ] = False,
    max_age: MaxAgeOption = None,
    workers: RequestsOption = None,
    accept_deletions: Annotated[
        bool, typer.Option("--accept-deletions", help="Many objects really are gone.")
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Do not go on with a scan that was interrupted.")
    ] = False,
    sample: Annotated[
        bool, typer.Option("--sample", help="Estimate from a few pages; keep nothing.")
    ] = False,
    probes: Annotated[
        int,
        typer.Option("--probes", metavar="N", min=8, help="With --sample: about so many calls."),
    ] = 64,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", min=0, help="With --sample: other places.")
    ] = 0,
) -> int:
    """List everything below an address, many requests at once, and keep it as a snapshot.

    The answer is the same as that of an import: `ls`, `tree`, `diff` and `sql` work on it. The last
    snapshot of the same source tells where to cut the bucket into ranges of equal size. A scan that
    was killed within the last day goes on where it was, and speaks of its first instant.

    If more than a tenth of the objects of the last snapshot, or 10,000, are gone, it exits with 3
    until --accept-deletions says that it is right.

    --sample looks at random places of the bucket and answers with an estimate of objects and bytes
    and how far off it may be (95 % interval).

    JSON: {state, snapshot_id, snapshot, reused, stats, parts, resumed_parts, part_bytes, phase_s,
    diff, metrics, claim, warnings, receipt}; with --sample {source, estimate, metrics, receipt}.
    """
    if sample:
        from stocktake.cli._sample_work import sample_bucket

        return sample_bucket(run, source, probes, seed)
    from stocktake.cli._scan_work import ScanRequest, scan_bucket

    request = ScanRequest(
        source=source,
        versions=versions,
        max_age=max_age,
        workers=workers,
        accept_deletions=accept_deletions,
        restart=restart,
    )
    return scan_bucket(run, request)
