"""TOML as a configuration tree. Lines are looked up: the standard parser forgets them."""

from __future__ import annotations

import re
import tomllib
from typing import Any

from stocktake.errors import ReconcileConfigError
from stocktake.reconcile._config_tree import Node

_LINE = re.compile(r"\(at line (\d+)")
_HEADER = re.compile(r"\s*(\[\[?)\s*([^\]]+?)\s*\]")
_ASSIGNED = re.compile(r"""\s*((?:[A-Za-z0-9_.-]|"[^"]*"|'[^']*'|[ \t])+?)\s*=""")

Path = tuple[str | int, ...]


def parse_toml(text: str, name: str) -> Node:
    """The tree of a TOML text.

    Raises:
        ReconcileConfigError: Not TOML, which includes a name given twice.
    """
    try:
        raw = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        found = _LINE.search(str(error))
        line = int(found[1]) if found else None
        at = f", line {line}" if line else ""
        why = str(error).partition(" (at ")[0] or "too deep"
        raise ReconcileConfigError(
            f"the configuration `{name}`{at} is not TOML: {why}",
            hint="text stands in quotes, a list of rules as [[rules]], each name once",
            path=name,
            line=line,
        ) from error
    return _node(raw, (), _lines(text))


def _node(value: Any, path: Path, lines: dict[Path, int]) -> Node:
    line = lines.get(path)
    if isinstance(value, dict):
        return Node({k: _node(v, (*path, k), lines) for k, v in value.items()}, line)
    if isinstance(value, list):
        return Node([_node(v, (*path, i), lines) for i, v in enumerate(value)], line)
    return Node(value, line)


def _lines(text: str) -> dict[Path, int]:
    """The line of every name that begins one. Inline tables share the line of their name."""
    found: dict[Path, int] = {}
    table: Path = ()
    counts: dict[Path, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        header = _HEADER.match(line)
        if header:
            table = _names(header[2])
            if header[1] == "[[":
                counts[table] = counts.get(table, -1) + 1
                table = (*table, counts[table])
            found.setdefault(table, number)
            continue
        assigned = _ASSIGNED.match(line)
        if assigned:
            found.setdefault((*table, *_names(assigned[1])), number)
    return found


def _names(dotted: str) -> Path:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))
