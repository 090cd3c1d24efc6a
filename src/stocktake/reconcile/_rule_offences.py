"""Objects that a rule does not allow become findings as they are seen; made only as far as kept."""

from __future__ import annotations

import pyarrow as pa

from stocktake.reconcile._finding_log import FindingLog
from stocktake.reconcile._findings import Finding, FindingKind, SeverityRule
from stocktake.reconcile._request import Rule

_STANDARD = "STANDARD"


class RuleOffences:
    """Takes in rows that offend against a rule."""

    def __init__(self, log: FindingLog, severities: SeverityRule, have_prefix: str) -> None:
        self._log = log
        self._severities = severities
        self._have_prefix = have_prefix

    def add(self, rule: Rule, kind: FindingKind, rows: pa.RecordBatch) -> None:
        """Rows of HAVE: their names, classes or sizes are not what the rule says."""
        severity = rule.severity or self._severities.of(kind)
        room = self._log.room(severity)
        made = rows.num_rows if room is None else min(rows.num_rows, room)
        for row in rows.slice(0, made).to_pylist():
            why, expected, found = _difference(rule, kind, row["storage_class"] or _STANDARD)
            self._log.add(
                Finding(
                    kind=kind,
                    severity=severity,
                    key=row["key"],
                    why=why,
                    expected=expected,
                    found=found,
                    have_key=self._have_prefix + row["key"],
                    size_bytes=row["size_bytes"],
                    rule=rule.name,
                )
            )
        self._log.count(kind, severity, rows.num_rows - made)


def _difference(rule: Rule, kind: FindingKind, storage_class: str) -> tuple[str, str, str | None]:
    """Why, expected, found."""
    if kind is FindingKind.WRONG_CLASS:
        wanted = " or ".join(rule.storage_classes)
        return f"its storage class is {storage_class}, not {wanted}", wanted, storage_class
    if kind is FindingKind.EMPTY:
        return "it has no bytes", "no empty objects", "0 bytes"
    wanted = " or ".join(rule.patterns)
    return f"its name is not like {wanted}", wanted, None
