"""`stocktake sync`: a local folder and a dataset in a bucket."""

from __future__ import annotations

from typing import Annotated

import typer

from stocktake.cli._declare import command, new_app
from stocktake.cli._run import Run

app = new_app("Synchronise a folder with a dataset.")

_Local = Annotated[str, typer.Argument(metavar="LOCAL", help="The folder.")]
_Target = Annotated[str, typer.Argument(metavar="TARGET", help="s3://bucket/prefix.")]
_Dataset = Annotated[
    str, typer.Option("--dataset", metavar="ID", help="The dataset; made if there is none.")
]
_Title = Annotated[
    str | None, typer.Option("--title", metavar="TEXT", help="Of a new dataset, for people.")
]
_Delete = Annotated[bool, typer.Option("--delete", help="Carry deletions over to the other side.")]
_AcceptDeletions = Annotated[
    bool, typer.Option("--accept-deletions", help="Also more than 10 % of the files.")
]
_TwoWay = Annotated[
    bool, typer.Option("--two-way", help="Also bring down what changed in the bucket.")
]
_OnConflict = Annotated[
    str | None,
    typer.Option(
        "--on-conflict", metavar="SIDE", help="Who is right: local, remote, both; or fail."
    ),
]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
_Exclude = Annotated[
    list[str] | None,
    typer.Option("--exclude", metavar="GLOB", help="Leave these alone; may be repeated."),
]
_Checksum = Annotated[
    bool, typer.Option("--checksum", help="Read every file, also one known to be unchanged.")
]
_TrustTimes = Annotated[
    bool, typer.Option("--trust-times", help="Same size and time is the same file.")
]
_Workers = Annotated[
    int, typer.Option("--workers", metavar="N", min=1, max=256, help="Most files at once.")
]
_ManifestDir = Annotated[
    str | None,
    typer.Option(
        "--manifest-dir", metavar="DIR", help="Write the manifest there, not in the catalog."
    ),
]
_PushManifest = Annotated[
    bool, typer.Option("--push-manifest", help="Put the manifest into the bucket, too.")
]


@command(
    app,
    "sync",
    exits=(0, 1, 2, 3, 4),
    examples=(
        "stocktake sync photos s3://lake/styles/16/ --dataset 16",
        "stocktake sync photos s3://lake/styles/16/ --dataset 16 --dry-run",
        "stocktake sync photos s3://lake/styles/16/ --dataset 16 --two-way --delete",
    ),
)
def sync(  # noqa: PLR0913 - one parameter per option
    run: Run,
    local: _Local,
    target: _Target,
    *,
    dataset: _Dataset,
    title: _Title = None,
    delete: _Delete = False,
    accept_deletions: _AcceptDeletions = False,
    two_way: _TwoWay = False,
    on_conflict: _OnConflict = None,
    dry_run: _DryRun = False,
    exclude: _Exclude = None,
    checksum: _Checksum = False,
    trust_times: _TrustTimes = False,
    workers: _Workers = 64,
    manifest_dir: _ManifestDir = None,
    push_manifest: _PushManifest = False,
) -> int:
    """Put what is new or changed in a folder into a bucket, and keep the manifest of it.

    Compares by size and checksum, with one listing and without looking at single objects. What
    somebody else changed in the bucket is never overwritten: it is reported, and the exit code is
    4, until --on-conflict says who is right. Deletions are carried over only with --delete; more
    than 10 % of the dataset, more than 10,000, or any when a side is empty, are refused (exit 3)
    until --accept-deletions. It can be killed at any time and run again.

    JSON: {dataset, folder, target, state, dry_run, total_local, total_s3, missing_in_s3, different,
    identical, missing_locally, uploaded, uploaded_bytes, downloaded, downloaded_bytes, deleted,
    deleted_locally, recorded, conflicts, failed, skipped, not_done, states, planned, findings,
    version, warnings, manifest_file, manifest_copy, receipt}; with --dry-run also actions.
    """
    from stocktake.cli._sync_work import SyncRequest, sync_dataset

    request = SyncRequest(
        local=local,
        target=target,
        dataset=dataset,
        title=title,
        delete=delete,
        accept_deletions=accept_deletions,
        two_way=two_way,
        on_conflict=on_conflict,
        dry_run=dry_run,
        exclude=tuple(exclude or ()),
        checksum=checksum,
        trust_times=trust_times,
        workers=workers,
        manifest_dir=manifest_dir,
        push_manifest=push_manifest,
    )
    return sync_dataset(run, request)
