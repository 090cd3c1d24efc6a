"""Rules against every object: numbers while rows go by, verdicts at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from stocktake.model import successor
from stocktake.reconcile._align import rows_before
from stocktake.reconcile._findings import FindingKind
from stocktake.reconcile._globs import matches
from stocktake.reconcile._request import Rule
from stocktake.reconcile._side_rows import surely, without_beginning

Offend = Callable[[Rule, FindingKind, pa.RecordBatch], None]
"""Takes in rows that a rule does not allow."""

_STANDARD = "STANDARD"


@dataclass(slots=True)
class Seen:
    """What was seen below a rule's prefix. `offences` counts objects that it does not allow."""

    rule: Rule
    offend: Offend
    objects: int = 0
    bytes: int = 0
    newest: datetime | None = None
    offences: Counter[FindingKind] = field(default_factory=Counter)
    required: set[str] = field(default_factory=set)

    def add(self, rows: pa.RecordBatch) -> None:
        """Look at rows that are all below the prefix."""
        rule = self.rule
        if not rows.num_rows:
            return
        self.objects += rows.num_rows
        self.bytes += pc.sum(rows.column("size_bytes"), min_count=0).as_py()
        newest = pc.max(rows.column("last_modified")).as_py()
        if newest is not None:
            when = newest.replace(tzinfo=UTC)
            self.newest = when if self.newest is None else max(self.newest, when)
        if not rule.allow_empty:
            self._offend(FindingKind.EMPTY, rows, surely(pc.equal(rows.column("size_bytes"), 0)))
        if rule.storage_classes:
            classes = pc.fill_null(rows.column("storage_class"), _STANDARD)
            wrong = pc.invert(pc.is_in(classes, value_set=pa.array(rule.storage_classes)))
            self._offend(FindingKind.WRONG_CLASS, rows, wrong)
        self._match(rows)

    def _match(self, rows: pa.RecordBatch) -> None:
        rule = self.rule
        if not rule.patterns and len(self.required) == len(rule.required):
            return
        rest = without_beginning(rows.column("key"), len(rule.prefix))
        if rule.patterns:
            self._offend(FindingKind.PATTERN, rows, pc.invert(matches(rest, rule.patterns)))
        for glob in rule.required:
            if glob not in self.required and pc.any(matches(rest, (glob,))).as_py():
                self.required.add(glob)

    def _offend(self, kind: FindingKind, rows: pa.RecordBatch, mask: pa.BooleanArray) -> None:
        count = pc.sum(mask, min_count=0).as_py()
        if count:
            self.offences[kind] += count
            self.offend(self.rule, kind, rows.filter(mask))


class RuleBook:
    """All rules, fed with rows in key order. Cost: a binary search per rule and batch."""

    def __init__(self, rules: Sequence[Rule], offend: Offend) -> None:
        self.seen = [Seen(rule, offend) for rule in rules]

    def add(self, rows: pa.RecordBatch) -> None:
        """Rows of HAVE under shared names, ascending, none empty."""
        keys = rows.column("key")
        first, last = keys[0].as_py(), keys[-1].as_py()
        for one in self.seen:
            low, high = one.rule.prefix, successor(one.rule.prefix)
            if last < low or (high is not None and first >= high):
                continue
            start = rows_before(keys, low) if first < low else 0
            stop = len(keys) if high is None or last < high else rows_before(keys, high)
            one.add(rows.slice(start, stop - start))


def newest_due(rule: Rule, now: datetime) -> datetime | None:
    """The newest object may not be older than this; None without such a rule."""
    return None if rule.max_age_s is None else now - timedelta(seconds=rule.max_age_s)
