"""A document as UTF-8 bytes, read on demand, and as much of it in memory as one value needs."""

from __future__ import annotations

import codecs
import re

from stocktake.convert._json_scan import SPACE, scan
from stocktake.convert._plan import ByteStream, ConvertOptions
from stocktake.errors import BadDocumentError, ConvertLimitError, TextEncodingError

PIECE_BYTES = 256 << 10
_LOOK_BYTES = 4 << 10
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_ARRAY_BEGIN = re.compile(rb"\[[ \t\r\n]*([^ \t\r\n])")
_FLAT = re.compile(rb'[\[{][^\[\]{}"]*+(?:"(?:[^"\\]|\\.)*+"[^\[\]{}"]*+)*+[\]}]', re.DOTALL)
"""A list or object without another one in it; for the many that are short."""
_SCALAR = re.compile(rb"[^ \t\r\n,:\[\]{}\"]+")
_MARKS = (
    (codecs.BOM_UTF8, None),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


class _Utf8OrFallback:
    """Decodes UTF-8 until a byte is none; then, if all before was ASCII, the other encoding."""

    def __init__(self, fallback: str) -> None:
        self._fallback = fallback
        self._decoder: codecs.IncrementalDecoder = codecs.getincrementaldecoder("utf-8")()
        self._is_ascii = True
        self._is_utf8 = True

    def decode(self, data: bytes, final: bool = False) -> str:  # noqa: FBT001, FBT002 - codecs
        if not self._is_utf8:
            return self._decoder.decode(data, final)
        pending = bytes(self._decoder.getstate()[0])
        try:
            text = self._decoder.decode(data, final)
        except UnicodeDecodeError as error:
            whole = pending + data
            if not self._is_ascii or not whole[: error.start].isascii():
                raise
            self._is_utf8 = False
            self._decoder = codecs.getincrementaldecoder(self._fallback)()
            return self._decoder.decode(whole, final)
        self._is_ascii = self._is_ascii and text.isascii()
        return text


class JsonText:
    """The window into a document that is being read: bytes from `at` on are still to be used.

    Memory: the longest value that was asked for, twice, or a few pieces. As long as no more than
    `field_bytes_max` were read, all of it is kept, so that it can be read again with `rewind`.
    """

    def __init__(self, stream: ByteStream, options: ConvertOptions) -> None:
        self._stream = stream
        self._fallback = options.fallback_encoding
        self._decoder: _Utf8OrFallback | codecs.IncrementalDecoder | None = None
        self._has_begun = False
        self._has_ended = False
        self._kept: bytearray | None = bytearray()
        self._kept_max = options.field_bytes_max
        self._line = 1
        self.window = b""
        self.at = 0
        self.read_bytes = 0

    @property
    def line(self) -> int:
        """Line number of `at`, from 1."""
        return self._line + self.window.count(b"\n", 0, self.at)

    def grow(self, wanted_bytes: int) -> bool:
        """Have so many bytes more in the window, or all there are; False if there were none."""
        pieces = [self.window[self.at :]]
        self._line = self.line
        self.at = 0
        got = 0
        while got < wanted_bytes and not self._has_ended:
            piece = self._piece()
            pieces.append(piece)
            got += len(piece)
        self.window = b"".join(pieces)
        return got > 0

    @property
    def can_rewind(self) -> bool:
        """True as long as all of it is kept."""
        return self._kept is not None

    def rewind(self) -> bool:
        """Begin anew; False if it is too long for that."""
        if self._kept is None:
            return False
        self.window, self.at, self._line = bytes(self._kept), 0, 1
        return True

    def _piece(self) -> bytes:
        data = self._stream.read(PIECE_BYTES)
        self.read_bytes += len(data)
        if not self._has_begun:
            while 0 < len(data) < 4 and (more := self._stream.read(4 - len(data))):
                data += more
            data = self._begin(data)
        elif not data:
            self._has_ended = True
        if self._decoder is not None:
            data = self._decode(data)
        if self._kept is not None:
            self._kept += data
            if len(self._kept) > self._kept_max:
                self._kept = None
        return data

    def _begin(self, data: bytes) -> bytes:
        self._has_begun = True
        self._has_ended = not data
        encoding = None
        for mark, name in _MARKS:
            if data.startswith(mark):
                data, encoding = data[len(mark) :], name
                break
        else:
            if data[1:2] == b"\0":
                encoding = "utf-32-le" if data[1:4] == b"\0\0\0" else "utf-16-le"
            elif data[:1] == b"\0":
                encoding = "utf-32-be" if data[:3] == b"\0\0\0" else "utf-16-be"
            elif self._fallback:
                self._decoder = _Utf8OrFallback(self._fallback)
        if encoding:
            self._decoder = codecs.getincrementaldecoder(encoding)()
        return data

    def _decode(self, data: bytes) -> bytes:
        assert self._decoder is not None
        try:
            return self._decoder.decode(data, self._has_ended).encode()
        except UnicodeError as error:
            line = self._line + self.window.count(b"\n")
            raise TextEncodingError(
                f"at or after line {line}: {str(error)[:120]}", line=line
            ) from error

    def next_byte(self) -> bytes:
        """The next byte that is no blank, which `at` is moved to; b"" at the end."""
        while True:
            rest = self.window[self.at : self.at + _LOOK_BYTES]
            stripped = rest.lstrip(SPACE)
            self.at += len(rest) - len(stripped)
            if stripped:
                return stripped[:1]
            if self.at == len(self.window) and not self.grow(PIECE_BYTES):
                return b""

    def expect(self, wanted: bytes, what: str) -> None:
        """Step over this byte, or say that it should be here."""
        if self.next_byte() != wanted:
            raise self.broken(f"{what} is missing")
        self.at += 1

    def begins_objects(self) -> bool:
        """True if an array begins at `at` whose first element is an object."""
        while not (found := _ARRAY_BEGIN.match(self.window, self.at)):
            if self.next_byte() != b"[" or not self._may_grow():
                return False
        return found.group(1) == b"{"

    def string(self) -> bytes:
        """Step over a string and return it with its quotes."""
        while True:
            if found := _STRING.match(self.window, self.at):
                self.at = found.end()
                return found.group()
            self._more("a string that does not end")

    def value(self) -> bytes:
        """Step over any value and return its text."""
        first = self.next_byte()
        if first == b'"':
            return self.string()
        if first in (b"{", b"["):
            return self._brackets()
        found = _SCALAR.match(self.window, self.at)
        while (found is None or found.end() == len(self.window)) and self._may_grow():
            found = _SCALAR.match(self.window, self.at)
        found = _SCALAR.match(self.window, self.at)
        if not found:
            raise self.broken("a value is missing")
        self.at = found.end()
        return found.group()

    def _brackets(self) -> bytes:
        if found := _FLAT.match(self.window, self.at):
            self.at = found.end()
            return found.group()
        length = _LOOK_BYTES
        while True:
            closes = scan(self.window[self.at : self.at + length]).closes
            if len(closes):
                begin, self.at = self.at, self.at + int(closes[0]) + 1
                return self.window[begin : self.at]
            if self.at + length >= len(self.window):
                self._more("a bracket that does not close")
            length *= 2

    def _more(self, problem: str) -> None:
        if not self._may_grow():
            raise self.broken(problem)

    def _may_grow(self) -> bool:
        waiting = len(self.window) - self.at
        if waiting > self._kept_max:
            raise ConvertLimitError(
                f"line {self.line}: a value of more than {self._kept_max:,} bytes",
                hint="name where the records are: --records-path",
                line=self.line,
            )
        return self.grow(max(PIECE_BYTES, waiting))

    def broken(self, problem: str) -> BadDocumentError:
        """The error for what stands at `at`."""
        return BadDocumentError(f"line {self.line}: {problem}", line=self.line)
