"""What the parts of the daemon share."""

from __future__ import annotations

import os
import queue
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from stocktake.clock import Clock
from stocktake.ship._events import EventKind, ShipEvent, ShipListener
from stocktake.ship._figures import FigureBook
from stocktake.ship._ledger import Ledger
from stocktake.ship._settings import ShipSettings

Message = tuple[Any, ...]
"""A name and what goes with it, for the daemon's one thread."""


@dataclass(slots=True)
class ShipContext:
    """What the parts of one daemon share.

    Attributes:
        settings: Replaced by a reload; ask each time.
        inbox: What other threads, workers and signals tell the daemon's thread.
    """

    settings: ShipSettings
    clock: Clock
    ledger: Ledger
    listener: ShipListener
    figures: FigureBook
    inbox: queue.SimpleQueue[Message] = field(default_factory=queue.SimpleQueue)
    dice: Callable[[], float] = random.random

    def tell(
        self,
        kind: EventKind,
        path: bytes | None = None,
        error: Mapping[str, Any] | None = None,
        **details: Any,
    ) -> None:
        """Tell the listener."""
        self.listener.on_event(ShipEvent(kind, self.clock.now(), path, error, details))

    def backoff_s(self, attempt: int) -> float:
        """How long to wait after that many tries: exponential, full jitter, capped."""
        return self.dice() * min(self.settings.retry_cap_s, 0.5 * 2.0 ** min(attempt, 20))


def path_text(path: bytes | None) -> str:
    """The path for people and logs; bytes that are no text are escaped."""
    return "" if path is None else os.fsdecode(path).encode("utf-8", "backslashreplace").decode()
