"""HTTP/1.1 for listing pages: one kind of request, kept connections, one large buffer per thread.

S3 sends listings in chunks of a few kilobytes. urllib3 and the standard library take 0.9 ms of CPU
time to receive such a page of 1,000 keys, more than parsing it takes, and most of it holds the
interpreter lock; this takes 0.2 ms. The answer stays in the thread's buffer until its next request.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
import weakref
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from botocore import exceptions as aws

from stocktake.store._span import Span

_BUFFER_BYTES = 1 << 20
_BUFFER_BYTES_MAX = 1 << 26
_HEAD_BYTES_MAX = 1 << 16
_BLANK = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Origin:
    """A server: `http` or `https`, its name, port and `host` header."""

    scheme: str
    name: str
    port: int
    host: str


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """One whole answer; header names are lower case.

    The body is valid until this thread's next request: whoever keeps of it makes a copy.
    """

    status: int
    headers: Mapping[str, str]
    body: Span


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Time-outs, how many idle connections are kept, and whose certificates are believed."""

    connect_timeout_s: float
    read_timeout_s: float
    idle_max: int
    ca_bundle: str


class PageHttp:
    """GET requests, without retries and redirects. Safe to share between threads."""

    def __init__(self, limits: HttpLimits) -> None:
        self._limits = limits
        self._idle: dict[Origin, deque[_Connection]] = {}
        self._local = threading.local()
        self._lock = threading.Lock()
        self._context: ssl.SSLContext | None = None
        # also for stores that nobody closes
        self._finalizer = weakref.finalize(self, _close_all, self._idle)

    def get(self, origin: Origin, target: str, headers: Mapping[str, str]) -> HttpAnswer:
        """The answer to one GET, whatever its status.

        Args:
            origin: Who is asked.
            target: Path and query, sent as they are.
            headers: All there are to send, `host` among them.

        Raises:
            BotoCoreError: As botocore's own requests raise it: no connection, silence, a cut.
        """
        url = f"{origin.scheme}://{origin.host}{target}"
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        request = f"GET {target} HTTP/1.1\r\n{lines}accept-encoding: identity\r\n\r\n".encode()
        idle = self._idle_of(origin)
        while True:
            connection = _live(idle)
            fresh = connection is None
            if connection is None:
                connection = self._connect(origin, url)
            try:
                answer = connection.exchange(request, self._buffer())
            except _GoneError as error:
                connection.close()
                if fresh or error.answered:
                    raise aws.ConnectionClosedError(endpoint_url=url, error=error) from error
                continue  # the server had closed it while it was idle: that is no failure
            except TimeoutError as error:
                connection.close()
                raise aws.ReadTimeoutError(endpoint_url=url, error=error) from error
            except BaseException:
                connection.close()
                raise
            if connection.reusable and len(idle) < self._limits.idle_max:
                idle.append(connection)
            else:
                connection.close()
            return answer

    def close(self) -> None:
        """Give back connections. Requests after it open new ones."""
        _close_all(self._idle)

    def _idle_of(self, origin: Origin) -> deque[_Connection]:
        found = self._idle.get(origin)
        return found if found is not None else self._idle.setdefault(origin, deque())

    def _buffer(self) -> _Buffer:
        buffer: _Buffer | None = getattr(self._local, "buffer", None)
        if buffer is None:
            buffer = self._local.buffer = _Buffer()
        return buffer

    def _connect(self, origin: Origin, url: str) -> _Connection:
        try:
            plain = socket.create_connection(
                (origin.name, origin.port), self._limits.connect_timeout_s
            )
        except TimeoutError as error:
            raise aws.ConnectTimeoutError(endpoint_url=url, error=error) from error
        except OSError as error:
            raise aws.EndpointConnectionError(endpoint_url=url, error=error) from error
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if origin.scheme == "https":
                plain = self._secure_context().wrap_socket(plain, server_hostname=origin.name)
            plain.settimeout(self._limits.read_timeout_s)
        except TimeoutError as error:
            plain.close()
            raise aws.ConnectTimeoutError(endpoint_url=url, error=error) from error
        except ssl.SSLError as error:
            plain.close()
            raise aws.SSLError(endpoint_url=url, error=error) from error
        except OSError as error:
            plain.close()
            raise aws.ConnectionClosedError(endpoint_url=url, error=error) from error
        return _Connection(plain)

    def _secure_context(self) -> ssl.SSLContext:
        with self._lock:
            if self._context is None:
                bundle = self._limits.ca_bundle
                folder = Path(bundle).is_dir()
                self._context = ssl.create_default_context(
                    cafile=None if folder else bundle, capath=bundle if folder else None
                )
            return self._context


class _GoneError(Exception):
    """The connection ended; `answered` says if something of the answer had come."""

    def __init__(self, cause: str, *, answered: bool) -> None:
        super().__init__(cause)
        self.answered = answered


def _close_all(idle: dict[Origin, deque[_Connection]]) -> None:
    for connections in list(idle.values()):
        while connections:
            connections.pop().close()


def _live(idle: deque[_Connection]) -> _Connection | None:
    """The connection used last that the server has not closed meanwhile."""
    while True:
        try:
            connection = idle.pop()
        except IndexError:
            return None
        if connection.is_quiet():
            return connection
        connection.close()


@dataclass(slots=True)
class _Buffer:
    """Memory that is used again for every answer: fresh memory costs more than receiving."""

    data: bytearray = field(default_factory=lambda: bytearray(_BUFFER_BYTES))
    filled: int = 0

    def make_room(self) -> None:
        """Twice the memory, if it is full."""
        if self.filled < len(self.data):
            return
        if len(self.data) >= _BUFFER_BYTES_MAX:
            raise _GoneError(f"the answer exceeds {_BUFFER_BYTES_MAX} bytes", answered=True)
        # not resized: arrays may still look at the old memory
        larger = bytearray(2 * len(self.data))
        larger[: self.filled] = self.data
        self.data = larger


class _Connection:
    """One connection to a server."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)
        self.reusable = False

    def is_quiet(self) -> bool:
        """Nothing came since the last answer: neither its end nor bytes nobody asked for."""
        return not self._poll.poll(0)

    def close(self) -> None:
        """Give it back."""
        self._sock.close()

    def exchange(self, request: bytes, buffer: _Buffer) -> HttpAnswer:
        """Send a request and receive its whole answer into the buffer."""
        self.reusable = False
        buffer.filled = 0
        try:
            self._sock.sendall(request)
        except TimeoutError:
            raise
        except OSError as error:
            raise _GoneError(str(error), answered=False) from error
        start = 0
        while True:
            end = self._find(buffer, _BLANK, start)
            version, status, headers = _parse_head(bytes(buffer.data[start:end]))
            start = end + len(_BLANK)
            if status >= 200:  # before it there may be interim answers
                break
        whole, stop, ends_itself = self._receive_body(buffer, start, status, headers)
        keeps = version == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
        self.reusable = keeps and ends_itself and buffer.filled == stop
        return HttpAnswer(status, headers, Span(buffer.data, start, whole))

    def _receive_body(
        self, buffer: _Buffer, start: int, status: int, headers: Mapping[str, str]
    ) -> tuple[int, int, bool]:
        """Where the body ends, where the answer ends, and if it said so itself."""
        if status in {204, 304}:
            return start, start, True
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return *self._receive_chunks(buffer, start), True
        length = headers.get("content-length")
        if length is None:
            while self._receive(buffer, until_closed=True):
                pass
            return buffer.filled, buffer.filled, False
        if not (length.isascii() and length.isdigit()):
            raise _GoneError(f"its length is `{length}`", answered=True)
        stop = start + int(length)
        self._fill(buffer, stop)
        return stop, stop, True

    def _receive_chunks(self, buffer: _Buffer, start: int) -> tuple[int, int]:
        """Receive a chunked body, pushed together at `start`."""
        body, position = start, start
        while True:
            line = self._find(buffer, b"\r\n", position)
            text = bytes(buffer.data[position:line]).partition(b";")[0]
            try:
                size_bytes = int(text, 16)
            except ValueError as error:
                raise _GoneError(f"a chunk of `{text!r}` bytes", answered=True) from error
            first, stop = line + 2, line + 2 + size_bytes
            if size_bytes == 0:
                return body, self._after_trailers(buffer, first)
            if size_bytes < 0:
                raise _GoneError("a chunk of negative size", answered=True)
            self._fill(buffer, stop + 2)
            view = memoryview(buffer.data)
            view[body : body + size_bytes] = view[first:stop]
            body += size_bytes
            position = stop + 2

    def _after_trailers(self, buffer: _Buffer, position: int) -> int:
        while True:
            line = self._find(buffer, b"\r\n", position)
            if line == position:
                return line + 2
            position = line + 2

    def _find(self, buffer: _Buffer, mark: bytes, start: int) -> int:
        """Where `mark` is, received if it was not yet."""
        searched = start
        while True:
            found = buffer.data.find(mark, searched, buffer.filled)
            if found >= 0:
                return found
            if buffer.filled - start > _HEAD_BYTES_MAX:
                raise _GoneError("its head has no end", answered=True)
            searched = max(start, buffer.filled - len(mark) + 1)
            self._receive(buffer)

    def _fill(self, buffer: _Buffer, stop: int) -> None:
        while buffer.filled < stop:
            self._receive(buffer)

    def _receive(self, buffer: _Buffer, *, until_closed: bool = False) -> int:
        """Receive some more; nothing more is a failure, unless that is how the answer ends."""
        buffer.make_room()
        answered = buffer.filled > 0
        try:
            count = self._sock.recv_into(memoryview(buffer.data)[buffer.filled :])
        except TimeoutError:
            raise
        except OSError as error:
            raise _GoneError(str(error), answered=answered) from error
        if count == 0 and not until_closed:
            cause = f"it ended after {buffer.filled} bytes" if answered else "it ended unanswered"
            raise _GoneError(cause, answered=answered)
        buffer.filled += count
        return count


def _parse_head(head: bytes) -> tuple[str, int, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    code = rest.partition(" ")[0]
    if not version.startswith("HTTP/1.") or not code.isdigit():
        raise _GoneError("it does not speak HTTP/1.1", answered=True)
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return version, int(code), headers
