"""Where one comparison puts what it finds, and how a report is made of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from stocktake.clock import Clock
from stocktake.reconcile._coverage import CoverageTable
from stocktake.reconcile._desk import Desk
from stocktake.reconcile._finding_log import FindingLog
from stocktake.reconcile._finding_make import FindingMaker
from stocktake.reconcile._findings import Finding, FindingKind, SeverityRule
from stocktake.reconcile._histograms import Histograms
from stocktake.reconcile._named_side import NamedSide
from stocktake.reconcile._report import PrefixCoverage, ReconcileReport, RuleCheck, Totals
from stocktake.reconcile._request import ReconcileConfig, Rule, ScanMode
from stocktake.reconcile._rule_offences import RuleOffences
from stocktake.reconcile._rule_verdicts import RuleJudge
from stocktake.reconcile._side import SideFacts, SideKind

_WHOLE_FOLDER_LEAST = 10
"""Fewer missing objects are no finding about their folder besides."""

_WHOLE_FOLDERS_MAX = 100


@dataclass(slots=True)
class Workplace:
    """Everything that is filled while rows go by."""

    config: ReconcileConfig
    started_at: datetime
    clock: Clock
    log: FindingLog
    coverage: CoverageTable
    histograms: Histograms
    severities: SeverityRule
    rules: list[RuleCheck] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @classmethod
    @contextmanager
    def open(cls, config: ReconcileConfig, desk: Desk, started_at: datetime) -> Iterator[Workplace]:
        """A fresh one. The findings file gets its name only if all went well."""
        log = FindingLog(config.findings_max, config.findings_file)
        try:
            yield cls(
                config,
                started_at,
                desk.clock,
                log,
                CoverageTable(config.coverage_depth),
                Histograms(started_at),
                SeverityRule(config.severities),
            )
            log.finish()
        finally:
            log.abandon()

    def maker(self, should: NamedSide, have: NamedSide) -> FindingMaker:
        """Makes findings of rows."""
        return FindingMaker(self.log, self.severities, should, have)

    def judge(self) -> RuleJudge:
        """Judges rules."""
        return RuleJudge(self.log, self.severities, self.started_at)

    def offences(self) -> RuleOffences:
        """Takes in objects that a rule does not allow."""
        return RuleOffences(self.log, self.severities, self.config.have.source.key)

    def report(
        self, mode: ScanMode, have: SideFacts, should: SideFacts, totals: Totals
    ) -> ReconcileReport:
        """The report; what only some modes have is filled in by them."""
        log = self.log
        return ReconcileReport(
            config=self.config,
            started_at=self.started_at,
            finished_at=self.clock.now(),
            mode=mode,
            fell_back=None,
            have=have,
            should=should,
            totals=totals,
            findings=log.kept(),
            findings_total=log.total,
            by_kind={one: log.by_kind[one] for one in FindingKind if log.by_kind[one]},
            by_severity=dict(sorted(log.by_severity.items(), key=lambda item: -item[0].rank)),
            coverage=self.coverage.rows(),
            coverage_left_out=self.coverage.left_out,
            sizes=self.histograms.sizes(),
            ages=self.histograms.ages(),
            rules=tuple(self.rules),
            findings_file=self.config.findings_file,
            notes=tuple(self.notes),
        )

    def note_age(self, have: SideFacts) -> None:
        """A finding if HAVE is older than it may be."""
        limit_s = self.config.have.max_age_s
        if limit_s is None or have.as_of is None:
            return
        age_s = (self.started_at - have.as_of).total_seconds()
        if age_s <= limit_s:
            return
        self.log.add(
            Finding(
                kind=FindingKind.STALE,
                severity=self.severities.of(FindingKind.STALE),
                key="",
                why=f"what is known of the bucket ({have.place}) is older than allowed",
                expected=f"at most {limit_s:.0f} s old",
                found=f"{age_s:.0f} s old",
                is_prefix=True,
            )
        )

    def note_empty_folders(self) -> None:
        """A finding for each folder of which nothing is there."""
        gone = [
            one
            for one in self.coverage.rows()
            if one.found == 0 and one.should >= _WHOLE_FOLDER_LEAST
        ]
        for one in gone[:_WHOLE_FOLDERS_MAX]:
            self.log.add(
                Finding(
                    kind=FindingKind.BELOW_EXPECTED,
                    severity=self.severities.of(FindingKind.BELOW_EXPECTED, is_total=True),
                    key=one.prefix,
                    why=f"nothing of this folder is there: {one.should} objects are missing",
                    expected=f"{one.should} objects",
                    found="0 objects",
                    is_prefix=True,
                )
            )
        if len(gone) > _WHOLE_FOLDERS_MAX:
            self.notes.append(f"{len(gone)} folders are missing whole; 100 are named")


def rules_facts(place: str) -> SideFacts:
    """What rules say of themselves as a side."""
    return SideFacts(SideKind.RULES, place, None)


def rule_coverage(checks: list[RuleCheck], rules: tuple[Rule, ...]) -> tuple[PrefixCoverage, ...]:
    """Coverage of rules that say how many objects there are at least; found as far as wanted."""
    found: dict[str, PrefixCoverage] = {}
    for rule in rules:
        if rule.objects.low:
            for check in checks:
                is_its = (check.rule, check.prefix) == (rule.name, rule.prefix)
                if is_its and check.expectation == "objects":
                    there = min(rule.objects.low, _number(check))
                    found[rule.prefix] = PrefixCoverage(
                        rule.prefix, rule.objects.low, there, extra=0, different=0
                    )
    return tuple(found[prefix] for prefix in sorted(found))


def _number(check: RuleCheck) -> int:
    return round(check.estimate.value) if check.estimate else int(check.found)
