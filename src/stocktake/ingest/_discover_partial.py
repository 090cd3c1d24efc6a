"""A partial strategy: list what may be new, absorb it together with the strategy's cursor."""

from __future__ import annotations

from stocktake.ingest._discover_job import DiscoveryJob, DiscoveryReport, report_of
from stocktake.ingest._discover_lister import hints, profile_for
from stocktake.listing import ListingJob, start_strategy


def run_partial(job: DiscoveryJob) -> DiscoveryReport:
    """One run of a strategy that lists in part; nothing is called deleted by it."""
    keys, rows = hints(job)
    with job.feed.discovering(job.spec.strategy) as writer:
        run = start_strategy(
            job.spec.strategy,
            ListingJob(
                job.store,
                job.spec.source,
                job.catalog.clock,
                cursor=writer.cursor,
                split_keys=keys,
                keys_expected=rows,
                settings=job.spec.strategy_settings,
                profile=profile_for(job),
            ),
        )
        metrics = run.metrics
        absorbed = writer.absorb(
            run.batches(), cursor=run.cursor, metrics=metrics, passed=run.passed
        )
    return report_of(job, job.spec.strategy, absorbed, metrics, run.warnings)
