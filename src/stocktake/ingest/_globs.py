"""Globs on keys: `*` and `?` stay in a folder, `**` does not, `[abc]` and `[!a-z]` are classes.

>>> glob_regex("2020/**/*.jpg").fullmatch("2020/a/b/c.jpg") is not None
True
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from stocktake.errors import InvalidSettingError

_GLOB_MAX = 1_024


def check_globs(globs: Iterable[str]) -> None:
    """Refuse globs that mean nothing.

    Raises:
        InvalidSettingError: Empty, very long, or a class is not closed or upside down.
    """
    for glob in globs:
        glob_regex(glob)


@lru_cache(maxsize=256)
def glob_regex(glob: str) -> re.Pattern[str]:
    """What a whole key below the source must match.

    A glob without `/` is about the last name of the key (`*.jpg` finds it in every folder), as it
    is in a search; one with `/` is about the whole key below the source.

    Raises:
        InvalidSettingError: See `check_globs`.
    """
    if not 1 <= len(glob) <= _GLOB_MAX:
        raise InvalidSettingError(f"a glob has 1 to {_GLOB_MAX} characters, not {len(glob)}")
    start = "" if "/" in glob else "(?:.*/)?"
    try:
        return re.compile(start + "".join(_pieces(glob)), re.DOTALL)
    except re.error as error:
        raise InvalidSettingError(f"the glob `{glob}` cannot be understood: {error}") from error


def _pieces(glob: str) -> Iterable[str]:
    at = 0
    while at < len(glob):
        if glob.startswith("**/", at) and (at == 0 or glob[at - 1] == "/"):
            yield "(?:.*/)?"
            at += 3
        elif glob.startswith("**", at):
            yield ".*"
            at += 2
        elif glob[at] == "[":
            piece, at = _character_class(glob, at)
            yield piece
        else:
            yield {"*": "[^/]*", "?": "[^/]"}.get(glob[at], re.escape(glob[at]))
            at += 1


def _character_class(glob: str, at: int) -> tuple[str, int]:
    negated = glob.startswith("[!", at)
    start = at + 2 if negated else at + 1
    # a `]` right at the beginning is a character of the class
    end = glob.find("]", start + 1)
    if end < 0:
        raise InvalidSettingError(f"a `[` in the glob `{glob}` is not closed")
    inner = re.sub(r"([\\\[\]^&~|])", r"\\\1", glob[start:end])
    return (f"(?!/)[^{inner}]" if negated else f"(?!/)[{inner}]"), end + 1
