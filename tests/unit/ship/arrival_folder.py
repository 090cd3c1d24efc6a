"""A watched folder in a test: real files, a clock that does not wait."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stocktake.clock import FixedClock
from stocktake.ship import ShipSettings
from stocktake.ship._arrival import Arrival, Sighting

SETTLE_S = 2.0
UNKNOWN_S = 20.0


@dataclass
class Watched:
    """The folder, its settings, and one arrival that looks at it."""

    root: Path
    clock: FixedClock = field(default_factory=lambda: FixedClock(datetime(2026, 11, 1, tzinfo=UTC)))
    changes: dict[str, Any] = field(default_factory=dict)
    arrival: Arrival = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.restart()

    @property
    def folder(self) -> Path:
        return self.root / "in"

    @property
    def settings(self) -> ShipSettings:
        settings = ShipSettings(
            folder=self.folder,
            bucket="landing",
            state_folder=self.root / "state",
            error_folder=self.folder / ".stocktake-failed",
            settle_s=SETTLE_S,
            settle_unknown_s=UNKNOWN_S,
        )
        return replace(settings, **self.changes)

    def restart(self, **arguments: Any) -> None:
        self.arrival = Arrival(self.settings, clock=self.clock, **arguments)

    def write(self, name: str | bytes, content: bytes = b"x") -> Path:
        path = self.folder / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def poll(self, after_s: float = 0.0) -> Sighting:
        self.clock.advance(after_s)
        return self.arrival.poll()

    def ready(self, after_s: float = 0.0) -> list[str]:
        """Paths that this poll reports."""
        return names(self.poll(after_s))

    def settled(self) -> list[str]:
        """What is ready when everything has had its time."""
        first = self.ready()
        return first + self.ready(SETTLE_S)


def names(sighting: Sighting) -> list[str]:
    return [os.fsdecode(one.path) for one in sighting.ready]


def codes(sighting: Sighting) -> list[tuple[str, str]]:
    return [(os.fsdecode(path), error.code) for path, error in sighting.problems]


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
