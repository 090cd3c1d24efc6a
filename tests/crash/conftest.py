"""Reports and a catalog that crash tests start from, made once."""

from __future__ import annotations

import pytest
from crash_world import World, make_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("crash"))
