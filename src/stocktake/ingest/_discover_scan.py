"""A full scan: list everything, keep it as a snapshot, absorb what it says otherwise."""

from __future__ import annotations

from datetime import timedelta

from stocktake.catalog import ImportOptions, find_snapshot, import_snapshot
from stocktake.ingest._discover_job import DiscoveryJob, DiscoveryReport, report_of
from stocktake.listing import ListingMetrics, ListSource, StrategyName

# a listing is exact, so no deletion is too young; the feed compares with what is known itself
_OPTIONS = ImportOptions(compare=False, deletion_margin=timedelta())


def run_scan(job: DiscoveryJob) -> DiscoveryReport:
    """List the whole prefix; the claim moves to the instant before its first request."""
    clock = job.catalog.clock
    strategy = (
        StrategyName.INCREMENTAL_TIME
        if job.spec.strategy is StrategyName.INCREMENTAL_TIME
        else StrategyName.FULL
    )
    began_s = clock.monotonic_s()
    metrics = ListingMetrics()
    with job.feed.discovering(strategy) as writer:
        source = ListSource(job.store, job.spec.source, clock=clock)
        result = import_snapshot(job.catalog, source, _OPTIONS, progress=job.progress)
        snapshot = find_snapshot(job.catalog, result.snapshot_id)
        metrics.objects = snapshot.manifest.stats.rows
        metrics.wall_s = clock.monotonic_s() - began_s
        absorbed = writer.absorb_snapshot(
            snapshot, started_at=snapshot.as_of, proves_complete=True, metrics=metrics
        )
    return report_of(job, strategy, absorbed, metrics)
