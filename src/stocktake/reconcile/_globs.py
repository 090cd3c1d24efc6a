"""Globs over columns of keys: `*` and `?` stop at a slash, `**` does not.

>>> matches(pa.array(["a/b.jpg", "b.jpg", "b.png"]), ("*.jpg",)).to_pylist()
[False, True, False]
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc

from stocktake.errors import ReconcileConfigError
from stocktake.model import glob_pieces

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
        try:
            bodies.append("".join(glob_pieces(glob, _class_of)))
        except ValueError as error:
            raise ReconcileConfigError(str(error)) from error
    return rf"(?s)\A(?:{'|'.join(bodies)})\z"


def _class_of(members: str, negated: bool) -> str:  # noqa: FBT001 - a callback's second value
    inner = re.sub(r"([\\\[\]^])", r"\\\1", members)
    return f"[{'^/' if negated else ''}{inner}]"
