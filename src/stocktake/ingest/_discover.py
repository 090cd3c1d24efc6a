"""Discovery: run an ingestion's strategy and add what it found to the feed of its prefix.

>>> report = discover(catalog, store, spec)
>>> report.claim.sentence()
'complete through 2026-11-20T18:00:03Z (scan #812)'
"""

from __future__ import annotations

from datetime import datetime

from stocktake.catalog import Catalog, Feed, open_feed
from stocktake.errors import StrategyRefusedError
from stocktake.events import EventQueue
from stocktake.ingest._discover_events import run_events
from stocktake.ingest._discover_inventory import run_inventory
from stocktake.ingest._discover_job import DiscoveryJob, DiscoveryReport, together
from stocktake.ingest._discover_partial import run_partial
from stocktake.ingest._discover_reuse import reuse
from stocktake.ingest._discover_scan import run_scan
from stocktake.ingest._spec import IngestionSpec
from stocktake.listing import ListingMetrics, StrategyName, TimeRules
from stocktake.store import Store
from stocktake.telemetry import NoProgress, Progress

_SCANS = (StrategyName.FULL, StrategyName.INCREMENTAL_TIME)


def discover(
    catalog: Catalog,
    store: Store,
    spec: IngestionSpec,
    *,
    audit: bool = False,
    accept_deletions: bool = False,
    queue: EventQueue | None = None,
    progress: Progress = NoProgress(),
) -> DiscoveryReport:
    """Find out what is new below the prefix, by the strategy of the ingestion.

    Everything found is durable when this returns. Safe to kill and to run again; a second process
    on the same prefix is refused. A partial strategy is followed by a full scan, its audit, when
    `spec.audit_every` has passed since the last one.

    Args:
        catalog: Where the feed is kept.
        store: Where the bucket is.
        spec: Prefix, strategy and its settings.
        audit: A full scan now, whatever the strategy and however young the last one.
        accept_deletions: Also a scan that looks like a mass deletion.
        queue: Where events come from, for `event_driven`; None: the queue of the settings, or only
            what is on hold.
        progress: Told what goes on.

    Raises:
        DiscoveryRunningError: Another process discovers this prefix.
        StrategyRefusedError: The strategy cannot feed an ingestion, or would miss objects here.
        StoreError: What listing met; nothing of this run is in the feed.
        ConfirmationNeededError: A full scan looks like a mass deletion.
    """
    if spec.strategy is StrategyName.SAMPLE:
        raise StrategyRefusedError(
            f"`{spec.strategy}` estimates how much there is, it does not say which objects"
        )
    feed = open_feed(catalog, spec.source)
    job = DiscoveryJob(catalog, store, spec, feed, progress, accept_deletions, queue)
    if spec.strategy in _SCANS:
        reused = None if audit or _is_refresh(spec) else reuse(job)
        return reused or run_scan(job)
    report = _run(job, audit=audit)
    if audit or _audit_due(job):
        return together(report, run_scan(job))
    return report or _nothing(job)


def next_audit(feed: Feed, spec: IngestionSpec) -> datetime | None:
    """When the next audit is due; None if none is planned, or the first scan is still to come."""
    through = feed.claim().complete_through
    if spec.audit_every is None or spec.strategy in _SCANS or through is None:
        return None
    return through + spec.audit_every


def _run(job: DiscoveryJob, *, audit: bool) -> DiscoveryReport | None:
    """One run of a strategy that does not list everything; None if there was nothing to do."""
    strategy = job.spec.strategy
    if strategy is StrategyName.INVENTORY:
        return run_inventory(job)
    if strategy is StrategyName.EVENT_DRIVEN:
        # events tell what happens, not what is there: the first time somebody has to look
        first = None if audit or job.feed.base_snapshot_id() else reuse(job) or run_scan(job)
        return together(first, run_events(job))
    return (None if audit else reuse(job)) or run_partial(job)


def _audit_due(job: DiscoveryJob) -> bool:
    if job.spec.audit_every is None:
        return False
    due = next_audit(job.feed, job.spec)
    return due is None or due <= job.catalog.clock.now()


def _is_refresh(spec: IngestionSpec) -> bool:
    if spec.strategy is not StrategyName.INCREMENTAL_TIME:
        return False
    return not TimeRules.from_settings(spec.strategy_settings).compare_with_known


def _nothing(job: DiscoveryJob) -> DiscoveryReport:
    runs = job.feed.runs(1)
    run_id = runs[0].id if runs else ""
    return DiscoveryReport(run_id, job.spec.strategy, ListingMetrics(), job.feed.claim())
