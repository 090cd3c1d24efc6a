"""The lister of a full scan: many requests at once, warm from what the catalog knows."""

from __future__ import annotations

from collections.abc import Iterator

from stocktake.catalog import Snapshot, find_snapshot, list_snapshots
from stocktake.ingest._discover_job import DiscoveryJob
from stocktake.listing import Lister, RangeLister, RangeOptions


def lister_for(job: DiscoveryJob) -> Lister:
    """A lister for the job's prefix."""
    keys, rows = hints(job)
    options = RangeOptions(split_keys=keys, rows_expected=rows)
    return RangeLister(options, clock=job.catalog.clock)


def hints(job: DiscoveryJob) -> tuple[tuple[str, ...], int | None]:
    """Keys that cut what was last known below the prefix into equal pieces, and how much it was."""
    prefix = job.spec.source.key
    for snapshot in _witnesses(job):
        everything = snapshot.manifest.quantiles
        here = tuple(key for key in everything if key.startswith(prefix))
        if here:
            rows = snapshot.manifest.stats.rows
            return here, rows * len(here) // len(everything)
    return (), None


def _witnesses(job: DiscoveryJob) -> Iterator[Snapshot]:
    """The feed's base, else the newest snapshot that covers the prefix."""
    base = job.feed.base_snapshot_id()
    if base is not None:
        yield find_snapshot(job.catalog, base)
        return
    for snapshot in list_snapshots(job.catalog, source=job.spec.source.bucket):
        if job.spec.source.key.startswith(snapshot.coverage.prefix or ""):
            yield snapshot
            return
