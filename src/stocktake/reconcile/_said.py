"""Sentences about a report that every output shares: the verdict, a side, its age."""

from __future__ import annotations

from datetime import datetime

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
    return "no: a sample" if is_sample else "yes"


def requests_text(side: SideFacts) -> str:
    """The calls that a side made."""
    if not side.requests:
        return "none"
    return ", ".join(f"{count:,} {name}" for name, count in sorted(side.requests.items()))
