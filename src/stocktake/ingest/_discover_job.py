"""What every way to discover is given, and what it reports."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, overload

from stocktake.catalog import Absorbed, Catalog, Claim, Feed
from stocktake.events import EventQueue
from stocktake.ingest._spec import IngestionSpec
from stocktake.listing import ListingMetrics, StrategyName
from stocktake.store import Store
from stocktake.telemetry import Progress


@dataclass(frozen=True, slots=True)
class DiscoveryJob:
    """One task of discovery.

    Attributes:
        catalog: Where the feed is kept.
        store: Where the bucket is.
        spec: Prefix, strategy and its settings.
        feed: Of the prefix.
        progress: Told what goes on.
        accept_deletions: Also a mass deletion.
        queue: Where events come from; None: those on hold, or the queue that the settings name.
    """

    catalog: Catalog
    store: Store
    spec: IngestionSpec
    feed: Feed
    progress: Progress
    accept_deletions: bool = False
    queue: EventQueue | None = None


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


@overload
def together(earlier: DiscoveryReport | None, later: DiscoveryReport) -> DiscoveryReport: ...


@overload
def together(
    earlier: DiscoveryReport | None, later: DiscoveryReport | None
) -> DiscoveryReport | None: ...


def together(
    earlier: DiscoveryReport | None, later: DiscoveryReport | None
) -> DiscoveryReport | None:
    """The later report, with the numbers, misses and warnings of both; None if there is none."""
    if earlier is None or later is None:
        return later or earlier
    return replace(
        later,
        first_seq=earlier.first_seq or later.first_seq,
        last_seq=later.last_seq or earlier.last_seq,
        missed={**earlier.missed, **later.missed},
        reused=earlier.reused and later.reused,
        warnings=tuple(dict.fromkeys([*earlier.warnings, *later.warnings])),
    )
