"""What full scans said about the partial strategies that ran beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select

from stocktake.catalog._catalog import Catalog
from stocktake.catalog._feed_lease import FINISHED
from stocktake.clock import parse_utc
from stocktake.listing import StrategyName
from stocktake.state import feed_cursors, listing_runs

_FULL = frozenset({StrategyName.FULL.value, StrategyName.INCREMENTAL_TIME.value})


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """How one strategy came out of its audits.

    Attributes:
        audits: Full scans since it first ran.
        missed: Objects that it should have seen and had not, over all of them.
        last_missed: In the newest of them.
        last_missed_at: When it last missed any; None if never.
        lateness_max_s: The longest time after its place was passed that an object appeared, over
            the strategy's own runs and the audits; None if none was late.
    """

    audits: int
    missed: int
    last_missed: int
    last_missed_at: datetime | None
    lateness_max_s: float | None

    @property
    def trusted(self) -> bool:
        """False if the newest audit found something that it had missed: it is to be demoted."""
        return self.last_missed == 0


def audit_record(catalog: Catalog, feed_id: str) -> dict[str, AuditRecord]:
    """Strategy -> its record, for every strategy that keeps a cursor in the feed."""
    runs = (
        select(listing_runs)
        .where(listing_runs.c.feed_id == feed_id, listing_runs.c.state == FINISHED)
        .order_by(listing_runs.c.id)
    )
    with catalog.state.read() as connection:
        cursors = select(feed_cursors.c.strategy).where(feed_cursors.c.feed_id == feed_id)
        strategies = set(connection.execute(cursors).scalars()) - _FULL
        rows = connection.execute(runs).all()
    return {strategy: _record(rows, strategy) for strategy in sorted(strategies)}


def _record(rows: Sequence[Row[Any]], strategy: str) -> AuditRecord:
    own = [row for row in rows if row.strategy == strategy]
    since = min((parse_utc(row.started_at) for row in own), default=None)
    audits = [
        row
        for row in rows
        if row.strategy in _FULL and since is not None and parse_utc(row.started_at) >= since
    ]
    missing = [row for row in audits if (row.audit_missed or {}).get(strategy)]
    lateness = [(row.metrics or {}).get("lateness_max_s") for row in (*own, *missing)]
    return AuditRecord(
        audits=len(audits),
        missed=sum(row.audit_missed[strategy] for row in missing),
        last_missed=(audits[-1].audit_missed or {}).get(strategy, 0) if audits else 0,
        last_missed_at=parse_utc(missing[-1].started_at) if missing else None,
        lateness_max_s=max((late for late in lateness if late is not None), default=None),
    )
