"""A sink for benchmarks of uploads: hardly any CPU time per request, and answers as S3's.

It takes PUT and multipart uploads, sums their bytes, compares the sum with a CRC64NVME that was
sent, and keeps sizes, sums and metadata; of small objects also the bytes. HEAD, listings, deletions
and the rest are those of the strict fake. Signatures are not checked. One thread serves everything,
so give it a process: `start_put_server`, or `python -m stocktake.testing.put_server`.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http import HTTPStatus

from stocktake.clock import Clock, SystemClock
from stocktake.store import crc64nvme, encode_crc64nvme
from stocktake.testing._blobs import md5_hex
from stocktake.testing._fake_s3_buckets import FakeBucket
from stocktake.testing._fake_s3_objects import condition_of, draft_of
from stocktake.testing._fake_s3_routes import BUCKET_ROUTES, OBJECT_ROUTES, operation_of
from stocktake.testing._fake_s3_wire import Answer, Request, error_answer, parse_target, xml_answer
from stocktake.testing._object_table import BucketTable, Refused
from stocktake.testing._sunk import SunkBlob, SunkUploads

_HOST = "127.0.0.1"
_RECEIVED_BYTES = 1 << 20
_HEAD_BYTES_MAX = 1 << 16
_TIMEOUT_S = 60.0
_BLANK = b"\r\n\r\n"
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_PHRASES = {status.value: status.phrase for status in HTTPStatus}


@dataclass(slots=True)
class _Coming:
    """A request under way: its head, and what of its body has come."""

    method: str
    target: str
    headers: dict[str, str]
    left: int
    keep: bool
    size_bytes: int = 0
    crc: int = 0
    kept: bytearray = field(default_factory=bytearray)

    def take(self, piece: memoryview) -> None:
        """Some of the body."""
        self.left -= len(piece)
        self.size_bytes += len(piece)
        self.crc = crc64nvme(piece, self.crc)
        if self.keep:
            self.kept += piece


class PutServer:
    """The server; `serve` runs until the process is ended.

    Args:
        port: 0 chooses one.
        keep_bytes_max: Objects up to that size are kept whole, and can be read.
        delay_s: Every answer comes that much later, as over a network; any number wait at once.
        clock: When objects were written.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        keep_bytes_max: int = 1 << 16,
        delay_s: float = 0.0,
        clock: Clock | None = None,
    ) -> None:
        self._keep_bytes_max = keep_bytes_max
        self._delay_s = delay_s
        self._late: deque[tuple[float, _Line, bytes]] = deque()
        self._clock = clock or SystemClock()
        self._buckets: dict[str, FakeBucket] = {}
        self._counts: dict[str, int] = {}
        self._received_bytes = 0
        self._socket = socket.create_server((_HOST, port), backlog=256)
        self._socket.settimeout(0)
        self._poll = select.epoll()
        self._poll.register(self._socket.fileno(), select.EPOLLIN)
        self._lines: dict[int, _Line] = {}
        self._memory = memoryview(bytearray(_RECEIVED_BYTES))

    @property
    def endpoint_url(self) -> str:
        """Where it listens."""
        return f"http://{_HOST}:{self._socket.getsockname()[1]}"

    def create_bucket(self, name: str) -> None:
        """Make a bucket; one that is there stays as it is."""
        self._buckets.setdefault(name, FakeBucket(BucketTable(name), SunkUploads()))

    def serve(self) -> None:
        """Answer until interrupted."""
        while True:
            for number, _ in self._poll.poll(self._send_late()):
                line = self._lines.get(number)
                if line is None:
                    self._accept()
                else:
                    self._receive(number, line)

    def _send_late(self) -> float:
        """Send the answers that are due; seconds until the next one is, -1 if none waits."""
        while self._late:
            due, line, data = self._late[0]
            wait_s = due - time.monotonic()
            if wait_s > 0:
                return wait_s
            self._late.popleft()
            with contextlib.suppress(OSError):
                line.connection.sendall(data)
        return -1

    def _send(self, line: _Line, data: bytes) -> None:
        if self._delay_s:
            self._late.append((time.monotonic() + self._delay_s, line, data))
        else:
            line.connection.sendall(data)

    def _accept(self) -> None:
        try:
            connection, _ = self._socket.accept()
        except BlockingIOError:
            return
        connection.settimeout(_TIMEOUT_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        number = connection.fileno()
        self._lines[number] = _Line(connection)
        self._poll.register(number, select.EPOLLIN)

    def _receive(self, number: int, line: _Line) -> None:
        try:
            count = line.connection.recv_into(self._memory)
            if count:
                line.feed(self._memory[:count], self.answer, self._send, self._keep_bytes_max)
        except (OSError, ValueError):
            count = 0
        if not count:
            self._poll.unregister(number)
            del self._lines[number]
            line.connection.close()

    def answer(self, coming: _Coming) -> tuple[Request, Answer]:
        """What S3 would answer, without looking at the signature."""
        kept = bytes(coming.kept)
        request = Request(coming.method, coming.target, "", coming.headers, kept)
        self._received_bytes += coming.size_bytes
        try:
            if coming.target == "/_counts":
                return request, self._tell()
            request = parse_target(coming.method, coming.target, coming.headers, kept)
            return request, self._serve(request, coming)
        except Refused as refused:
            return request, error_answer(refused, request)

    def _serve(self, request: Request, coming: _Coming) -> Answer:
        operation = operation_of(request)
        self._counts[operation] = self._counts.get(operation, 0) + 1
        if not request.bucket:
            names = "".join(f"<Bucket><Name>{name}</Name></Bucket>" for name in self._buckets)
            return xml_answer("ListAllMyBucketsResult", f"<Buckets>{names}</Buckets>")
        if operation == "CreateBucket":
            self.create_bucket(request.bucket)
            return Answer(200, {"location": f"/{request.bucket}"})
        bucket = self._buckets.get(request.bucket)
        if bucket is None:
            raise Refused(404, "NoSuchBucket", "The specified bucket does not exist")
        if operation == "PutObject":
            return self._put(bucket, request, coming)
        if operation == "UploadPart":
            return _put_part(bucket, request, coming)
        route = (OBJECT_ROUTES if request.key else BUCKET_ROUTES).get(operation)
        if route is None:
            raise Refused(501, "NotImplemented", f"the sink has no {operation}")
        return route(bucket, request, self._clock.now())

    def _put(self, bucket: FakeBucket, request: Request, coming: _Coming) -> Answer:
        blob = _sunk(coming)
        crc = request.headers.get("x-amz-checksum-crc64nvme")
        etag = blob.etag if blob.data is None else md5_hex(blob.data)
        draft = replace(
            draft_of(request, self._clock.now()),
            blob=blob,
            etag=etag,
            checksums={"crc64nvme": crc} if crc else {},
        )
        stored = bucket.table.put(draft, condition_of(request))
        return Answer(200, {"etag": f'"{stored.etag}"'})

    def _tell(self) -> Answer:
        said = {
            "requests": self._counts,
            "received_bytes": self._received_bytes,
            "cpu_s": time.process_time(),
        }
        return Answer(200, {"content-type": "application/json"}, json.dumps(said).encode())


def _put_part(bucket: FakeBucket, request: Request, coming: _Coming) -> Answer:
    uploads = bucket.uploads
    number = request.query.get("partNumber", "")
    if not isinstance(uploads, SunkUploads) or not number.isdigit():
        raise Refused(400, "InvalidArgument", "partNumber")
    checked = "x-amz-checksum-crc64nvme" in request.headers
    upload_id = request.query["uploadId"]
    etag = uploads.sink_part(upload_id, request.key, int(number), _sunk(coming), checked=checked)
    return Answer(200, {"etag": f'"{etag}"'})


def _sunk(coming: _Coming) -> SunkBlob:
    """The body, compared with its checksum. What was sent in signed chunks is only counted."""
    decoded = coming.headers.get("x-amz-decoded-content-length")
    if decoded is not None:
        return SunkBlob(int(decoded), 0)
    claimed = coming.headers.get("x-amz-checksum-crc64nvme")
    if claimed is not None and claimed != encode_crc64nvme(coming.crc):
        raise Refused(400, "BadDigest", "The CRC64NVME you specified did not match")
    data = bytes(coming.kept) if coming.keep else None
    return SunkBlob(coming.size_bytes, coming.crc, data)


class _Line:
    """One connection and the request that is coming on it."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._head = b""
        self._coming: _Coming | None = None

    def feed(
        self,
        data: memoryview,
        answer: Callable[[_Coming], tuple[Request, Answer]],
        send: Callable[[_Line, bytes], None],
        keep_bytes_max: int,
    ) -> None:
        """What came; answers what is complete. Raises `ValueError` for what is not HTTP."""
        while True:
            if self._coming is None:
                joined = self._head + bytes(data) if self._head else data
                head, rest = _split(joined)
                if head is None:
                    self._head = bytes(joined)
                    if len(self._head) > _HEAD_BYTES_MAX:
                        raise ValueError("a head without an end")
                    return
                # of `data`, what is behind the head
                data = data[len(data) - (len(joined) - rest) :]
                self._head = b""
                self._coming = _parse(head, keep_bytes_max)
                if self._coming.left and "expect" in self._coming.headers:
                    self.connection.sendall(_CONTINUE)
            coming = self._coming
            if coming.left:
                piece = data[: coming.left]
                coming.take(piece)
                data = data[len(piece) :]
            if coming.left:
                return
            self._coming = None
            send(self, _render(*answer(coming)))
            if not data:
                return


def _split(data: bytes | memoryview) -> tuple[bytes | None, int]:
    """The head without its empty line, and where the body begins; None if it has not all come."""
    start = bytes(data[:_HEAD_BYTES_MAX])
    end = start.find(_BLANK)
    return (None, 0) if end < 0 else (start[:end], end + len(_BLANK))


def _parse(head: bytes, keep_bytes_max: int) -> _Coming:
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    left = int(headers.get("content-length", 0))
    keep = method != "PUT" or (left <= keep_bytes_max and "partNumber=" not in target)
    return _Coming(method, target, headers, left, keep)


def _render(request: Request, answer: Answer) -> bytes:
    body = answer.body
    if answer.blob is not None and request.method != "HEAD":
        body = answer.blob.read(answer.start, answer.stop)
    length = answer.stop - answer.start if answer.blob is not None else len(body)
    lines = [f"HTTP/1.1 {answer.status} {_PHRASES[answer.status]}"]
    lines += [f"{name}: {value}" for name, value in answer.headers.items()]
    if answer.status != 204:
        lines.append(f"content-length: {length}")
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
    return head if request.method == "HEAD" or answer.status == 204 else head + body
