"""HTTP/1.1 for the requests that we sign ourselves: kept connections, no redirects, no retries."""

from __future__ import annotations

import socket
import ssl
import threading
import weakref
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from botocore import exceptions as aws

from stocktake.store._checksums import Buffer
from stocktake.store._http_body import StreamedBody
from stocktake.store._http_connection import (
    AnswerHead,
    Connection,
    GoneError,
    HttpAnswer,
    ReceiveBuffer,
)


@dataclass(frozen=True, slots=True)
class Origin:
    """A server: `http` or `https`, its name, port and `host` header."""

    scheme: str
    name: str
    port: int
    host: str


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request.

    Attributes:
        origin: Who is asked.
        target: Path and query, sent as they are.
        headers: All there are to send, `host` among them, but the body's length.
        method: `GET`, `HEAD`, `PUT`, `POST` or `DELETE`.
        body: What is sent after the head, without a copy if it is large.
        repeatable: It may arrive twice: then it is sent again when the server had closed the
            connection unnoticed. Otherwise that is an error: nobody knows whether it was served.
    """

    origin: Origin
    target: str
    headers: Mapping[str, str]
    method: str = "GET"
    body: Buffer = b""
    repeatable: bool = True

    @property
    def url(self) -> str:
        """For errors."""
        return f"{self.origin.scheme}://{self.origin.host}{self.target}"

    @property
    def head(self) -> bytes:
        """Request line and headers, with the empty line."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        if self.method in {"PUT", "POST"}:
            lines += f"content-length: {len(self.body)}\r\n"
        first = f"{self.method} {self.target} HTTP/1.1\r\n"
        return f"{first}{lines}accept-encoding: identity\r\n\r\n".encode()


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Time-outs, how many idle connections are kept, and whose certificates are believed."""

    connect_timeout_s: float
    read_timeout_s: float
    idle_max: int
    ca_bundle: str


class Http:
    """Requests without retries and redirects. Safe to share between threads.

    All of it raises `BotoCoreError`s as botocore's own requests do: no connection, silence, a cut.
    """

    def __init__(self, limits: HttpLimits) -> None:
        self._limits = limits
        self._idle: dict[Origin, deque[Connection]] = {}
        self._local = threading.local()
        self._lock = threading.Lock()
        self._context: ssl.SSLContext | None = None
        # also for stores that nobody closes
        self._finalizer = weakref.finalize(self, _close_all, self._idle)

    def send(self, request: HttpRequest) -> HttpAnswer:
        """The whole answer to one request, whatever its status."""
        connection, answer = self._begin(request)
        buffer = self._buffer()
        with _dropped_if_it_fails(connection, request.url):
            if request.method == "HEAD":
                whole = connection.without_body(buffer, answer)
            else:
                whole = connection.finish_body(buffer, answer)
        self._give_back(request.origin, connection)
        return whole

    def open(self, request: HttpRequest) -> tuple[HttpAnswer, StreamedBody | None]:
        """The answer to one request; the body as a stream if it is a success."""
        connection, answer = self._begin(request)
        buffer = self._buffer()
        with _dropped_if_it_fails(connection, request.url):
            if answer.status >= 300:
                whole = connection.finish_body(buffer, answer)
                self._give_back(request.origin, connection)
                return whole, None
            stream = StreamedBody(
                connection,
                answer,
                bytes(memoryview(buffer.data)[answer.start : buffer.filled]),
                lambda done: self._give_back(request.origin, done),
                lambda error: _failure(error, request.url),
            )
            return connection.without_body(buffer, answer), stream

    def _begin(self, request: HttpRequest) -> tuple[Connection, AnswerHead]:
        """Send it, on a connection that lives, and receive the head of the answer."""
        head = request.head
        idle = self._idle_of(request.origin)
        while True:
            connection = _live(idle)
            fresh = connection is None
            if connection is None:
                connection = self._connect(request)
            with _dropped_if_it_fails(connection, request.url):
                try:
                    return connection, connection.send(head, request.body, self._buffer())
                except GoneError as error:
                    if fresh or error.answered or not request.repeatable:
                        raise
            connection.close()  # the server had closed it while it was idle: that is no failure

    def close(self) -> None:
        """Give back connections. Requests after it open new ones."""
        _close_all(self._idle)

    def _give_back(self, origin: Origin, connection: Connection) -> None:
        idle = self._idle_of(origin)
        if connection.reusable and len(idle) < self._limits.idle_max:
            idle.append(connection)
        else:
            connection.close()

    def _idle_of(self, origin: Origin) -> deque[Connection]:
        found = self._idle.get(origin)
        return found if found is not None else self._idle.setdefault(origin, deque())

    def _buffer(self) -> ReceiveBuffer:
        buffer: ReceiveBuffer | None = getattr(self._local, "buffer", None)
        if buffer is None:
            buffer = self._local.buffer = ReceiveBuffer()
        return buffer

    def _connect(self, request: HttpRequest) -> Connection:
        origin, url = request.origin, request.url
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
        return Connection(plain)

    def _secure_context(self) -> ssl.SSLContext:
        with self._lock:
            if self._context is None:
                bundle = self._limits.ca_bundle
                folder = Path(bundle).is_dir()
                self._context = ssl.create_default_context(
                    cafile=None if folder else bundle, capath=bundle if folder else None
                )
            return self._context


@contextmanager
def _dropped_if_it_fails(connection: Connection, url: str) -> Iterator[None]:
    try:
        yield
    except (GoneError, OSError) as error:
        connection.close()
        raise _failure(error, url) from error
    except BaseException:
        connection.close()
        raise


def _failure(error: Exception, url: str) -> Exception:
    kind = aws.ReadTimeoutError if isinstance(error, TimeoutError) else aws.ConnectionClosedError
    failed: Exception = kind(endpoint_url=url, error=error)
    return failed


def _close_all(idle: dict[Origin, deque[Connection]]) -> None:
    for connections in list(idle.values()):
        while connections:
            connections.pop().close()


def _live(idle: deque[Connection]) -> Connection | None:
    """The connection used last that the server has not closed meanwhile."""
    while True:
        try:
            connection = idle.pop()
        except IndexError:
            return None
        if connection.is_quiet():
            return connection
        connection.close()
