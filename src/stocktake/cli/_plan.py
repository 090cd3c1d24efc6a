"""`stocktake plan`: which strategy fits a prefix, from evidence or from answers."""

from __future__ import annotations

from typing import Annotated

import typer

from stocktake.cli._declare import command, new_app
from stocktake.cli._run import Run

app = new_app("Choose a strategy.")


@command(
    app,
    "plan",
    examples=(
        "stocktake plan s3://logs/cloudtrail/",
        "stocktake plan s3://logs/cloudtrail/ --fresh 5m --deletes --json",
        "stocktake plan --ask",
        "stocktake plan --ask --answer append-only",
    ),
)
def plan(
    run: Run,
    source: Annotated[
        str,
        typer.Argument(
            metavar="[SOURCE]", help="Bucket or prefix: s3://bucket/prefix.", show_default=False
        ),
    ] = "",
    *,
    fresh: Annotated[
        str,
        typer.Option("--fresh", metavar="TIME", help="A new object is to be known within it."),
    ] = "1h",
    overwrites: Annotated[
        bool, typer.Option("--overwrites", help="Overwritten objects matter at once.")
    ] = False,
    deletes: Annotated[
        bool, typer.Option("--deletes", help="Deleted objects matter at once.")
    ] = False,
    queue: Annotated[
        bool, typer.Option("--queue", help="The bucket's events arrive in a queue.")
    ] = False,
    ask: Annotated[
        bool, typer.Option("--ask", help="Ask how the files are organised; look at nothing.")
    ] = False,
    answer: Annotated[
        str | None, typer.Option("--answer", metavar="NAME", help="The answer to --ask.")
    ] = None,
) -> int:
    """Recommend a strategy for finding new objects below a prefix.

    It looks at what the catalog knows of the prefix (snapshots, earlier runs, what audits found),
    makes up to 12 requests, and ranks the strategies with the calls, the cost, the time and the
    risk that it expects. A strategy whose audits found missed objects is demoted and says so.

    --ask makes no request: it asks how the files are organised and explains the strategy it picks.

    JSON: {source, strategy, findings, audit_every_s, lookback_s, candidates: [{strategy, fits,
    calls, cost_per_month, run_s, fresh_s, risk, why, settings}], receipt}; with --ask {answer,
    strategy, explanation, audit, settings, instead}.
    """
    from stocktake.cli._plan_work import PlanRequest, ask_and_advise, show_plan

    if ask or answer:
        return ask_and_advise(run, answer)
    request = PlanRequest(
        source=source, fresh=fresh, overwrites=overwrites, deletes=deletes, queue=queue
    )
    return show_plan(run, request)
