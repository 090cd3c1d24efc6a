"""The ledger against a dictionary, also when it is killed at any commit. SHP-40, SHP-41, fault 60.

A kill is played by taking the files as they are on disk and opening them elsewhere.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger_model import ACTIONS, World
from ledger_model_files import STEPS


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32))
def test_ledger_is_what_a_dictionary_is(seed: int, tmp_path: Path) -> None:
    """The seed chooses all: states this deep are not found by choosing step for step."""
    shutil.rmtree(tmp_path)
    tmp_path.mkdir()
    world = World(tmp_path, seed)
    try:
        for _ in range(STEPS):
            world.pick(ACTIONS)(world)
            world.check()
    finally:
        world.ledger.close()
