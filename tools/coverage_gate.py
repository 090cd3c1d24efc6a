"""Hold the rooms that must not misreport to their coverage.

    python tools/coverage_gate.py .coverage.json

Reads coverage's JSON report, prints statement and branch coverage of each gated room, and exits 1
if one is below the threshold. Branches count on their own: a high share of statements cannot hide
untested conditions.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

THRESHOLD_PERCENT = 95.0
GATED_ROOMS = ("inventory", "catalog")


@dataclass(slots=True)
class Tally:
    """What was run of one room."""

    statements: int = 0
    statements_run: int = 0
    branches: int = 0
    branches_run: int = 0

    @property
    def statements_percent(self) -> float:
        """Share of statements run; 100 if there are none."""
        return 100 * self.statements_run / self.statements if self.statements else 100.0

    @property
    def branches_percent(self) -> float:
        """Share of branches taken; 100 if there are none."""
        return 100 * self.branches_run / self.branches if self.branches else 100.0


def tally(report: dict[str, Any], room: str) -> Tally:
    """Add up the files of one room."""
    total = Tally()
    for name, entry in report["files"].items():
        if f"stocktake/{room}/" in Path(name).as_posix():
            summary = entry["summary"]
            total.statements += summary["num_statements"]
            total.statements_run += summary["covered_lines"]
            total.branches += summary["num_branches"]
            total.branches_run += summary["covered_branches"]
    return total


def weakest(report: dict[str, Any], room: str, count: int) -> list[str]:
    """The files of a room with most branches never taken, as printable lines."""
    missing = {
        name: entry["summary"]["num_branches"] - entry["summary"]["covered_branches"]
        for name, entry in report["files"].items()
        if f"stocktake/{room}/" in Path(name).as_posix()
    }
    ranked = sorted(missing, key=lambda name: -missing[name])[:count]
    return [f"    {missing[name]:4} branches not taken in {name}" for name in ranked]


def main(arguments: list[str]) -> int:
    """Print the figures; return 1 if a room is below the threshold or was not measured."""
    report = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    failed = False
    for room in GATED_ROOMS:
        total = tally(report, room)
        print(
            f"coverage of {room}: {total.statements_percent:.1f} % of {total.statements} "
            f"statements, {total.branches_percent:.1f} % of {total.branches} branches"
        )
        if not total.statements:
            print(f"  nothing of {room} was measured")
            failed = True
        elif min(total.statements_percent, total.branches_percent) < THRESHOLD_PERCENT:
            print(f"  below {THRESHOLD_PERCENT:.0f} %; most is missing in")
            print("\n".join(weakest(report, room, 8)))
            failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
