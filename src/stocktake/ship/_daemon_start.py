"""How the daemon comes by its ledger: opened, or made anew from the bucket."""

from __future__ import annotations

from pathlib import Path

from stocktake.clock import Clock
from stocktake.errors import LedgerError
from stocktake.ship._events import EventKind, ShipEvent, ShipListener
from stocktake.ship._ledger import Ledger, set_aside
from stocktake.ship._settings import ShipSettings

LEDGER_NAME = "ledger.db"
_EMPTY_NAME = "ledger.empty"
"""Lies beside a new ledger until it was filled from the bucket."""


def ledger_path(settings: ShipSettings) -> Path:
    """Where the ledger of this folder lies."""
    return settings.state_folder / LEDGER_NAME


def open_ledger(
    settings: ShipSettings, clock: Clock, listener: ShipListener
) -> tuple[Ledger, bool]:
    """The ledger, and True if it must be filled from the bucket; a damaged one is set aside.

    Raises:
        ShipRunningError: Another process has it.
        LedgerError: A newer stocktake has written it.
    """
    path = ledger_path(settings)
    empty = path.with_name(_EMPTY_NAME)
    if not path.exists():
        rebuild_begun(settings)
    try:
        return Ledger.open(
            path, clock=clock, small_max_bytes=settings.small_max_bytes
        ), empty.exists()
    except LedgerError as error:
        if "version" in error.message:
            raise
        failure = error.to_dict()
    rebuild_begun(settings)
    aside = set_aside(path)
    listener.on_event(
        ShipEvent(EventKind.REBUILT, clock.now(), None, failure, {"kept_as": str(aside)})
    )
    return Ledger.open(path, clock=clock, small_max_bytes=settings.small_max_bytes), True


def rebuild_begun(settings: ShipSettings) -> None:
    """From now on a start fills the ledger from the bucket, until `rebuild_ended`."""
    settings.state_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    ledger_path(settings).with_name(_EMPTY_NAME).touch()


def rebuild_ended(settings: ShipSettings) -> None:
    """A new ledger holds what the bucket knows."""
    ledger_path(settings).with_name(_EMPTY_NAME).unlink(missing_ok=True)
