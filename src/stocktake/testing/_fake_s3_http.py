"""The fake S3's HTTP/1.1: one thread per connection, files sent by the kernel."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

from stocktake.testing._blobs import FileBlob
from stocktake.testing._fake_s3_wire import Answer, Request, error_answer, parse_target
from stocktake.testing._object_table import Refused

_HOST = "127.0.0.1"
_SEND_BYTES = 4 << 20
_ONE_SEND_BYTES = 64 << 10


class _Handler(BaseHTTPRequestHandler):
    """One connection. `answerer` is set by the listener on a subclass."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    answerer: ClassVar[Callable[[Request], Answer]]

    def _serve(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(size) if size else b""
        if len(body) < size:
            self.close_connection = True
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            request = parse_target(self.command, self.path, headers, body)
        except Refused as refused:
            blank = Request(self.command, self.path, "", headers)
            self._send(blank, error_answer(refused, blank))
            return
        self._send(request, type(self).answerer(request))

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _serve  # noqa: N815 - names of http.server

    def _send(self, request: Request, answer: Answer) -> None:
        length = answer.stop - answer.start if answer.blob is not None else len(answer.body)
        lines = [f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in answer.headers.items()]
        lines += ["x-amz-request-id: FAKE", f"date: {self.date_time_string()}"]
        if answer.status != 204:
            lines.append(f"content-length: {length}")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
        without_body = request.method == "HEAD" or answer.status == 204
        if without_body or answer.blob is None:
            self.connection.sendall(head if without_body else head + answer.body)
            return
        if length <= _ONE_SEND_BYTES:
            self.connection.sendall(head + answer.blob.read(answer.start, answer.stop))
            return
        self.connection.sendall(head)
        self._send_blob(answer)

    def _send_blob(self, answer: Answer) -> None:
        blob = answer.blob
        if isinstance(blob, FileBlob):
            with blob.path.open("rb") as file:
                self.connection.sendfile(file, answer.start, answer.stop - answer.start)
            return
        for start in range(answer.start, answer.stop, _SEND_BYTES):
            if blob is not None:
                self.connection.sendall(blob.read(start, min(answer.stop, start + _SEND_BYTES)))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up in the middle is no error of the server."""


class FakeS3Listener:
    """The listening socket and its thread."""

    def __init__(self, port: int, answerer: Callable[[Request], Answer]) -> None:
        handler = type("Handler", (_Handler,), {"answerer": staticmethod(answerer)})
        self._server = _HttpServer((_HOST, port), handler)
        self._thread: threading.Thread | None = None

    @property
    def endpoint_url(self) -> str:
        """Where it listens."""
        return f"http://{_HOST}:{self._server.server_address[1]}"

    def start(self) -> None:
        """Serve from a thread until `stop`."""
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self._thread.start()

    def serve(self) -> None:
        """Serve from this thread until interrupted."""
        self._server.serve_forever()

    def stop(self) -> None:
        """Stop listening and give the port back."""
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._thread = None
        self._server.server_close()
