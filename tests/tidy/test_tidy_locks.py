"""The requirement locks install the same files everywhere, and name no machine to get them from."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

LOCKS = ["core", "demo", "dev", "docs", "swift"]
PIN = re.compile(r"^([a-z0-9.-]+)==(\S+)( ; .+)? \\$", re.MULTILINE)


def read(root: Path, name: str) -> str:
    return (root / "requirements" / f"{name}.txt").read_text(encoding="utf-8")


def pins(root: Path, name: str) -> dict[str, str]:
    return {found[0]: found[1] for found in PIN.findall(read(root, name))}


def declared(root: Path, *extras: str) -> set[str]:
    """Names of the direct requirements of the project and some extras."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"]]
    for extra in extras:
        wanted += project["optional-dependencies"][extra]
    return {re.match(r"[A-Za-z0-9._-]+", one).group().lower().replace("_", "-") for one in wanted}


@pytest.mark.parametrize("name", LOCKS)
def test_every_pin_has_hashes(name: str, root: Path) -> None:
    blocks = re.split(r"\n(?=[a-z0-9])", read(root, name))
    pinned = [block for block in blocks if re.match(r"[a-z0-9.-]+==", block)]
    assert pinned
    assert [block.split("\n")[0] for block in pinned if "--hash=sha256:" not in block] == []
    assert len(pinned) == len(pins(root, name))


@pytest.mark.parametrize("name", LOCKS)
def test_no_lock_says_where_to_download(name: str, root: Path) -> None:
    text = read(root, name)
    assert re.findall(r"://|--index|--extra-index|--find-links|--trusted-host|@ file", text) == []


@pytest.mark.parametrize("name", LOCKS)
def test_no_lock_names_a_local_path(name: str, root: Path) -> None:
    assert re.findall(r"(?:^|[\s(=])/\S+", read(root, name), re.MULTILINE) == []


@pytest.mark.parametrize(
    ("name", "extras"),
    [
        ("core", []),
        ("demo", ["demo"]),
        ("dev", ["demo", "postgres", "iceberg", "dev"]),
        ("docs", ["docs"]),
    ],
)
def test_lock_has_everything_that_the_project_declares(
    name: str, extras: list[str], root: Path
) -> None:
    assert declared(root, *extras) <= set(pins(root, name))


@pytest.mark.parametrize("name", ["core", "demo", "docs"])
def test_locks_agree_so_that_they_can_be_installed_side_by_side(name: str, root: Path) -> None:
    dev, other = pins(root, "dev"), pins(root, name)
    assert {key: other[key] for key in other if dev.get(key, other[key]) != other[key]} == {}
