"""A manifest's JSON, read as a stream: what its head says, and its files one by one.

A manifest of a million files is half a gigabyte of JSON; decoded whole it would take several.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any, Protocol

from stocktake.errors import ManifestFormatError

VALUE_CHARS_MAX = 4 << 20
"""One value of the head, or one file, is never longer in a manifest that somebody meant."""

_READ_BYTES = 1 << 20
_BLANK = re.compile(r"[ \t\r\n]*")


class Readable(Protocol):
    """A stream of bytes: an open file, or an object's body."""

    def read(self, size_bytes: int, /) -> bytes:
        """Up to that many bytes; none at the end."""


def _not_json(text: str) -> None:
    """NaN and Infinity are no JSON; what has such a value has none."""


def _finite(text: str) -> float | None:
    value = float(text)
    return value if abs(value) != float("inf") else None


_DECODER = json.JSONDecoder(parse_constant=_not_json, parse_float=_finite)


class ManifestReader:
    """Reads one JSON object, whose member `files` may be of any length.

    Memory: one megabyte, or the longest value.
    """

    def __init__(self, source: Readable, *, bytes_max: int) -> None:
        self._source = source
        self._left = bytes_max
        self._bytes_max = bytes_max
        self._decode = codecs.getincrementaldecoder("utf-8-sig")()
        self._text = ""
        self._at = 0
        self._before = 0
        self._ended = False
        self.head: dict[str, Any] = {}

    def files(self) -> Iterator[Any]:
        """Every element of `files`; afterwards `head` has all other members.

        Raises:
            ManifestFormatError: No JSON object with a list `files`, cut off, or too large.
        """
        if self._peek() != "{":
            raise self._wrong("it is no JSON object")
        self._at += 1
        seen = False
        while (name := self._member_name()) is not None:
            if name == "files" and self._peek() == "[":
                if seen:
                    raise self._wrong("it has two lists `files`")
                seen = True
                yield from self._elements()
            else:
                self.head[name] = self._value()
        if self._peek():
            raise self._wrong("something follows its end")
        if not seen:
            raise self._wrong("it has no list `files`")

    def _member_name(self) -> str | None:
        """The next member's name, up to its colon; None at the object's end."""
        mark = self._peek()
        if mark == ",":
            self._at += 1
            mark = self._peek()
        elif mark == "}":
            self._at += 1
            return None
        name = self._value() if mark == '"' else None
        if not isinstance(name, str) or self._peek() != ":":
            raise self._wrong("a member's name is missing")
        self._at += 1
        self._peek()
        return name

    def _elements(self) -> Iterator[Any]:
        self._at += 1
        if self._peek() == "]":
            self._at += 1
            return
        while True:
            self._peek()
            yield self._value()
            mark = self._peek()
            self._at += 1
            if mark == "]":
                return
            if mark != ",":
                raise self._wrong("a comma is missing")

    def _value(self) -> Any:
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if not self._more():
                    raise self._wrong(error.msg) from error
            except (RecursionError, ValueError) as error:
                raise self._wrong("a value is nested too deep, or a number too long") from error
            else:
                if end < len(self._text) or not self._more():  # a number may go on
                    self._at = end
                    return value

    def _peek(self) -> str:
        """The next character that is no blank; empty at the end."""
        while True:
            match = _BLANK.match(self._text, self._at)
            self._at = match.end() if match else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def _more(self) -> bool:
        """Read on, at least as much as is held, so that a long value is not tried too often."""
        if self._ended:
            return False
        held = len(self._text) - self._at
        if held > VALUE_CHARS_MAX:
            raise self._wrong(f"a value is longer than {VALUE_CHARS_MAX:,} characters, or broken")
        piece = self._source.read(max(_READ_BYTES, held))
        self._left -= len(piece)
        if self._left < 0:
            raise ManifestFormatError(
                f"the manifest is larger than {self._bytes_max:,} bytes",
                hint="is it the right file? A larger limit can be given from Python: bytes_max",
            )
        self._ended = not piece
        try:
            text = self._decode.decode(piece, final=self._ended)
        except UnicodeDecodeError as error:
            raise self._wrong(f"it is not UTF-8: {error.reason}") from error
        self._before += self._at
        self._text = self._text[self._at :] + text
        self._at = 0
        return True

    def _wrong(self, why: str) -> ManifestFormatError:
        place = self._before + self._at
        return ManifestFormatError(
            f"this is no upload manifest: {why} (at character {place:,})", character=place
        )
