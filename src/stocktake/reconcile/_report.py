"""What a reconciliation came to: the report that every output is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from stocktake.listing import Estimate
from stocktake.reconcile._findings import Finding, FindingKind, Severity
from stocktake.reconcile._request import ReconcileConfig, ScanMode
from stocktake.reconcile._side import SideFacts


@dataclass(frozen=True, slots=True)
class Totals:
    """Objects by what was found of them. In a sample: of the key ranges that were compared.

    Attributes:
        should: Objects that should be there.
        have: Objects that are there.
        identical: In both, proven by a checksum.
        unproven: In both, of the same size, with checksums that cannot be compared.
        missing: Only in SHOULD.
        extra: Only in HAVE.
        different: In both, of other size or bytes.
        should_bytes: Sizes of `should` added up.
        have_bytes: Sizes of `have` added up.
        missing_bytes: Sizes of `missing` added up.
        extra_bytes: Sizes of `extra` added up.
        excluded: Left out by `exclude`, folder markers and stocktake's own files, on both sides.
        outside: Names of SHOULD that the name map does not cover.
    """

    should: int = 0
    have: int = 0
    identical: int = 0
    unproven: int = 0
    missing: int = 0
    extra: int = 0
    different: int = 0
    should_bytes: int = 0
    have_bytes: int = 0
    missing_bytes: int = 0
    extra_bytes: int = 0
    excluded: int = 0
    outside: int = 0


@dataclass(frozen=True, slots=True)
class PrefixCoverage:
    """How much of what should be below a folder is there (a right name, whatever the bytes).

    Attributes:
        prefix: The folder; empty for objects in none.
        should: Objects that should be there.
        found: Of these, are there.
        extra: Objects that SHOULD does not know.
        different: Of `found`, with other size or bytes.
    """

    prefix: str
    should: int
    found: int
    extra: int
    different: int

    @property
    def percent(self) -> float | None:
        """`found` of `should` in percent; None if nothing should be there."""
        return 100.0 * self.found / self.should if self.should else None


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a histogram of HAVE: objects and bytes from `low` up to below `high`."""

    label: str
    low: float
    high: float | None
    objects: int
    bytes: int


@dataclass(frozen=True, slots=True)
class SampleFigures:
    """What a sample against a manifest, folder, bucket or snapshot says of all of it.

    Attributes:
        missing: Objects that should be there and are not, in all.
        different: Objects of other size or bytes, in all.
        extra: Objects that SHOULD does not know, in all; an open end if the draws cannot say.
        coverage_percent: Share of SHOULD that is there.
        confidence: Share of such intervals that hold the truth.
        cells: Key ranges that SHOULD was cut into.
        cells_compared: Of these, compared exactly.
        objects_compared: Names of SHOULD in these.
        calls: LIST requests sent.
        calls_full: LIST requests of a full listing, about.
        seed: Gives the same places again.
    """

    missing: Estimate
    different: Estimate
    extra: Estimate
    coverage_percent: Estimate
    confidence: float
    cells: int
    cells_compared: int
    objects_compared: int
    calls: int
    calls_full: int
    seed: int

    @property
    def calls_saved(self) -> int:
        """What a full listing would have cost more."""
        return max(0, self.calls_full - self.calls)


class Verdict(StrEnum):
    """What became of one expectation of a rule."""

    HELD = "held"
    VIOLATED = "violated"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class RuleCheck:
    """One expectation of one rule, and what became of it.

    Attributes:
        rule: Name of the rule.
        prefix: Its prefix.
        expectation: `objects`, `bytes`, `max_age`, `patterns`, `required`, `storage_class`,
            `empty`.
        verdict: held | violated | undecided.
        expected: As text.
        found: As text.
        estimate: What a sample says; None where all was counted or no number fits.
        why: One sentence.
    """

    rule: str
    prefix: str
    expectation: str
    verdict: Verdict
    expected: str
    found: str
    why: str
    estimate: Estimate | None = None


@dataclass(frozen=True, slots=True)
class ReconcileReport:
    """What a reconciliation came to.

    Attributes:
        config: What was asked for.
        started_at: Aware UTC.
        finished_at: Aware UTC.
        mode: How HAVE was found out in the end.
        fell_back: Why it is a sample and not what was asked for; None if it is as asked.
        have: What HAVE says of itself.
        should: What SHOULD says of itself.
        totals: Objects by what was found.
        findings: Worst first, then by key; at most `config.findings_max`.
        findings_total: All of them, also those that are not kept.
        by_kind: All findings by kind; kinds without one are not in it.
        by_severity: All findings by severity; likewise.
        not_comparable: Pairs of the same size whose checksums cannot be compared, by why.
        coverage: By folder of `coverage_depth` levels, in key order.
        coverage_left_out: Folders beyond the limit of the table.
        sizes: Histogram of HAVE by size.
        ages: Histogram of HAVE by age in days at `started_at`.
        rules: One row for each expectation of each rule.
        sample: Estimates, for a sample against anything but rules.
        calls_saved: LIST requests that a sample spared; None for other modes.
        findings_file: Where all findings are; None if none was asked for.
        notes: What a person should know.
        interrupted: Stopped before the end; what is found is true, what is not found says nothing.
    """

    config: ReconcileConfig
    started_at: datetime
    finished_at: datetime
    mode: ScanMode
    fell_back: str | None
    have: SideFacts
    should: SideFacts
    totals: Totals
    findings: tuple[Finding, ...]
    findings_total: int
    by_kind: dict[FindingKind, int]
    by_severity: dict[Severity, int]
    not_comparable: dict[str, int] = field(default_factory=dict)
    coverage: tuple[PrefixCoverage, ...] = ()
    coverage_left_out: int = 0
    sizes: tuple[Bar, ...] = ()
    ages: tuple[Bar, ...] = ()
    rules: tuple[RuleCheck, ...] = ()
    sample: SampleFigures | None = None
    calls_saved: int | None = None
    findings_file: Path | None = None
    notes: tuple[str, ...] = ()
    interrupted: bool = False

    @property
    def is_partial(self) -> bool:
        """A side is not complete, or the run was stopped."""
        return self.interrupted or not (self.have.complete and self.should.complete)

    @property
    def exit_code(self) -> int:
        """4 with findings as bad as `fail_on`, else 3 if partial, else 0."""
        rank = self.config.fail_on.rank
        if any(count for one, count in self.by_severity.items() if one.rank >= rank):
            return 4
        return 3 if self.is_partial else 0
