"""The report as JSON: a contract, described in `docs/formats/reconcile-report.md`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from stocktake.clock import format_utc
from stocktake.listing import Estimate
from stocktake.reconcile._finding_log import finding_json
from stocktake.reconcile._report import (
    Bar,
    PrefixCoverage,
    ReconcileReport,
    RuleCheck,
    SampleFigures,
)
from stocktake.reconcile._side import SideFacts

VERSION = 1


def report_to_json(report: ReconcileReport) -> dict[str, Any]:
    """Everything a report holds, in words of JSON. Open ends of intervals are null."""
    config = report.config
    return {
        "format": "stocktake-reconcile-report",
        "version": VERSION,
        "started_at": format_utc(report.started_at),
        "finished_at": format_utc(report.finished_at),
        "source": str(config.have.source),
        "mode": str(report.mode),
        "mode_asked": str(config.have.mode),
        "fell_back": report.fell_back,
        "partial": report.is_partial,
        "exit_code": report.exit_code,
        "fail_on": str(config.fail_on),
        "have": _side(report.have, report.started_at),
        "should": _side(report.should, report.started_at),
        "totals": asdict(report.totals),
        "findings_total": report.findings_total,
        "findings_shown": len(report.findings),
        "findings_file": str(report.findings_file) if report.findings_file else None,
        "by_kind": {str(kind): count for kind, count in report.by_kind.items()},
        "by_severity": {str(one): count for one, count in report.by_severity.items()},
        "findings": [finding_json(one) for one in report.findings],
        "not_comparable": dict(report.not_comparable),
        "coverage": [_coverage(one) for one in report.coverage],
        "coverage_left_out": report.coverage_left_out,
        "sizes": [_bar(one) for one in report.sizes],
        "ages_days": [_bar(one) for one in report.ages],
        "rules": [_rule(one) for one in report.rules],
        "sample": _sample(report.sample) if report.sample else None,
        "calls_saved": report.calls_saved,
        "notes": list(report.notes),
    }


def _side(facts: SideFacts, now: datetime) -> dict[str, Any]:
    """With its age in seconds when the run began."""
    age_s = None
    if facts.as_of is not None:
        age_s = max(0.0, round((now - facts.as_of).total_seconds(), 3))
    return {
        "kind": str(facts.kind),
        "place": facts.place,
        "as_of": format_utc(facts.as_of) if facts.as_of else None,
        "age_s": age_s,
        "complete": facts.complete,
        "objects": facts.objects,
        "size_bytes": facts.size_bytes,
        "requests": dict(facts.requests or {}),
        "notes": list(facts.notes),
    }


def _coverage(one: PrefixCoverage) -> dict[str, Any]:
    percent = None if one.percent is None else round(one.percent, 4)
    return {**asdict(one), "percent": percent}


def _bar(one: Bar) -> dict[str, Any]:
    return asdict(one)


def _rule(one: RuleCheck) -> dict[str, Any]:
    return {
        "rule": one.rule,
        "prefix": one.prefix,
        "expectation": one.expectation,
        "verdict": str(one.verdict),
        "expected": one.expected,
        "found": one.found,
        "why": one.why,
        "estimate": _estimate(one.estimate) if one.estimate else None,
    }


def _sample(one: SampleFigures) -> dict[str, Any]:
    return {
        "missing": _estimate(one.missing),
        "different": _estimate(one.different),
        "extra": _estimate(one.extra),
        "coverage_percent": _estimate(one.coverage_percent),
        "confidence": one.confidence,
        "ranges": one.cells,
        "ranges_compared": one.cells_compared,
        "objects_compared": one.objects_compared,
        "calls": one.calls,
        "calls_full": one.calls_full,
        "calls_saved": one.calls_saved,
        "seed": one.seed,
    }


def _estimate(one: Estimate) -> dict[str, Any]:
    high = one.high if one.is_bounded else None
    return {"value": one.value, "low": one.low, "high": high, "exact": one.is_exact}
