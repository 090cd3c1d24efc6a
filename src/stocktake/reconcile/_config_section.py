"""One section of a configuration: which names it may have, and taking each as what it has to be."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, TypeVar

from stocktake.errors import ReconcileConfigError
from stocktake.reconcile._config_tree import Node
from stocktake.reconcile._shown import visible

E = TypeVar("E", bound=StrEnum)

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGTPE]i?B?|B)?", re.IGNORECASE)
_TIME = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d|w)", re.IGNORECASE)
_TIME_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SHARE = re.compile(r"(\d+(?:\.\d+)?)\s*(%?)")
_NEAR = 0.6
_PLAIN_HINTS = {
    "true or false": "write true or false, without quotes",
    "a whole number": "write it in digits, without quotes",
}


@dataclass(frozen=True, slots=True)
class Key:
    """A name that a section may have, as parser and reference page see it."""

    name: str
    kind: str
    help: str
    default: str = ""


def plain(name: str) -> str:
    """A name without what people spell differently: `scanMode`, `scan-mode` and `scan_mode`."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def nearest(name: str, known: Sequence[str]) -> str | None:
    """The known name that was probably meant, or None."""
    by_plain = {plain(one): one for one in known}
    if plain(name) in by_plain:
        return by_plain[plain(name)]
    near = difflib.get_close_matches(plain(name), list(by_plain), n=1, cutoff=_NEAR)
    return by_plain[near[0]] if near else None


class Section:
    """The names and values of one section; unknown names are refused at once.

    Args:
        file: Name of the file, for errors.
        path: Dotted path of the section; empty for the whole file.
        node: Its node.
        keys: The names it may have.
        elsewhere: Names that are right elsewhere, with where they belong: for the hint.
        synonyms: What people call names of it, spelt plainly, with what to write: for the hint.
    """

    def __init__(
        self,
        file: str,
        path: str,
        node: Node,
        keys: Sequence[Key],
        elsewhere: Mapping[str, str] | None = None,
        synonyms: Mapping[str, str] | None = None,
    ) -> None:
        self._elsewhere = elsewhere or {}
        self._synonyms = synonyms or {}
        self._file = file
        self._path = path
        self._line = node.line
        if not isinstance(node.value, dict):
            raise self.refuse_node(
                path,
                node,
                f"is {self._shown(node)}, not a section",
                "write names and values below it, each line indented by two spaces",
            )
        self._nodes = node.value
        known = [key.name for key in keys]
        for name, child in self._nodes.items():
            if name not in known:
                raise self._unknown(name, child, known)

    def __contains__(self, name: str) -> bool:
        return name in self._nodes and self._nodes[name].value is not None

    def at(self, name: str) -> str:
        """The dotted path of a name in it."""
        return f"{self._path}.{name}" if self._path else name

    # --- values; None if the name is not there or empty ---

    def text(self, name: str) -> str | None:
        """A text that is not empty."""
        node = self._node(name)
        if node is None:
            return None
        if not isinstance(node.value, str):
            raise self._wrong_kind(name, node, "text")
        if not node.value:
            raise self.refuse(name, "is empty", "remove the line, or give it a value")
        return node.value

    def name_or_number(self, name: str) -> str | None:
        """A text, or a whole number as the file has it: `16`, `0042`."""
        node = self._node(name)
        if node is None or isinstance(node.value, bool) or not isinstance(node.value, int):
            return self.text(name)
        return node.written if node.written is not None else str(node.value)

    def flag(self, name: str) -> bool | None:
        """True or false."""
        node = self._node(name)
        if node is None:
            return None
        if not isinstance(node.value, bool):
            raise self._wrong_kind(name, node, "true or false")
        return node.value

    def count(self, name: str, *, minimum: int = 0) -> int | None:
        """A whole number."""
        node = self._node(name)
        if node is None:
            return None
        if isinstance(node.value, bool) or not isinstance(node.value, int):
            raise self._wrong_kind(name, node, "a whole number")
        if node.value < minimum:
            raise self.refuse(name, f"is {node.value}, the smallest is {minimum}", None)
        if node.value >= 1 << 63:
            raise self.refuse(name, "is larger than any number of objects", None)
        return node.value

    def size_bytes(self, name: str) -> int | None:
        """Bytes: `4096`, `10MB` or `1.5GiB`."""
        node = self._node(name)
        if node is None:
            return None
        if isinstance(node.value, int) and not isinstance(node.value, bool) and node.value >= 0:
            return node.value
        match = _SIZE.fullmatch(node.value.strip()) if isinstance(node.value, str) else None
        if match is None:
            raise self.refuse(
                name, f"is {self._shown(node)}, not a size", "write it as 4096, 10MB or 1.5GiB"
            )
        unit = (match[2] or "B").upper()
        step = 1024 if "I" in unit else 1000
        return int(float(match[1]) * step ** "BKMGTPE".index(unit[0]))

    def duration(self, name: str) -> timedelta | None:
        """A length of time: `90s`, `15m`, `1h`, `2d`, `1w` or several of them."""
        node = self._node(name)
        if node is None:
            return None
        hint = "write it as 90s, 15m, 1h, 2d or 1w"
        compact = "".join(node.value.split()) if isinstance(node.value, str) else ""
        pieces = list(_TIME.finditer(compact))
        if not pieces or "".join(piece[0] for piece in pieces) != compact:
            raise self.refuse(name, f"is {self._shown(node)}, not a length of time", hint)
        try:
            return timedelta(seconds=sum(float(one[1]) * _TIME_S[one[2].lower()] for one in pieces))
        except OverflowError:
            raise self.refuse(name, f"is {self._shown(node)}, which is too long", hint) from None

    def share(self, name: str) -> float | None:
        """A part of the whole, above 0 and at most 1: `0.05` or `5%`."""
        node = self._node(name)
        if node is None:
            return None
        value = node.value
        found: float | None = None
        if isinstance(value, int | float) and not isinstance(value, bool):
            found = float(value)
        elif isinstance(value, str) and (match := _SHARE.fullmatch(value.strip())):
            found = float(match[1]) / (100 if match[2] else 1)
        if found is None or not 0 < found <= 1:
            raise self.refuse(
                name,
                f"is {self._shown(node)}, not a share above 0 and up to 1",
                "write it as 0.05 or 5%",
            )
        return found

    def choice(self, name: str, kind: type[E]) -> E | None:
        """One of the words of an enumeration."""
        node = self._node(name)
        if node is None:
            return None
        words = [str(one) for one in kind]
        spelt = {plain(word): word for word in words}
        if isinstance(node.value, str):
            if plain(node.value) in spelt:
                return kind(spelt[plain(node.value)])
            near = nearest(node.value, words)
            hint = f"did you mean `{near}`?" if near else f"choose one of {', '.join(words)}"
        else:
            hint = f"choose one of {', '.join(words)}"
        raise self.refuse(name, f"is {self._shown(node)}, not one of {', '.join(words)}", hint)

    def texts(self, name: str) -> tuple[str, ...] | None:
        """One text or a list of them."""
        node = self._node(name)
        if node is None:
            return None
        if isinstance(node.value, str):
            text = self.text(name)
            return (text,) if text else ()
        if not isinstance(node.value, list):
            raise self._wrong_kind(name, node, "text or a list of texts")
        for number, child in enumerate(node.value, 1):
            if not isinstance(child.value, str) or not child.value:
                raise self.refuse_node(
                    f"{self.at(name)}[{number}]",
                    child,
                    f"is {self._shown(child)}, not text",
                    _quote(child),
                )
        return tuple(str(child.value) for child in node.value)

    # --- parts ---

    def section(
        self, name: str, keys: Sequence[Key], elsewhere: Mapping[str, str] | None = None
    ) -> Section | None:
        """The section of that name."""
        node = self._node(name)
        if node is None:
            return None
        return Section(self._file, self.at(name), node, keys, elsewhere)

    def sections(
        self, name: str, keys: Sequence[Key], synonyms: Mapping[str, str] | None = None
    ) -> list[Section]:
        """The list of sections of that name."""
        node = self._node(name)
        if node is None:
            return []
        if not isinstance(node.value, list):
            raise self._wrong_kind(name, node, "a list: `- name: value`")
        return [
            Section(self._file, f"{self.at(name)}[{number}]", child, keys, None, synonyms)
            for number, child in enumerate(node.value, 1)
        ]

    def is_section(self, name: str) -> bool:
        """True if the value has names of its own."""
        return name in self._nodes and isinstance(self._nodes[name].value, dict)

    # --- errors ---

    def refuse(self, name: str, why: str, hint: str | None) -> ReconcileConfigError:
        """The error about one of its names; about itself if the name is empty."""
        line = self._line if self._path else None
        node = self._nodes.get(name, Node(None, line))
        return self.refuse_node(self.at(name) if name else self._path, node, why, hint)

    def refuse_node(
        self, path: str, node: Node, why: str, hint: str | None
    ) -> ReconcileConfigError:
        """The error about a node at a path."""
        at = f", line {node.line}" if node.line else ""
        where = f"`{_cut(path)}` " if path else "it "
        return ReconcileConfigError(
            f"the configuration `{self._file}`{at}: {where}{why}",
            hint=hint,
            path=self._file,
            key=path,
            line=node.line,
        )

    def _node(self, name: str) -> Node | None:
        node = self._nodes.get(name)
        return None if node is None or node.value is None else node

    def _unknown(self, name: str, node: Node, known: Sequence[str]) -> ReconcileConfigError:
        near = nearest(name, known)
        if plain(name) in self._synonyms:
            hint = f"write `{self._synonyms[plain(name)]}`"
        elif name in self._elsewhere:
            hint = f"it belongs to {self._elsewhere[name]}"
        elif near and near not in self._nodes:
            hint = f"did you mean `{self.at(near)}`?"
        else:
            hint = f"names that are known here: {', '.join(known)}"
        return self.refuse_node(self.at(name), node, "is not a setting", hint)

    def _wrong_kind(self, name: str, node: Node, wanted: str) -> ReconcileConfigError:
        hint = _quote(node) if wanted.startswith("text") else _PLAIN_HINTS.get(wanted)
        return self.refuse(name, f"is {self._shown(node)}, not {wanted}", hint)

    @staticmethod
    def _shown(node: Node) -> str:
        """A value as the file has it, and what it was taken for if that is not plain."""
        if isinstance(node.value, list | dict) or node.value is None:
            return node.kind
        if node.written is not None and not isinstance(node.value, str):
            return f"`{_cut(node.written)}` ({node.kind})"
        return f"`{_cut(_json_like(node.value))}`"


def _quote(node: Node) -> str | None:
    if isinstance(node.value, list | dict) or node.value is None:
        return None
    return f'put it in quotes: "{_cut(node.written or _json_like(node.value))}"'


def _json_like(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _cut(text: str) -> str:
    return visible(text, 60)
