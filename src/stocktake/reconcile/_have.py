"""Opens HAVE as it was asked for, and says why that does not do."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from stocktake.catalog import Snapshot
from stocktake.clock import format_utc
from stocktake.errors import SideUnavailableError
from stocktake.listing import RangeOptions, choose_lister
from stocktake.model import S3Url
from stocktake.reconcile._desk import Desk
from stocktake.reconcile._known_keys import known_keys
from stocktake.reconcile._newest_report import newest_report
from stocktake.reconcile._request import HaveSpec, ScanMode
from stocktake.reconcile._side import Side
from stocktake.reconcile._side_listing import ListingSide
from stocktake.reconcile._side_snapshot import SnapshotSide, check_covers, covering_snapshot
from stocktake.store import Store


def open_have(desk: Desk, spec: HaveSpec) -> Side:
    """HAVE in any mode but `sample`.

    Raises:
        SideUnavailableError: There is no such thing, or it is too old and a sample is allowed.
        StocktakeError: Whatever opening it met.
    """
    if spec.mode is ScanMode.FULL:
        return listing_side(desk, desk.store, spec.source, spec.workers)
    if spec.mode is ScanMode.AWS_INVENTORY:
        snapshot = newest_report(desk.catalog, desk.store, spec.source, spec.inventory)
        check_covers(snapshot, spec.source)
    else:
        snapshot = covering_snapshot(desk.catalog, spec.source, spec.snapshot)
    if spec.fallback_to_sample and is_too_old(desk, spec, snapshot):
        raise SideUnavailableError(
            f"the newest there is speaks of {format_utc(snapshot.as_of)}: older than allowed",
            snapshot=snapshot.id,
        )
    return SnapshotSide(desk.catalog, snapshot, spec.source.key)


def listing_side(desk: Desk, store: Store, source: S3Url, workers: int) -> ListingSide:
    """A listing of an address, with what the catalog knows of its keys."""
    options = RangeOptions(workers=workers)
    if store is desk.store:
        known = known_keys(desk.catalog, source)
        options = replace(options, split_keys=known.split_keys, rows_expected=known.rows)
    lister = choose_lister(
        store,
        source.bucket,
        options,
        state=desk.catalog.state,
        clock=desk.clock,
        meter=desk.meter if store is desk.store else None,
    )
    elsewhere = store is not desk.store
    return ListingSide(store, source, lister, desk.clock, is_elsewhere=elsewhere)


def is_too_old(desk: Desk, spec: HaveSpec, snapshot: Snapshot) -> bool:
    """Older than `max_age_s`."""
    if spec.max_age_s is None:
        return False
    return desk.clock.now() - snapshot.as_of > timedelta(seconds=spec.max_age_s)
