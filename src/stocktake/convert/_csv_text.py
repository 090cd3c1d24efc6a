"""Bytes of a table to pieces of UTF-8 without a byte order mark."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

import pyarrow as pa

from stocktake.convert._plan import ByteStream
from stocktake.errors import InvalidSettingError

PIECE_BYTES = 1 << 20
"""Larger ones take more memory and are no faster: what is done to them leaves the cache."""
_DECODED_PIECE_BYTES = 512 << 10
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # begins like UTF-16, so it comes first
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


class BadTextError(ValueError):
    """What comes after the last piece is no text."""


def read_pieces(stream: ByteStream, size_bytes: int) -> Iterator[bytes]:
    """The stream in pieces of one size; the last one may be shorter."""
    waiting: list[bytes] = []
    length = 0
    while data := stream.read(size_bytes - length):
        waiting.append(data)
        length += len(data)
        if length >= size_bytes:
            yield waiting[0] if len(waiting) == 1 else b"".join(waiting)
            waiting, length = [], 0
    if waiting:
        yield b"".join(waiting)


def open_text(stream: ByteStream) -> tuple[str, bool, Iterator[bytes]]:
    """The encoding that the byte order mark names, whether there is one, and the text behind it.

    Without a mark it is taken for UTF-8, unchecked. Iterating raises `BadTextError` behind the last
    piece that could be decoded.
    """
    front = next(read_pieces(stream, 4), b"")
    for mark, encoding in _MARKS:
        if front.startswith(mark):
            rest = front[len(mark) :]
            if encoding == "utf-8":
                return encoding, True, _after(rest, read_pieces(stream, PIECE_BYTES))
            pieces = _after(rest, read_pieces(stream, _DECODED_PIECE_BYTES))
            return encoding, True, _decoded(pieces, Recoder(encoding))
    return "utf-8", False, _after(front, read_pieces(stream, PIECE_BYTES))


class Recoder:
    """Text in another encoding to UTF-8, piece by piece."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._decoder = codecs.getincrementaldecoder(encoding)("strict")

    def recode(self, data: bytes, *, final: bool) -> bytes:
        """The next piece in UTF-8.

        Raises:
            BadTextError: These bytes are no text in this encoding. `args[1]` is what came before.
        """
        before, _ = self._decoder.getstate()
        try:
            return self._decoder.decode(data, final).encode("utf-8")
        except UnicodeDecodeError as error:
            good = (before + data)[: error.start].decode(self._encoding, "ignore")
            reason = f"{error.reason} ({error.object[error.start : error.end][:4].hex()})"
            raise BadTextError(
                f"not {self._encoding}: {reason}", good.encode("utf-8", "ignore")
            ) from error


def _after(front: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    first = next(pieces, b"")
    if front or first:
        yield front + first
    yield from pieces


def _decoded(pieces: Iterator[bytes], recoder: Recoder) -> Iterator[bytes]:
    for piece in pieces:
        try:
            text = recoder.recode(piece, final=False)
        except BadTextError as error:
            yield error.args[1]
            raise
        if text:
            yield text
    rest = recoder.recode(b"", final=True)
    if rest:
        yield rest


def check_fallback(encoding: str) -> str:
    """The encoding, if text without a byte order mark can be in it.

    Raises:
        InvalidSettingError: There is none of this name, or ASCII is something else in it.
    """
    ascii_text = bytes(range(128))
    try:
        same = ascii_text.decode(encoding) == ascii_text.decode("ascii")
    except (LookupError, ValueError) as error:
        raise InvalidSettingError(f"encoding {encoding!r} is not known") from error
    if not same:
        raise InvalidSettingError(f"encoding {encoding!r} is not a superset of ASCII")
    return encoding


def is_utf8(data: bytes, end: int) -> bool:
    """Whether `data[:end]` is UTF-8, without decoding or copying it."""
    offsets = pa.array([0, end], pa.int32()).buffers()[1]
    text = pa.Array.from_buffers(pa.string(), 1, [None, offsets, pa.py_buffer(data)])
    try:
        text.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def first_bad_byte(data: bytes) -> int:
    """Where bytes stop being UTF-8."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start
    return len(data)
