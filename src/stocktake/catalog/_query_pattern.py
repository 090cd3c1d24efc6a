r"""Patterns of keys as SQL: a text somewhere in the key, or a glob.

In a glob `*` and `?` stop at `/`, `**` does not, `[abc]`, `[a-z]` and `[!a]` are classes. A glob
without `/` is about the last name of the key (`*.jpg`), one with `/` about the whole key.

>>> KeyPattern.glob("2020/**/*.jpg").literal_prefix
'2020/'
"""

from __future__ import annotations

from dataclasses import dataclass

from stocktake.errors import InvalidQueryError

_PATTERN_MAX = 1_024


@dataclass(frozen=True, slots=True)
class KeyPattern:
    """A predicate over `key`. Make one by `substring` or `glob`.

    Attributes:
        predicate: SQL, with parameters bound: a pattern is never part of the statement.
        parameters: Its parameters.
        literal_prefix: Every matching key starts with it.
    """

    predicate: str
    parameters: tuple[str, ...]
    literal_prefix: str = ""

    @classmethod
    def substring(cls, text: str, *, ignore_case: bool = False) -> KeyPattern:
        """Keys that contain a text; no character in it is special."""
        _check_length(text)
        if ignore_case:
            return cls("contains(lower(key), lower(?))", (text,))
        return cls("contains(key, ?)", (text,))

    @classmethod
    def glob(cls, pattern: str, *, ignore_case: bool = False) -> KeyPattern:
        """Keys that match a glob.

        Raises:
            InvalidQueryError: A class is not closed or empty, or the pattern is very long.
        """
        _check_length(pattern)
        flags = "(?is)" if ignore_case else "(?s)"
        if "/" not in pattern:
            return cls("regexp_full_match(key, ?)", (f"{flags}(?:.*/)?{_regex(pattern)}",))
        literal = "" if ignore_case else _literal_start(pattern)
        return cls("regexp_full_match(key, ?)", (f"{flags}{_regex(pattern)}",), literal)


def _check_length(text: str) -> None:
    if not 1 <= len(text) <= _PATTERN_MAX:
        raise InvalidQueryError(f"a pattern has 1 to {_PATTERN_MAX} characters, not {len(text)}")


def _literal_start(pattern: str) -> str:
    ends = [place for place in map(pattern.find, "*?[") if place >= 0]
    return pattern[: min(ends, default=len(pattern))]


def _regex(pattern: str) -> str:
    parts = []
    place = 0
    while place < len(pattern):
        char = pattern[place]
        if pattern.startswith("**/", place):
            parts.append("(?:.*/)?")
            place += 3
        elif pattern.startswith("**", place):
            parts.append(".*")
            place += 2
        elif char == "[":
            text, place = _class(pattern, place)
            parts.append(text)
        else:
            parts.append({"*": "[^/]*", "?": "[^/]"}.get(char) or _literal(char))
            place += 1
    return "".join(parts)


def _class(pattern: str, start: int) -> tuple[str, int]:
    """The class that begins at `start` as regex, and the place after it."""
    begin = start + 2 if pattern.startswith("[!", start) else start + 1
    end = pattern.find("]", begin + 1)  # a `]` right at the beginning is a member
    if end < 0:
        raise InvalidQueryError(
            f"the `[` in `{pattern}` is not closed", hint="write [[] for the character itself"
        )
    members = pattern[begin:end]
    pieces = []
    place = 0
    while place < len(members):
        if place + 2 < len(members) and members[place + 1] == "-":
            low, high = members[place], members[place + 2]
            if low > high:
                raise InvalidQueryError(f"a range in `[{members}]` of `{pattern}` is backwards")
            pieces.append(f"{_literal(low)}-{_literal(high)}")
            place += 3
        else:
            pieces.append(_literal(members[place]))
            place += 1
    if begin == start + 2:
        return f"[^/{''.join(pieces)}]", end + 1
    return f"[{''.join(pieces)}]", end + 1


def _literal(char: str) -> str:
    if char.isascii() and not char.isalnum():
        return f"\\x{{{ord(char):x}}}"
    return char
