"""A catalog in a directory, at a time that only tests move."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stocktake.catalog import Catalog, open_catalog
from stocktake.clock import FixedClock

NOW = datetime(2026, 1, 10, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture(scope="session")
def empty_catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog without snapshots, to be copied: making one takes longer than most tests."""
    place = tmp_path_factory.mktemp("empty") / "catalog"
    open_catalog(str(place), create=True, clock=FixedClock(NOW)).close()
    return place


@pytest.fixture
def catalog(tmp_path: Path, clock: FixedClock, empty_catalog: Path) -> Iterator[Catalog]:
    place = tmp_path / "catalog"
    shutil.copytree(empty_catalog, place)
    with open_catalog(str(place), clock=clock, threads=1) as catalog:
        yield catalog
