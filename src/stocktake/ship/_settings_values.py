"""Values of settings as people write them: sizes, durations, choices.

>>> parse_bytes("64MB"), parse_bytes("10GiB"), parse_duration("1m30s"), parse_duration("250ms")
(64000000, 10737418240, 90.0, 0.25)
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(?:([kmgt])(i?b)?|(b))?", re.IGNORECASE)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|[smhd])", re.IGNORECASE)
_POWERS = {"k": 1, "m": 2, "g": 3, "t": 4}
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


class Form(StrEnum):
    """How the value of a setting is written; the text is what error messages say."""

    TEXT = "a text"
    FLAG = "true or false"
    COUNT = "a whole number"
    NUMBER = "a number"
    BYTES = "a size such as 64MB or 10GiB"
    DURATION = "a duration such as 30s or 5m"
    FOLDER = "a folder"
    SCHEMA = "a table of column types"


def parse_value(form: Form, value: object) -> Any:
    """The value in its own type, or None if it is not of this form."""
    return _PARSERS[form](value)


def parse_bytes(value: object) -> int | None:
    """Bytes of `64MB` (decimal), `64MiB` or `64M` (binary), `64`; None if it is none of these."""
    if not isinstance(value, str):
        return _parse_count(value)
    match = _SIZE.fullmatch(value.strip())
    if match is None:
        return None
    number, unit, suffix, _ = match.groups()
    step = 1000 if (suffix or "").lower() == "b" else 1024
    return round(float(number) * step ** _POWERS[unit.lower()]) if unit else _whole(number)


def show_bytes(size_bytes: int) -> str:
    """The shortest way to write it that `parse_bytes` reads back.

    >>> show_bytes(64 << 20), show_bytes(1 << 40), show_bytes(1000)
    ('64MiB', '1TiB', '1000')
    """
    for unit, power in reversed(_POWERS.items()):
        if size_bytes and size_bytes % (1024**power) == 0:
            return f"{size_bytes // 1024**power}{unit.upper()}iB"
    return str(size_bytes)


def parse_duration(value: object) -> float | None:
    """Seconds of `30s`, `5m`, `1h30m`, `250ms` or a bare number; None if it is none of these."""
    if not isinstance(value, str):
        return _parse_number(value)
    text = value.strip()
    if not _DURATION.sub("", text).strip() and text:
        return sum(float(n) * _SECONDS[unit.lower()] for n, unit in _DURATION.findall(text))
    return _parse_number(text)


def _parse_text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _parse_flag(value: object) -> bool | None:
    if isinstance(value, str):
        low = value.strip().lower()
        return True if low in _TRUE else False if low in _FALSE else None
    return value if isinstance(value, bool) else None


def _parse_count(value: object) -> int | None:
    if isinstance(value, str):
        return _whole(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _whole(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def _parse_number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _parse_folder(value: object) -> str | None:
    return str(value) if value is not None and str(value) else None


def _parse_schema(value: object) -> Mapping[str, str] | None:
    """A table of TOML, or in variables a JSON object of texts."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return None
    if not isinstance(value, Mapping):
        return None
    if not all(isinstance(item, str) for pair in value.items() for item in pair):
        return None
    return dict(value)


_PARSERS: Mapping[Form, Callable[[object], Any]] = {
    Form.TEXT: _parse_text,
    Form.FLAG: _parse_flag,
    Form.COUNT: _parse_count,
    Form.NUMBER: _parse_number,
    Form.BYTES: parse_bytes,
    Form.DURATION: parse_duration,
    Form.FOLDER: _parse_folder,
    Form.SCHEMA: _parse_schema,
}
