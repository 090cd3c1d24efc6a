"""What was seen below a rule's prefix, by count or by sample, to verdicts and findings.

A sample decides only what it can: a number if its whole interval says so; an object that was read
and offends; never that there is none. Everything else is undecided.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from stocktake.clock import format_utc
from stocktake.listing import Estimate
from stocktake.reconcile._finding_log import FindingLog
from stocktake.reconcile._findings import Finding, FindingKind, SeverityRule
from stocktake.reconcile._report import RuleCheck, Verdict
from stocktake.reconcile._request import Bounds, Rule
from stocktake.reconcile._rules import Seen, newest_due

_OFFENCES = {
    FindingKind.PATTERN: "of another name",
    FindingKind.WRONG_CLASS: "of another class",
    FindingKind.EMPTY: "empty",
}


@dataclass(frozen=True, slots=True)
class Numbers:
    """How many and how much; exact or with intervals."""

    objects: Estimate
    bytes: Estimate

    @property
    def is_exact(self) -> bool:
        """Everything was counted."""
        return self.objects.is_exact


@dataclass(frozen=True, slots=True)
class _Ruling:
    """One check, and what kind of finding it is if it is violated.

    Those about objects have a finding for each object already.
    """

    check: RuleCheck
    kind: FindingKind
    is_total: bool = False
    is_about_objects: bool = False


class RuleJudge:
    """Judges rules; what is violated as a whole becomes a finding in the log."""

    def __init__(self, log: FindingLog, severities: SeverityRule, now: datetime) -> None:
        self._log = log
        self._severities = severities
        self._now = now

    def judge(self, seen: Seen, numbers: Numbers | None = None) -> list[RuleCheck]:
        """All expectations of one rule. Without `numbers`, `seen` saw everything."""
        exact = numbers is None or numbers.is_exact
        known = _exactly(seen) if numbers is None or exact else numbers
        rulings = list(self._rulings(seen, known, exact=exact))
        for one in rulings:
            if one.check.verdict is Verdict.VIOLATED and not one.is_about_objects:
                self._report(seen.rule, one)
        return [one.check for one in rulings]

    def _rulings(self, seen: Seen, known: Numbers, *, exact: bool) -> Iterator[_Ruling]:
        rule = seen.rule
        if rule.objects != Bounds():
            yield _bounded(rule, "objects", rule.objects, known.objects)
        if rule.bytes != Bounds():
            yield _bounded(rule, "bytes", rule.bytes, known.bytes)
        if rule.max_age_s is not None:
            yield self._freshness(seen, exact=exact)
        for glob in rule.required:
            yield _required(seen, glob, exact=exact)
        if rule.patterns:
            expected = " or ".join(rule.patterns)
            yield _none_of(seen, "patterns", expected, FindingKind.PATTERN, exact=exact)
        if rule.storage_classes:
            expected = " or ".join(rule.storage_classes)
            yield _none_of(seen, "storage_class", expected, FindingKind.WRONG_CLASS, exact=exact)
        if not rule.allow_empty:
            expected = "no empty objects"
            yield _none_of(seen, "empty", expected, FindingKind.EMPTY, exact=exact)

    def _freshness(self, seen: Seen, *, exact: bool) -> _Ruling:
        rule = seen.rule
        due = newest_due(rule, self._now)
        assert due is not None
        expected = f"one since {format_utc(due.replace(microsecond=0))}"
        found = format_utc(seen.newest) if seen.newest else "none"
        if seen.newest is not None and seen.newest >= due:
            verdict, why = Verdict.HELD, f"the newest object seen is of {found}"
        elif exact:
            verdict = Verdict.VIOLATED
            why = f"the newest object is of {found}" if seen.newest else "there is no object"
        else:
            verdict = Verdict.UNDECIDED
            why = f"the newest of {seen.objects} objects that were read is of {found}"
        check = RuleCheck(rule.name, rule.prefix, "max_age", verdict, expected, found, why)
        return _Ruling(check, FindingKind.STALE)

    def _report(self, rule: Rule, ruling: _Ruling) -> None:
        check = ruling.check
        self._log.add(
            Finding(
                kind=ruling.kind,
                severity=rule.severity
                or self._severities.of(ruling.kind, is_total=ruling.is_total),
                key=rule.prefix,
                why=check.why,
                expected=check.expected,
                found=check.found,
                is_prefix=True,
                rule=rule.name,
            )
        )


def _exactly(seen: Seen) -> Numbers:
    objects, size = float(seen.objects), float(seen.bytes)
    return Numbers(Estimate(objects, objects, objects), Estimate(size, size, size))


def _bounded(rule: Rule, name: str, bounds: Bounds, known: Estimate) -> _Ruling:
    """Too few, too many, as it should be, or the interval does not say."""
    low = -1.0 if bounds.low is None else float(bounds.low)
    high = float("inf") if bounds.high is None else float(bounds.high)
    expected, found = _bounds_text(bounds), _estimate_text(known)
    kind, is_total = FindingKind.BELOW_EXPECTED, False
    if known.high < low:
        verdict, is_total = Verdict.VIOLATED, known.high == 0
    elif known.low > high:
        verdict, kind = Verdict.VIOLATED, FindingKind.ABOVE_EXPECTED
    elif known.low >= low and known.high <= high:
        verdict = Verdict.HELD
    else:
        verdict = Verdict.UNDECIDED
    why = f"{name}: {found}; expected {expected}"
    estimate = None if known.is_exact else known
    check = RuleCheck(rule.name, rule.prefix, name, verdict, expected, found, why, estimate)
    return _Ruling(check, kind, is_total)


def _required(seen: Seen, glob: str, *, exact: bool) -> _Ruling:
    rule = seen.rule
    if glob in seen.required:
        verdict, found, why = Verdict.HELD, "one", f"there is one like {glob}"
    elif exact:
        verdict, found, why = Verdict.VIOLATED, "none", f"there is none like {glob}"
    else:
        verdict, found = Verdict.UNDECIDED, "none so far"
        why = f"none of {seen.objects} objects that were read is like {glob}"
    check = RuleCheck(rule.name, rule.prefix, "required", verdict, f"one like {glob}", found, why)
    return _Ruling(check, FindingKind.BELOW_EXPECTED)


def _none_of(seen: Seen, name: str, expected: str, kind: FindingKind, *, exact: bool) -> _Ruling:
    rule, number, what = seen.rule, seen.offences[kind], _OFFENCES[kind]
    of = f"{seen.objects} objects" if exact else f"{seen.objects} objects that were read"
    clean = Verdict.HELD if exact else Verdict.UNDECIDED
    verdict = Verdict.VIOLATED if number else clean
    found, why = f"{number} {what}", f"{number} of {of}: {what}"
    check = RuleCheck(rule.name, rule.prefix, name, verdict, expected, found, why)
    return _Ruling(check, kind, is_about_objects=True)


def _bounds_text(bounds: Bounds) -> str:
    if bounds.low is not None and bounds.high is not None:
        return str(bounds.low) if bounds.low == bounds.high else f"{bounds.low} to {bounds.high}"
    if bounds.high is not None:
        return f"at most {bounds.high}"
    return f"at least {bounds.low}"


def _estimate_text(known: Estimate) -> str:
    if known.is_exact:
        return str(round(known.value))
    if not known.is_bounded:
        return f"about {round(known.value)} (at least {round(known.low)})"
    return f"about {round(known.value)} ({round(known.low)} to {round(known.high)})"
