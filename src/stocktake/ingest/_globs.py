"""Globs on keys: `*` and `?` stay in a folder, `**` does not, `[abc]` and `[!a-z]` are classes.

>>> glob_regex("2020/**/*.jpg").fullmatch("2020/a/b/c.jpg") is not None
True
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from stocktake.errors import InvalidSettingError
from stocktake.model import glob_pieces

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
        pieces = "".join(glob_pieces(glob, _class_of))
    except ValueError as error:
        raise InvalidSettingError(str(error)) from error
    try:
        return re.compile(start + pieces, re.DOTALL)
    except re.error as error:
        raise InvalidSettingError(f"the glob `{glob}` cannot be understood: {error}") from error


def _class_of(members: str, negated: bool) -> str:  # noqa: FBT001 - a callback's second value
    inner = re.sub(r"([\\\[\]^&~|])", r"\\\1", members)
    return f"(?!/)[^{inner}]" if negated else f"(?!/)[{inner}]"
