"""Globs over columns of keys: `*` and `?` stop at a slash, `**` does not.

>>> matches(pa.array(["a/b.jpg", "b.jpg", "b.png"]), ("*.jpg",)).to_pylist()
[False, True, False]
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc

from stocktake.errors import ReconcileConfigError

_GLOB_CHARS_MAX = 1_024


def matches(keys: pa.StringArray, globs: Sequence[str]) -> pa.BooleanArray:
    """For each key: does one of the globs match all of it?"""
    return pc.match_substring_regex(keys, regex_of(tuple(globs)))


@lru_cache(maxsize=256)
def regex_of(globs: tuple[str, ...]) -> str:
    """One RE2 expression for whole keys that match any of the globs.

    Raises:
        ReconcileConfigError: A glob is empty, very long, or has a class that is not closed.
    """
    bodies = []
    for glob in globs:
        if not 1 <= len(glob) <= _GLOB_CHARS_MAX:
            raise ReconcileConfigError(
                f"a glob has 1 to {_GLOB_CHARS_MAX} characters, not {len(glob)}"
            )
        bodies.append("".join(_pieces(glob)))
    return rf"(?s)\A(?:{'|'.join(bodies)})\z"


def _pieces(glob: str) -> Iterator[str]:
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
    end = glob.find("]", start + 1)  # a `]` right at the beginning is a character of the class
    if end < 0:
        raise ReconcileConfigError(f"a `[` in the glob `{glob}` is not closed")
    inner = re.sub(r"([\\\[\]^])", r"\\\1", glob[start:end])
    return f"[{'^/' if negated else ''}{inner}]", end + 1
