"""`stocktake manifest list|show|history|diff|log|stats`: questions that change nothing."""

from __future__ import annotations

from typing import Annotated

import typer

from stocktake.cli._declare import command
from stocktake.cli._manifest_app import AllDatasets, DatasetId, DatasetIds, VersionOption, app
from stocktake.cli._run import Run

_Limit = Annotated[int, typer.Option("--limit", "-n", metavar="N", min=1, help="Rows at most.")]


@command(app, "list", examples=("stocktake manifest list", "stocktake manifest list --json"))
def list_(run: Run) -> int:
    """List the datasets, with files, bytes and last sync.

    JSON: {datasets: [{id, title, bucket, prefix, version, total_files, total_size_bytes,
    created_at, last_synced}]}.
    """
    from stocktake.cli._manifest_work import show_datasets

    return show_datasets(run)


@command(
    app,
    "show",
    examples=(
        "stocktake manifest show 16",
        "stocktake manifest show 16 --under covers/ --version 2026-11-20",
        "stocktake manifest show 16 --json > 16.json",
    ),
)
def show(
    run: Run,
    dataset_id: DatasetId,
    *,
    version: VersionOption = "latest",
    under: Annotated[
        str,
        typer.Option(
            "--under", metavar="PATH", help="Only below this folder of it.", show_default=False
        ),
    ] = "",
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            "-n",
            metavar="N",
            min=1,
            help="Files at most; 100 for people, all in JSON.",
            show_default=False,
        ),
    ] = None,
) -> int:
    """Show the files, now or in an earlier version.

    No request is made to the store.

    JSON: the manifest itself, as docs/formats/manifest.md describes it: {style_id, style_title,
    dataset_id, title, s3_bucket, s3_prefix, created_at, last_synced, total_files,
    total_size_bytes, version, files: [{filename, s3_key, s3_url, size_bytes, md5_hash,
    uploaded_at, last_modified, local_path, ...}]}.
    """
    from stocktake.cli._manifest_show_work import ShowRequest, show_manifest

    return show_manifest(run, ShowRequest(dataset_id, version, under, limit))


@command(app, "history", examples=("stocktake manifest history 16",))
def history(run: Run, dataset_id: DatasetId, *, limit: _Limit = 100) -> int:
    """List the versions of a manifest, newest first.

    JSON: {dataset, versions: [{version, at, reason, added, replaced, deleted, total_files,
    total_size_bytes, writer, run_id}]}.
    """
    from stocktake.cli._manifest_work import show_history

    return show_history(run, dataset_id, limit)


@command(
    app,
    "diff",
    exits=(0, 1, 2, 4),
    examples=(
        "stocktake manifest diff 16",
        "stocktake manifest diff 16 3 latest --json",
        "stocktake manifest diff 16 2026-11-01 2026-11-20",
    ),
)
def diff(
    run: Run,
    dataset_id: DatasetId,
    old: Annotated[
        str, typer.Argument(metavar="OLD", help="The older version: previous, 3, a day.")
    ] = "previous",
    new: Annotated[str, typer.Argument(metavar="NEW", help="The newer version.")] = "latest",
    *,
    limit: _Limit = 100,
) -> int:
    """Show what differs between two versions.

    Only the outcome counts: a file that was replaced and put back is none. Exits with 4 if there
    are differences, 0 if there are none.

    JSON: {dataset, old, new, rows: [{change, s3_key, before, after}], summary: {added, replaced,
    deleted, bytes_delta}}; before and after are files of the manifest, or null.
    """
    from stocktake.cli._manifest_diff_work import show_changes

    return show_changes(run, dataset_id, (old, new), limit)


@command(
    app,
    "log",
    examples=(
        "stocktake manifest log 16",
        "stocktake manifest log 16 --deleted",
        "stocktake manifest log 16 --file covers/a.jpg",
    ),
)
def log(
    run: Run,
    dataset_id: DatasetId,
    *,
    file: Annotated[
        str | None,
        typer.Option("--file", metavar="PATH", help="Only this file of it, or this key."),
    ] = None,
    deleted: Annotated[bool, typer.Option("--deleted", help="Only deletions.")] = False,
    limit: _Limit = 100,
) -> int:
    """Show what happened to the files, newest first.

    JSON: {dataset, events: [{event, s3_key, size_bytes, etag, version, at, reason, run_id}]}.
    """
    from stocktake.cli._manifest_diff_work import show_log

    return show_log(run, dataset_id, (file, deleted), limit)


@command(
    app,
    "stats",
    examples=("stocktake manifest stats 16", "stocktake manifest stats --all --json"),
)
def stats(
    run: Run,
    dataset_ids: DatasetIds = None,
    *,
    all_: AllDatasets = False,
    version: VersionOption = "latest",
) -> int:
    """Sum up: kinds of files, proofs, largest, oldest.

    JSON: {datasets: [{id, version, files, size_bytes, versions, replacements, deletions, largest,
    oldest, newest, by_extension: [{extension, files, size_bytes}], by_verified_by: [{verified_by,
    files, size_bytes}]}]}.
    """
    from stocktake.cli._manifest_stats_work import show_stats

    return show_stats(run, dataset_ids or [], version, every=all_)
