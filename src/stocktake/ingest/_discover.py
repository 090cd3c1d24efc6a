"""Discovery: run an ingestion's strategy and add what it found to the feed of its prefix.

>>> report = discover(catalog, store, spec)
>>> report.claim.sentence()
'complete through 2026-11-20T18:00:03Z (scan #812)'
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from stocktake.catalog import Catalog, open_feed
from stocktake.errors import StrategyRefusedError
from stocktake.ingest._discover_job import DiscoveryJob, DiscoveryReport
from stocktake.ingest._discover_scan import run_scan
from stocktake.ingest._spec import IngestionSpec
from stocktake.listing import StrategyName
from stocktake.store import Store
from stocktake.telemetry import NoProgress, Progress

_RUNNERS: Mapping[StrategyName, Callable[[DiscoveryJob], DiscoveryReport]] = {
    StrategyName.FULL: run_scan,
    StrategyName.INCREMENTAL_TIME: run_scan,
}


def discover(
    catalog: Catalog,
    store: Store,
    spec: IngestionSpec,
    *,
    audit: bool = False,
    progress: Progress = NoProgress(),
) -> DiscoveryReport:
    """Find out what is new below the prefix, by the strategy of the ingestion.

    Everything found is durable when this returns. Safe to kill and to run again; a second process
    on the same prefix is refused.

    Args:
        catalog: Where the feed is kept.
        store: Where the bucket is.
        spec: Prefix, strategy and its settings.
        audit: A full scan now, whatever the strategy.
        progress: Told what goes on.

    Raises:
        DiscoveryRunningError: Another process discovers this prefix.
        StrategyRefusedError: The strategy cannot feed an ingestion, or would miss objects here.
        StoreError: What listing met; nothing of this run is in the feed.
        ConfirmationNeededError: A full scan looks like a mass deletion.
    """
    job = DiscoveryJob(catalog, store, spec, open_feed(catalog, spec.source), progress)
    if audit:
        return run_scan(job)
    run = _RUNNERS.get(spec.strategy)
    if run is None:
        raise StrategyRefusedError(
            f"`{spec.strategy}` estimates, it does not say which objects are there"
        )
    return run(job)
