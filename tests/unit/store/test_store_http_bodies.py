"""Bodies that are sent, answers that come too early, and bodies that are streamed back (SHP-30)."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest
from botocore import exceptions as aws

from stocktake.store._http import Http, HttpLimits, HttpRequest, Origin
from stocktake.store._http_connection import Connection, ReceiveBuffer

BODY = bytes(range(256)) * 40_000  # 10 MB: more than sockets hold
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Peer:
    """A server whose connections are handled one after the other by the given functions."""

    def __init__(self, *handlers) -> None:
        self._handlers = handlers
        self.seen: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        for handler in self._handlers:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                try:
                    handler(self, connection)
                except OSError:
                    continue

    def take(self, connection: socket.socket) -> bytes:
        """One whole request."""
        data = b""
        while b"\r\n\r\n" not in data:
            data += self.more(connection)
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(
            (
                int(line.partition(b":")[2])
                for line in head.split(b"\r\n")
                if line.startswith(b"content-length")
            ),
            0,
        )
        while len(body) < length:
            body += self.more(connection)
        self.seen.append(head + b"\r\n\r\n" + body)
        return body

    @staticmethod
    def more(connection: socket.socket) -> bytes:
        data = connection.recv(1 << 20)
        if not data:
            raise ConnectionError
        return data

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits in accept
        self._socket.close()
        self._thread.join(5)


@pytest.fixture
def talk():
    opened: list = []

    def begin(*handlers, read_timeout_s=5.0):
        peer = Peer(*handlers)
        http = Http(HttpLimits(2.0, read_timeout_s, 4, ""))
        opened.extend((http, peer))
        port = peer._socket.getsockname()[1]
        origin = Origin("http", "127.0.0.1", port, "here")

        def request(method="PUT", body=b"", *, repeatable=True):
            headers = {"host": "here"}
            return HttpRequest(origin, "/b/k", headers, method, body, repeatable=repeatable)

        return peer, http, request

    yield begin
    for each in opened:
        each.close()


def answers(*texts: bytes):
    def handle(peer: Peer, connection: socket.socket) -> None:
        for text in texts:
            peer.take(connection)
            connection.sendall(text)

    return handle


# --- sending -------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"", b"small", BODY, memoryview(BODY)[5:-5], bytearray(b"x")])
def test_a_body_arrives_as_it_is(talk, body):
    peer, http, request = talk(answers(OK, OK))
    for _ in range(2):
        assert http.send(request(body=body)).body.to_bytes() == b"ok"
    for seen in peer.seen:
        head, _, got = seen.partition(b"\r\n\r\n")
        assert got == bytes(body)
        assert b"content-length: %d" % len(body) in head


def test_head_has_no_body_whatever_its_length_says(talk):
    told = b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n"
    peer, http, request = talk(answers(told, told))
    for _ in range(2):
        assert http.send(request("HEAD")).headers["content-length"] == "12345"
    assert len(peer.seen) == 2


def test_a_connection_cut_in_the_middle_of_a_body_is_no_success(talk):
    def hang_up(peer, connection):
        peer.more(connection)

    _, http, request = talk(hang_up)
    with pytest.raises(aws.ConnectionClosedError):
        http.send(request(body=BODY))


def test_a_yes_to_a_request_that_was_cut_is_no_success(talk):
    def lie(peer, connection):
        peer.more(connection)
        connection.sendall(OK)

    _, http, request = talk(lie)
    with pytest.raises(aws.ConnectionClosedError):
        http.send(request(body=BODY))


def test_a_refusal_before_the_body_was_read_is_told(talk):
    def refuse(peer, connection):
        peer.more(connection)
        connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
        # without this the reset overtakes the answer
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(5)
        for _ in range(3):
            connection.recv(1 << 16)

    _, http, request = talk(refuse, answers(OK))
    try:
        answer = http.send(request(body=BODY))
    except aws.ConnectionClosedError:
        return  # the reset came first: told as a broken connection, which is true as well
    assert answer.status == 403
    assert http.send(request()).body.to_bytes() == b"ok"


def test_a_server_that_stops_reading_is_a_time_out(talk):
    release = threading.Event()

    def sleep(_peer, _connection):
        release.wait(5)

    _, http, request = talk(sleep, read_timeout_s=0.2)
    with pytest.raises(aws.ReadTimeoutError):
        http.send(request(body=BODY))
    release.set()


def test_a_slow_line_is_no_time_out_while_it_moves():
    # 2 MB at 3 MB/s, with a time-out of 0.4 s: of the whole it would be one
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
    ours.settimeout(0.4)
    got: list[int] = []

    def slowly():
        wait = threading.Event()
        while sum(got) < 2 << 20:
            got.append(len(theirs.recv(1 << 16)))
            wait.wait(0.02)
        theirs.sendall(OK)

    thread = threading.Thread(target=slowly, daemon=True)
    thread.start()
    answer = Connection(ours).send(b"", bytes(2 << 20), ReceiveBuffer())
    thread.join(5)
    assert answer.status == 200
    ours.close()
    theirs.close()


def closes_after_the_next_request(peer: Peer, connection: socket.socket) -> None:
    peer.take(connection)
    connection.sendall(OK)
    peer.take(connection)


def test_what_may_arrive_twice_is_sent_again_when_the_connection_was_closed(talk):
    peer, http, request = talk(closes_after_the_next_request, answers(OK))
    for _ in range(2):
        assert http.send(request(body=b"x")).status == 200
    assert len(peer.seen) == 3


def test_what_may_not_arrive_twice_is_never_sent_again(talk):
    peer, http, request = talk(closes_after_the_next_request, answers(OK))
    assert http.send(request("POST", b"x", repeatable=False)).status == 200
    with pytest.raises(aws.ConnectionClosedError):
        http.send(request("POST", b"x", repeatable=False))
    assert len(peer.seen) == 2


# --- streams -------------------------------------------------------------------------------------


def in_chunks(body: bytes, size: int) -> bytes:
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
        + b"0\r\nx-trailer: 1\r\n\r\n"
    )


def drain(stream, size: int = 1 << 20) -> bytes:
    pieces = []
    while piece := stream.read(size):
        pieces.append(piece)
    stream.close()
    return b"".join(pieces)


@pytest.mark.parametrize("size", [1000, 1 << 20])
@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY),
        in_chunks(BODY, 8192),
        in_chunks(BODY, 3_000_000),
    ],
    ids=["length", "chunks", "large chunks"],
)
def test_a_streamed_body_is_whole_and_its_connection_is_used_again(talk, answer, size):
    peer, http, request = talk(answers(answer, OK))
    head, stream = http.open(request("GET"))
    assert head.status == 200
    assert drain(stream, size) == BODY
    assert stream.read(10) == b""
    _, stream = http.open(request("GET"))
    assert drain(stream) == b"ok"
    assert len(peer.seen) == 2


def test_an_empty_body_is_a_stream_too(talk):
    empty = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    _, http, request = talk(answers(empty, empty))
    for _ in range(2):
        assert drain(http.open(request("GET"))[1]) == b""


def test_a_body_without_a_length_ends_with_the_connection(talk):
    _, http, request = talk(answers(b"HTTP/1.1 200 OK\r\n\r\n" + BODY), answers(OK))
    assert drain(http.open(request("GET"))[1]) == BODY
    assert drain(http.open(request("GET"))[1]) == b"ok"


def test_a_streamed_body_that_is_not_read_to_its_end_takes_its_connection_along(talk):
    long = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
    _, http, request = talk(answers(long), answers(OK))
    _, stream = http.open(request("GET"))
    assert stream.read(10) == BODY[:10]
    stream.close()
    stream.close()
    assert drain(http.open(request("GET"))[1]) == b"ok"


@pytest.mark.parametrize(
    "text",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n",
    ],
)
def test_chunks_that_stop_or_make_no_sense_are_told(talk, text):
    _, http, request = talk(answers(text))
    _, stream = http.open(request("GET"))
    with pytest.raises(aws.ConnectionClosedError):
        drain(stream)


def test_a_body_that_is_shorter_than_it_said_ends_where_it_ends(talk):
    """The one who reads knows how much must come: `ResumingBody` resumes there."""
    _, http, request = talk(answers(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"))
    assert drain(http.open(request("GET"))[1]) == b"hello"


def test_silence_in_the_middle_of_a_stream_is_a_time_out(talk):
    release = threading.Event()

    def stop(peer, connection):
        peer.take(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello")
        release.wait(5)

    _, http, request = talk(stop, read_timeout_s=0.2)
    _, stream = http.open(request("GET"))
    with pytest.raises(aws.ReadTimeoutError):
        drain(stream)
    release.set()


def test_a_refusal_is_not_streamed(talk):
    refusal = b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno"
    _, http, request = talk(answers(refusal, OK))
    answer, stream = http.open(request("GET"))
    assert (answer.status, answer.body.to_bytes(), stream) == (404, b"no", None)
    assert drain(http.open(request("GET"))[1]) == b"ok"
