"""Fault points kill at the turn they are told, and do nothing otherwise."""

from __future__ import annotations

import itertools
import os
import re
import signal
from pathlib import Path

import pytest

from stocktake import faults

SOURCES = Path(faults.__file__).parent


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Who would have been killed, how."""
    calls: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: calls.append((pid, number)))
    monkeypatch.setattr(faults, "_REACHED", itertools.count(1))
    return calls


@pytest.mark.parametrize(("turn", "fatal"), [("", 1), ("1", 1), ("3", 3)])
def test_point_kills_at_its_turn_only(
    turn: str, fatal: int, killed: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faults, "_NAME", "file.written")
    monkeypatch.setattr(faults, "_TURN", turn)
    for reached in range(1, 5):
        faults.reached("file.renamed")
        faults.reached("file.written")
        assert len(killed) == (reached >= fatal)
    assert killed == [(os.getpid(), signal.SIGKILL)]


def test_nothing_is_killed_unless_asked(killed: list[tuple[int, int]]) -> None:
    for point in faults.POINTS:
        faults.reached(point)
    assert killed == []


def test_points_are_those_in_the_code() -> None:
    code = "".join(path.read_text("utf-8") for path in SOURCES.rglob("*.py"))
    assert sorted(set(re.findall(r'reached\("([\w.-]+)"\)', code))) == sorted(faults.POINTS)
