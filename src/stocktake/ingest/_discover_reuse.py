"""Not listing again what was listed a moment ago: `max_age`."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from stocktake.catalog import ListingRun, Snapshot, list_snapshots
from stocktake.clock import format_utc
from stocktake.ingest._discover_job import DiscoveryJob, DiscoveryReport, report_of
from stocktake.ingest._discover_scan import absorb_listing
from stocktake.listing import ListingMetrics, StrategyName
from stocktake.model import SourceKind

_FULL = frozenset({StrategyName.FULL, StrategyName.INCREMENTAL_TIME})
_RUNS_MAX = 200


def reuse(job: DiscoveryJob) -> DiscoveryReport | None:
    """The answer of a listing that is not older than `max_age`, or None.

    That is a finished run of the feed (of the same strategy, or a full one), or a listing of the
    prefix that somebody kept as a snapshot: that one is absorbed like a scan of our own.
    """
    if job.spec.max_age is None:
        return None
    oldest = job.catalog.clock.now() - job.spec.max_age
    run = _young_run(job, oldest)
    snapshot = _young_snapshot(job, oldest)
    if snapshot is not None and (run is None or snapshot.as_of > run.started_at):
        return _adopt(job, snapshot)
    return None if run is None else _repeat(job, run)


def _young_run(job: DiscoveryJob, oldest: datetime) -> ListingRun | None:
    wanted = _FULL | {job.spec.strategy}
    for run in job.feed.runs(_RUNS_MAX):
        if run.started_at < oldest:
            return None
        if run.state == "finished" and run.strategy in wanted:
            return run
    return None


def _young_snapshot(job: DiscoveryJob, oldest: datetime) -> Snapshot | None:
    """The newest complete listing that covers the prefix and is not in the feed yet."""
    source = job.spec.source
    through = job.feed.claim().complete_through
    for snapshot in list_snapshots(job.catalog, source=source.bucket):
        prefix = snapshot.coverage.prefix
        if snapshot.as_of < oldest or (through is not None and snapshot.as_of <= through):
            return None
        covers = prefix is not None and source.key.startswith(prefix)
        if snapshot.kind == SourceKind.LIST and covers:
            return snapshot
    return None


def _adopt(job: DiscoveryJob, snapshot: Snapshot) -> DiscoveryReport:
    metrics = ListingMetrics(objects=snapshot.objects, reused=True)
    with job.feed.discovering(StrategyName.FULL) as writer:
        absorbed = absorb_listing(job, writer, snapshot, metrics)
    note = f"not listed again: the snapshot {snapshot.id} is of {format_utc(snapshot.as_of)}"
    report = report_of(job, StrategyName.FULL, absorbed, metrics, (note,))
    return replace(report, reused=True)


def _repeat(job: DiscoveryJob, run: ListingRun) -> DiscoveryReport:
    metrics = ListingMetrics(
        objects=run.metrics.objects if run.metrics is not None else 0, reused=True
    )
    job.feed.note_reuse(job.spec.strategy, metrics)
    note = f"not listed again: the run {run.id} is of {format_utc(run.started_at)}"
    return DiscoveryReport(
        run.id,
        run.strategy,
        metrics,
        job.feed.claim(),
        reused=True,
        warnings=(note,),
    )
