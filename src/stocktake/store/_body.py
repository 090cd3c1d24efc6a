"""An object's bytes as a stream that survives a cut connection, and never mixes two versions.

A GET is opened at once, so a missing object is an error of `get`, not of the first `read`. When the
stream breaks, it is opened again at the next byte with Range and If-Match on the first answer's
ETag: an object that was overwritten meanwhile is an error, not a mix.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from stocktake.errors import StoreError
from stocktake.store._answers import Call, silence_error
from stocktake.store._port import ObjectBody, ObjectHead
from stocktake.store._retry import Retrier
from stocktake.telemetry import Meter

_WHOLE_PIECE_BYTES = 4 << 20
_CAREFUL_PIECE_BYTES = 64 << 10


class ByteStream(Protocol):
    """The bytes of one answer. `read` raises `StoreError` if the connection breaks."""

    def read(self, size_bytes: int) -> bytes:
        """Up to that many bytes; `b""` at the end of what came."""

    def close(self) -> None:
        """Drop the connection, or give it back if everything was read."""


@dataclass(frozen=True, slots=True)
class OpenedRange:
    """An answer that is under way: bytes `start` up to `stop` of the object in `head`."""

    head: ObjectHead
    stream: ByteStream
    start: int
    stop: int


class ResumingBody:
    """The `ObjectBody` of every store that reads over a network.

    Args:
        opened: The first answer.
        reopen: Opens the same version again from that byte on; one try, may raise `StoreError`.
        retrier: Counts tries without progress (64 KiB or more is progress) and waits between them.
        meter: Counts the bytes received.
        call: What errors say it was about.
    """

    def __init__(
        self,
        opened: OpenedRange,
        reopen: Callable[[int], OpenedRange],
        retrier: Retrier,
        meter: Meter,
        call: Call,
    ) -> None:
        self._opened = opened
        self._reopen = reopen
        self._retrier = retrier
        self._meter = meter
        self._call = call
        self._position = opened.start
        self._stop = opened.stop
        self._failures = 0
        self._failed_at = opened.start
        self._piece_bytes = _WHOLE_PIECE_BYTES
        self._broken = False

    @property
    def head(self) -> ObjectHead:
        """What the first GET's headers said."""
        return self._opened.head

    def read(self, size_bytes: int = -1) -> bytes:
        """Up to that many bytes, fewer only at the end; -1 is all the rest."""
        left = self._stop - self._position
        wanted = left if size_bytes < 0 else min(size_bytes, left)
        if wanted <= 0:
            return b""
        pieces = [self._piece(wanted)]
        got = len(pieces[0])
        while got < wanted:
            pieces.append(self._piece(wanted - got))
            got += len(pieces[-1])
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _piece(self, wanted: int) -> bytes:
        """At least one byte of the next `wanted`, however often the connection breaks."""
        while True:
            try:
                if self._broken:
                    self._opened = self._reopen(self._position)
                    self._broken = False
                piece = self._opened.stream.read(min(wanted, self._piece_bytes))
                if piece:
                    self._position += len(piece)
                    self._meter.receive(len(piece))
                    if self._position == self._stop:
                        self._opened.stream.close()
                    return piece
                missing = self._stop - self._position
                raise silence_error(f"the answer ended {missing} bytes early", self._call)
            except StoreError as error:
                self._interrupted(error)

    def _interrupted(self, error: StoreError) -> None:
        """Make ready for another try, or raise `error`."""
        self._opened.stream.close()
        self._broken = True
        # small reads lose less when a connection breaks again, so every try gets ahead
        self._piece_bytes = _CAREFUL_PIECE_BYTES
        if self._position - self._failed_at >= _CAREFUL_PIECE_BYTES:
            self._failures = 0
        self._failed_at = self._position
        self._failures += 1
        self._retrier.wait_or_raise(error, self._failures)

    def __enter__(self) -> ObjectBody:
        return self

    def __exit__(self, *exc: object) -> None:
        self._opened.stream.close()
