"""Work of `ingest status`, `explain` and `dead`: questions that change nothing."""

from __future__ import annotations

import textwrap
from dataclasses import asdict
from typing import Any

from stocktake.catalog import ListingRun
from stocktake.cli._ingest_text import spec_json, spec_lines
from stocktake.cli._output import Column, Output
from stocktake.cli._run import Run
from stocktake.cli._text import UNKNOWN, count_text, duration_text, plural, size_text, time_text
from stocktake.ingest import (
    DeadItem,
    ExplainedChange,
    Explanation,
    IngestionStatus,
    list_ingestions,
    open_ingestion,
)
from stocktake.model import display_key

_TEXT_WIDTH = 80
_ALL = (
    Column("NAME", flexible=True),
    Column("SOURCE", flexible=True),
    Column("STRATEGY"),
    Column("STATE"),
    Column("LEFT", right=True),
    Column("LOADED", right=True),
    Column("DEAD", right=True),
)
_RUNS = (
    Column("STARTED (UTC)"),
    Column("STRATEGY"),
    Column("STATE"),
    Column("NEW", right=True),
    Column("CHANGED", right=True),
    Column("GONE", right=True),
    Column("CALLS", right=True),
    Column("TOOK", right=True),
    Column("MISSED", right=True),
)
_DEAD = (
    Column("SEQ", right=True),
    Column("SINCE (UTC)"),
    Column("ATTEMPTS", right=True),
    Column("KEY", flexible=True),
    Column("REASON", flexible=True),
)


def show_all(run: Run) -> int:
    """Answer `ingest status` without a name."""
    with run.open_catalog() as catalog:
        opened = [open_ingestion(catalog, None, row.spec.name) for row in list_ingestions(catalog)]
        found = [(one.spec, one.status()) for one in opened]
    if run.out.json:
        rows = ({**status.to_dict(), "strategy": str(spec.strategy)} for spec, status in found)
        run.out.rows_document({}, rows, "ingestions")
        return 0
    shown = run.out.table(
        _ALL,
        (
            (
                status.name,
                status.source,
                str(spec.strategy),
                status.state,
                count_text(status.files_outstanding),
                count_text(status.files),
                count_text(status.dead),
            )
            for spec, status in found
        ),
    )
    if not shown:
        run.out.line("no ingestions yet")
        run.out.note("make one: stocktake ingest create")
    return 0


def show_one(run: Run, name: str, runs_max: int) -> int:
    """Answer `ingest status NAME`."""
    with run.open_catalog() as catalog:
        ingestion = open_ingestion(catalog, None, name)
        status = ingestion.status()
        runs = ingestion.feed.runs(runs_max) if runs_max else []
    if run.out.json:
        run.out.document(
            {
                "ingestion": spec_json(ingestion.spec),
                "status": status.to_dict(),
                "runs": [_run_json(one) for one in runs],
            }
        )
        return 0
    out = run.out
    out.line(f"{name} ({status.state})")
    for line in (*spec_lines(ingestion.spec), *_status_lines(status)):
        out.line(f"  {line}")
    for claim in status.in_flight:
        holder = f"{'abandoned by ' if claim.is_abandoned else 'by '}{claim.worker}"
        out.line(
            f"  in work   {plural(claim.files, 'object')}, {size_text(claim.size_bytes)}, "
            f"attempt {claim.attempt}, {holder}"
        )
    if runs:
        out.line()
        out.table(_RUNS, map(_run_row, runs))
    out.note("")
    out.note(status.claim)
    return 0


def _status_lines(status: IngestionStatus) -> list[str]:
    about = "about " if status.is_estimate else ""
    lines = [
        f"loaded    {plural(status.files, 'object')}, {size_text(status.size_bytes)}, "
        f"{plural(status.batches, 'batch')}",
        f"left      {about}{plural(status.files_outstanding, 'object')}, "
        f"{size_text(status.bytes_outstanding)}",
    ]
    if status.oldest_unprocessed_age_seconds is not None:
        lines[-1] += f", the oldest seen {duration_text(status.oldest_unprocessed_age_seconds)} ago"
    counts = {
        "wait for another attempt": status.retries_waiting,
        "dead": status.dead,
        "superseded": status.superseded,
        "vanished": status.vanished,
        "skipped by hand": status.skipped,
    }
    texts = [f"{count_text(count)} {label}" for label, count in counts.items() if count]
    if texts:
        lines.append(f"not       {', '.join(texts)}")
    lines.append(
        f"numbers   settled up to {count_text(status.low_seq)} of {count_text(status.last_seq)}, "
        f"kept in {size_text(status.state_bytes)}"
    )
    return lines


def _run_json(one: ListingRun) -> dict[str, Any]:
    metrics = one.metrics.to_dict() if one.metrics else None
    return {**asdict(one), "metrics": metrics}


def _run_row(one: ListingRun) -> tuple[str, ...]:
    metrics = one.metrics
    figures = (
        (metrics.new, metrics.changed, metrics.deleted, metrics.requests)
        if metrics
        else (None, None, None, None)
    )
    return (
        time_text(one.started_at),
        one.strategy,
        one.state,
        *map(count_text, figures),
        duration_text(metrics.wall_s) if metrics else UNKNOWN,
        count_text(sum(one.audit_missed.values())) if one.audit_missed else "",
    )


def explain_one(run: Run, name: str, key: str) -> int:
    """Answer `ingest explain`."""
    with run.open_catalog() as catalog:
        found = open_ingestion(catalog, None, name).explain(key)
    if run.out.json:
        run.out.document(found.to_dict())
        return 0
    _show_explanation(run.out, found)
    return 0


def _show_explanation(out: Output, found: Explanation) -> None:
    out.line(display_key(found.key))
    for change in found.changes:
        out.line()
        for line in _change_lines(change):
            out.line("\n".join(_wrapped(f"  {line}")))
    out.note("")
    out.note(found.claim)


def _wrapped(line: str) -> list[str]:
    """The line, cut for a terminal; what goes on stands below the text, not below the label."""
    return textwrap.wrap(
        line,
        _TEXT_WIDTH,
        subsequent_indent=" " * 14,
        break_on_hyphens=False,
        break_long_words=False,
    ) or [""]


def _change_lines(change: ExplainedChange) -> list[str]:
    late = ", late: a partial strategy had passed it" if change.late else ""
    lines = [
        f"#{change.seq} {change.change}: {change.state}",
        f"  why       {change.why}",
        f"  seen      {time_text(change.seen_at)} UTC by {change.origin}{late}",
    ]
    facts = [size_text(change.size_bytes)] if change.change != "deleted" else []
    if change.last_modified is not None:
        facts.append(f"modified {time_text(change.last_modified)} UTC")
    if change.etag is not None:
        facts.append(f"ETag {change.etag}")
    if change.version_id is not None:
        facts.append(f"version {change.version_id}")
    if facts:
        lines.append(f"  object    {', '.join(facts)}")
    lines.append(f"  rule      {change.rule}")
    for commit in change.commits[:-1]:  # the last one stands in `why`
        how = "found in the sink" if commit.recovered else "loaded"
        lines.append(
            f"  {how:<9} {time_text(commit.committed_at)} UTC by {commit.worker}, "
            f"batch {commit.token}"
        )
    lines += [
        f"  attempt   {entry.get('at', UNKNOWN)} by {entry.get('worker', UNKNOWN)}: "
        f"{entry.get('message', UNKNOWN)}"
        for entry in change.history
    ]
    return lines


def show_dead(run: Run, name: str, limit: int) -> int:
    """Answer `ingest dead`."""
    with run.open_catalog() as catalog:
        ingestion = open_ingestion(catalog, None, name)
        found = ingestion.dead(limit)
        total = ingestion.status().dead
    if run.out.json:
        rows = (asdict(item) for item in found)
        run.out.rows_document({}, rows, "items", lambda: {"total": total})
        return 0
    if not run.out.table(_DEAD, map(_dead_row, found)):
        run.out.line(f"nothing of {name} is dead")
        return 0
    if total > len(found):
        run.out.note(f"the first {len(found)} of {count_text(total)}; --limit shows more")
    run.out.note(f"again: stocktake ingest replay {name} --dead")
    return 0


def _dead_row(item: DeadItem) -> tuple[str, ...]:
    return (
        str(item.seq),
        time_text(item.died_at),
        str(item.attempts),
        display_key(item.key),
        item.reason,
    )
