"""`stocktake unpack`: archives, verified."""

from __future__ import annotations

from typing import Annotated

import typer

from stocktake.cli._declare import command, new_app
from stocktake.cli._run import Run

app = new_app("Unpack archives.")


@command(
    app,
    "unpack",
    exits=(0, 1, 2, 3),
    examples=(
        "stocktake unpack photos.zip",
        "stocktake unpack backup.tar.gz -o restored/",
        "stocktake unpack delivery.7z --list --json",
    ),
)
def unpack(
    run: Run,
    archive: Annotated[
        str, typer.Argument(metavar="ARCHIVE", help="zip, tar, 7z, rar, gz, bz2, xz or zst.")
    ],
    *,
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", metavar="DIR", help="Where to; else the archive's own name."),
    ] = None,
    list_only: Annotated[
        bool, typer.Option("--list", help="Verify and list; write nothing.")
    ] = False,
    size_max: Annotated[
        str, typer.Option("--max-size", metavar="SIZE", help="Refuse to unpack to more.")
    ] = "1TiB",
    depth_max: Annotated[
        int,
        typer.Option("--depth", metavar="N", min=0, help="Levels of archives in archives."),
    ] = 3,
    code_page: Annotated[
        str,
        typer.Option("--code-page", metavar="NAME", help="Of ZIP names that do not say theirs."),
    ] = "cp437",
) -> int:
    """Verify an archive and unpack it, or list what is in it.

    Everything is read and every checksum compared before the first file is written. Nothing that
    exists is overwritten; links and devices are not made, and then the exit code is 3. An archive
    inside it becomes a folder. No password is ever asked for.

    JSON: {archive, format, target, files, size_bytes, skipped: [{path, kind, reason,
    link_target}]}; with --list {archive, format, members: [{path, size_bytes, sha256, modified_at,
    depth}], files, size_bytes, skipped}.
    """
    from stocktake.cli._unpack_work import UnpackRequest, unpack_archive

    request = UnpackRequest(
        archive=archive,
        out=out,
        list_only=list_only,
        size_max=size_max,
        depth_max=depth_max,
        code_page=code_page,
    )
    return unpack_archive(run, request)
