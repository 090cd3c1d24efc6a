"""Rules against every object: numbers while rows go by, verdicts at the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from stocktake.model import successor
from stocktake.reconcile._align import rows_before
from stocktake.reconcile._globs import matches
from stocktake.reconcile._request import Rule
from stocktake.reconcile._side_rows import without_beginning

EXAMPLES_MAX = 1_000
"""Objects per rule and expectation that get a finding of their own; the rest is counted."""

_STANDARD = "STANDARD"


@dataclass(slots=True)
class Offenders:
    """Objects that violate one expectation: how many, and the first of them."""

    count: int = 0
    examples: list[dict[str, object]] = field(default_factory=list)

    def add(self, rows: pa.RecordBatch) -> None:
        """Some more."""
        self.count += rows.num_rows
        room = EXAMPLES_MAX - len(self.examples)
        if room > 0 and rows.num_rows:
            self.examples += rows.slice(0, room).to_pylist()


@dataclass(slots=True)
class Seen:
    """What was seen below a rule's prefix."""

    rule: Rule
    objects: int = 0
    bytes: int = 0
    newest: datetime | None = None
    empty: Offenders = field(default_factory=Offenders)
    wrong_class: Offenders = field(default_factory=Offenders)
    unmatched: Offenders = field(default_factory=Offenders)
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
            self.empty.add(rows.filter(pc.equal(rows.column("size_bytes"), 0)))
        if rule.storage_classes:
            classes = pc.fill_null(rows.column("storage_class"), _STANDARD)
            wrong = pc.invert(pc.is_in(classes, value_set=pa.array(rule.storage_classes)))
            self.wrong_class.add(rows.filter(wrong))
        self._match(rows)

    def _match(self, rows: pa.RecordBatch) -> None:
        rule = self.rule
        if not rule.patterns and len(self.required) == len(rule.required):
            return
        rest = without_beginning(rows.column("key"), len(rule.prefix))
        if rule.patterns:
            self.unmatched.add(rows.filter(pc.invert(matches(rest, rule.patterns))))
        for glob in rule.required:
            if glob not in self.required and pc.any(matches(rest, (glob,))).as_py():
                self.required.add(glob)


class RuleBook:
    """All rules, fed with rows in key order. Cost: a binary search per rule and batch."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.seen = [Seen(rule) for rule in rules]

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
