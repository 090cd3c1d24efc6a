"""Calls of many threads over one line between two processes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from stocktake.errors import KeyCollisionError, StocktakeError, WorkerDiedError
from stocktake.ship import ObjectResult
from stocktake.ship._wire_link import Link
from stocktake.ship._worker_recorder import RemoteRecorder


class Far:
    """What is at the other end."""

    def __init__(self) -> None:
        self.notes: list[tuple[str, list[Any]]] = []
        self.batches: list[list[int]] = []
        self.refused: set[int] = set()
        self.gate = threading.Event()
        self.gate.set()
        self.noted = threading.Semaphore(0)

    def on_note(self, name: str, args: list[Any]) -> None:
        self.notes.append((name, args))
        self.noted.release()

    def on_call(self, method: str, args: list[Any]) -> Any:
        self.gate.wait(10)
        if method == "double":
            return args[0] * 2
        if method == "collide":
            raise KeyCollisionError("twice", key=args[0])
        if method == "complete":
            numbers = [result.object_id for result in args[0]]
            if self.refused & set(numbers):
                raise StocktakeError("refused")
            self.batches.append(numbers)
            return None
        raise RuntimeError("a bug")


@pytest.fixture
def far() -> Far:
    return Far()


@pytest.fixture
def near(far: Far) -> Iterator[Link]:
    """Our end; the other one answers with what `far` says."""
    ours, theirs = socket.socketpair()
    links = [
        Link(theirs, on_call=far.on_call, on_note=far.on_note, threads=8),
        Link(ours, on_call=far.on_call, on_note=far.on_note, threads=1),
    ]
    readers = [threading.Thread(target=link.run) for link in links]
    for reader in readers:
        reader.start()
    yield links[1]
    far.gate.set()
    links[1].close()
    for link, reader in zip(links, readers, strict=True):
        reader.join(10)
        link.release()


def result(number: int) -> ObjectResult:
    return ObjectResult(number, 1, None, None, "00", None, None, None, None, "checksum")


def test_calls_of_many_threads_get_their_own_answers(near: Link) -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda n: near.call("double", n), range(2000)))
    assert answers == [2 * n for n in range(2000)]


def test_error_of_the_other_end_is_raised_here_as_the_same_class(near: Link) -> None:
    with pytest.raises(KeyCollisionError) as caught:
        near.call("collide", "a.parquet")
    assert caught.value.attrs == {"key": "a.parquet"}


def test_bug_at_the_other_end_does_not_leave_the_caller_waiting(near: Link) -> None:
    with pytest.raises(StocktakeError, match="unexpected RuntimeError in `oops`: a bug"):
        near.call("oops")


def test_notes_arrive_in_order(near: Link, far: Far) -> None:
    for number in range(100):
        near.note("n", number)
    for _ in range(100):
        assert far.noted.acquire(timeout=10)
    assert far.notes == [("n", [number]) for number in range(100)]


def test_large_message_goes_through_in_one_piece(near: Link) -> None:
    assert near.call("double", "x" * 20_000_000) == "x" * 40_000_000


def test_open_call_fails_when_the_other_process_dies(near: Link, far: Far) -> None:
    far.gate.clear()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(near.call, "double", 1)
        near.note("n")
        assert far.noted.acquire(timeout=10)
        near.close()
        with pytest.raises(WorkerDiedError):
            waiting.result(10)
    with pytest.raises(WorkerDiedError):
        near.call("double", 1)


def test_completions_of_many_threads_share_messages(near: Link, far: Far) -> None:
    """SHP-40: recorded at once, but not one commit each: 2,000 files a second."""
    recorder = RemoteRecorder(near)
    far.gate.clear()
    with ThreadPoolExecutor(32) as pool:
        waiting = [pool.submit(recorder.complete, [result(number)]) for number in range(300)]
        threading.Timer(0.2, far.gate.set).start()
        for one in waiting:
            one.result(10)
    assert sorted(number for batch in far.batches for number in batch) == list(range(300))
    assert len(far.batches) < 100


def test_refused_completion_is_told_to_its_own_thread_only(near: Link, far: Far) -> None:
    recorder = RemoteRecorder(near)
    far.refused = {7}
    far.gate.clear()
    with ThreadPoolExecutor(16) as pool:
        waiting = [pool.submit(recorder.complete, [result(number)]) for number in range(16)]
        threading.Timer(0.2, far.gate.set).start()
        failed = [number for number, one in enumerate(waiting) if one.exception(10) is not None]
    assert failed == [7]
    assert sorted(number for batch in far.batches for number in batch) == [
        number for number in range(16) if number != 7
    ]


def test_completion_fails_when_the_daemon_is_gone(near: Link) -> None:
    recorder = RemoteRecorder(near)
    near.close()
    for _ in range(2):
        with pytest.raises(WorkerDiedError):
            recorder.complete([result(1)])
