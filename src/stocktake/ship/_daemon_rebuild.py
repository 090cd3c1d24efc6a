"""Making a ledger anew on request; a kill at any time leaves a start that finishes it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from stocktake.clock import Clock
from stocktake.errors import ShipRunningError
from stocktake.ship._daemon_running import is_locked
from stocktake.ship._daemon_start import ledger_path, rebuild_begun, rebuild_ended
from stocktake.ship._ledger import Ledger, set_aside
from stocktake.ship._rebuild import RebuildReport, rebuild_ledger
from stocktake.ship._settings import ShipSettings
from stocktake.store import Store
from stocktake.telemetry import Progress


def rebuild_anew(
    settings: ShipSettings, store: Store, *, clock: Clock, progress: Progress
) -> tuple[Path | None, RebuildReport]:
    """Set the ledger aside, if there is one, and fill a new one from the bucket.

    Returns:
        Where the old one is now, and what was found.

    Raises:
        ShipRunningError: A shipper is at work.
        StoreError: The bucket cannot be read; the next start, or another call, goes on.
    """
    path = ledger_path(settings)
    if is_locked(path):
        raise ShipRunningError(f"a process ships {settings.folder} with the ledger {path}")
    rebuild_begun(settings)
    kept = set_aside(path) if path.exists() else None
    with closing(Ledger.open(path, clock=clock)) as ledger:
        report = rebuild_ledger(ledger, store, settings, progress=progress)
    rebuild_ended(settings)
    return kept, report
