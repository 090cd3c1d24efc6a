"""`stocktake ingest replay`, `rewind`, `skip`, `pause`, `resume` and `delete`."""

from __future__ import annotations

from typing import Annotated

import typer

from stocktake.cli._declare import command
from stocktake.cli._ingest_app import Name, app
from stocktake.cli._run import Run

KeysOption = Annotated[
    list[str] | None,
    typer.Option("--key", metavar="KEY", help="This key, as it is in the bucket; repeatable."),
]
SeqsOption = Annotated[
    list[int] | None, typer.Option("--seq", metavar="SEQ", help="This number; repeatable.")
]
PrefixOption = Annotated[
    str | None, typer.Option("--prefix", metavar="PREFIX", help="Only keys that begin so.")
]


@command(
    app,
    "replay",
    examples=(
        "stocktake ingest replay photos --dead",
        "stocktake ingest replay photos --key 2026/05/IMG_0042.jpg",
    ),
)
def replay(
    run: Run,
    name: Name,
    *,
    dead: Annotated[bool, typer.Option("--dead", help="Everything dead.")] = False,
    key: KeysOption = None,
    seq: SeqsOption = None,
    prefix: PrefixOption = None,
) -> int:
    """Load chosen objects again: what is dead, keys, numbers, or a prefix.

    They come in new batches with new tokens: a sink that appends will hold them twice, unless what
    it has of them is removed first. Filters and the overwrite policy hold for them too.

    JSON: {ingestion, reopened}.
    """
    from stocktake.cli._ingest_mend_work import replay_items

    return replay_items(run, name, tuple(key or ()), tuple(seq or ()), prefix, dead=dead)


@command(
    app,
    "rewind",
    examples=(
        "stocktake ingest rewind photos --to 2026-11-20T00:00:00Z",
        "stocktake ingest rewind photos --to 120000 --prefix 2026/05/",
    ),
)
def rewind(
    run: Run,
    name: Name,
    *,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="SEQ|TIME", help="From this number or instant on."),
    ] = None,
    prefix: PrefixOption = None,
) -> int:
    """Load everything again from a number or an instant on.

    That is the number or the time of its discovery, not of its upload. With --prefix only what is
    below it, and alone all of that. New batches and new tokens, as with replay.

    JSON: {ingestion, reopened}.
    """
    from stocktake.cli._ingest_mend_work import rewind_to

    return rewind_to(run, name, to, prefix)


@command(
    app,
    "skip",
    examples=("stocktake ingest skip photos --key 2026/05/broken.csv --reason 'sent again'",),
)
def skip(
    run: Run,
    name: Name,
    *,
    key: KeysOption = None,
    seq: SeqsOption = None,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="What `explain` will say.")
    ] = "skipped by hand",
) -> int:
    """Never load these: every change of a key so far, or a number.

    JSON: {ingestion, skipped}.
    """
    from stocktake.cli._ingest_mend_work import skip_items

    return skip_items(run, name, tuple(key or ()), tuple(seq or ()), reason)


@command(app, "pause", examples=("stocktake ingest pause photos",))
def pause(run: Run, name: Name) -> int:
    """Hand out no more batches until resume; those in work may end.

    JSON: {ingestion, state}.
    """
    from stocktake.cli._ingest_mend_work import set_paused

    return set_paused(run, name, paused=True)


@command(app, "resume", examples=("stocktake ingest resume photos",))
def resume(run: Run, name: Name) -> int:
    """Hand out batches again.

    JSON: {ingestion, state}.
    """
    from stocktake.cli._ingest_mend_work import set_paused

    return set_paused(run, name, paused=False)


@command(app, "delete", examples=("stocktake ingest delete photos",))
def delete(
    run: Run,
    name: Name,
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Although a worker has a batch of it.")
    ] = False,
) -> int:
    """Forget an ingestion and what it has done.

    The feed stays, and so does what was loaded.

    JSON: {deleted}.
    """
    from stocktake.cli._ingest_mend_work import delete_one

    return delete_one(run, name, force=force)
