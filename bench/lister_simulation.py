"""A discrete-event simulation of the range lister: virtual time, real decisions."""

from __future__ import annotations

import heapq
import itertools
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from random import Random

from stocktake.listing._range_scheduler import RangeScheduler, ScanPlan
from stocktake.listing._range_state import ListRequest, PageAnswer

_ROW_BYTES = 130


@dataclass(frozen=True, slots=True)
class SlicedKeys:
    """A page as a slice of the sorted keys of the bucket."""

    keys: list[str]
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    def key(self, row: int) -> str:
        return self.keys[self.start + row if row >= 0 else self.stop + row]

    def rows_through(self, key: str) -> int:
        return bisect_right(self.keys, key, self.start, self.stop) - self.start


class SimulatedStore:
    """Sorted keys that answer listing requests of a whole bucket."""

    def __init__(self, keys: list[str], page_rows: int = 1000) -> None:
        self.keys = keys
        self.page_rows = page_rows

    def answer(self, request: ListRequest) -> PageAnswer:
        if request.delimiter:
            return self._folders(request)
        start = bisect_right(self.keys, request.start_after) if request.start_after else 0
        stop = min(start + self.page_rows, len(self.keys))
        page = SlicedKeys(self.keys, start, stop)
        return PageAnswer(page, stop < len(self.keys), size_bytes=_ROW_BYTES * len(page))

    def _folders(self, request: ListRequest) -> PageAnswer:
        folders: list[str] = []
        entries, index = 0, bisect_right(self.keys, max(request.start_after, request.prefix))
        while index < len(self.keys) and entries < self.page_rows:
            key = self.keys[index]
            if not key.startswith(request.prefix):
                break
            entries += 1
            cut = key.find("/", len(request.prefix))
            if cut < 0:
                index += 1
                continue
            folders.append(key[: cut + 1])
            index = bisect_left(self.keys, key[:cut] + "0", index)
        return PageAnswer(
            SlicedKeys(self.keys, 0, 0), truncated=entries == self.page_rows, prefixes=folders
        )


@dataclass(frozen=True, slots=True)
class Simulated:
    """What a simulated listing came to."""

    seconds: float
    calls: dict[str, int]
    buffered_bytes_max: int


def simulate(
    store: SimulatedStore,
    plan: ScanPlan,
    *,
    latency_s: float,
    jitter: float = 0.0,
    seed: int = 0,
) -> Simulated:
    """List everything; every key must come once and in order."""
    scheduler, random = RangeScheduler(plan), Random(seed)
    now_s, taken, buffered = 0.0, 0, 0
    numbers = itertools.count()
    answers: list[tuple[float, int, ListRequest, float]] = []
    while True:
        while (request := scheduler.next_request()) is not None:
            wait_s = latency_s * (1 + jitter * random.random())
            heapq.heappush(answers, (now_s + wait_s, next(numbers), request, wait_s))
        if not answers:
            break
        now_s, _, request, wait_s = heapq.heappop(answers)
        scheduler.answered(request, store.answer(request), wait_s)
        buffered = max(buffered, scheduler.buffered_bytes)
        while (piece := scheduler.take()) is not None:
            assert piece.page.keys.start + piece.start == taken, "a key is missing, or out of order"
            taken += piece.stop - piece.start
    assert scheduler.done
    assert taken == len(store.keys), f"{taken} of {len(store.keys)} keys"
    return Simulated(now_s, dict(scheduler.calls), buffered)
