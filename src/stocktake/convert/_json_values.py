"""One JSON value, exactly: any integer, no fraction rounded, no key lost."""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

_DIGITS_MAX = 4_000
_PLAIN_FLOAT_CHARS = 16
"""A fraction of so few characters has at most 15 digits; without an exponent it is exact."""


class ValueRefusedError(ValueError):
    """The text is JSON by its grammar, or nearly, and cannot be kept; the message says why."""


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueRefusedError(f"the key {key[:80]!r} is there twice in one object")
            seen.add(key)
    return mapping


def _float(text: str) -> float | Decimal:
    """The double if it is the number that was written, else the number as a decimal."""
    number = float(text)
    if len(text) <= _PLAIN_FLOAT_CHARS and "e" not in text and "E" not in text:
        return number
    if number in (float("inf"), float("-inf")):
        raise ValueRefusedError(f"the number {text[:40]} is too large for a double")
    shortest = repr(number)
    if shortest == text:
        return number
    try:
        exact = Decimal(text)
    except InvalidOperation:
        raise ValueRefusedError(f"the number {text[:40]} has too large an exponent") from None
    return number if Decimal(shortest) == exact else exact


def _int(text: str) -> int:
    if len(text) > _DIGITS_MAX:
        raise ValueRefusedError(f"a number of {len(text):,} digits")
    return int(text)


def _constant(text: str) -> NoReturn:
    raise ValueRefusedError(f"{text} is no JSON number")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_pairs,
    parse_float=_float,
    parse_int=_int,
    parse_constant=_constant,
)


def decode(raw: bytes) -> Any:
    """The value: dict, list, str, bool, None, int, float, or Decimal where a double would round.

    Raises:
        ValueRefusedError: A key twice, NaN, 1e400, half of a surrogate pair.
        ValueError: It is not JSON, or not UTF-8.
        RecursionError: Nested too deeply for the interpreter.
    """
    value = _DECODER.decode(raw.decode())
    if b"\\ud" in raw or b"\\uD" in raw:
        try:
            json.dumps(value, ensure_ascii=False, default=str).encode()
        except UnicodeEncodeError:
            raise ValueRefusedError("half of a surrogate pair (\\ud800 to \\udfff alone)") from None
    return value


def encode(value: Any) -> str:
    """The value as JSON on one line, keys in the order of the source, numbers exactly."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except TypeError:  # a Decimal somewhere
        return _encode_exactly(value)


def _encode_exactly(value: Any) -> str:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, dict):
        members = (f"{json.dumps(k, ensure_ascii=False)}:{encode(v)}" for k, v in value.items())
        return "{" + ",".join(members) + "}"
    return "[" + ",".join(encode(item) for item in value) + "]"
