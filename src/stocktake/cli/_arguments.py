"""Arguments that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Target = Annotated[
    str,
    typer.Argument(
        metavar="TARGET",
        help="s3://bucket/prefix, or a prefix if the catalog has one source.",
        show_default=False,
    ),
]
SnapshotOption = Annotated[
    str,
    typer.Option(
        "--snapshot",
        metavar="REF",
        help="latest, latest~1, 2026-11-20 or an id; bucket/config@REF.",
    ),
]
LimitOption = Annotated[
    int, typer.Option("--limit", "-n", metavar="N", min=1, help="Rows at most.")
]
CursorOption = Annotated[
    str | None,
    typer.Option("--cursor", metavar="TOKEN", help="Go on where `next` of an answer points."),
]
