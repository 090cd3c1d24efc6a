"""A server of listing pages for benchmarks: many connections, hardly any CPU time per page.

It answers ListObjectsV2 over one sorted set of keys, the same for every bucket name, and checks no
signatures. Keys are rendered once; a page joins slices. So what a benchmark measures is the lister
and the delays that were asked for, not the server.
"""

from __future__ import annotations

import json
import socket
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from urllib.parse import parse_qsl, quote_plus
from xml.sax.saxutils import escape

from stocktake.clock import Clock, SystemClock
from stocktake.testing._fake_s3_wire import NAMESPACE

KEYS_MAX = 1000
_HOST = "127.0.0.1"
_FACTS = 4096
_REQUEST_BYTES_MAX = 1 << 16
_BEGIN = b"<Contents><Key>"


@dataclass(frozen=True, slots=True)
class PageDelays:
    """How long answers take, and when there are too many at once.

    Attributes:
        page_s: A page of 1,000 entries.
        least_s: An empty page; between the two it grows with the entries.
        in_flight_max: Requests beyond that many at once are answered 503 SlowDown; 0 for no limit.
        chunk_bytes: Answers are sent in chunks of that size, as S3 does; 0 sends them whole.
    """

    page_s: float = 0.0
    least_s: float = 0.0
    in_flight_max: int = 0
    chunk_bytes: int = 0

    def of(self, entries: int) -> float:
        """Seconds for a page of that many entries."""
        return self.least_s + (self.page_s - self.least_s) * entries / KEYS_MAX


class KeyPages:
    """Pages over sorted keys, as bytes of XML."""

    def __init__(self, keys: list[str], seed: int = 0) -> None:
        self._keys = [key.encode() for key in keys]
        # one object for both spellings where they are the same: half the memory
        self._shown = [
            raw if plain == key else plain.encode()
            for key, raw, plain in zip(
                keys, self._keys, (quote_plus(key, safe="/") for key in keys), strict=True
            )
        ]
        facts = _facts(Random(seed))
        self._facts = facts + facts[:KEYS_MAX]

    def __len__(self) -> int:
        return len(self._keys)

    def page(self, bucket: str, query: Mapping[str, str]) -> tuple[bytes, int]:
        """The answer to a ListObjectsV2 request, and how many entries it has."""
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        limit = min(int(query.get("max-keys", KEYS_MAX)), KEYS_MAX)
        token = query.get("continuation-token")
        after = bytes.fromhex(token) if token else query.get("start-after", "").encode()
        start, stop = self._range(prefix.encode(), after)
        folders: list[bytes] = []
        if delimiter:
            pieces, folders, last = self._rolled_up(start, stop, prefix, delimiter, limit, after)
            entries = len(pieces) // 2
        else:
            entries = min(stop - start, limit)
            pieces = self._entries(start, start + entries)
            last = self._keys[start + entries - 1] if stop - start > entries > 0 else b""
        head = _head(bucket, prefix, delimiter, entries + len(folders), last)
        common = [
            b"<CommonPrefixes><Prefix>%s</Prefix></CommonPrefixes>"
            % quote_plus(folder, safe="/").encode()
            for folder in folders
        ]
        body = b"".join((head, *pieces, *common, b"</ListBucketResult>"))
        return body, entries + len(folders)

    def _range(self, prefix: bytes, after: bytes) -> tuple[int, int]:
        keys = self._keys
        start = bisect_left(keys, prefix) if after < prefix else bisect_right(keys, after)
        stop = bisect_left(keys, _beyond(prefix)) if prefix else len(keys)
        return start, max(start, stop)

    def _entries(self, start: int, stop: int) -> list[bytes]:
        """The XML of consecutive keys, in two pieces each."""
        if stop <= start:
            return []
        pieces: list[bytes] = [b""] * (2 * (stop - start))
        pieces[::2] = self._shown[start:stop]
        first = start % _FACTS
        pieces[1::2] = self._facts[first : first + stop - start]
        pieces[0] = _BEGIN + pieces[0]
        pieces[-1] = pieces[-1][: -len(_BEGIN)]
        return pieces

    def _rolled_up(
        self, start: int, stop: int, prefix: str, delimiter: str, limit: int, after: bytes
    ) -> tuple[list[bytes], list[bytes], bytes]:
        """Entries in two pieces each, folders, and the marker of the next page or nothing."""
        keys, cut, mark = self._keys, len(prefix.encode()), delimiter.encode()
        pieces: list[bytes] = []
        folders: list[bytes] = []
        last = b""
        place = start
        while place < stop:
            key = keys[place]
            end = key.find(mark, cut)
            folder = key[: end + len(mark)] if end >= 0 else b""
            if folder and after.startswith(folder):  # it was listed, or is hidden by start-after
                place = bisect_left(keys, _beyond(folder), place, stop)
                continue
            if len(pieces) // 2 + len(folders) == limit:
                return pieces, folders, last
            last = folder or key
            if folder:
                folders.append(folder)
                place = bisect_left(keys, _beyond(folder), place, stop)
            else:
                pieces += self._entries(place, place + 1)
                place += 1
        return pieces, folders, b""


def _beyond(prefix: bytes) -> bytes:
    """Sorts behind everything that starts with the prefix, and before what comes then."""
    return prefix + b"\xff"  # no byte of UTF-8


def _facts(random: Random) -> list[bytes]:
    """What follows a key, up to the next: as varied as compression and parsers notice."""
    day = datetime(2026, 1, 1, tzinfo=UTC)
    facts = []
    for _ in range(_FACTS):
        when = day + timedelta(seconds=int(random.random() * 20_000_000))
        facts.append(
            f"</Key><LastModified>{when:%Y-%m-%dT%H:%M:%S}.000Z</LastModified>"
            f"<ETag>&quot;{random.getrandbits(128):032x}&quot;</ETag>"
            "<ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm>"
            "<ChecksumType>FULL_OBJECT</ChecksumType>"
            f"<Size>{int(random.lognormvariate(12, 3))}</Size>"
            "<StorageClass>STANDARD</StorageClass></Contents><Contents><Key>".encode()
        )
    return facts


def _head(bucket: str, prefix: str, delimiter: str, count: int, last: bytes) -> bytes:
    token = f"<NextContinuationToken>{last.hex()}</NextContinuationToken>" if last else ""
    rolled = f"<Delimiter>{quote_plus(delimiter, safe='/')}</Delimiter>" if delimiter else ""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="{NAMESPACE}">'
        f"<Name>{escape(bucket)}</Name><Prefix>{quote_plus(prefix, safe='/')}</Prefix>{token}"
        f"<KeyCount>{count}</KeyCount><MaxKeys>{KEYS_MAX}</MaxKeys>{rolled}"
        "<EncodingType>url</EncodingType>"
        f"<IsTruncated>{'true' if last else 'false'}</IsTruncated>"
    ).encode()


class PageServer:
    """Serves pages, a thread for each connection. `counts` says what was asked."""

    def __init__(
        self, pages: KeyPages, delays: PageDelays, *, port: int = 0, clock: Clock | None = None
    ) -> None:
        self._pages = pages
        self._delays = delays
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._in_flight = 0
        self.counts = {"pages": 0, "slowed_down": 0, "in_flight_most": 0}
        self._socket = socket.create_server((_HOST, port), backlog=512)

    @property
    def endpoint_url(self) -> str:
        """Where it listens."""
        return f"http://{_HOST}:{self._socket.getsockname()[1]}"

    def start(self) -> PageServer:
        """Listen in a thread of its own."""
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def serve(self) -> None:
        """Listen until `stop`."""
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def stop(self) -> None:
        """Stop listening."""
        self._socket.close()

    def _talk(self, connection: socket.socket) -> None:
        waiting = b""
        with connection:
            while True:
                while b"\r\n\r\n" not in waiting:
                    try:
                        more = connection.recv(_REQUEST_BYTES_MAX)
                    except OSError:
                        return
                    if not more or len(waiting) > _REQUEST_BYTES_MAX:
                        return
                    waiting += more
                request, _, waiting = waiting.partition(b"\r\n\r\n")
                try:
                    _send(connection, self._answer(request))
                except OSError:
                    return

    def _answer(self, request: bytes) -> tuple[bytes, bytes]:
        target = request.split(b" ", 2)[1].decode("latin-1")
        path, _, raw_query = target.partition("?")
        query = dict(parse_qsl(raw_query, keep_blank_values=True))
        if query.get("list-type") != "2":
            return self._other(path)
        began_s = self._clock.monotonic_s()
        with self._lock:
            self._in_flight += 1
            busy = 0 < self._delays.in_flight_max < self._in_flight
            self.counts["slowed_down" if busy else "pages"] += 1
            most = max(self.counts["in_flight_most"], self._in_flight)
            self.counts["in_flight_most"] = most
        try:
            if busy:
                return _http(503, _SLOW_DOWN)
            body, entries = self._pages.page(path.strip("/").partition("/")[0], query)
            left_s = self._delays.of(entries) - (self._clock.monotonic_s() - began_s)
            if left_s > 0:
                self._clock.sleep(left_s)
            return _http(200, body, self._delays.chunk_bytes)
        finally:
            with self._lock:
                self._in_flight -= 1

    def _other(self, path: str) -> tuple[bytes, bytes]:
        if path == "/_counts":
            return _http(200, json.dumps(self.counts).encode())
        return _http(200 if path == "/" else 501, b"<Error><Code>NotImplemented</Code></Error>")


_SLOW_DOWN = (
    b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
)
_REASONS = {200: "OK", 501: "Not Implemented", 503: "Slow Down"}


def _http(status: int, body: bytes, chunk_bytes: int = 0) -> tuple[bytes, bytes]:
    """Head and body as they are sent."""
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\nx-amz-request-id: FAKE\r\n"
        "date: Fri, 20 Nov 2026 01:00:00 GMT\r\ncontent-type: application/xml\r\n"
        "x-amz-bucket-region: us-east-1\r\nserver: stocktake\r\n"
    )
    if not chunk_bytes:
        return f"{head}content-length: {len(body)}\r\n\r\n".encode(), body
    pieces: list[bytes] = []
    for start in range(0, len(body), chunk_bytes):
        piece = body[start : start + chunk_bytes]
        pieces += (b"%x\r\n" % len(piece), piece, b"\r\n")
    pieces.append(b"0\r\n\r\n")
    return f"{head}transfer-encoding: chunked\r\n\r\n".encode(), b"".join(pieces)


def _send(connection: socket.socket, answer: tuple[bytes, bytes]) -> None:
    head, body = answer
    sent = connection.sendmsg([head, body])
    if sent < len(head):
        connection.sendall(head[sent:] + body)
    else:
        connection.sendall(memoryview(body)[sent - len(head) :])
