"""What `ship check` does: everything that can be known before the first file is shipped."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import Any

from stocktake.cli._run import Run
from stocktake.cli._ship_settings import ship_settings, target_text
from stocktake.ship import SHIP_SETTINGS, Finding, Level, ShipSettings, check_settings
from stocktake.store import open_store

EXIT_FAILED = 1
_STYLES = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "red"}


def check_all(run: Run, options: Mapping[str, Any]) -> int:
    """Print what is right and what is not; returns the exit code."""
    settings = ship_settings(run, options)
    with closing(open_store(settings.store, clock=run.clock)) as store:
        found = check_settings(settings, store, clock=run.clock)
    if run.out.json:
        values = {"settings": _values(settings), "findings": [one.to_dict() for one in found]}
        run.out.document(values)
    else:
        run.out.line(f"{settings.folder} -> {target_text(settings)}")
        for one in found:
            _print(run, one)
    return EXIT_FAILED if any(one.level is Level.FAIL for one in found) else 0


def _print(run: Run, one: Finding) -> None:
    level = run.out.styled(one.level.value.ljust(4), _STYLES[one.level])
    run.out.line(f"  {level}  {one.name:<20}  {one.message}")
    if one.hint and one.level is not Level.OK:
        run.out.line(f"        {one.hint}")


def _values(settings: ShipSettings) -> dict[str, Any]:
    """Every setting in force; no secret is one of them."""
    owners = {
        "ship": settings,
        "store": settings.store,
        "limits": settings.limits,
        "convert": settings.convert,
    }
    return {
        one.name: _shown(getattr(owners[one.owner], one.field))
        for one in SHIP_SETTINGS
        if hasattr(owners[one.owner], one.field)
    }


def _shown(value: Any) -> Any:
    return value if isinstance(value, int | float | bool | Mapping | type(None)) else str(value)
