"""What the tests of reconcile share."""

from __future__ import annotations

import pytest

from reconcile_world import RowStore, World


@pytest.fixture
def store():
    return RowStore()


@pytest.fixture
def world(tmp_path, store):
    world = World(tmp_path, store)
    yield world
    world.catalog.close()
