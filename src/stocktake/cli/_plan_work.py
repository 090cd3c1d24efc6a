"""Work of `plan`: evidence from the catalog and a few requests, candidates, a recommendation."""

from __future__ import annotations

import sys
import textwrap
from dataclasses import asdict, dataclass
from typing import Any

from stocktake.catalog import Catalog, find_feed, list_snapshots
from stocktake.cli._output import Column, Output
from stocktake.cli._receipt import Prices, Receipt, dollars_text
from stocktake.cli._run import Run
from stocktake.cli._scan_work import known_snapshot
from stocktake.cli._text import count_text, duration_text, parse_duration
from stocktake.errors import CatalogNotFoundError, UsageError
from stocktake.ingest import list_ingestions
from stocktake.listing import (
    QUESTIONS,
    Advice,
    Candidate,
    History,
    PastRun,
    Plan,
    PlanNeeds,
    PlanPrices,
    Question,
    StrategyName,
    advise,
    gather_evidence,
    plan_strategy,
)
from stocktake.model import S3Url, SourceKind

_WIDTH = 78
_RUNS = 200
_COLUMNS = (
    Column("STRATEGY"),
    Column("FITS"),
    Column("CALLS", right=True),
    Column("A RUN", right=True),
    Column("KNOWN WITHIN", right=True),
    Column("A MONTH", right=True),
)


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What `plan` was asked for, as typed."""

    source: str
    fresh: str = "1h"
    overwrites: bool = False
    deletes: bool = False
    queue: bool = False


def show_plan(run: Run, request: PlanRequest) -> int:
    """Answer `plan`."""
    if not request.source:
        raise UsageError(
            "no prefix named", hint="give s3://bucket/prefix, or --ask to be asked instead"
        )
    source = S3Url.parse(request.source)
    needs = PlanNeeds(
        fresh_within_s=parse_duration(request.fresh, "--fresh").total_seconds(),
        sees_overwrites=request.overwrites,
        sees_deletes=request.deletes,
    )
    started_s = run.clock.monotonic_s()
    history = _history(run, source, queue=request.queue)
    evidence = gather_evidence(run.open_store(), source, run.clock, history)
    prices = Prices.load()
    made = plan_strategy(evidence, needs, _plan_prices(prices))
    receipt = Receipt.of(
        "plan",
        run.meter,
        run.clock.monotonic_s() - started_s,
        evidence.keys or 0,
        from_report=False,
    ).to_dict(prices)
    if run.out.json:
        run.out.document({"source": str(source), **made.to_dict(), "receipt": receipt})
        return 0
    _show(run.out, source, made)
    return 0


def _history(run: Run, source: S3Url, *, queue: bool) -> History:
    try:
        with run.open_catalog() as catalog:
            return _known(catalog, source, queue=queue)
    except CatalogNotFoundError:
        return History(event_queue=queue)


def _known(catalog: Catalog, source: S3Url, *, queue: bool) -> History:
    newest = known_snapshot(catalog, source)
    feed = find_feed(catalog, source)
    reports = any(
        one.kind == SourceKind.AWS_INVENTORY
        for one in list_snapshots(catalog, source=source.bucket)
    )
    listens = any(
        row.spec.source.bucket == source.bucket and row.spec.strategy is StrategyName.EVENT_DRIVEN
        for row in list_ingestions(catalog)
    )
    return History(
        runs=tuple(
            PastRun(StrategyName(one.strategy), one.started_at, one.metrics, one.audit_missed)
            for one in (feed.runs(_RUNS) if feed else ())
            if one.state == "finished"
        ),
        keys=newest.rows if newest else None,
        split_keys=newest.split_keys if newest else (),
        event_queue=queue or listens,
        inventory=reports,
    )


def _plan_prices(prices: Prices) -> PlanPrices:
    return PlanPrices(
        list_per_1000=prices.requests["list"],
        inventory_per_million=prices.inventory_per_million,
        events_per_million=prices.queue_per_million,
    )


def _show(out: Output, source: S3Url, made: Plan) -> None:
    best = made.best
    out.line(f"{source}")
    for finding in made.findings:
        _paragraph(out, finding, "  ")
    out.line()
    out.table(_COLUMNS, map(_row, made.candidates))
    out.line()
    out.line(f"recommended: {best.strategy}")
    for sentence in (*best.why, f"it {best.risk}"):
        _paragraph(out, sentence, "  ")
    out.line("the others")
    for one in made.candidates[1:]:
        if one.why:
            _paragraph(out, f"{one.strategy}: {one.why[0]}", "  ")
    out.note("")
    out.note(f"next: {_command(source, made)}")


def _row(one: Candidate) -> tuple[str, ...]:
    return (
        str(one.strategy),
        "yes" if one.fits else "no",
        count_text(round(one.calls)),
        duration_text(one.run_s),
        duration_text(one.fresh_s),
        dollars_text(one.cost_per_month),
    )


def _command(source: S3Url, made: Plan) -> str:
    best = made.best
    words = ["stocktake ingest create NAME", str(source), "--strategy", str(best.strategy)]
    words += [f"--set {name}={value}" for name, value in best.settings.items()]
    if best.strategy not in (StrategyName.FULL, StrategyName.INCREMENTAL_TIME):
        words.append(f"--audit-every {round(made.audit_every.total_seconds() / 3600)}h")
    return " ".join(words)


def _paragraph(out: Output, text: str, indent: str) -> None:
    lines = textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=" " * max(4, len(indent)),
        break_on_hyphens=False,
        break_long_words=False,
    )
    for line in lines:
        out.line(line)


def ask_and_advise(run: Run, answer: str | None) -> int:
    """Answer `plan --ask`."""
    (question,) = QUESTIONS
    chosen = answer if answer is not None else _asked(run.out, question)
    advice = advise(chosen)
    if run.out.json:
        run.out.document({"answer": chosen, **_advice_json(advice)})
        return 0
    _show_advice(run.out, advice)
    return 0


def _asked(out: Output, question: Question) -> str:
    if not sys.stdin.isatty() or out.json:
        names = ", ".join(one.id for one in question.answers)
        raise UsageError("nobody is there to be asked", hint=f"give --answer: {names}")
    out.line(question.text)
    for number, one in enumerate(question.answers, 1):
        _paragraph(out, one.text, f"  {number}  ")
    out.stdout.write("> ")
    out.stdout.flush()
    said = sys.stdin.readline().strip()
    if said.isdecimal() and 1 <= int(said) <= len(question.answers):
        return question.answers[int(said) - 1].id
    return said


def _advice_json(advice: Advice) -> dict[str, Any]:
    raw = asdict(advice)
    return {**raw, "instead": {str(name): when for name, when in advice.instead.items()}}


def _show_advice(out: Output, advice: Advice) -> None:
    out.line(f"recommended: {advice.strategy}")
    _paragraph(out, advice.explanation, "  ")
    if advice.audit:
        _paragraph(out, "Give it an audit: --audit-every 1d.", "  ")
    for name, when in advice.instead.items():
        _paragraph(out, f"{name} {when}.", "  or ")
    out.note("")
    out.note("stocktake plan s3://bucket/prefix looks at the prefix itself")
