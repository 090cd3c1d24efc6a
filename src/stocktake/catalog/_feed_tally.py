"""How many changes of which kind a run found, and which of them it should have found before."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from stocktake.catalog._feed_sight import naive

CHANGED = ("new", "modified", "deleted")


class Tally:
    """Counts changes.

    Attributes:
        kinds: Kind of change -> keys.
        late: New and modified objects that some partial strategy had passed by.
        missed: The same by strategy.
    """

    def __init__(self, passed: Mapping[str, datetime]) -> None:
        """Begin.

        Args:
            passed: Partial strategy -> objects that were last modified before are ones that it
                should have seen.
        """
        self.kinds = dict.fromkeys(CHANGED, 0)
        self.late = 0
        self.missed: dict[str, int] = {}
        self._passed = {
            name: pa.scalar(naive(at), pa.timestamp("ms")) for name, at in passed.items()
        }

    def add(self, net: pa.RecordBatch) -> pa.BooleanArray:
        """Count rows of NET_CHANGE; which of them are late."""
        for kind in CHANGED:
            self.kinds[kind] += pc.equal(net.column("verdict"), kind).true_count
        late = pa.repeat(pa.scalar(value=False), net.num_rows)
        for strategy, since in self._passed.items():
            older = pc.less(net.column("last_modified"), since)
            missed = pc.fill_null(older, fill_value=False)
            if missed.true_count:
                self.missed[strategy] = self.missed.get(strategy, 0) + missed.true_count
                late = pc.or_(late, missed)
        self.late += late.true_count
        return late
