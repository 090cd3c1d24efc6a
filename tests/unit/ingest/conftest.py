"""An empty catalog with a clock that only tests move, and a consumer's world on it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest_world import NOW, World, make_world
from stocktake.catalog import Catalog, open_catalog
from stocktake.clock import FixedClock


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture(scope="session")
def empty_catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("empty") / "catalog"
    open_catalog(str(place), create=True, clock=FixedClock(NOW)).close()
    return place


@pytest.fixture
def catalog(tmp_path: Path, clock: FixedClock, empty_catalog: Path) -> Iterator[Catalog]:
    place = tmp_path / "catalog"
    shutil.copytree(empty_catalog, place)
    with open_catalog(str(place), clock=clock, threads=1) as catalog:
        yield catalog


@pytest.fixture
def world(catalog: Catalog, clock: FixedClock) -> World:
    return make_world(catalog, clock)
