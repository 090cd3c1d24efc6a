"""`stocktake manifest export|push|pull|import`: manifests for and from others."""

from __future__ import annotations

from typing import Annotated

import typer

from stocktake.cli._declare import command
from stocktake.cli._manifest_app import AllDatasets, DatasetId, DatasetIds, VersionOption, app
from stocktake.cli._run import Run

_AcceptDeletions = Annotated[
    bool,
    typer.Option("--accept-deletions", help="Also when the copy lacks much of what it had."),
]


@command(
    app,
    "export",
    exits=(0, 1, 2, 3),
    examples=(
        "stocktake manifest export 16 --format sha256sum --out SHA256SUMS",
        "stocktake manifest export 16 --format bagit --out bag-16",
        "stocktake manifest export 16 --format csv | head",
    ),
)
def export(
    run: Run,
    dataset_id: DatasetId,
    *,
    file_format: Annotated[
        str,
        typer.Option("--format", "-f", metavar="NAME", help="json, csv, md5sum, sha256sum, bagit."),
    ] = "json",
    out: Annotated[
        str, typer.Option("--out", "-o", metavar="PATH", help="Where to; - is stdout.")
    ] = "-",
    version: VersionOption = "latest",
    urls: Annotated[
        str, typer.Option("--urls", metavar="KIND", help="For bagit: https or s3 addresses.")
    ] = "https",
    spreadsheet_safe: Annotated[
        bool,
        typer.Option("--spreadsheet-safe", help="CSV: no text that a spreadsheet would run."),
    ] = False,
) -> int:
    """Write a dataset's files for other programs.

    Checksum files are checked by `sha256sum -c` in a folder that has the files. A bag (RFC 8493)
    names its files and where they are fetched from; `manifest restore ID --to BAG/data` makes it
    whole. What a format cannot have is said, and the exit code is 3. No request is made to the
    store.

    JSON (with --out): {dataset, version, format, path, files, size_bytes, left_out_files, left_out:
    [{s3_key, why}]}.
    """
    from stocktake.cli._manifest_export_work import ExportRequest, write_export

    request = ExportRequest(dataset_id, file_format, out, version, urls, spreadsheet_safe)
    return write_export(run, request)


@command(
    app,
    "push",
    exits=(0, 1, 2, 3),
    examples=("stocktake manifest push 16", "stocktake manifest push --all"),
)
def push(
    run: Run,
    dataset_ids: DatasetIds = None,
    *,
    all_: AllDatasets = False,
    to: Annotated[
        str,
        typer.Option(
            "--to", metavar="s3://...", help="Another place for the copy.", show_default=False
        ),
    ] = "",
    unconditional: Annotated[
        bool,
        typer.Option(
            "--unconditional", help="The store has no conditional writes, and nobody else writes."
        ),
    ] = False,
    accept_deletions: _AcceptDeletions = False,
) -> int:
    """Bring the copy of a manifest in the bucket up to date.

    What others wrote there meanwhile is taken over first. The copy is
    PREFIX/.stocktake/manifests/ID_s3_manifest.json. A dataset that fails does not stop the others;
    then the exit code is 3.

    JSON: {copies: [{id, place, version, etag, written, added, replaced, deleted, ahead, conflicts,
    lost: [file], rounds, notes, error}]}.
    """
    from stocktake.cli._manifest_copy_work import CopyRequest, push_copies

    request = CopyRequest(
        tuple(dataset_ids or ()), all_, to, accept_deletions, conditional=not unconditional
    )
    return push_copies(run, request)


@command(
    app,
    "pull",
    exits=(0, 1, 2, 3),
    examples=(
        "stocktake manifest pull 16",
        "stocktake manifest pull s3://photos/styles/16/",
    ),
)
def pull(
    run: Run,
    dataset_ids: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ID|s3://...]...",
            help="Ids of datasets, or where a copy is: then the dataset is made.",
            show_default=False,
        ),
    ] = None,
    *,
    all_: AllDatasets = False,
    source: Annotated[
        str,
        typer.Option(
            "--from", metavar="s3://...", help="Another place of the copy.", show_default=False
        ),
    ] = "",
    accept_deletions: _AcceptDeletions = False,
) -> int:
    """Take over what others wrote into the copy of a manifest in the bucket.

    Nothing is written to the bucket. Of two uploads of a file the newer one stands, and a change
    beats a deletion.

    JSON: as of `push`.
    """
    from stocktake.cli._manifest_copy_work import CopyRequest, pull_copies

    request = CopyRequest(tuple(dataset_ids or ()), all_, source, accept_deletions)
    return pull_copies(run, request)


@command(
    app,
    "import",
    exits=(0, 1, 2, 3),
    examples=(
        "stocktake manifest import 16_s3_manifest.json --check",
        "stocktake manifest import s3://photos/manifests/16.json --dataset 16",
        "stocktake manifest import s3://photos/in/ --shipped cameras --dataset cameras",
    ),
)
def import_(
    run: Run,
    source: Annotated[
        str, typer.Argument(metavar="FILE|s3://...", help="The manifest; - is stdin.")
    ],
    *,
    dataset_id: Annotated[
        str,
        typer.Option("--dataset", metavar="ID", help="Into this dataset.", show_default=False),
    ] = "",
    bucket: Annotated[
        str,
        typer.Option(
            "--bucket", metavar="NAME", help="If the manifest does not say.", show_default=False
        ),
    ] = "",
    shipped: Annotated[
        str,
        typer.Option(
            "--shipped",
            metavar="NAME",
            help="What `stocktake ship` recorded as this dataset.",
            show_default=False,
        ),
    ] = "",
    check: Annotated[
        bool, typer.Option("--check", help="Look which files are in the bucket (one listing).")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be.")] = False,
) -> int:
    """Take over a manifest that another program or another stocktake wrote.

    Known damage is put right and said: MD5s that are the ETags of multipart uploads, keys that are
    missing, unencoded addresses. With --check, entries whose object is gone are left out. What
    cannot be read is left out, and the exit code is 3.

    JSON: {dataset, place, files, added, replaced, version, left_out_files, gone_files, gone,
    different_files, different, notes, applied}.
    """
    from stocktake.cli._manifest_import_work import ImportRequest, take_over

    request = ImportRequest(source, dataset_id, bucket, shipped, check=check, dry_run=dry_run)
    return take_over(run, request)
