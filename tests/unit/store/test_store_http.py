"""HTTP as servers speak it: whole, in chunks, until the end, cut, silent, or something else."""

from __future__ import annotations

import socket
import ssl
import threading

import pytest
from botocore import exceptions as aws

from stocktake.store._http import Http, HttpLimits, HttpRequest, Origin
from tls_certificates import certificate

HEADERS = {"host": "here", "x-one": "1"}
BODY = bytes(range(256)) * 20_000  # 5 MB: more than the first buffer


def chunked(body: bytes, size: int, *, extension: bytes = b"", trailer: bytes = b"") -> bytes:
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"".join(b"%x%s\r\n%s\r\n" % (len(piece), extension, piece) for piece in pieces)
        + b"0\r\n"
        + trailer
        + b"\r\n"
    )


def whole(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    lines = b"".join(line + b"\r\n" for line in headers)
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n%s\r\n%s" % (status, len(body), lines, body)


class Script:
    """A server that answers each request with the next answer; None closes without one."""

    def __init__(self, *answers: bytes | None, context: ssl.SSLContext | None = None) -> None:
        self.answers = list(answers)
        self.requests: list[bytes] = []
        self.connections = 0
        self._context = context
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def origin(self) -> Origin:
        name = "localhost" if self._context else "127.0.0.1"
        scheme = "https" if self._context else "http"
        return Origin(scheme, name, self._socket.getsockname()[1], "here")

    def _serve(self) -> None:
        while self.answers:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            try:
                if self._context is not None:
                    connection = self._context.wrap_socket(connection, server_side=True)
                self._talk(connection)
            except OSError:
                pass
            finally:
                connection.close()

    def _talk(self, connection: socket.socket) -> None:
        while self.answers:
            request = b""
            while not request.endswith(b"\r\n\r\n"):
                more = connection.recv(65536)
                if not more:
                    return
                request += more
            self.requests.append(request)
            answer = self.answers.pop(0)
            if answer is None:
                return
            connection.sendall(answer)
            if b"\r\n\r\n" not in answer or b"close-after" in answer:
                return

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits in accept
        self._socket.close()
        self._thread.join(5)


@pytest.fixture
def talk():
    opened: list[object] = []

    def begin(*answers, context=None, bundle="", read_timeout_s=5.0, idle_max=4):
        script = Script(*answers, context=context)
        http = Http(HttpLimits(2.0, read_timeout_s, idle_max, bundle))
        opened.extend((http, script))
        return script, lambda: http.send(HttpRequest(script.origin, "/b?x=%20", HEADERS))

    yield begin
    for each in opened:
        each.close()


@pytest.mark.parametrize(
    "answer",
    [
        whole(BODY),
        chunked(BODY, 8192),
        chunked(BODY, 8191, extension=b";a=b", trailer=b"x-checksum: 1\r\ny: 2\r\n"),
        chunked(BODY, 3_000_000),
        b"HTTP/1.1 200 OK\r\nclose-after: 1\r\n\r\n" + BODY,
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + whole(BODY),
    ],
    ids=["length", "chunks", "trailers", "large chunks", "until the end", "interim answers"],
)
def test_a_body_arrives_whole_however_it_is_sent(talk, answer):
    script, get = talk(answer, whole(b"next"))
    found = get()
    assert (found.status, found.body.to_bytes() == BODY) == (200, True)
    assert get().body.to_bytes() == b"next"
    assert script.requests[0] == (
        b"GET /b?x=%20 HTTP/1.1\r\nhost: here\r\nx-one: 1\r\naccept-encoding: identity\r\n\r\n"
    )
    assert script.connections == (2 if b"close-after" in answer else 1)


def test_status_and_headers_are_told_in_lower_case(talk):
    _, get = talk(whole(b"", b"Retry-After:  7 ", b"X-Amz-Bucket-Region: r", status=b"503 Slow"))
    found = get()
    assert found.status == 503
    assert found.headers["retry-after"] == "7"
    assert found.headers["x-amz-bucket-region"] == "r"


def test_answers_without_a_body_end_by_themselves(talk):
    script, get = talk(b"HTTP/1.1 304 Not Modified\r\n\r\n", whole(b"y"))
    assert get().body.to_bytes() == b""
    assert get().body.to_bytes() == b"y"
    assert script.connections == 1


@pytest.mark.parametrize(
    "first", [whole(b"x", b"Connection: close"), b"HTTP/1.0" + whole(b"x")[8:], whole(b"x") + b"!"]
)
def test_a_connection_that_is_to_be_closed_is_not_used_again(talk, first):
    script, get = talk(first, whole(b"y"))
    assert get().body.to_bytes() == b"x"
    assert get().body.to_bytes() == b"y"
    assert script.connections == 2


def test_a_connection_that_died_while_idle_is_replaced(talk):
    script, get = talk(whole(b"x"), None, whole(b"y"))
    get()
    assert get().body.to_bytes() == b"y"
    assert script.connections == 2


def test_no_more_connections_are_kept_than_allowed(talk):
    script, get = talk(whole(b"x"), whole(b"y"), idle_max=0)
    get()
    get()
    assert script.connections == 2


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (None, "unanswered"),
        (b"HTTP/1.1 200 O", "ended after 14 bytes"),
        (whole(BODY)[:-1] + b"", "ended after"),
        (chunked(b"x" * 100, 10)[:-40], "ended after"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "chunk"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n", "chunk"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", "many"),
        (b"220 smtp.example ESMTP\r\n\r\n", "HTTP/1.1"),
        (b"x" * 200_000, "no end"),
    ],
)
def test_what_is_not_a_whole_answer_is_an_error(talk, answer, cause):
    shut = answer if answer is None else answer.replace(b"OK\r\n", b"OK\r\nclose-after: 1\r\n", 1)
    _, get = talk(shut)
    with pytest.raises(aws.ConnectionClosedError) as caught:
        get()
    assert cause in str(caught.value.__cause__)


def test_silence_is_a_time_out(talk):
    _, get = talk(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12", whole(b""), read_timeout_s=0.1)
    with pytest.raises(aws.ReadTimeoutError):
        get()


def test_a_name_that_does_not_exist_and_a_closed_port_are_told_as_such():
    http = Http(HttpLimits(2.0, 2.0, 4, ""))
    for name, port in (("127.0.0.1", 9), ("nowhere.invalid", 80)):
        with pytest.raises(aws.EndpointConnectionError, match=name):
            http.send(HttpRequest(Origin("http", name, port, name), "/", HEADERS))


# --- certificates --------------------------------------------------------------------------------


def test_a_certificate_of_the_bundle_is_believed_and_the_connection_kept(talk, tmp_path):
    context, bundle = certificate(tmp_path, "localhost")
    script, get = talk(chunked(BODY, 8192), whole(b"y"), context=context, bundle=bundle)
    assert get().body.to_bytes() == BODY
    assert get().body.to_bytes() == b"y"
    assert script.connections == 1


def test_a_certificate_of_nobody_or_for_another_name_is_refused(talk, tmp_path):
    context, bundle = certificate(tmp_path, "localhost")
    other_context, other_bundle = certificate(tmp_path, "elsewhere")
    for server, believed in ((context, other_bundle), (other_context, other_bundle)):
        _, get = talk(whole(b"x"), context=server, bundle=believed)
        with pytest.raises(aws.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
            get()
    assert bundle != other_bundle
