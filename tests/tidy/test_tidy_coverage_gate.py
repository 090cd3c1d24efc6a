"""The coverage gate passes what is covered and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import coverage_gate


def entry(statements: tuple[int, int], branches: tuple[int, int]) -> dict[str, dict[str, int]]:
    return {
        "summary": {
            "num_statements": statements[1],
            "covered_lines": statements[0],
            "num_branches": branches[1],
            "covered_branches": branches[0],
        }
    }


def report(tmp_path: Path, **rooms: dict[str, dict[str, int]]) -> str:
    files = {f"src/stocktake/{room}/_a.py": found for room, found in rooms.items()}
    path = tmp_path / "coverage.json"
    path.write_text(json.dumps({"files": files}))
    return str(path)


FULL = entry((100, 100), (20, 20))


def test_full_coverage_passes(tmp_path: Path) -> None:
    assert coverage_gate.main([report(tmp_path, inventory=FULL, catalog=FULL)]) == 0


def test_exactly_the_threshold_passes(tmp_path: Path) -> None:
    at = entry((95, 100), (19, 20))
    assert coverage_gate.main([report(tmp_path, inventory=at, catalog=FULL)]) == 0


@pytest.mark.parametrize(
    "low", [entry((94, 100), (20, 20)), entry((100, 100), (18, 20))], ids=["statements", "branches"]
)
def test_one_figure_below_the_threshold_fails(
    low: dict[str, dict[str, int]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert coverage_gate.main([report(tmp_path, inventory=FULL, catalog=low)]) == 1
    assert "stocktake/catalog/_a.py" in capsys.readouterr().out


def test_a_room_that_was_not_measured_fails(tmp_path: Path) -> None:
    assert coverage_gate.main([report(tmp_path, inventory=FULL)]) == 1


def test_other_rooms_are_not_gated(tmp_path: Path) -> None:
    none = entry((0, 100), (0, 20))
    assert coverage_gate.main([report(tmp_path, inventory=FULL, catalog=FULL, cli=none)]) == 0
