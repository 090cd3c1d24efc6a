"""How keys, sizes and times read for people, in text and in HTML: nothing in a key can act."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from stocktake.model import display_key

_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def visible(text: str, limit: int | None = None) -> str:
    """The text with everything unseen written out: control and direction characters, surrogates.

    Args:
        text: A key or any other text from outside.
        limit: Characters at most; the middle is left out.
    """
    text = display_key(text)
    if limit is None or len(text) <= limit:
        return text
    head = (limit - 1) // 2
    return f"{text[:head]}…{text[len(text) - (limit - 1 - head) :]}"


def size_text(size_bytes: float | None) -> str:
    """Binary units with one decimal; `?` if unknown.

    >>> size_text(1536), size_text(999), size_text(None)
    ('1.5 KiB', '999 B', '?')
    """
    if size_bytes is None:
        return "?"
    if size_bytes < 1024:
        return f"{size_bytes:.0f} B"
    value = size_bytes / 1024
    for unit in _UNITS[:-1]:
        if value < 1023.95:
            return f"{value:,.1f} {unit}"
        value /= 1024
    return f"{value:,.1f} {_UNITS[-1]}"


def count_text(count: float | None) -> str:
    """A count with thousands separated; `?` if unknown."""
    return "?" if count is None else f"{count:,.0f}"


def time_text(value: datetime | None) -> str:
    """A UTC time to the minute; `?` if unknown."""
    return "?" if value is None else value.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def age_text(age: timedelta | None) -> str:
    """A length of time in the two largest units that say something.

    >>> age_text(timedelta(seconds=5)), age_text(timedelta(hours=26)), age_text(timedelta(days=400))
    ('5 s', '1 d 2 h', '400 d')
    """
    if age is None:
        return "?"
    seconds = max(0, round(age.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min"
    hours = seconds // 3600
    if hours < 24:
        minutes = seconds % 3600 // 60
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, rest = divmod(hours, 24)
    return f"{days} d {rest} h" if rest and days < 10 else f"{days:,} d"


def percent_text(share: float | None) -> str:
    """A share as percent that never rounds up to 100 or down to 0.

    >>> percent_text(1.0), percent_text(0.99999), percent_text(0.00001), percent_text(None)
    ('100 %', '99.99 %', '< 0.01 %', '?')
    """
    if share is None:
        return "?"
    if share in (0, 1):
        return f"{share * 100:.0f} %"
    if share < 0.0001:
        return "< 0.01 %"
    if share > 0.9999:
        return "99.99 %"
    return f"{share * 100:.2f}".rstrip("0").rstrip(".") + " %"
