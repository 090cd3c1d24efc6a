"""Sentences about a report that every output shares: the verdict, a side, its age."""

from __future__ import annotations

from datetime import datetime

from stocktake.listing import Estimate
from stocktake.reconcile._findings import Severity
from stocktake.reconcile._report import ReconcileReport
from stocktake.reconcile._request import ScanMode, ShouldKind
from stocktake.reconcile._shown import age_text, count_text
from stocktake.reconcile._side import SideFacts

_MODES = {
    ScanMode.FULL: "a full listing",
    ScanMode.SAMPLE: "a sample",
    ScanMode.AWS_INVENTORY: "an inventory report",
    ScanMode.CATALOG: "a snapshot of the catalog",
}
_SHOULDS = {
    ShouldKind.FOLDER: "the folder",
    ShouldKind.MANIFEST: "the manifest of",
    ShouldKind.BUCKET: "the listing of",
    ShouldKind.SNAPSHOT: "the snapshot",
}


def mode_text(report: ReconcileReport) -> str:
    """How it was found out what is there."""
    return _MODES[report.mode]


def should_text(report: ReconcileReport) -> str:
    """What it was compared with."""
    should = report.config.should
    if should.kind is ShouldKind.RULES:
        return f"{len(should.rules):,} rules" if len(should.rules) != 1 else "1 rule"
    also = f" and {len(should.rules):,} rules" if should.rules else ""
    return f"{_SHOULDS[should.kind]} {should.place}{also}"


def worst(report: ReconcileReport) -> Severity | None:
    """The worst severity that was found."""
    return next((one for one in Severity if report.by_severity.get(one)), None)


def verdict_tone(report: ReconcileReport) -> str:
    """The class of the verdict: the worst severity, `partial`, or `good`."""
    found = worst(report)
    if found is not None:
        return found.lower()
    return "partial" if report.is_partial or _undecided(report) else "good"


def headline(report: ReconcileReport) -> str:
    """The verdict in one sentence, no better than what is known."""
    total = report.findings_total
    if total:
        counts = ", ".join(
            f"{count_text(report.by_severity[one])} {one}"
            for one in Severity
            if report.by_severity.get(one)
        )
        found = f"{total:,} {'finding' if total == 1 else 'findings'}: {counts}."
    elif report.is_partial:
        found = "Nothing wrong was found, but not everything could be looked at."
    elif report.mode is ScanMode.SAMPLE:
        found = "Nothing wrong was found in the sample."
    else:
        found = "Everything is as it should be."
    if total and report.is_partial:
        found += " Not everything could be looked at."
    undecided = _undecided(report)
    if undecided:
        found += f" {undecided:,} {'rule is' if undecided == 1 else 'rules are'} undecided."
    return found


def _undecided(report: ReconcileReport) -> int:
    return sum(one.verdict == "undecided" for one in report.rules)


def freshness_text(side: SideFacts, now: datetime) -> str:
    """How old a side was when the comparison began."""
    if side.as_of is None:
        return "-"
    age = now - side.as_of
    return "live" if age.total_seconds() < 1 else age_text(age)


def complete_text(report: ReconcileReport, side: SideFacts) -> str:
    """Whether a side is all that it speaks of."""
    if not side.complete:
        return "no: see the notes"
    is_sample = side is report.have and report.mode is ScanMode.SAMPLE
    figures = report.sample
    if is_sample and figures is not None and figures.cells_compared == figures.cells:
        return "yes: the sample took all of it"
    return "no: a sample" if is_sample else "yes"


def interval_text(one: Estimate) -> str:
    """The interval of an estimate, or that there is none."""
    if one.is_exact:
        return "exactly"
    if not one.is_bounded:
        return f"at least {count_text(one.low)}, with no upper end"
    return f"from {count_text(one.low)} to {count_text(one.high)}"


def requests_text(side: SideFacts) -> str:
    """The calls that a side made."""
    if not side.requests:
        return "none"
    return ", ".join(f"{count:,} {name}" for name, count in sorted(side.requests.items()))


def notes_of(report: ReconcileReport) -> list[str]:
    """Everything a person should know beside the findings, each once."""
    totals = report.totals
    notes = [
        *report.notes,
        *(f"what is there: {note}" for note in report.have.notes),
        *(f"what should be there: {note}" for note in report.should.notes),
        *(f"{count:,} not compared: {why}" for why, count in report.not_comparable.items()),
    ]
    if totals.excluded:
        notes.append(f"{totals.excluded:,} names were left out")
    if totals.outside:
        notes.append(f"{totals.outside:,} expected names are outside of `names.strip`")
    return list(dict.fromkeys(notes))
