"""`stocktake manifest restore|runs`: files brought back, and what was done with a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stocktake.cli._declare import command
from stocktake.cli._manifest_app import DatasetId, app
from stocktake.cli._run import Run


@command(
    app,
    "restore",
    exits=(0, 1, 2, 3),
    examples=(
        "stocktake manifest restore 16 --to copy",
        'stocktake manifest restore 16 --to copy --include "covers" --include "*.jpg"',
        "stocktake manifest restore 16 --to old --at 2026-11-20",
    ),
)
def restore(  # noqa: PLR0913 - one parameter per option
    run: Run,
    dataset_id: DatasetId,
    *,
    target: Annotated[
        Path, typer.Option("--to", metavar="DIR", help="The folder; made if it is not there.")
    ],
    version: Annotated[
        str,
        typer.Option(
            "--version",
            "--at",
            metavar="VERSION",
            help="A number, latest, previous, a day or time.",
        ),
    ] = "latest",
    include: Annotated[
        list[str] | None,
        typer.Option("--include", metavar="GLOB", help="Only these; may be repeated."),
    ] = None,
    overwrite: Annotated[
        str,
        typer.Option(
            "--overwrite", metavar="WHAT", help="Files that are there: never, different, always."
        ),
    ] = "never",
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare also what the disk gives back.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
    ] = False,
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", min=1, help="Problems shown at most.")
    ] = 50,
    workers: Annotated[
        int, typer.Option("--workers", metavar="N", min=1, max=256, help="Files at once.")
    ] = 16,
) -> int:
    """Download the files of a dataset, now or as they were.

    Every file is compared with the manifest before it gets its name. Files that are there with the
    right bytes are not fetched again, others stay as they are unless --overwrite says otherwise.
    Nothing is ever written outside of DIR, whatever the keys are. A file that cannot be restored
    does not stop the others; then the exit code is 3. It can be killed and run again.

    JSON: {run_id, dataset, target, version, files, size_bytes, replaced, unproven, identical,
    folders, excluded, problems, findings: [{key, path, problem, why, hint}], leftovers, calls,
    received_bytes, elapsed_s, interrupted, dry_run, receipt}.
    """
    from stocktake.cli._manifest_restore_work import RestoreRequest, restore_files

    request = RestoreRequest(
        dataset_id=dataset_id,
        target=target,
        version=version,
        include=tuple(include or ()),
        overwrite=overwrite,
        verify=verify,
        dry_run=dry_run,
        shown_max=limit,
        workers=workers,
    )
    return restore_files(run, request)


@command(
    app,
    "runs",
    examples=("stocktake manifest runs 16", "stocktake manifest runs 16 --kind restore"),
)
def runs(
    run: Run,
    dataset_id: DatasetId,
    *,
    kind: Annotated[
        str | None,
        typer.Option("--kind", metavar="KIND", help="Only sync, verify or restore."),
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", min=1, help="Rows at most.")
    ] = 20,
) -> int:
    """List what was done with a dataset, newest first. The restores are its download history.

    JSON: {dataset, runs: [{id, kind, state, started_at, finished_at, version, place, owner_host,
    owner_pid, result}]}.
    """
    from stocktake.cli._manifest_runs_work import show_runs

    return show_runs(run, dataset_id, kind, limit)
