"""What the daemon does with what the scan finds: SHP-50, fault 13."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stocktake.clock import FixedClock
from stocktake.errors import SourceUnreadableError
from stocktake.ship import (
    EventKind,
    Identity,
    Ledger,
    ReadySource,
    ShipEvent,
    ShipSettings,
    SourceKind,
    SourceState,
)
from stocktake.ship._arrival import Sighting
from stocktake.ship._daemon_arrivals import Arrivals
from stocktake.ship._daemon_context import ShipContext
from stocktake.ship._figures import FigureBook

CLOCK = FixedClock(datetime(2026, 11, 21, tzinfo=UTC))


class Watcher:
    def __init__(self) -> None:
        self.told: list[tuple[EventKind, bytes | None]] = []

    def on_event(self, event: ShipEvent) -> None:
        self.told.append((event.kind, event.path))


@pytest.fixture
def watcher() -> Watcher:
    return Watcher()


@pytest.fixture
def context(tmp_path: Path, watcher: Watcher) -> Iterator[ShipContext]:
    ledger = Ledger.open(tmp_path / "ledger.db", clock=CLOCK)
    settings = ShipSettings(folder=tmp_path, bucket="b")
    yield ShipContext(settings, CLOCK, ledger, watcher, FigureBook(CLOCK.monotonic_s))
    ledger.close()


def sighting(
    *names: bytes, problems: tuple[bytes, ...] = (), vanished: tuple[bytes, ...] = ()
) -> Sighting:
    return Sighting(
        ready=[ReadySource(name, Identity(1, 2, 3, 4, 5), SourceKind.PLAIN) for name in names],
        waiting=0,
        busy=0,
        unmarked=0,
        problems=[(path, SourceUnreadableError("no")) for path in problems],
        vanished=list(vanished),
        detected=list(names),
    )


def test_fault_13_unreadable_file_counts_until_it_can_be_read(context: ShipContext) -> None:
    """`once` must not say that all is well: exit code 3."""
    arrivals = Arrivals(context)
    arrivals._take(sighting(problems=(b"a", b"b", b"c")))
    arrivals._take(sighting())
    assert context.figures.snapshot().unreadable == 3
    arrivals._take(sighting(b"a", vanished=(b"b",)))
    assert context.figures.snapshot().unreadable == 1


def test_what_comes_to_rest_is_pending_and_told(context: ShipContext, watcher: Watcher) -> None:
    Arrivals(context)._take(sighting(b"a", b"b"))
    assert context.ledger.counts() == {SourceState.PENDING: 2}
    assert watcher.told == [
        (EventKind.DETECTED, b"a"),
        (EventKind.DETECTED, b"b"),
        (EventKind.SETTLED, b"a"),
        (EventKind.SETTLED, b"b"),
    ]


def test_only_files_that_waited_are_told_as_vanished(
    context: ShipContext, watcher: Watcher
) -> None:
    """Removing what was shipped is what people do; it is no event."""
    arrivals = Arrivals(context)
    arrivals._take(sighting(b"a"))
    watcher.told.clear()
    arrivals._take(sighting(vanished=(b"a", b"long gone")))
    assert watcher.told == [(EventKind.VANISHED, b"a")]
    assert context.ledger.counts() == {SourceState.VANISHED: 1}
