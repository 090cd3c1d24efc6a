"""How many changes of which kind a run found, and which of them it should have found before."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from stocktake.catalog._feed_passed import Passed
from stocktake.catalog._feed_times import naive
from stocktake.listing import StrategyName

CHANGED = ("new", "modified", "deleted")


class Tally:
    """Counts changes.

    Attributes:
        kinds: Kind of change -> keys.
        late: New and modified objects that some strategy had passed by.
        missed: The same by partial strategy.
        lateness: The longest time after its place was passed that one of them appeared.
    """

    def __init__(self, passed: Mapping[str, Passed] | None = None) -> None:
        """Begin; `passed` says of each partial strategy how far it has come."""
        self.kinds = dict.fromkeys(CHANGED, 0)
        self.late = 0
        self.missed: dict[str, int] = {}
        self.lateness: timedelta | None = None
        self._passed = dict(passed or {})

    def add(self, net: pa.RecordBatch) -> pa.BooleanArray:
        """Count rows of NET_CHANGE; which of them are late."""
        for kind in CHANGED:
            self.kinds[kind] += pc.equal(net.column("verdict"), kind).true_count
        if not self._passed:
            return pa.repeat(pa.scalar(value=False), net.num_rows)
        late = [False] * net.num_rows
        for strategy, passed in self._passed.items():
            limit = pa.scalar(naive(passed.before), pa.timestamp("ms"))
            older = pc.less(net.column("last_modified"), limit)
            for place in pc.indices_nonzero(pc.fill_null(older, fill_value=False)).to_pylist():
                late[place] |= self._count(strategy, passed, net, place)
        self.late += sum(late)
        return pa.array(late, pa.bool_())

    def _count(self, strategy: str, passed: Passed, net: pa.RecordBatch, place: int) -> bool:
        modified = net.column("last_modified")[place].as_py().replace(tzinfo=UTC)
        lateness = passed.lateness(net.column("key")[place].as_py(), modified)
        if lateness is None:
            return False
        if strategy != StrategyName.INCREMENTAL_TIME:
            self.missed[strategy] = self.missed.get(strategy, 0) + 1
        self.lateness = max(self.lateness or timedelta(), lateness)
        return True
