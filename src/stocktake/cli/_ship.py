"""`stocktake ship`: a local folder to S3."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from stocktake.cli._declare import callback, command, new_app
from stocktake.cli._run import Run
from stocktake.cli._ship_options import with_ship_options

app = new_app(
    "Put what arrives in a local folder into a bucket: archives unpacked, data files as Parquet, "
    "everything else as it is.\n\nFOLDER and TARGET (s3://bucket/prefix) may be in .env, with "
    "everything else; docs/reference/ship-settings.md lists all settings. Nothing is uploaded "
    "twice, lost or left half-written, whenever it is killed; there are no temporary files."
)
callback(app)

_Progress = Annotated[
    bool, typer.Option("--progress", help="A live view of queue, throughput and files.")
]
_Paths = Annotated[
    list[str] | None,
    typer.Option("--path", metavar="PATH", help="Only this file; may be repeated."),
]


@command(
    app,
    "run",
    exits=(0, 1, 2),
    examples=(
        "stocktake ship run",
        "stocktake ship run /data/in s3://lake/landing/ --progress",
        "stocktake ship run --env-file prod.env --log-format json",
    ),
)
@with_ship_options
def run_(run: Run, *, options: dict[str, Any], progress: _Progress = False) -> int:
    """Watch the folder, and ship what arrives until it is stopped.

    SIGTERM and Ctrl-C let running tasks end (20 s), a second one does not; either way nothing is
    lost. SIGHUP reads the settings again.
    """
    from stocktake.cli._ship_work import ship

    return ship(run, options, once=False, progress=progress)


@command(
    app,
    "once",
    exits=(0, 1, 2, 3),
    examples=(
        "stocktake ship once /data/in s3://lake/landing/",
        "stocktake ship once --json",
    ),
)
@with_ship_options
def once(run: Run, *, options: dict[str, Any], progress: _Progress = False) -> int:
    """Ship everything that is in the folder now, and end.

    Exits with 3 if files failed, or are still being written.

    JSON: {folder, target, shipped, failed, retried, waiting, unreadable, bytes, states, failures,
    stopped_by, elapsed_s}.
    """
    from stocktake.cli._ship_work import ship

    return ship(run, options, once=True, progress=progress)


@command(app, "status", exits=(0, 1, 2), examples=("stocktake ship status",))
@with_ship_options
def status(run: Run, *, options: dict[str, Any]) -> int:
    """Show what the ledger holds, also while a shipper runs.

    JSON: {folder, target, running, states, files, objects, bytes, open_uploads, unwritten_records,
    oldest_pending, ledger_bytes}.
    """
    from stocktake.cli._ship_look_work import show_status

    return show_status(run, options)


@command(app, "failed", exits=(0, 1, 2), examples=("stocktake ship failed",))
@with_ship_options
def failed(
    run: Run,
    *,
    options: dict[str, Any],
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", min=1, help="Files at most.")
    ] = 1000,
) -> int:
    """List files that failed or are tried again, with the reason.

    JSON: {files}; each {path, state, kind, size_bytes, attempts, since, due, error}.
    """
    from stocktake.cli._ship_look_work import show_failed

    return show_failed(run, options, limit)


@command(
    app,
    "retry",
    exits=(0, 1, 2),
    examples=("stocktake ship retry", "stocktake ship retry --path in/broken.csv"),
)
@with_ship_options
def retry(run: Run, *, options: dict[str, Any], path: _Paths = None) -> int:
    """Put failed files back where they were, to be tried anew; also while a shipper runs.

    JSON: {retried, put_back, kept}.
    """
    from stocktake.cli._ship_look_work import retry_failed

    return retry_failed(run, options, path)


@command(app, "rebuild", exits=(0, 1, 2), examples=("stocktake ship rebuild",))
@with_ship_options
def rebuild(run: Run, *, options: dict[str, Any]) -> int:
    """Make a lost or damaged ledger anew, from the bucket's manifest and then the bucket itself.

    What was uploaded is not uploaded again. The old ledger is kept under another name.

    JSON: {kept_as, records, matched, headed, adopted, foreign}.
    """
    from stocktake.cli._ship_look_work import rebuild as make_anew

    return make_anew(run, options)


@command(app, "plan", exits=(0, 1, 2, 3), examples=("stocktake ship plan /data/in s3://lake/in/",))
@with_ship_options
def plan(
    run: Run,
    *,
    options: dict[str, Any],
    deep: Annotated[
        bool, typer.Option("--deep", help="Read every file, as shipping it would.")
    ] = False,
) -> int:
    """Say what each file would become, and touch nothing.

    Exits with 3 if some could not be shipped.

    JSON: {files, totals}; each file {path, state, kind, key, size_bytes, reason, error}.
    """
    from stocktake.cli._ship_plan_work import show_plan

    return show_plan(run, options, deep=deep)


@command(app, "check", exits=(0, 1, 2), examples=("stocktake ship check",))
@with_ship_options
def check(run: Run, *, options: dict[str, Any]) -> int:
    """Check every setting, the folder, and what the endpoint can do.

    JSON: {settings, findings}; each finding {name, ok, text, hint}.
    """
    from stocktake.cli._ship_check_work import check_all

    return check_all(run, options)
