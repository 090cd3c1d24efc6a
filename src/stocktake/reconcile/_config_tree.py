"""A configuration file as a tree of values that know the line they stand in.

YAML, JSON and TOML become the same tree, so that whatever is wrong can be named with file, line and
key. A name given twice is an error in all three: the later one would win without a word.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time

from stocktake.errors import ReconcileConfigError

CONFIG_BYTES_MAX = 1 << 20
CONFIG_DEPTH_MAX = 20
CONFIG_VALUES_MAX = 20_000

Scalar = str | int | float | bool | date | datetime | time | bytes | None


@dataclass(frozen=True, slots=True)
class Node:
    """A value of the file.

    Attributes:
        value: A scalar, a list of nodes, or nodes by name.
        line: Where it begins, from 1; None if the format does not say.
        written: A scalar as the file has it, where that is not what it means (YAML's `no`).
    """

    value: Scalar | list[Node] | dict[str, Node]
    line: int | None = None
    written: str | None = None

    @property
    def kind(self) -> str:
        """What it is, for people."""
        return _kind(self.value)


def _kind(value: object) -> str:
    if value is None:
        return "empty"
    for types, name in _KINDS:
        if isinstance(value, types):
            return name
    return type(value).__name__


_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "true or false"),
    (int, "a whole number"),
    (float, "a number"),
    (str, "text"),
    ((datetime, date, time), "a date"),
    (bytes, "binary"),
    (list, "a list"),
    (dict, "a section"),
)


def twice(name: str, key: str, first_line: int | None, line: int | None) -> ReconcileConfigError:
    """The error for a name that stands twice in one section."""
    at = f", line {line}" if line else ""
    other = f" stands in line {first_line} already" if first_line else " is there twice"
    return ReconcileConfigError(
        f"the configuration `{name}`{at}: `{key}`{other}",
        hint="keep one of them: otherwise the later one would win without a word",
        path=name,
        key=key,
        line=line,
    )
