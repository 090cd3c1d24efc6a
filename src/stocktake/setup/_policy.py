"""IAM policies, parsed: statements as values, and the document they came from, untouched.

Source: IAM user guide, "Grammar of the IAM JSON policy language" and the pages of its elements.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from stocktake.errors import PolicyFormatError

POLICY_BYTES_MAX = 20 * 1024
"""The most that S3 keeps as a bucket policy."""


class Effect(StrEnum):
    """What a statement does."""

    ALLOW = "Allow"
    DENY = "Deny"


@dataclass(frozen=True, slots=True)
class Names:
    """The values of `Action`, `Resource` and their `Not...` forms.

    Attributes:
        values: Patterns with `*` and `?`.
        negated: True for `NotAction` and `NotResource`: everything but these.
    """

    values: tuple[str, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Principals:
    """Whom a statement is about.

    Attributes:
        named: Kind (`AWS`, `Service`, `Federated`, `CanonicalUser`) to values.
        everyone: `"Principal": "*"`.
        negated: True for `NotPrincipal`.
    """

    named: Mapping[str, tuple[str, ...]]
    everyone: bool = False
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Condition:
    """One line of `Condition`: an operator, a context key and the values it is compared with."""

    operator: str
    key: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. `position` counts from 1, for people."""

    position: int
    sid: str | None
    effect: Effect
    principals: Principals
    actions: Names
    resources: Names
    conditions: tuple[Condition, ...]

    @property
    def name(self) -> str:
        """What to call it in a message."""
        return f"`{self.sid}`" if self.sid else f"number {self.position}"


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy and the JSON object it was read from."""

    statements: tuple[Statement, ...]
    document: Mapping[str, Any]


def parse_policy(text: str, *, where: str = "the policy") -> Policy:
    """The policy that a JSON text holds.

    Raises:
        PolicyFormatError: It is not JSON, names a member twice, or is no policy. A policy that is
            not understood whole is never guessed at: whoever writes it back would lose something.
    """
    try:
        document = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise PolicyFormatError(f"{where} is not valid JSON: {error}") from error
    return read_policy(document, where=where)


def read_policy(document: Any, *, where: str = "the policy") -> Policy:
    """The policy that a JSON value is. Raises `PolicyFormatError` as `parse_policy`."""
    if not isinstance(document, dict):
        raise PolicyFormatError(f"{where} is not a JSON object")
    found = document.get("Statement")
    if isinstance(found, dict):
        found = [found]
    if not isinstance(found, list):
        raise PolicyFormatError(f"{where} has no list `Statement`")
    statements = []
    for position, one in enumerate(found, 1):
        if not isinstance(one, dict):
            raise PolicyFormatError(f"statement {position} of {where} is not a JSON object")
        statements.append(_Reader(one, position, where).statement())
    return Policy(tuple(statements), document)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"member `{twice}` is there twice")
    return made


_MEMBERS = frozenset(
    {
        "Sid",
        "Effect",
        "Principal",
        "NotPrincipal",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Condition",
    }
)


class _Reader:
    """Reads one statement, and names it when it cannot."""

    def __init__(self, raw: Mapping[str, Any], position: int, where: str) -> None:
        self._raw = raw
        self._position = position
        self._where = where

    def statement(self) -> Statement:
        unknown = sorted(self._raw.keys() - _MEMBERS)
        if unknown:
            raise self._wrong(f"has a member `{unknown[0]}`, which policies do not have")
        effect = self._raw.get("Effect")
        if effect not in ("Allow", "Deny"):
            raise self._wrong(f"has effect {effect!r}, not Allow or Deny")
        sid = self._raw.get("Sid")
        return Statement(
            position=self._position,
            sid=sid if isinstance(sid, str) and sid else None,
            effect=Effect(effect),
            principals=self._principals(),
            actions=self._names("Action"),
            resources=self._names("Resource"),
            conditions=tuple(self._conditions()),
        )

    def _wrong(self, what: str) -> PolicyFormatError:
        return PolicyFormatError(f"statement {self._position} of {self._where} {what}")

    def _one_of(self, name: str) -> tuple[Any, bool]:
        """The member `name` or `Not<name>`, and whether it is the latter."""
        negative = f"Not{name}"
        if name in self._raw and negative in self._raw:
            raise self._wrong(f"has both {name} and {negative}")
        return self._raw.get(name, self._raw.get(negative)), negative in self._raw

    def _names(self, name: str) -> Names:
        value, negated = self._one_of(name)
        return Names(self._texts(value, name), negated)

    def _principals(self) -> Principals:
        value, negated = self._one_of("Principal")
        if value is None:
            return Principals({}, everyone=False, negated=negated)
        if isinstance(value, str):
            if value != "*":
                raise self._wrong(f"has principal {value!r}, which is neither `*` nor an object")
            return Principals({}, everyone=True, negated=negated)
        if not isinstance(value, dict):
            raise self._wrong("has a principal that is neither `*` nor an object")
        named = {kind: self._texts(values, "Principal") for kind, values in value.items()}
        return Principals(named, negated=negated)

    def _texts(self, value: Any, name: str) -> tuple[str, ...]:
        if value is None:
            return ()
        values = value if isinstance(value, list) else [value]
        if not all(isinstance(one, str) for one in values):
            raise self._wrong(f"has something in {name} that is not text")
        return tuple(values)

    def _conditions(self) -> Iterator[Condition]:
        block = self._raw.get("Condition", {})
        if not isinstance(block, dict):
            raise self._wrong("has a Condition that is not an object")
        for operator, lines in block.items():
            if not isinstance(lines, dict):
                raise self._wrong(f"has a condition {operator} that is not an object")
            for key, value in lines.items():
                yield Condition(operator, key, self._scalars(value, key))

    def _scalars(self, value: Any, key: str) -> tuple[str, ...]:
        """Condition values may be JSON numbers and booleans."""
        values = value if isinstance(value, list) else [value]
        if not all(isinstance(one, str | int | float) for one in values):
            raise self._wrong(f"compares {key} with something that is no text, number or boolean")
        return tuple(one if isinstance(one, str) else json.dumps(one) for one in values)
