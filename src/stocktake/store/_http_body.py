"""The body of an answer as a stream, and what becomes of the connection after it."""

from __future__ import annotations

from collections.abc import Callable

from stocktake.store._http_connection import AnswerHead, Connection, GoneError, chunk_size

_LINE_BYTES_MAX = 1 << 12


class StreamedBody:
    """The bytes of one answer, read piece by piece by one thread at a time.

    Args:
        connection: Where they come from.
        answer: Its head, which tells how long the body is.
        first: What of the body has come already.
        url: For errors.
        give_back: Called once with the connection; it is `reusable` if everything was read.
        fail: Turns a failure of the connection into the error to raise.
    """

    def __init__(
        self,
        connection: Connection,
        answer: AnswerHead,
        first: bytes,
        give_back: Callable[[Connection], None],
        fail: Callable[[Exception], Exception],
    ) -> None:
        self._connection: Connection | None = connection
        self._first = first
        self._keeps = answer.keeps
        self._is_chunked = answer.is_chunked
        length = answer.length
        self._left = 0 if self._is_chunked else length  # None: until the connection ends
        self._give_back = give_back
        self._fail = fail
        self._ended = not self._is_chunked and length == 0

    def read(self, size_bytes: int) -> bytes:
        """Some bytes, at most that many; `b""` at the end of what came."""
        if self._connection is None or size_bytes == 0:
            return b""
        try:
            if self._is_chunked and self._left == 0 and not self._ended:
                self._next_chunk()
            if self._ended:
                return b""
            piece = self._some(size_bytes if self._left is None else min(size_bytes, self._left))
        except (GoneError, OSError) as error:
            self.close()
            raise self._fail(error) from error
        if not piece:
            self.close()
            return b""
        if self._left is not None:
            self._left -= len(piece)
            self._ended = self._left == 0 and not self._is_chunked
        return piece

    def close(self) -> None:
        """Give the connection back if everything was read, or drop it."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        connection.reusable = self._keeps and self._ended and not self._first
        self._give_back(connection)

    def _some(self, size_bytes: int) -> bytes:
        if self._first:
            piece, self._first = self._first[:size_bytes], self._first[size_bytes:]
            return piece
        if self._connection is None:
            return b""
        return self._connection.read(size_bytes)

    def _next_chunk(self) -> None:
        line = self._line()
        # the empty line that ends the chunk before
        self._left = chunk_size(line or self._line())
        if self._left == 0:
            while self._line():
                pass
            self._ended = True

    def _line(self) -> bytes:
        while True:
            line, mark, rest = self._first.partition(b"\r\n")
            if mark:
                self._first = rest
                return line
            if self._connection is None or len(self._first) > _LINE_BYTES_MAX:
                raise GoneError("a chunk without a size", answered=True)
            more = self._connection.read(_LINE_BYTES_MAX)
            if not more:
                raise GoneError("it ended between two chunks", answered=True)
            self._first += more
