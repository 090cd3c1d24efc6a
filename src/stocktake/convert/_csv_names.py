"""Names of columns: each there once and none empty, with what the header says kept beside it."""

from __future__ import annotations

import re
from collections.abc import Sequence

_VALUE = re.compile(r"[+-]?[0-9][0-9.,:/ TZ+-]*")


def column_names(header: Sequence[str]) -> list[str]:
    """A name for each column: `_c2` for an empty one, `a_2` for the second `a`.

    A name that the header has itself is not given to another column.
    """
    taken = set(header) | {""}
    used: set[str] = set()
    names = []
    for number, given in enumerate(header, 1):
        name = given
        if not given or given in used:
            stem = given or "_c"
            name = f"_c{number}" if not given else f"{given}_2"
            counter = number if not given else 2
            while name in taken:
                counter += 1
                name = f"{stem}{counter}" if not given else f"{stem}_{counter}"
            taken.add(name)
        used.add(name)
        names.append(name)
    return names


def numbered_names(count: int) -> list[str]:
    """Names for a file without a header: `_c1`, `_c2`, ..."""
    return [f"_c{number}" for number in range(1, count + 1)]


def looks_like_data(header: Sequence[str]) -> bool:
    """Whether a name in the header is a number or a date, as data are and names hardly ever."""
    return any(_VALUE.fullmatch(name) for name in header)
