"""One HTTP/1.1 connection: a request sent whole, its answer received into one large buffer.

S3 sends listings in chunks of a few kilobytes. urllib3 and the standard library take 0.9 ms of CPU
time to receive such a page of 1,000 keys, more than parsing it takes, and most of it holds the
interpreter lock; this takes 0.2 ms. The answer stays in the thread's buffer until its next request.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field

from stocktake.store._checksums import Buffer
from stocktake.store._span import Span

_BUFFER_BYTES = 1 << 20
_BUFFER_BYTES_MAX = 1 << 26
_HEAD_BYTES_MAX = 1 << 16
_JOINED_BYTES_MAX = 1 << 16
_SENT_BYTES = 1 << 20
_READ_BYTES = 1 << 18
_BLANK = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """One whole answer; header names are lower case.

    The body is valid until this thread's next request: whoever keeps of it makes a copy.
    """

    status: int
    headers: Mapping[str, str]
    body: Span


class GoneError(Exception):
    """The connection ended; `answered` says if something of the answer had come."""

    def __init__(self, cause: str, *, answered: bool) -> None:
        super().__init__(cause)
        self.answered = answered


@dataclass(slots=True)
class ReceiveBuffer:
    """Memory that is used again for every answer: fresh memory costs more than receiving."""

    data: bytearray = field(default_factory=lambda: bytearray(_BUFFER_BYTES))
    filled: int = 0

    def make_room(self) -> None:
        """Twice the memory, if it is full."""
        if self.filled < len(self.data):
            return
        if len(self.data) >= _BUFFER_BYTES_MAX:
            raise GoneError(f"the answer exceeds {_BUFFER_BYTES_MAX} bytes", answered=True)
        # not resized: arrays may still look at the old memory
        larger = bytearray(2 * len(self.data))
        larger[: self.filled] = self.data
        self.data = larger


@dataclass(frozen=True, slots=True)
class AnswerHead:
    """The status line and headers; the body begins at `start` of the buffer."""

    status: int
    headers: Mapping[str, str]
    start: int
    keeps: bool

    @property
    def is_chunked(self) -> bool:
        """The body tells its length piece by piece."""
        return self.headers.get("transfer-encoding", "").lower() == "chunked"

    @property
    def length(self) -> int | None:
        """How long the body is; None if it does not say so before it comes."""
        text = self.headers.get("content-length")
        if self.is_chunked or text is None:
            return None
        if not (text.isascii() and text.isdigit()):
            raise GoneError(f"its length is `{text}`", answered=True)
        return int(text)


class Connection:
    """One connection to a server."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)
        self._cut = False
        self.reusable = False

    def is_quiet(self) -> bool:
        """Nothing came since the last answer: neither its end nor bytes nobody asked for."""
        return not self._poll.poll(0)

    def close(self) -> None:
        """Give it back."""
        self._sock.close()

    def send(self, head: bytes, body: Buffer, buffer: ReceiveBuffer) -> AnswerHead:
        """Send a request and receive the head of its answer, and maybe some of its body."""
        self.reusable = False
        buffer.filled = 0
        self._cut = False
        try:
            self._send(head, body)
        except TimeoutError:
            raise
        except OSError as error:
            self._cut = True
            return self._refusal_while_sending(error, buffer)
        return self._receive_head(buffer)

    def finish_body(self, buffer: ReceiveBuffer, answer: AnswerHead) -> HttpAnswer:
        """Receive the rest of an answer whose head has come."""
        whole, stop, ends_itself = self._receive_body(buffer, answer)
        keeps = answer.keeps and not self._cut
        self.reusable = keeps and ends_itself and buffer.filled == stop
        return HttpAnswer(answer.status, answer.headers, Span(buffer.data, answer.start, whole))

    def without_body(self, buffer: ReceiveBuffer, answer: AnswerHead) -> HttpAnswer:
        """An answer that has no body, whatever its headers say (HEAD), or that keeps it."""
        self.reusable = answer.keeps and not self._cut and buffer.filled == answer.start
        start = answer.start
        return HttpAnswer(answer.status, answer.headers, Span(buffer.data, start, start))

    def read(self, size_bytes: int) -> bytes:
        """Some of what comes next, `b""` at the connection's end."""
        return self._sock.recv(min(size_bytes, _READ_BYTES))

    def _send(self, head: bytes, body: Buffer) -> None:
        if len(body) <= _JOINED_BYTES_MAX:
            self._sock.sendall(b"".join((head, body)) if body else head)
            return
        self._sock.sendall(head)
        # `sendall` would take the time-out for all of it; here it is for each piece
        left = memoryview(body).cast("B")
        while left:
            left = left[self._sock.send(left[:_SENT_BYTES]) :]

    def _refusal_while_sending(self, cut: OSError, buffer: ReceiveBuffer) -> AnswerHead:
        """What a server said before it hung up on a request; never a success."""
        gone = GoneError(str(cut), answered=False)
        try:
            answer = self._receive_head(buffer)
        except (GoneError, OSError):
            raise gone from cut
        if answer.status < 300:
            raise GoneError("it said yes to a request that was cut", answered=True) from cut
        return answer

    def _receive_head(self, buffer: ReceiveBuffer) -> AnswerHead:
        start = 0
        while True:
            end = self._find(buffer, _BLANK, start)
            version, status, headers = _parse_head(bytes(buffer.data[start:end]))
            start = end + len(_BLANK)
            if status >= 200:  # before it there may be interim answers
                keeps = version == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
                return AnswerHead(status, headers, start, keeps)

    def _receive_body(self, buffer: ReceiveBuffer, answer: AnswerHead) -> tuple[int, int, bool]:
        """Where the body ends, where the answer ends, and if it said so itself."""
        start = answer.start
        if answer.status in {204, 304}:
            return start, start, True
        if answer.is_chunked:
            return *self._receive_chunks(buffer, start), True
        length = answer.length
        if length is None:
            while self._receive(buffer, until_closed=True):
                pass
            return buffer.filled, buffer.filled, False
        stop = start + length
        self._fill(buffer, stop)
        return stop, stop, True

    def _receive_chunks(self, buffer: ReceiveBuffer, start: int) -> tuple[int, int]:
        """Receive a chunked body, pushed together at `start`."""
        body, position = start, start
        while True:
            line = self._find(buffer, b"\r\n", position)
            size_bytes = chunk_size(bytes(buffer.data[position:line]))
            first, stop = line + 2, line + 2 + size_bytes
            if size_bytes == 0:
                return body, self._after_trailers(buffer, first)
            self._fill(buffer, stop + 2)
            view = memoryview(buffer.data)
            view[body : body + size_bytes] = view[first:stop]
            body += size_bytes
            position = stop + 2

    def _after_trailers(self, buffer: ReceiveBuffer, position: int) -> int:
        while True:
            line = self._find(buffer, b"\r\n", position)
            if line == position:
                return line + 2
            position = line + 2

    def _find(self, buffer: ReceiveBuffer, mark: bytes, start: int) -> int:
        """Where `mark` is, received if it was not yet."""
        searched = start
        while True:
            found = buffer.data.find(mark, searched, buffer.filled)
            if found >= 0:
                return found
            if buffer.filled - start > _HEAD_BYTES_MAX:
                raise GoneError("its head has no end", answered=True)
            searched = max(start, buffer.filled - len(mark) + 1)
            self._receive(buffer)

    def _fill(self, buffer: ReceiveBuffer, stop: int) -> None:
        while buffer.filled < stop:
            self._receive(buffer)

    def _receive(self, buffer: ReceiveBuffer, *, until_closed: bool = False) -> int:
        """Receive some more; nothing more is a failure, unless that is how the answer ends."""
        buffer.make_room()
        answered = buffer.filled > 0
        try:
            count = self._sock.recv_into(memoryview(buffer.data)[buffer.filled :])
        except TimeoutError:
            raise
        except OSError as error:
            raise GoneError(str(error), answered=answered) from error
        if count == 0 and not until_closed:
            cause = f"it ended after {buffer.filled} bytes" if answered else "it ended unanswered"
            raise GoneError(cause, answered=answered)
        buffer.filled += count
        return count


def chunk_size(line: bytes) -> int:
    """The size that a chunk's first line tells."""
    text = line.partition(b";")[0].strip()
    try:
        size_bytes = int(text, 16)
    except ValueError as error:
        raise GoneError(f"a chunk of `{text!r}` bytes", answered=True) from error
    if size_bytes < 0:
        raise GoneError("a chunk of negative size", answered=True)
    return size_bytes


def _parse_head(head: bytes) -> tuple[str, int, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    code = rest.partition(" ")[0]
    if not version.startswith("HTTP/1.") or not code.isdigit():
        raise GoneError("it does not speak HTTP/1.1", answered=True)
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return version, int(code), headers
