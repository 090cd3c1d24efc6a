"""HTTP for listing pages: pooled connections, and answers read in few and large pieces.

S3 sends listings in chunks of a few kilobytes; the standard library needs a millisecond for the
chunks of one page, more than parsing it takes.
"""

from __future__ import annotations

import http.client
import socket
from dataclasses import dataclass
from typing import Any

import urllib3
from botocore import exceptions as aws
from urllib3 import exceptions as http_errors
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

_BUFFER_BYTES = 1 << 16
_LINE_BYTES_MAX = 1 << 12
_HOSTS_MAX = 64
_KEEP_ALIVE = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """One whole answer. Header names are looked up in any case."""

    status: int
    reason: str
    headers: Any
    body: bytes


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Time-outs, how many idle connections are kept, and whose certificates are believed."""

    connect_timeout_s: float
    read_timeout_s: float
    connections: int
    ca_bundle: str


class _PageResponse(http.client.HTTPResponse):
    """A response that reads a chunked body by large buffers."""

    def __init__(self, sock: socket.socket, *arguments: Any, **named: Any) -> None:
        super().__init__(sock, *arguments, **named)
        small: Any = self.fp
        small.close()
        large: Any = sock.makefile("rb", _BUFFER_BYTES)
        self.fp = large

    def read(self, amt: int | None = None) -> bytes:
        """As the base; the whole of a chunked body at once if nothing was read of it."""
        stream: Any = self.fp
        if amt is not None or stream is None or not self.chunked or self.chunk_left is not None:
            return super().read(amt)
        pieces: list[bytes] = []
        while size_bytes := _chunk_size_bytes(stream):
            piece = stream.read(size_bytes)
            if len(piece) < size_bytes or stream.read(2) != b"\r\n":
                raise http.client.IncompleteRead(piece)
            pieces.append(piece)
        while stream.readline(_LINE_BYTES_MAX) not in {b"\r\n", b"\n", b""}:
            pass  # trailers: nobody needs them
        finished: Any = None
        self.fp = finished  # as the base says that all was read
        stream.close()
        return b"".join(pieces)


def _chunk_size_bytes(stream: Any) -> int:
    line: bytes = stream.readline(_LINE_BYTES_MAX)
    try:
        return int(line.partition(b";")[0], 16)
    except ValueError as error:
        raise http.client.IncompleteRead(line) from error


class _PlainConnection(HTTPConnection):
    response_class = _PageResponse


class _SecureConnection(HTTPSConnection):
    response_class = _PageResponse


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class PageHttp:
    """GET requests over kept connections, without retries and redirects. Safe to share."""

    def __init__(self, limits: HttpLimits) -> None:
        self._manager = urllib3.PoolManager(
            num_pools=_HOSTS_MAX,
            maxsize=limits.connections,
            timeout=urllib3.Timeout(limits.connect_timeout_s, limits.read_timeout_s),
            cert_reqs="CERT_REQUIRED",
            ca_certs=limits.ca_bundle,
            socket_options=HTTPConnection.default_socket_options + _KEEP_ALIVE,
        )
        self._manager.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}

    def get(self, origin: str, target: str, headers: dict[str, str]) -> HttpAnswer:
        """The answer to one GET, whatever its status.

        Args:
            origin: Scheme, host and port.
            target: Path and query, sent as they are.
            headers: All there are to send, `host` among them.

        Raises:
            botocore's transport errors, as requests of its own raise them.
        """
        url = origin + target
        try:
            answer = self._manager.connection_from_url(origin).urlopen(
                "GET", target, headers=headers, retries=False, redirect=False
            )
        except http_errors.SSLError as error:
            raise aws.SSLError(endpoint_url=url, error=error) from error
        except http_errors.NewConnectionError as error:
            raise aws.EndpointConnectionError(endpoint_url=url, error=error) from error
        except http_errors.ConnectTimeoutError as error:
            raise aws.ConnectTimeoutError(endpoint_url=url, error=error) from error
        except http_errors.ReadTimeoutError as error:
            raise aws.ReadTimeoutError(endpoint_url=url, error=error) from error
        except http_errors.ProtocolError as error:
            raise aws.ConnectionClosedError(endpoint_url=url, error=error) from error
        except (http_errors.HTTPError, OSError) as error:
            raise aws.HTTPClientError(error=error) from error
        return HttpAnswer(answer.status, answer.reason or "", answer.headers, answer.data)

    def close(self) -> None:
        """Give back connections."""
        self._manager.clear()
