"""How sizes, counts, times and keys read for people."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime, timedelta

from stocktake.errors import InvalidSettingError

UNKNOWN = "?"
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*((?:[KMGTPE]I?)?B|[KMGTPE])?", re.IGNORECASE)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(sec|s|min|m|h|d|w)", re.IGNORECASE)
_SECONDS = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def size_text(size_bytes: int | None) -> str:
    """Binary units with one decimal; `?` if unknown.

    >>> size_text(1536), size_text(999), size_text(None)
    ('1.5 KiB', '999 B', '?')
    """
    if size_bytes is None:
        return UNKNOWN
    if abs(size_bytes) < 1024:
        return f"{size_bytes} B"
    value = float(size_bytes)
    for unit in _UNITS:
        # 1023.95 would read as 1024.0
        if abs(value) < 1023.95 or unit == _UNITS[-1]:
            return f"{value:,.1f} {unit}"
        value /= 1024
    raise AssertionError("unreachable")


def signed_size_text(size_bytes: int | None) -> str:
    """A difference in bytes, with its sign."""
    return (
        size_text(size_bytes)
        if size_bytes is None or size_bytes <= 0
        else ("+" + size_text(size_bytes))
    )


def parse_size(text: str, option: str) -> int:
    """Bytes from `4096`, `10MB` (decimal) or `1.5GiB` (binary).

    Raises:
        InvalidSettingError: Not a size; `option` is named.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise InvalidSettingError(
            f"{option} is `{text}`, not a size", hint="write it as 4096, 10MB or 1.5GiB"
        )
    unit = (match[2] or "B").upper()
    step = 1024 if unit.endswith("IB") else 1000
    return int(float(match[1]) * step ** "BKMGTPE".index(unit[0]))


def parse_duration(text: str, option: str) -> timedelta:
    """A length of time from `90s`, `15m`, `1h`, `2d`, `1w` or several of them (`1h30m`).

    Raises:
        InvalidSettingError: Not a length of time; `option` is named.
    """
    compact = "".join(text.split())
    pieces = list(_DURATION.finditer(compact))
    if not pieces or "".join(piece[0] for piece in pieces) != compact:
        raise InvalidSettingError(
            f"{option} is `{text}`, not a length of time", hint="write it as 90s, 15m, 1h or 2d"
        )
    try:
        return timedelta(seconds=sum(float(p[1]) * _SECONDS[p[2].lower()] for p in pieces))
    except OverflowError:
        raise InvalidSettingError(f"{option} is `{text}`, which is too long") from None


def count_text(count: int | None) -> str:
    """A count with thousands separated; `?` if unknown."""
    return UNKNOWN if count is None else f"{count:,}"


def time_text(value: datetime | None) -> str:
    """A UTC time to the minute; naive values are UTC already; `?` if unknown."""
    if value is None:
        return UNKNOWN
    aware = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return aware.strftime("%Y-%m-%d %H:%M")


def duration_text(duration_s: float) -> str:
    """Seconds as people say them.

    >>> duration_text(0.25), duration_text(75), duration_text(7300)
    ('0.2 s', '1 min 15 s', '2 h 1 min')
    """
    if duration_s < 60:
        return f"{duration_s:.1f} s"
    minutes, seconds = divmod(round(duration_s), 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s"
    return f"{minutes // 60} h {minutes % 60} min"


def plural(count: int, noun: str) -> str:
    """`1 object`, `2 objects`, `2 batches`."""
    if count != 1:
        ending = "es" if noun.endswith("ch") else "s"
        noun = noun[:-1] + "ies" if noun.endswith("y") else noun + ending
    return f"{count:,} {noun}"


def cell_width(text: str) -> int:
    """Columns that a text takes on a terminal: wide characters two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(map(_char_width, text))


def _char_width(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def shorten(text: str, width: int) -> str:
    """The text with its middle left out so that it fits; the ends say most about a key.

    >>> shorten("photos/2020/holidays/img_0001.jpg", 20)
    'photos/202…_0001.jpg'
    """
    if cell_width(text) <= width:
        return text
    if width < 5:
        return text[:width]
    head, left = "", width // 2
    for char in text:
        left -= _char_width(char)
        if left < 0:
            break
        head += char
    tail, left = "", width - cell_width(head) - 1
    for char in reversed(text):
        left -= _char_width(char)
        if left < 0:
            break
        tail = char + tail
    return f"{head}…{tail}"
