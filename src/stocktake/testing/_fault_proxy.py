"""An HTTP proxy on 127.0.0.1 that breaks answers on purpose, to test who is behind it.

    with FaultProxy(server.endpoint_url) as proxy:
        proxy.add(Fault("^GET /photos/", Cut(after_bytes=1000), times=1))
        store = open_store(server.options(endpoint_url=proxy.endpoint_url))

Requests pass unchanged, so signatures stay valid. One thread per connection.
"""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BufferedIOBase
from urllib.parse import urlsplit

from stocktake.clock import Clock, SystemClock
from stocktake.testing._fault_actions import (
    Action,
    BitFlip,
    Cut,
    Delay,
    LostAnswer,
    Refuse,
    Reset,
    Stall,
    Status,
    Trickle,
)

_HOST = "127.0.0.1"
_PIECE_BYTES = 64 << 10
_TIMEOUT_S = 60.0


@dataclass(slots=True)
class Fault:
    """What to break: requests whose `METHOD target` matches, `times` of them after `skip`."""

    match: str
    action: Action
    times: int = 1
    skip: int = 0
    hits: int = 0
    _seen: int = field(default=0, repr=False)

    def takes(self, line: str) -> bool:
        """Count a request line; True if this one is to be broken."""
        if re.search(self.match, line) is None:
            return False
        self._seen += 1
        if self._seen <= self.skip or self.hits >= self.times:
            return False
        self.hits += 1
        return True


class Broken(Exception):  # noqa: N818 - the connection is as broken as was asked for
    """This connection ends here."""


@dataclass(frozen=True, slots=True)
class _Head:
    """The first line and headers of a message, and its bytes as they came."""

    raw: bytes
    line: str
    headers: dict[str, str]

    @property
    def length(self) -> int | None:
        text = self.headers.get("content-length")
        return int(text) if text is not None else None

    @property
    def chunked(self) -> bool:
        return "chunked" in self.headers.get("transfer-encoding", "")


class FaultProxy:
    """The proxy: rules that can be added while it runs."""

    def __init__(self, upstream_url: str, *, clock: Clock | None = None) -> None:
        address = urlsplit(upstream_url)
        self._upstream = (address.hostname or _HOST, address.port or 80)
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._listener = socket.create_server((_HOST, 0))
        self._open = True
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @property
    def endpoint_url(self) -> str:
        """Where it listens."""
        return f"http://{_HOST}:{self._listener.getsockname()[1]}"

    def add(self, fault: Fault) -> Fault:
        """Break matching requests from now on; the first rule that takes a request counts."""
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Break nothing any more."""
        with self._lock:
            self._faults.clear()

    def __enter__(self) -> FaultProxy:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._open = False
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _accept(self) -> None:
        while self._open:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._converse, args=(client,), daemon=True).start()

    def _converse(self, client: socket.socket) -> None:
        client.settimeout(_TIMEOUT_S)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        upstream: socket.socket | None = None
        try:
            incoming = client.makefile("rb")
            while (head := _read_head(incoming.readline)) is not None:
                action = self._pick(head.line)
                if upstream is None:
                    upstream = socket.create_connection(self._upstream, _TIMEOUT_S)
                    answers = upstream.makefile("rb")
                _Exchange(client, upstream, action, self._clock).run(head, incoming, answers)
        except (OSError, Broken, ValueError):
            return
        finally:
            client.close()
            if upstream is not None:
                upstream.close()

    def _pick(self, line: str) -> Action | None:
        with self._lock:
            return next((fault.action for fault in self._faults if fault.takes(line)), None)


class _Exchange:
    """One request and its answer, with at most one fault."""

    def __init__(
        self,
        client: socket.socket,
        upstream: socket.socket,
        action: Action | None,
        clock: Clock,
    ) -> None:
        self._client = client
        self._upstream = upstream
        self._action = action
        self._clock = clock
        self._sent_bytes = 0

    def run(self, head: _Head, incoming: BufferedIOBase, answers: BufferedIOBase) -> None:
        """Pass the request on and its answer back, breaking what is to be broken."""
        action = self._action
        if isinstance(action, Refuse):
            self._reset()
        if isinstance(action, Delay):
            self._clock.sleep(action.delay_s)
        if isinstance(action, Status):
            self._answer_ourselves(head, incoming, action)
            return
        self._forward(head, incoming, answers)
        answer = _read_head(answers.readline)
        if answer is None:
            raise Broken
        if isinstance(action, LostAnswer):
            self._reset()
        self._client.sendall(answer.raw)
        self._relay_answer(head, answer, answers)
        if answer.headers.get("connection", "").lower() == "close":
            raise Broken

    def _forward(self, head: _Head, incoming: BufferedIOBase, answers: BufferedIOBase) -> None:
        self._upstream.sendall(head.raw)
        if head.headers.get("expect", "").lower() == "100-continue":
            interim = _read_head(answers.readline)
            if interim is None or " 100 " not in interim.line:
                raise Broken
            self._client.sendall(interim.raw)
        _copy(head, incoming, self._upstream.sendall)

    def _relay_answer(self, request: _Head, answer: _Head, answers: BufferedIOBase) -> None:
        status = int(answer.line.split()[1])
        if request.line.startswith("HEAD ") or status in {204, 304}:
            return
        if answer.length is None and not answer.chunked:
            while piece := answers.read1(_PIECE_BYTES):
                self._send(piece)
            raise Broken
        _copy(answer, answers, self._send)

    def _send(self, piece: bytes) -> None:
        action = self._action
        if isinstance(action, Trickle):
            for start in range(0, len(piece), 1024):
                self._client.sendall(piece[start : start + 1024])
                self._clock.sleep(1024 / action.bytes_per_s)
            return
        if isinstance(action, BitFlip):
            piece = action.flip(piece, self._sent_bytes)
        if isinstance(action, Cut | Reset | Stall):
            left = action.after_bytes - self._sent_bytes
            if len(piece) >= left:
                self._client.sendall(piece[: max(0, left)])
                self._break_off(action)
        self._client.sendall(piece)
        self._sent_bytes += len(piece)

    def _break_off(self, action: Cut | Reset | Stall) -> None:
        if isinstance(action, Stall):
            self._clock.sleep(action.stall_s)
        if isinstance(action, Reset):
            self._clock.sleep(0.05)  # what was sent arrives before the reset overtakes it
            self._reset()
        raise Broken

    def _answer_ourselves(self, head: _Head, incoming: BufferedIOBase, action: Status) -> None:
        expects = "expect" in head.headers
        if not expects:
            _copy(head, incoming, lambda _: None)
        body = b"" if head.line.startswith("HEAD ") else action.body
        lines = [f"HTTP/1.1 {action.status} Injected", "content-type: application/xml"]
        lines += [*action.headers, f"content-length: {len(body)}"]
        lines += ["connection: close"] if expects else []
        self._client.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        if expects:
            raise Broken

    def _reset(self) -> None:
        """Close so that the other side sees a reset, not an end."""
        self._client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise Broken


def _read_head(readline: Callable[[], bytes]) -> _Head | None:
    lines = [readline()]
    if not lines[0]:
        return None
    while lines[-1] not in {b"\r\n", b""}:
        lines.append(readline())
    pairs = (line.decode("latin-1").partition(":") for line in lines[1:-1])
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    return _Head(b"".join(lines), lines[0].decode("latin-1").strip(), headers)


def _copy(head: _Head, source: BufferedIOBase, send: Callable[[bytes], None]) -> None:
    """Copy one message's body."""
    if head.chunked:
        while True:
            line = source.readline()
            size = int(line.split(b";")[0], 16)
            send(line + source.read(size + 2))
            if size == 0:
                return
    left = head.length or 0
    while left > 0:
        piece = source.read1(min(left, _PIECE_BYTES))
        if not piece:
            raise Broken
        left -= len(piece)
        send(piece)
