"""From a command line to the settings of shipping."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stocktake.cli._run import Run
from stocktake.cli._ship_options import COMMON
from stocktake.ship import ShipSettings, load_ship_settings


def ship_settings(
    run: Run, options: Mapping[str, Any], *, folder_must_exist: bool = True
) -> ShipSettings:
    """The settings that this command line, the environment and the files give."""
    given = dict(options)
    env_file = given.pop("env_file", None)
    given |= {name: run.given[name] for name in COMMON if name in run.given}
    return load_ship_settings(
        given,
        env_file=None if env_file is None else Path(env_file),
        folder_must_exist=folder_must_exist,
    )


def target_text(settings: ShipSettings) -> str:
    """Where to, as an address."""
    return f"s3://{settings.bucket}/{settings.prefix}"
