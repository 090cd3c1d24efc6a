"""`NAME=VALUE` options."""

from __future__ import annotations

from collections.abc import Iterable

from stocktake.errors import UsageError


def parse_pairs(texts: Iterable[str], option: str) -> dict[str, str]:
    """The pairs of a repeated option, split at the first `=`.

    Raises:
        UsageError: One is not a pair, or a name is given twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"{option} is `{text}`", hint=f"write it as {option} name=value")
        if name in found:
            raise UsageError(f"{option} names `{name}` twice")
        found[name] = value
    return found
