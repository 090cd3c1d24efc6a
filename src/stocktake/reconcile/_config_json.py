"""JSON as a configuration tree, with what the standard parser drops: lines and repeated names."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from typing import Any

from stocktake.errors import ReconcileConfigError
from stocktake.reconcile._config_tree import CONFIG_DEPTH_MAX, Node, twice

_SPACE = re.compile(r"[ \t\n\r]*")


def parse_json(text: str, name: str) -> Node:
    """The tree of a JSON text.

    Raises:
        ReconcileConfigError: Not JSON, or a name given twice.
    """
    if not text.strip():
        return Node(None)
    reading = _Reading(text, name)
    node, end = reading.value(reading.after_space(0), 0)
    end = reading.after_space(end)
    if end != len(text):
        raise reading.refuse(end, "there is something after its end")
    return node


class _Reading:
    """Recursive descent over one text; scalars are left to the standard decoder."""

    def __init__(self, text: str, name: str) -> None:
        self._text = text
        self._name = name
        self._breaks = [found.start() for found in re.finditer("\n", text)]
        self._decoder = json.JSONDecoder()

    def after_space(self, at: int) -> int:
        """The next position that is not white space."""
        found = _SPACE.match(self._text, at)
        return found.end() if found else at

    def line(self, at: int) -> int:
        """The line of a position, from 1."""
        return bisect_right(self._breaks, at - 1) + 1

    def refuse(self, at: int, why: str) -> ReconcileConfigError:
        """The error for one position."""
        line = self.line(at)
        return ReconcileConfigError(
            f"the configuration `{self._name}`, line {line} is not JSON: {why}",
            hint="names and text stand in double quotes; no comma after the last value",
            path=self._name,
            line=line,
        )

    def value(self, at: int, depth: int) -> tuple[Node, int]:
        """The value that begins at a position, and where it ends."""
        if depth > CONFIG_DEPTH_MAX:
            raise self.refuse(at, f"it has more than {CONFIG_DEPTH_MAX} levels")
        first = self._text[at : at + 1]
        if first == "{":
            return self._members(at, depth)
        if first == "[":
            return self._items(at, depth)
        value, end = self._scalar(at)
        return Node(value, self.line(at)), end

    def _scalar(self, at: int) -> tuple[Any, int]:
        try:
            return self._decoder.raw_decode(self._text, at)
        except json.JSONDecodeError as error:
            raise self.refuse(error.pos, error.msg) from error
        except ValueError as error:  # an integer of thousands of digits
            raise self.refuse(at, "a number is too long") from error

    def _members(self, at: int, depth: int) -> tuple[Node, int]:
        found: dict[str, Node] = {}
        position = self.after_space(at + 1)
        while self._text[position : position + 1] != "}":
            key_at = position
            if self._text[position : position + 1] != '"':
                raise self.refuse(position, "a name in double quotes is missing")
            key, position = self._scalar(position)
            position = self.after_space(position)
            if self._text[position : position + 1] != ":":
                raise self.refuse(position, "a colon is missing")
            node, position = self.value(self.after_space(position + 1), depth + 1)
            if key in found:
                raise twice(self._name, key, found[key].line, self.line(key_at))
            found[key] = Node(node.value, self.line(key_at))
            position = self._after_comma(position, "}")
        return Node(found, self.line(at)), position + 1

    def _items(self, at: int, depth: int) -> tuple[Node, int]:
        found: list[Node] = []
        position = self.after_space(at + 1)
        while self._text[position : position + 1] != "]":
            node, position = self.value(position, depth + 1)
            found.append(node)
            position = self._after_comma(position, "]")
        return Node(found, self.line(at)), position + 1

    def _after_comma(self, at: int, closing: str) -> int:
        position = self.after_space(at)
        char = self._text[position : position + 1]
        if char == closing:
            return position
        if char != ",":
            raise self.refuse(position, f"a comma or `{closing}` is missing")
        following = self.after_space(position + 1)
        if self._text[following : following + 1] == closing:
            raise self.refuse(position, f"there is a comma before `{closing}`")
        return following
