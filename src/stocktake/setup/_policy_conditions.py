"""Conditions of IAM policies: does one hold for a request of which not everything is known?

Answers are True, False or None: "depends on what is not known". Source: IAM user guide, "IAM JSON
policy elements: Condition operators" and "Creating a condition with multiple keys or values".
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Final

from stocktake.clock import parse_utc
from stocktake.setup._policy import Condition


class Unknown:
    """The value of a context key that the request has or has not, we cannot tell."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()
Context = Mapping[str, tuple[str, ...] | Unknown | None]
"""Values by context key in lower case; None: the request surely has no such key."""

Truth = bool | None
_VARIABLE = re.compile(r"\$\{[^}]*\}")
_PIECES = re.compile(r"(\$\{[*?$]\}|\*+|\?)")
_LITERAL = {"${*}": "*", "${?}": "?", "${$}": "$"}


def holds(condition: Condition, context: Context) -> Truth:
    """Whether a condition holds; None if that depends on something that is not known."""
    operator = condition.operator
    quantifier, _, bare = operator.rpartition(":")
    if_exists = bare.endswith("IfExists")
    bare = bare.removesuffix("IfExists")
    found = context.get(condition.key.lower(), UNKNOWN)
    if bare == "Null":
        return _null(condition, found)
    if bare not in _OPERATORS or quantifier not in ("", "ForAllValues", "ForAnyValue"):
        return None
    negated, same = _OPERATORS[bare]
    if isinstance(found, Unknown):
        # every value is matched by `*`, but whether there is one is not known
        return None
    if not found:
        return _absent(quantifier, negated=negated, if_exists=if_exists)
    return _compare(condition.values, found, quantifier, _Test(same, negated))


class _Test:
    """One operator, applied to one value of the request."""

    def __init__(self, same: Callable[[str, str], Truth], negated: bool) -> None:  # noqa: FBT001
        self._same = same
        self._negated = negated

    def __call__(self, patterns: tuple[str, ...], value: str) -> Truth:
        """Any pattern for positive operators, none of them for negated ones."""
        matched = any_of(self._against(pattern, value) for pattern in patterns)
        return matched if matched is None or not self._negated else not matched

    def _against(self, pattern: str, value: str) -> Truth:
        if _has_variable(pattern):
            return None
        return self._same(pattern, value)


def _compare(
    patterns: tuple[str, ...], found: tuple[str, ...], quantifier: str, test: _Test
) -> Truth:
    answers = [test(patterns, value) for value in found]
    return any_of(answers) if quantifier == "ForAnyValue" else all_of(answers)


def _absent(quantifier: str, *, negated: bool, if_exists: bool) -> bool:
    if if_exists or quantifier == "ForAllValues":
        return True
    return negated and quantifier != "ForAnyValue"


def _null(condition: Condition, found: tuple[str, ...] | Unknown | None) -> Truth:
    if isinstance(found, Unknown):
        return None
    wanted = {value.lower() == "true" for value in condition.values}
    return (not found) in wanted


def any_of(answers: Iterable[Truth]) -> Truth:
    """True if one is; else None if one is not known; else False."""
    known = list(answers)
    return True if True in known else (None if None in known else False)


def all_of(answers: Iterable[Truth]) -> Truth:
    """False if one is; else None if one is not known; else True."""
    known = list(answers)
    return False if False in known else (None if None in known else True)


def _has_variable(pattern: str) -> bool:
    return any(one not in _LITERAL for one in _VARIABLE.findall(pattern))


def matches(pattern: str, text: str, *, ignore_case: bool = False) -> Truth:
    """Whether a pattern with `*` and `?` is the whole text; None if it has a variable.

    >>> matches("arn:aws:s3:::b/*", "arn:aws:s3:::b/x/y"), matches("a?c", "ac")
    (True, False)
    """
    if _has_variable(pattern):
        return None
    if ignore_case:
        pattern, text = pattern.lower(), text.lower()
    return _glob(_tokens(pattern), text)


@lru_cache(maxsize=1024)
def _tokens(pattern: str) -> tuple[str, ...]:
    """`*`, `?` and literal characters, these behind a backslash to tell them apart."""
    found = []
    for piece in _PIECES.split(pattern):
        if piece in _LITERAL:
            found.append("\\" + _LITERAL[piece])
        elif piece[:1] == "*":
            found.append("*")
        elif piece == "?":
            found.append("?")
        else:
            found.extend("\\" + char for char in piece)
    return tuple(found)


def _glob(tokens: tuple[str, ...], text: str) -> bool:
    """In time of pattern times text at most; a hostile pattern could hang `re`."""
    at, position, star, resume = 0, 0, -1, 0
    while position < len(text):
        mark = tokens[at] if at < len(tokens) else ""
        if mark == "*":
            star, resume = at, position
            at += 1
        elif mark in ("?", "\\" + text[position]):
            at, position = at + 1, position + 1
        elif star >= 0:
            resume += 1
            at, position = star + 1, resume
        else:
            return False
    return all(mark == "*" for mark in tokens[at:])


def _plain(text: str) -> str:
    for variable, meaning in _LITERAL.items():
        text = text.replace(variable, meaning)
    return text


def _same_arn(pattern: str, value: str) -> bool:
    """The six words of an ARN are matched one by one; `*` does not reach across a colon."""
    if pattern == "*":
        return True
    wanted, words = pattern.split(":", 5), value.split(":", 5)
    return len(wanted) == len(words) == 6 and all(
        _glob(_tokens(one), word) for one, word in zip(wanted, words, strict=True)
    )


def _number(compare: Callable[[Decimal, Decimal], bool]) -> Callable[[str, str], Truth]:
    def same(wanted: str, value: str) -> Truth:
        try:
            return compare(Decimal(value), Decimal(wanted))
        except InvalidOperation:
            return False

    return same


def _date(compare: Callable[[datetime, datetime], bool]) -> Callable[[str, str], Truth]:
    def same(wanted: str, value: str) -> Truth:
        try:
            return compare(parse_utc(value), parse_utc(wanted))
        except (ValueError, OverflowError):
            return None

    return same


def _same_network(wanted: str, value: str) -> bool:
    try:
        return ipaddress.ip_address(value) in ipaddress.ip_network(wanted, strict=False)
    except ValueError:
        return False


def _equal(wanted: str, value: str) -> bool:
    return _plain(wanted) == value


def _equal_folded(wanted: str, value: str) -> bool:
    return _plain(wanted).lower() == value.lower()


def _like(wanted: str, value: str) -> Truth:
    return matches(wanted, value)


_OPERATORS: Mapping[str, tuple[bool, Callable[[str, str], Truth]]] = {
    "StringEquals": (False, _equal),
    "StringNotEquals": (True, _equal),
    "StringEqualsIgnoreCase": (False, _equal_folded),
    "StringNotEqualsIgnoreCase": (True, _equal_folded),
    "StringLike": (False, _like),
    "StringNotLike": (True, _like),
    "ArnEquals": (False, _same_arn),
    "ArnLike": (False, _same_arn),
    "ArnNotEquals": (True, _same_arn),
    "ArnNotLike": (True, _same_arn),
    "Bool": (False, _equal_folded),
    "BinaryEquals": (False, _equal),
    "IpAddress": (False, _same_network),
    "NotIpAddress": (True, _same_network),
    "NumericEquals": (False, _number(lambda value, wanted: value == wanted)),
    "NumericNotEquals": (True, _number(lambda value, wanted: value == wanted)),
    "NumericLessThan": (False, _number(lambda value, wanted: value < wanted)),
    "NumericLessThanEquals": (False, _number(lambda value, wanted: value <= wanted)),
    "NumericGreaterThan": (False, _number(lambda value, wanted: value > wanted)),
    "NumericGreaterThanEquals": (False, _number(lambda value, wanted: value >= wanted)),
    "DateEquals": (False, _date(lambda value, wanted: value == wanted)),
    "DateNotEquals": (True, _date(lambda value, wanted: value == wanted)),
    "DateLessThan": (False, _date(lambda value, wanted: value < wanted)),
    "DateLessThanEquals": (False, _date(lambda value, wanted: value <= wanted)),
    "DateGreaterThan": (False, _date(lambda value, wanted: value > wanted)),
    "DateGreaterThanEquals": (False, _date(lambda value, wanted: value >= wanted)),
}
"""Operator to (negated, comparison). Those that are not here give "not known"."""
