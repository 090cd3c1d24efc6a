"""A full scan: list everything, keep it as a snapshot, absorb what it says otherwise."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from stocktake.catalog import (
    Absorbed,
    FeedWriter,
    ImportOptions,
    Snapshot,
    find_snapshot,
    import_snapshot,
    take_up_scan,
)
from stocktake.clock import format_utc
from stocktake.ingest._discover_job import DiscoveryJob, DiscoveryReport, report_of
from stocktake.ingest._discover_lister import lister_for
from stocktake.ingest._discover_look import look_in
from stocktake.listing import (
    ListingMetrics,
    ListSource,
    StrategyName,
    TimeRules,
    open_upload_watermark,
)

# a listing is exact, so no deletion is too young; the feed compares with what is known itself
_OPTIONS = ImportOptions(compare=False, deletion_margin=timedelta())
_RESUMED_MAX = timedelta(hours=1)
"""An interrupted scan that began longer ago is begun anew: going on, it proves what it did then."""

SLOW_LISTING = timedelta(minutes=5)


def run_scan(job: DiscoveryJob) -> DiscoveryReport:
    """List the whole prefix; the claim moves to the instant before its first request."""
    clock = job.catalog.clock
    strategy = StrategyName.FULL
    if job.spec.strategy is StrategyName.INCREMENTAL_TIME:
        strategy = StrategyName.INCREMENTAL_TIME
    began_s = clock.monotonic_s()
    with job.feed.discovering(strategy) as writer:
        snapshot, metrics = _list(job)
        listed_s = clock.monotonic_s() - began_s
        cursor, warnings = _watermark(job, strategy, snapshot, metrics)
        absorbed = absorb_listing(job, writer, snapshot, metrics, cursor)
    if listed_s > SLOW_LISTING.total_seconds():
        warnings += (
            f"listing took {listed_s / 60:.0f} min: another strategy may fit better "
            f"(stocktake plan {job.spec.source})",
        )
    return report_of(job, strategy, absorbed, metrics, warnings)


def absorb_listing(
    job: DiscoveryJob,
    writer: FeedWriter,
    snapshot: Snapshot,
    metrics: ListingMetrics,
    cursor: dict[str, Any] | None = None,
) -> Absorbed:
    """Absorb a finished listing of the whole prefix."""
    return writer.absorb_snapshot(
        snapshot,
        started_at=snapshot.as_of,
        proves_complete=True,
        metrics=metrics,
        look=look_in(job.store, job.spec.source.bucket),
        accept_deletions=job.accept_deletions,
        cursor=cursor,
    )


def _list(job: DiscoveryJob) -> tuple[Snapshot, ListingMetrics]:
    """A snapshot of the prefix, listed now or by going on with an interrupted scan."""
    lister = lister_for(job)
    fresh = ListSource(job.store, job.spec.source, clock=job.catalog.clock, lister=lister)
    source = take_up_scan(job.catalog, fresh, younger_than=_RESUMED_MAX)
    try:
        result = import_snapshot(job.catalog, source, _OPTIONS, progress=job.progress)
    finally:
        source.close()
    snapshot = find_snapshot(job.catalog, result.snapshot_id)
    metrics = replace(source.metrics, objects=snapshot.manifest.stats.rows, new=0)
    return snapshot, metrics


def _watermark(
    job: DiscoveryJob, strategy: StrategyName, snapshot: Snapshot, metrics: ListingMetrics
) -> tuple[dict[str, Any] | None, tuple[str, ...]]:
    """The cursor of `incremental_time`: before which date nothing more will appear."""
    if strategy is not StrategyName.INCREMENTAL_TIME:
        return None, ()
    rules = TimeRules.from_settings(job.spec.strategy_settings)
    if not rules.ask_open_uploads:
        return {"watermark": format_utc(snapshot.as_of - rules.slack)}, ()
    found = open_upload_watermark(job.store, job.spec.source, snapshot.as_of, rules.slack)
    metrics.calls["uploads"] = metrics.calls.get("uploads", 0) + found.calls
    warnings = (found.warning,) if found.warning else ()
    return {"watermark": format_utc(found.at), "open_uploads": found.open_uploads}, warnings
