"""The lister of a full scan: many requests at once, warm from what the catalog knows."""

from __future__ import annotations

from collections.abc import Iterator

from stocktake.catalog import Snapshot, find_snapshot, list_snapshots
from stocktake.ingest._discover_job import DiscoveryJob
from stocktake.listing import Lister, RangeOptions, choose_lister, known_profile
from stocktake.store import StoreProfile


def lister_for(job: DiscoveryJob) -> Lister:
    """A lister for the job's prefix, as the store allows."""
    keys, rows = hints(job)
    return choose_lister(
        job.store,
        job.spec.source.bucket,
        RangeOptions(split_keys=keys, rows_expected=rows),
        state=job.catalog.state,
        clock=job.catalog.clock,
    )


def profile_for(job: DiscoveryJob) -> StoreProfile | None:
    """What is known of the store's listings, for strategies that need key order; None if nothing.

    Only `ordered` and `start_after` are to be believed.
    """
    known = known_profile(job.catalog.state, job.store, job.spec.source.bucket)
    if known is None:
        return None
    return StoreProfile(
        ordered=known.ordered is not False,
        start_after=known.start_after is not False,
        page_limit=True,
        odd_keys=True,
        put_if_absent=False,
        put_if_match=False,
        checksums=False,
        versioning=None,
        list_versions=bool(known.versions),
    )


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
