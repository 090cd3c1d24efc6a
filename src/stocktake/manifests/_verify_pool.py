"""Work by several threads, its results in the order of the work, a bounded number ahead."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

_AHEAD = 4


def in_order(
    function: Callable[[T], R], items: Iterable[T], *, workers: int, stopped: threading.Event
) -> Generator[tuple[T, R], None, None]:
    """Each item with its result. What the function raises, or the items, comes out here.

    Args:
        function: Is called in other threads.
        items: Are taken in this one, as they are needed.
        workers: Threads.
        stopped: Is set when nobody waits for results any more; the function should look at it.
    """
    waiting: deque[tuple[T, Future[R]]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="verify") as pool:
        try:
            for item in items:
                waiting.append((item, pool.submit(function, item)))
                if len(waiting) >= workers * _AHEAD:
                    done, job = waiting.popleft()
                    yield done, job.result()
            while waiting:
                done, job = waiting.popleft()
                yield done, job.result()
        except BaseException:  # also GeneratorExit: the consumer has gone
            stopped.set()
            for _, job in waiting:
                job.cancel()
            raise
