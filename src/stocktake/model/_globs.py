"""Globs on keys as regular expressions: `*` and `?` stay in a folder, `**` does not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator


def glob_pieces(glob: str, class_of: Callable[[str, bool], str]) -> Iterator[str]:
    r"""Regular expressions that, one after the other, match what the glob does.

    `[abc]` and `[!a-z]` are classes. Dialects differ in these: `class_of` gets what is between the
    brackets and whether it is negated, and must never match a `/`.

    Raises:
        ValueError: A `[` is not closed.

    >>> "".join(glob_pieces("a/**/*.jpg", lambda members, negated: ""))
    'a/(?:.*/)?[^/]*\\.jpg'
    """
    at = 0
    while at < len(glob):
        if glob.startswith("**/", at) and (at == 0 or glob[at - 1] == "/"):
            yield "(?:.*/)?"
            at += 3
        elif glob.startswith("**", at):
            yield ".*"
            at += 2
        elif glob[at] == "[":
            negated = glob.startswith("[!", at)
            start = at + 2 if negated else at + 1
            end = glob.find("]", start + 1)  # a `]` right at the beginning is a member
            if end < 0:
                raise ValueError(f"a `[` in the glob `{glob}` is not closed")
            yield class_of(glob[start:end], negated)
            at = end + 1
        else:
            yield {"*": "[^/]*", "?": "[^/]"}.get(glob[at], re.escape(glob[at]))
            at += 1
