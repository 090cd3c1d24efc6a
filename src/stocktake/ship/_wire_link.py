"""A line between two processes: calls that are answered, and notes that are not.

Frames are a length (4 bytes) and JSON. Calls of several threads share the line; each has a number
and its own waiter. One thread reads; it never writes, so two full pipes cannot wait for each other.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import struct
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from stocktake.errors import StocktakeError, WorkerDiedError
from stocktake.ship._wire import decode, encode

_LENGTH = struct.Struct(">I")
FRAME_BYTES_MAX = 256 << 20
_CALL, _NOTE, _ANSWER, _ERROR = "call", "note", "answer", "error"
Handler = Callable[[str, list[Any]], Any]


class Link:
    """One end of the line.

    Args:
        line: A connected stream socket; the link owns it.
        on_call: Answers a call, in a thread of the pool; its StocktakeErrors go to the caller.
        on_note: Takes a note, in the reading thread: it must not wait.
        threads: Calls of the other end that are answered at the same time.
    """

    def __init__(
        self, line: socket.socket, *, on_call: Handler, on_note: Handler, threads: int
    ) -> None:
        self._line = line
        self._on_call = on_call
        self._on_note = on_note
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="ship-link")
        self._numbers = itertools.count()
        self._sending = threading.Lock()
        self._waiting_lock = threading.Lock()
        self._waiting: dict[int, Future[Any]] = {}
        self._ended = False

    def call(self, method: str, *args: Any) -> Any:
        """Ask the other end and wait for its answer.

        Raises:
            WorkerDiedError: The other end is gone.
            StocktakeError: Whatever it raised, as the same class.
        """
        number, future = next(self._numbers), Future[Any]()
        with self._waiting_lock:
            if self._ended:
                raise _gone()
            self._waiting[number] = future
        self._send([_CALL, number, method, list(args)])
        return future.result()

    def note(self, method: str, *args: Any) -> None:
        """Tell the other end; nothing comes back. Lost if it is gone."""
        self._send([_NOTE, 0, method, list(args)])

    def read_note(self) -> tuple[str, list[Any]]:
        """The first message, before `run` was started.

        Raises:
            WorkerDiedError: The other end is gone.
        """
        frame = self._receive()
        if frame is None:
            raise _gone()
        return frame[2], frame[3]

    def run(self) -> None:
        """Read until the other end is gone; then every open call fails."""
        try:
            while (frame := self._receive()) is not None:
                self._take(*frame)
        finally:
            with self._waiting_lock:
                self._ended = True
                waiting, self._waiting = self._waiting, {}
            for future in waiting.values():
                future.set_exception(_gone())
            self._pool.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """Hang up: `run` returns at both ends."""
        with contextlib.suppress(OSError):  # the other end may have been faster
            self._line.shutdown(socket.SHUT_RDWR)

    def release(self) -> None:
        """Give the socket back, after `run` has returned."""
        self._pool.shutdown(wait=True)
        self._line.close()

    def _take(self, kind: str, number: int, name: Any, value: Any) -> None:
        if kind == _NOTE:
            self._on_note(name, value)
        elif kind == _CALL:
            self._pool.submit(self._answer, number, name, value)
        else:
            with self._waiting_lock:
                future = self._waiting.pop(number)
            if kind == _ERROR:
                future.set_exception(value)
            else:
                future.set_result(value)

    def _answer(self, number: int, method: str, args: list[Any]) -> None:
        try:
            kind, value = _ANSWER, self._on_call(method, args)
        except StocktakeError as error:
            kind, value = _ERROR, error
        except Exception as error:  # noqa: BLE001
            # boundary: the caller waits in another process and must be told whatever happened
            kind = _ERROR
            value = StocktakeError(f"unexpected {type(error).__name__} in `{method}`: {error}")
        self._send([kind, number, None, value])

    def _send(self, message: list[Any]) -> None:
        data = encode(message)
        try:
            with self._sending:
                self._line.sendall(_LENGTH.pack(len(data)) + data)
        except OSError:
            pass  # the reader sees the end, and says so to those who wait

    def _receive(self) -> list[Any] | None:
        head = self._exactly(_LENGTH.size)
        if head is None:
            return None
        (size_bytes,) = _LENGTH.unpack(head)
        body = self._exactly(size_bytes) if size_bytes <= FRAME_BYTES_MAX else None
        if body is None:
            return None
        frame: list[Any] = decode(body)
        return frame

    def _exactly(self, size_bytes: int) -> bytes | None:
        pieces, missing = [], size_bytes
        while missing:
            try:
                piece = self._line.recv(min(missing, 1 << 20))
            except OSError:
                return None
            if not piece:
                return None
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)


def _gone() -> WorkerDiedError:
    return WorkerDiedError("the process at the other end of the line is gone")
