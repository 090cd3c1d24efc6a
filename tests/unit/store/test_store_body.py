"""Bodies that break, against a scripted stream: what is read is one version, whole, or an error."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stocktake.clock import FixedClock
from stocktake.errors import StoreUnavailableError
from stocktake.store import Call, ObjectHead, RetryPolicy
from stocktake.store._body import OpenedRange, ResumingBody
from stocktake.store._retry import Retrier
from stocktake.telemetry import Meter

CALL = Call("GetObject", "b", "k")


class Stream:
    """Gives `limit` bytes of data, then breaks (or just ends, if `silent`)."""

    def __init__(self, data: bytes, limit: int, *, silent: bool) -> None:
        self.data, self.left, self.silent, self.closed = data, limit, silent, False

    def read(self, size_bytes: int) -> bytes:
        if self.left == 0 and self.data:
            if self.silent:
                return b""
            raise StoreUnavailableError("cut")
        take = min(size_bytes, self.left, len(self.data))
        piece, self.data = self.data[:take], self.data[take:]
        self.left -= take
        return piece

    def close(self) -> None:
        self.closed = True


class Source:
    """Opens streams over `data`, each breaking after the next of `limits`."""

    def __init__(self, data: bytes, limits: list[int], *, silent: bool = False) -> None:
        self.data, self.limits, self.silent = data, list(limits), silent
        self.head = ObjectHead("b", "k", len(data), "etag", None)
        self.opened = 0

    def open(self, start: int, stop: int | None = None) -> OpenedRange:
        self.opened += 1
        stop = len(self.data) if stop is None else stop
        limit = self.limits.pop(0) if self.limits else len(self.data)
        stream = Stream(self.data[start:stop], limit, silent=self.silent)
        return OpenedRange(self.head, stream, start, stop)


def body_of(source: Source, start: int = 0, stop: int | None = None, attempts_max: int = 3):
    clock = FixedClock(datetime(2026, 1, 1, tzinfo=UTC))
    meter = Meter()
    policy = RetryPolicy(attempts_max=attempts_max, base_s=1)
    run = Retrier(policy, clock, lambda: 1.0, meter)
    first = source.open(start, stop)
    body = ResumingBody(first, lambda at: source.open(at, first.stop), run, meter, CALL)
    return body, meter


@given(
    data=st.binary(min_size=1, max_size=300),
    limits=st.lists(st.integers(0, 100), max_size=4),
    piece=st.one_of(st.just(-1), st.integers(1, 400)),
    silent=st.booleans(),
)
def test_however_it_breaks_the_bytes_are_those_of_the_object(data, limits, piece, silent):
    body, meter = body_of(Source(data, limits, silent=silent), attempts_max=6)
    got = bytearray()
    while part := body.read(piece):
        assert piece < 0 or len(part) == min(piece, len(data) - len(got))
        got += part
    assert bytes(got) == data
    assert meter.received_bytes == len(data)


def test_a_range_stops_where_it_was_asked_to():
    body, _ = body_of(Source(b"0123456789", [2, 1]), 3, 8, attempts_max=6)
    assert body.read() == b"34567"
    assert body.read(10) == b""


def test_no_progress_uses_up_the_tries():
    source = Source(b"x" * 100, [0] * 99)
    body, meter = body_of(source, attempts_max=3)
    with pytest.raises(StoreUnavailableError):
        body.read()
    assert source.opened == 3
    assert meter.retries == {"store-unavailable": 2}


def test_progress_gives_the_tries_back():
    data = bytes(1_000_000)
    body, _ = body_of(Source(data, [70_000] * 14), attempts_max=2)
    assert body.read() == data


def test_a_body_that_only_ends_early_is_not_taken_for_whole():
    body, _ = body_of(Source(b"x" * 100, [40] + [0] * 99, silent=True), attempts_max=2)
    with pytest.raises(StoreUnavailableError, match="60 bytes early"):
        body.read()


def test_leaving_early_closes_the_connection():
    source = Source(b"x" * 100, [])
    first = source.open(0)
    clock = FixedClock(datetime(2026, 1, 1, tzinfo=UTC))
    run = Retrier(RetryPolicy(), clock, lambda: 0.0, Meter())
    with ResumingBody(first, source.open, run, Meter(), CALL) as body:
        body.read(10)
    assert first.stream.closed
