"""Reports of reconciliations as they come: clean, full of findings, sampled, hostile."""

from __future__ import annotations

import dataclasses
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from stocktake.listing import Estimate
from stocktake.model import S3Url
from stocktake.reconcile import (
    Bar,
    Bounds,
    Finding,
    FindingKind,
    HaveSpec,
    PrefixCoverage,
    ReconcileConfig,
    ReconcileReport,
    Rule,
    RuleCheck,
    SampleFigures,
    ScanMode,
    Severity,
    SeverityRule,
    ShouldKind,
    ShouldSpec,
    SideFacts,
    SideKind,
    Totals,
    Verdict,
)

NOW = datetime(2026, 11, 21, 16, 50, 5, tzinfo=UTC)
BUCKET = "my-bucket"
HOSTILE = (
    "<script>alert(1)</script>.jpg",
    "\"><img src=x onerror=alert(1)>'.jpg",
    "a\u202egpj.exe",
    "line\nbreak\x00\x1b[31m.txt",
    "</style></title><h1>x",
    "שלום/עולם.txt",
    "lone\udcff.bin",
    "&lt;b&gt;",
    "x" * 1024,
    "-rf ~; $(reboot) `id`.txt",
)


def finding(kind: FindingKind, key: str, **values: Any) -> Finding:
    """A finding on an object, with the severity of its kind."""
    made: dict[str, Any] = {
        "severity": SeverityRule().of(kind),
        "why": f"it is {kind}",
        "have_key": None if kind is FindingKind.MISSING else f"photos/{key}",
        "should_key": None if kind is FindingKind.EXTRA else key,
        "size_bytes": 1234,
    } | values
    return Finding(kind=kind, key=key, **made)


def config(**values: Any) -> ReconcileConfig:
    """A folder against a prefix."""
    made: dict[str, Any] = {
        "have": HaveSpec(S3Url(BUCKET, "photos/")),
        "should": ShouldSpec(ShouldKind.FOLDER, "/srv/photos"),
    } | values
    return ReconcileConfig(**made)


def report(findings: list[Finding] | tuple[Finding, ...] = (), **values: Any) -> ReconcileReport:
    """A report with these findings, counted."""
    asked = values.pop("config", None) or config()
    rank = {one: index for index, one in enumerate(Severity)}
    ordered = tuple(sorted(findings, key=lambda one: (rank[one.severity], one.key)))
    made: dict[str, Any] = {
        "config": asked,
        "started_at": NOW,
        "finished_at": NOW + timedelta(seconds=7),
        "mode": asked.have.mode,
        "fell_back": None,
        "have": SideFacts(
            SideKind.LISTING,
            "s3://my-bucket/photos/",
            NOW,
            objects_at=S3Url(BUCKET, "photos/"),
            objects=10_000,
            size_bytes=52_428_800,
            requests={"LIST": 10},
        ),
        "should": SideFacts(
            SideKind.FOLDER, "/srv/photos", NOW, objects=10_003, size_bytes=52_430_000
        ),
        "totals": Totals(should=10_003, have=10_000, identical=9_990, have_bytes=52_428_800),
        "findings": ordered,
        "findings_total": len(ordered),
        "by_kind": dict(Counter(one.kind for one in ordered)),
        "by_severity": dict(Counter(one.severity for one in ordered)),
    } | values
    return ReconcileReport(**made)


def everything_wrong() -> ReconcileReport:
    """One finding of each kind, all parts of a page, and a few ordinary objects."""
    findings = [finding(kind, f"2026/{kind}.jpg") for kind in FindingKind]
    findings += [finding(FindingKind.MISSING, f"2025/img_{n:04d}.jpg") for n in range(40)]
    bars = ("empty", "to 1 KiB", "to 64 KiB", "to 1 MiB", "to 16 MiB", "to 256 MiB", "larger")
    return report(
        findings,
        totals=Totals(
            should=10_003,
            have=10_000,
            identical=9_900,
            unproven=50,
            missing=41,
            extra=38,
            different=12,
            should_bytes=52_430_000,
            have_bytes=52_428_800,
            missing_bytes=500_000,
            extra_bytes=12,
            excluded=4,
        ),
        coverage=(
            PrefixCoverage("", 3, 3, 0, 0),
            PrefixCoverage("2024/", 5_000, 5_000, 38, 0),
            PrefixCoverage("2025/", 4_000, 3_960, 0, 2),
            PrefixCoverage("2026/", 1_000, 600, 0, 10),
            PrefixCoverage("new/", 0, 0, 5, 0),
        ),
        sizes=tuple(Bar(label, n, n + 1, n * n * 100, n * 5000) for n, label in enumerate(bars)),
        ages=tuple(Bar(label, n, n + 1, 3_000 // (n + 1), n) for n, label in enumerate(bars)),
        not_comparable={"multipart ETag of unknown part size": 50},
        notes=("2 files were changed while they were read",),
        rules=(
            RuleCheck(
                "daily", "2026/", "objects", Verdict.VIOLATED, "at least 1,000", "600", "too few"
            ),
            RuleCheck("fresh", "2026/", "max_age", Verdict.HELD, "1 d", "2 h", "the newest is new"),
        ),
    )


def rules_sampled() -> ReconcileReport:
    """Rules against a sample that was fallen back to: one violated, one undecided."""
    rules = (Rule("logs", "logs/", Bounds(1000, None)), Rule("all", "", Bounds(10, 20)))
    asked = config(
        have=HaveSpec(S3Url(BUCKET, ""), ScanMode.AWS_INVENTORY, fallback_to_sample=True),
        should=ShouldSpec(ShouldKind.RULES, "rules", rules=rules),
    )
    violated = finding(
        FindingKind.BELOW_EXPECTED, "logs/", is_prefix=True, rule="logs", have_key=None
    )
    return report(
        [violated],
        config=asked,
        mode=ScanMode.SAMPLE,
        fell_back="the newest report is of 2026-11-01, older than 1 d",
        have=SideFacts(SideKind.SAMPLE, "s3://my-bucket/", NOW, requests={"LIST": 64}),
        should=SideFacts(SideKind.RULES, "rules", None),
        totals=Totals(),
        calls_saved=936,
        rules=(
            RuleCheck(
                "logs",
                "logs/",
                "objects",
                Verdict.VIOLATED,
                "at least 1,000",
                "300 to 420",
                "the whole interval is below",
                Estimate(360, 300, 420),
            ),
            RuleCheck(
                "all",
                "",
                "objects",
                Verdict.UNDECIDED,
                "10 to 20",
                "9 to 21",
                "on both sides",
                Estimate(15, 9, 21),
            ),
        ),
    )


def sampled() -> ReconcileReport:
    """A sample against a folder, with estimates, one of them open."""
    asked = config(have=HaveSpec(S3Url(BUCKET, "photos/"), ScanMode.SAMPLE))
    return report(
        [finding(FindingKind.MISSING, "2025/img_0001.jpg")],
        config=asked,
        sample=SampleFigures(
            missing=Estimate(120, 60, 220),
            different=Estimate(0, 0, 31),
            extra=Estimate(5, 5, float("inf")),
            coverage_percent=Estimate(98.8, 97.8, 99.4),
            confidence=0.95,
            cells=1_000,
            cells_compared=64,
            objects_compared=640,
            calls=70,
            calls_full=1_000,
            seed=0,
        ),
        calls_saved=930,
    )


def hostile() -> ReconcileReport:
    """Keys that want to be markup, commands, or another line."""
    findings = [finding(FindingKind.MISSING, key) for key in HOSTILE]
    findings += [finding(FindingKind.EXTRA, key, why=f"why {key}", rule=key) for key in HOSTILE]
    made = everything_wrong()
    return dataclasses.replace(
        report(findings),
        coverage=tuple(PrefixCoverage(key, 2, 1, 0, 0) for key in HOSTILE),
        sizes=made.sizes,
        notes=HOSTILE,
        not_comparable={HOSTILE[0]: 1},
        fell_back=HOSTILE[0],
        have=SideFacts(SideKind.LISTING, HOSTILE[1], NOW, notes=HOSTILE, requests={HOSTILE[0]: 1}),
        should=SideFacts(SideKind.FOLDER, HOSTILE[0], NOW),
        rules=tuple(RuleCheck(key, key, key, Verdict.VIOLATED, key, key, key) for key in HOSTILE),
    )
