"""Where rows of CSV text begin and end, by the same reading of quotes as the fast parser's.

A quote opens only at the start of a field; behind the closing quote and in unquoted fields quotes
are ordinary characters; a newline or carriage return ends a row unless it stands inside quotes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

_QUOTE = ord('"')
_FIELD = re.compile(
    rb'(?:"(?P<quoted>[^"]*+(?:""[^"]*+)*+)"(?P<rest>[^,\r\n]*+)|(?P<bare>[^",\r\n][^,\r\n]*+)?+)'
    rb"(?P<end>,|\r\n|\r|\n|\Z)"
)
_NEVER_OPENS = b'",\r\n'


def last_row_end(data: bytes) -> int:
    """Where the last whole row of this text, which starts with a row, ends; 0 if there is none.

    `x"` before a newline can only be a closing quote or an ordinary character, unless x is a quote,
    a comma or a line end; in those cases the quotes from the start are counted. Only an odd number,
    which means a newline inside quotes or stray quotes, costs a scan field by field.
    """
    cut = data.rfind(b"\n")
    if cut < 0:
        return 0
    line_end = cut - 1 if data[cut - 1 : cut] == b"\r" else cut
    if line_end >= 2 and data[line_end - 1] == _QUOTE and data[line_end - 2] not in _NEVER_OPENS:
        return cut + 1
    quotes = np.count_nonzero(np.frombuffer(data, np.uint8, cut) == _QUOTE)
    return cut + 1 if quotes % 2 == 0 else _scan(data, cut + 1)


@dataclass(frozen=True, slots=True)
class CsvRow:
    """One row of CSV text.

    Attributes:
        fields: Its values, unquoted.
        end: Where the next row begins.
        odd_quotes: A quote stands in an unquoted field, or something follows a closing one: an open
            quote may have swallowed other rows.
    """

    fields: list[bytes]
    end: int
    odd_quotes: bool


def read_row(data: bytes, start: int, stop: int) -> CsvRow | None:
    """The row at `start`.

    None if it does not end before `stop`: a quote stays open, or there is more of it.
    """
    fields = []
    odd_quotes = False
    at = start
    while (field := _FIELD.match(data, at, stop)) is not None:
        quoted, rest, bare = field.group("quoted", "rest", "bare")
        if quoted is None:
            fields.append(bare or b"")
            odd_quotes = odd_quotes or b'"' in fields[-1]
        else:
            fields.append(quoted.replace(b'""', b'"') + rest)
            odd_quotes = odd_quotes or bool(rest)
        at = field.end()
        if field["end"] != b",":
            cut_short = not field["end"] and at < len(data)
            return None if cut_short else CsvRow(fields, at, odd_quotes)
    return None


def _scan(data: bytes, stop: int) -> int:
    at = end = 0
    while at < stop and (field := _FIELD.match(data, at, stop)) is not None:
        at = field.end()
        if field["end"] in (b"\n", b"\r\n", b"\r"):
            end = at
    return end
