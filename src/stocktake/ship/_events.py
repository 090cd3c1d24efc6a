"""What a shipper tells whoever watches: one event per thing that happened."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol


class EventKind(StrEnum):
    """What happened. The first seven are the life of a file."""

    DETECTED = "detected"
    SETTLED = "settled"
    PLANNED = "planned"
    STARTED = "started"
    PROGRESS = "progress"
    UPLOADED = "uploaded"
    FAILED = "failed"
    POSTPONED = "postponed"
    """It is tried again: it changed, ended too early, or something passing was in the way."""
    VANISHED = "vanished"
    BEGUN = "begun"
    RECOVERED = "recovered"
    """Uploads that a killed process left open were ended, or files released."""
    REBUILT = "rebuilt"
    FOLDER = "folder"
    OUTAGE = "outage"
    BACK = "back"
    PAUSED = "paused"
    WORKER = "worker"
    MANIFEST = "manifest"
    RELOADED = "reloaded"
    STOPPING = "stopping"
    ENDED = "ended"


_LEVELS = {
    EventKind.DETECTED: logging.DEBUG,
    EventKind.SETTLED: logging.DEBUG,
    EventKind.STARTED: logging.DEBUG,
    EventKind.PROGRESS: logging.DEBUG,
    EventKind.FAILED: logging.ERROR,
    EventKind.FOLDER: logging.WARNING,
    EventKind.OUTAGE: logging.WARNING,
    EventKind.PAUSED: logging.ERROR,
    EventKind.WORKER: logging.WARNING,
    EventKind.MANIFEST: logging.WARNING,
    EventKind.REBUILT: logging.WARNING,
    EventKind.POSTPONED: logging.WARNING,
}


@dataclass(frozen=True, slots=True)
class ShipEvent:
    """One thing that happened.

    Attributes:
        kind: What.
        at: When, aware UTC.
        path: The file it is about, relative to the folder, as the kernel has it.
        error: `StocktakeError.to_dict()`, if something went wrong.
        details: Everything else.
    """

    kind: EventKind
    at: datetime
    path: bytes | None = None
    error: Mapping[str, Any] | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def level(self) -> int:
        """Severity, as in `logging`."""
        return _LEVELS.get(self.kind, logging.INFO)


class ShipListener(Protocol):
    """Whoever watches. Called from several threads; must not wait."""

    def on_event(self, event: ShipEvent) -> None:
        """Something happened."""


class NoListener:
    """Nobody watches."""

    def on_event(self, event: ShipEvent) -> None:
        """Ignore it."""
