"""`stocktake manifest verify`: is what was uploaded still there, and still the same?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stocktake.cli._declare import command
from stocktake.cli._manifest_app import AllDatasets, DatasetIds, app
from stocktake.cli._run import Run


@command(
    app,
    "verify",
    exits=(0, 1, 2, 3, 4),
    examples=(
        "stocktake manifest verify 16",
        "stocktake manifest verify 16 --level full",
        "stocktake manifest verify --all --level head --sample 500",
        "stocktake manifest verify 16 --folder photos",
    ),
)
def verify(  # noqa: PLR0913 - one parameter per option
    run: Run,
    dataset_ids: DatasetIds = None,
    *,
    all_: AllDatasets = False,
    level: Annotated[
        str | None,
        typer.Option("--level", metavar="LEVEL", help="list, head, full or local."),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", metavar="DIR", help="Compare this folder: level local."),
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option("--sample", metavar="N", min=1, help="Only N entries, at random."),
    ] = None,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", help="Another one draws other entries.")
    ] = 0,
    exclude: Annotated[
        list[str] | None,
        typer.Option("--exclude", metavar="GLOB", help="Of local: leave these out; repeatable."),
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", min=1, help="Findings shown at most.")
    ] = 50,
    workers: Annotated[
        int, typer.Option("--workers", metavar="N", min=1, max=256, help="Requests at once.")
    ] = 32,
) -> int:
    """Compare manifests with what is there, and say what this way of looking cannot see.

    list (the default) takes one request for 1,000 objects and compares presence, size and ETag.
    head asks about each object too: checksum, version, the token of our upload. full reads every
    object and compares its bytes. local compares a folder with the manifest, without a request;
    without --folder, the one that was synchronised last.

    Exit code 4: something differs. 3: nothing seen differs, but not all of it could be seen.

    JSON: {datasets: [{dataset, level, version, entries, checked, identical, unproven, differences,
    counts, findings: [{key, what, expected, found, known_by}], meanwhile, share, calls,
    received_bytes, blind_spots, interrupted, run_id, elapsed_s, size_bytes} or {dataset, error}],
    receipt}.
    """
    from stocktake.cli._manifest_verify_work import VerifyRequest, verify_datasets

    request = VerifyRequest(
        ids=tuple(dataset_ids or ()),
        every=all_,
        level=level,
        folder=folder,
        sample=sample,
        seed=seed,
        exclude=tuple(exclude or ()),
        shown_max=limit,
        workers=workers,
    )
    return verify_datasets(run, request)
