"""Every requirement and every edge case is named by a test that would fail without it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REQUIREMENTS = [
    *(f"INV-{number}" for number in (*range(1, 13), 20, 21)),
    *(f"CAT-{number}" for number in range(1, 12)),
    *(f"LST-{number}" for number in range(1, 5)),
    *(f"STR-{number}" for number in range(1, 13)),
    *(f"EVT-{number}" for number in range(1, 4)),
    *(f"ING-{number}" for number in range(1, 7)),
    *(f"SHP-{number}" for number in (1, 2, 3, 4, 10, 11, 12, 13, 20, 21, 22, 23)),
    *(f"SHP-{number}" for number in (30, 31, 32, 33, 40, 41, 42, 43, 50, 51, 52)),
    *(f"MAN-{number}" for number in range(1, 6)),
    *(f"REC-{number}" for number in range(1, 5)),
    *(f"SET-{number}" for number in range(1, 4)),
]
EDGE_CASES = range(1, 76)
FAULTS = range(1, 63)


@pytest.fixture(scope="module")
def test_sources(tracked: list[Path]) -> str:
    """All test modules but this one, as one text."""
    modules = [path for path in tracked if path.name.startswith("test_") and path.suffix == ".py"]
    mine = Path(__file__).resolve()
    return "\n".join(path.read_text(encoding="utf-8") for path in modules if path.resolve() != mine)


@pytest.mark.parametrize("requirement", REQUIREMENTS)
def test_requirement_is_named_by_a_test(requirement: str, test_sources: str) -> None:
    assert re.search(rf"\b{requirement}\b(?!-)", test_sources), f"no test names {requirement}"


def test_every_edge_case_has_a_test_of_its_number(test_sources: str) -> None:
    named = {int(number) for number in re.findall(r"edge_(\d\d)(?!\d)", test_sources)}
    assert sorted(set(EDGE_CASES) - named) == []


def test_every_fault_of_shipping_has_a_test_of_its_number(test_sources: str) -> None:
    named = {int(number) for number in re.findall(r"def test_fault_(\d\d)_", test_sources)}
    assert sorted(set(FAULTS) - named) == []
