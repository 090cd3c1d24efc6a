"""A ledger in a folder of its own, by a clock that stands still."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stocktake.clock import FixedClock
from stocktake.ship._ledger import Ledger


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
def ledger(tmp_path: Path, clock: FixedClock) -> Iterator[Ledger]:
    with_file = Ledger.open(tmp_path / "ledger.db", clock=clock)
    yield with_file
    with_file.close()
