"""What a reconciliation finds: kinds, severities, and the rule that gives the one by the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class FindingKind(StrEnum):
    """What is wrong."""

    MISSING = "missing"
    EXTRA = "extra"
    SIZE_MISMATCH = "size-mismatch"
    CHECKSUM_MISMATCH = "checksum-mismatch"
    STALE = "stale"
    WRONG_CLASS = "wrong-class"
    EMPTY = "empty"
    BELOW_EXPECTED = "below-expected"
    ABOVE_EXPECTED = "above-expected"
    PATTERN = "pattern"


class Severity(StrEnum):
    """How bad it is, the worst first."""

    CRITICAL = "CRITICAL"
    HIGH = "HIGH"
    MEDIUM = "MEDIUM"
    LOW = "LOW"

    @property
    def rank(self) -> int:
        """0 for LOW to 3 for CRITICAL."""
        return len(_WORST_FIRST) - 1 - _WORST_FIRST.index(self)


_WORST_FIRST = list(Severity)

DEFAULT_SEVERITIES: Mapping[FindingKind, Severity] = {
    FindingKind.CHECKSUM_MISMATCH: Severity.CRITICAL,
    FindingKind.MISSING: Severity.HIGH,
    FindingKind.SIZE_MISMATCH: Severity.HIGH,
    FindingKind.BELOW_EXPECTED: Severity.HIGH,
    FindingKind.EMPTY: Severity.MEDIUM,
    FindingKind.STALE: Severity.MEDIUM,
    FindingKind.WRONG_CLASS: Severity.MEDIUM,
    FindingKind.ABOVE_EXPECTED: Severity.MEDIUM,
    FindingKind.PATTERN: Severity.LOW,
    FindingKind.EXTRA: Severity.LOW,
}
"""By kind. Two findings are one step worse: see `SeverityRule`."""


@dataclass(frozen=True, slots=True)
class SeverityRule:
    """The severity of a finding: what the user says of its kind, else the default.

    By default two are worse than their kind: nothing at all where something is expected is
    CRITICAL, and an empty object that should hold bytes is HIGH.

    Attributes:
        overrides: By kind, from the configuration; they always win over the defaults.
    """

    overrides: Mapping[FindingKind, Severity] = field(default_factory=dict)

    def of(self, kind: FindingKind, *, is_total: bool = False) -> Severity:
        """The severity of one finding.

        Args:
            kind: What is wrong.
            is_total: Nothing is there where something is expected.
        """
        if kind in self.overrides:
            return self.overrides[kind]
        if is_total and kind is FindingKind.BELOW_EXPECTED:
            return Severity.CRITICAL
        if is_total and kind is FindingKind.EMPTY:
            return Severity.HIGH
        return DEFAULT_SEVERITIES[kind]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be.

    Attributes:
        kind: What is wrong.
        severity: How bad it is.
        key: The name that both sides share after mapping: of an object, or of a prefix
            (`is_prefix`).
        why: One sentence: what is expected, what is there, how that is known.
        expected: The expected value as text (a size, a checksum, a count); None where none fits.
        found: What is there instead, likewise.
        have_key: The object's key in HAVE's bucket; None if it has no such object.
        should_key: Its name on SHOULD's side (a path, a key); None if SHOULD does not know it.
        size_bytes: Of the object: HAVE's, or SHOULD's if it is missing. None for prefixes.
        is_prefix: It is about a folder or a rule's prefix, not about one object.
        rule: Name of the rule of a rules file that it violates.
    """

    kind: FindingKind
    severity: Severity
    key: str
    why: str
    expected: str | None = None
    found: str | None = None
    have_key: str | None = None
    should_key: str | None = None
    size_bytes: int | None = None
    is_prefix: bool = False
    rule: str | None = None
