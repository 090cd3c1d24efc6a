"""The webhook's HTTP: one request per connection, with a bound on its size, its time, their number.

`_webhook.py` decides what an event is worth; here are only requests and answers.
"""

from __future__ import annotations

import hmac
import io
import json
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

from stocktake.clock import Clock
from stocktake.errors import InvalidSettingError

_SLICE_S = 0.25
_LINGER_BYTES = 8 << 20
_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class WebhookLimits:
    """What a webhook grants its senders.

    Attributes:
        body_bytes_max: Largest message.
        request_s: Longest time for a whole request, however slowly it comes.
        connections_max: Requests at once; more are told to come again.
        grace_s: How long requests under way may take once the webhook stops.
    """

    body_bytes_max: int = 1 << 20
    request_s: float = 30.0
    connections_max: int = 64
    grace_s: float = 5.0

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if min(self.body_bytes_max, self.connections_max) < 1 or self.request_s <= 0:
            raise InvalidSettingError("the limits of a webhook must be more than 0")


@dataclass(frozen=True, slots=True)
class Reply:
    """What a sender is told."""

    status: HTTPStatus
    content: dict[str, Any]
    headers: tuple[tuple[str, str], ...] = ()


class WebhookServer(ThreadingHTTPServer):
    """Listens; every request has a thread of its own.

    Attributes:
        failure: The first error that nobody expected; None while all is well.
    """

    daemon_threads = False
    block_on_close = True
    request_queue_size = 128

    def __init__(
        self,
        address: tuple[str, int],
        receive: Callable[[bytes], Reply],
        token: str | None,
        limits: WebhookLimits,
        clock: Clock,
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, _Handler)
        self.receive = receive
        self.limits = limits
        self.clock = clock
        self.failure: BaseException | None = None
        self._credential = f"Bearer {token}".encode() if token is not None else None
        self._slots = threading.BoundedSemaphore(limits.connections_max)
        self._closing_at_s: float | None = None

    def admits(self, authorization: str | None) -> bool:
        """True if the sender shows the token, or none is asked for."""
        if self._credential is None:
            return True
        shown = (authorization or "").encode("utf-8", "replace")
        return hmac.compare_digest(shown, self._credential)

    def time_left_s(self, deadline_s: float) -> float:
        """Seconds until a request must be over, on this server's clock."""
        if self._closing_at_s is not None:
            deadline_s = min(deadline_s, self._closing_at_s)
        return deadline_s - self.clock.monotonic_s()

    def close_gracefully(self) -> None:
        """Listen no more, and wait until the requests under way are answered."""
        self._closing_at_s = self.clock.monotonic_s() + self.limits.grace_s
        self.shutdown()
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread for a connection, or turn it away."""
        if self._slots.acquire(blocking=False):
            super().process_request(request, client_address)
            return
        request.settimeout(_SLICE_S)
        try:
            request.sendall(_BUSY)
        except OSError:
            pass  # whoever hangs up needs no answer
        finally:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection and give its place back."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep what nobody expected for whoever stops the webhook; hanging up is no error."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError) and self.failure is None:
            self.failure = error


class _PatientReader(io.RawIOBase):
    """A socket's bytes until the deadline, however they drip in."""

    def __init__(self, connection: socket.socket, server: WebhookServer, deadline_s: float) -> None:
        self._connection = connection
        self._server = server
        self._deadline_s = deadline_s

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Wait for some bytes. Raises TimeoutError when the time is over."""
        while True:
            left_s = self._server.time_left_s(self._deadline_s)
            if left_s <= 0:
                raise TimeoutError("the request took too long")
            self._connection.settimeout(min(left_s, _SLICE_S))
            try:
                return self._connection.recv_into(buffer)
            except TimeoutError:
                continue


class _Handler(BaseHTTPRequestHandler):
    """One connection with one request."""

    protocol_version = "HTTP/1.1"
    server_version = "stocktake"
    sys_version = ""

    def setup(self) -> None:
        """Bound the time of the whole request."""
        super().setup()
        self._ours = cast(WebhookServer, self.server)
        deadline_s = self._ours.clock.monotonic_s() + self._ours.limits.request_s
        self.rfile.close()
        self.rfile = io.BufferedReader(_PatientReader(self.connection, self._ours, deadline_s))

    def handle(self) -> None:
        """Serve one request: another one of the same connection would share its time."""
        self.handle_one_request()

    def do_GET(self) -> None:
        """Say that somebody listens: senders ask before they send."""
        self._answer(Reply(HTTPStatus.OK, {}))

    do_HEAD = do_GET  # noqa: N815 - a name of http.server

    def do_POST(self) -> None:
        """Take a message."""
        body = self._body()
        self._answer(body if isinstance(body, Reply) else self._ours.receive(body))

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what is no request of ours in the form of all other answers."""
        status = HTTPStatus(code)
        self._answer(Reply(status, {"error": message or explain or status.phrase}))

    def _body(self) -> bytes | Reply:
        if not self._ours.admits(self.headers.get("Authorization")):
            challenge = (("www-authenticate", "Bearer"),)
            return Reply(HTTPStatus.UNAUTHORIZED, {"error": "no or wrong token"}, challenge)
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or self.headers.get("Transfer-Encoding"):
            return Reply(HTTPStatus.LENGTH_REQUIRED, {"error": "send a Content-Length"})
        if int(length) > self._ours.limits.body_bytes_max:
            most = self._ours.limits.body_bytes_max
            return Reply(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {"error": f"more than {most} bytes"})
        try:
            body = self.rfile.read(int(length))
        except TimeoutError:
            return Reply(HTTPStatus.REQUEST_TIMEOUT, {"error": "the message came too slowly"})
        if len(body) < int(length):
            raise ConnectionResetError("the sender hung up in the middle of its message")
        return body

    def _answer(self, reply: Reply) -> None:
        content = json.dumps(reply.content).encode()
        self.connection.settimeout(self._ours.limits.grace_s)
        self.send_response(reply.status)
        for name, value in reply.headers:
            self.send_header(name, value)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.send_header("connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
        if reply.status not in (HTTPStatus.OK, HTTPStatus.BAD_REQUEST):
            self._linger()

    def _linger(self) -> None:
        """Read what the sender still sends: closing at once would also destroy our answer."""
        try:
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_WR)
            for _ in range(_LINGER_BYTES >> 16):
                if not self.rfile.read(1 << 16):
                    return
        except OSError:
            return

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing: what happened is in the metrics."""
