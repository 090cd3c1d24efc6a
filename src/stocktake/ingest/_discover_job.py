"""What every way to discover is given, and what it reports."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from stocktake.catalog import Absorbed, Catalog, Claim, Feed
from stocktake.ingest._spec import IngestionSpec
from stocktake.listing import ListingMetrics, StrategyName
from stocktake.store import Store
from stocktake.telemetry import Progress


@dataclass(frozen=True, slots=True)
class DiscoveryJob:
    """One task of discovery."""

    catalog: Catalog
    store: Store
    spec: IngestionSpec
    feed: Feed
    progress: Progress


@dataclass(frozen=True, slots=True)
class DiscoveryReport:
    """What a discovery came to.

    Attributes:
        run_id: Of the run in `Feed.runs`; of a reused one the run that is reused.
        strategy: What ran.
        metrics: What it did and cost.
        claim: How complete the feed is now.
        first_seq: Number of the first change; None without changes.
        last_seq: Number of the last change.
        reused: True if no listing was made because another one is young enough.
        missed: Of a full scan: strategy -> objects that it should have seen and had not.
        warnings: What a person should know.
    """

    run_id: str
    strategy: StrategyName
    metrics: ListingMetrics
    claim: Claim
    first_seq: int | None = None
    last_seq: int | None = None
    reused: bool = False
    missed: dict[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Everything, for `--json`."""
        return {
            "run_id": self.run_id,
            "strategy": self.strategy.value,
            "metrics": self.metrics.to_dict(),
            "claim": self.claim.to_dict(),
            "first_seq": self.first_seq,
            "last_seq": self.last_seq,
            "reused": self.reused,
            "missed": dict(self.missed),
            "warnings": list(self.warnings),
        }


def report_of(
    job: DiscoveryJob,
    strategy: StrategyName,
    absorbed: Absorbed,
    metrics: ListingMetrics,
    warnings: tuple[str, ...] = (),
) -> DiscoveryReport:
    """The report of a run that absorbed something."""
    return DiscoveryReport(
        absorbed.run_id,
        strategy,
        metrics,
        job.feed.claim(),
        absorbed.first_seq,
        absorbed.last_seq,
        missed=absorbed.missed,
        warnings=warnings,
    )
