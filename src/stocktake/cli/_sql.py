"""`stocktake sql`: a question in SQL."""

from __future__ import annotations

from typing import Annotated

import typer

from stocktake.cli._arguments import SnapshotOption
from stocktake.cli._declare import command, new_app
from stocktake.cli._run import Run

app = new_app("Ask in SQL.")


@command(
    app,
    "sql",
    examples=(
        'stocktake sql "select storage_class, sum(size_bytes) from objects group by 1"',
        "stocktake sql \"select * from diff('previous', 'latest') limit 10\"",
        "stocktake sql - < question.sql",
    ),
)
def sql(
    run: Run,
    statement: Annotated[
        str, typer.Argument(metavar="STATEMENT", help="One SELECT, or - for stdin.")
    ],
    *,
    source: Annotated[
        str | None,
        typer.Option("--source", metavar="SOURCE", help="Bucket or bucket/config to ask about."),
    ] = None,
    snapshot: SnapshotOption = "latest",
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", min=1, help="Rows at most.")
    ] = 1000,
    timeout_s: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=0.1, help="Stop after so long.")
    ] = 60.0,
) -> int:
    """Ask a question in SQL (DuckDB's) over the snapshots.

    Views: objects (current ones), object_versions, folders, undecodable, snapshots; diff('a', 'b')
    and objects_at('a') take references of snapshots. The sandbox reads the catalog and nothing
    else: no files, no network, no settings. Rows, time and memory are limited.

    JSON: {source, columns: [{name, type}], rows: [{column: value}], truncated}.
    """
    from stocktake.cli._sql_work import SqlRequest, ask

    return ask(run, SqlRequest(statement, source, snapshot, limit, timeout_s))
