"""The package keeps the house rules: our checker, import contracts, ruff, mypy, room doors."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import tidy

PACKAGE = Path(__file__).parents[2] / "src" / "stocktake"
ROOMS = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))


def run(root: Path, *command: str) -> None:
    """Run a checker from the environment of the tests; its output is the failure message."""
    program = Path(sys.executable).with_name(command[0])
    done = subprocess.run(
        [program, *command[1:]], cwd=root, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.fail(done.stdout + done.stderr, pytrace=False)


def test_no_module_breaks_a_house_rule() -> None:
    findings = tidy.check(PACKAGE)
    assert not findings, "\n".join(map(str, findings))


def test_import_contracts_hold(root: Path) -> None:
    run(root, "lint-imports", "--no-cache")


def test_ruff_finds_nothing(root: Path) -> None:
    run(root, "ruff", "check", "--no-cache", ".")


def test_everything_is_formatted(root: Path) -> None:
    run(root, "ruff", "format", "--no-cache", "--check", ".")


def test_types_are_right(root: Path) -> None:
    run(root, "mypy")


def test_floors_name_every_room_and_module() -> None:
    placed = frozenset().union(*tidy.FLOORS)
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    assert modules | set(ROOMS) <= placed


def test_no_folder_of_the_package_lacks_a_door() -> None:
    folders = {path.parent for path in PACKAGE.rglob("*.py")}
    doorless = {folder for folder in folders if not (folder / "__init__.py").is_file()}
    assert {folder for folder in doorless if "_migrations" not in folder.parts} == set()


@pytest.mark.parametrize("room", ROOMS)
def test_all_lists_exactly_what_the_room_exports(room: str) -> None:
    tree = ast.parse((PACKAGE / room / "__init__.py").read_text(encoding="utf-8"))
    exported: set[str] = set()
    # what a room loads when it is first asked for is imported for the type checker only
    later = [one for node in tree.body if _is_for_types(node) for one in node.body]
    for node in [*tree.body, *later]:
        if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith(f"stocktake.{room}."):
            exported |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            exported.add(node.name)
        elif isinstance(node, ast.Assign):
            exported |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    module = importlib.import_module(f"stocktake.{room}")
    assert set(module.__all__) == {name for name in exported if not name.startswith("_")}
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


def _is_for_types(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
    )
