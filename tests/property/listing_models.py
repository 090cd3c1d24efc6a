"""A store of sorted keys and a driver that answers requests of a scheduler in any order."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from random import Random

from stocktake.listing._range_scheduler import RangeScheduler
from stocktake.listing._range_state import ListRequest, PageAnswer
from stocktake.model import successor

ROW_BYTES = 100


@dataclass(frozen=True)
class Keys:
    """The keys of a page."""

    keys: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.keys)

    def key(self, row: int) -> str:
        return self.keys[row]

    def rows_through(self, key: str) -> int:
        return bisect_right(self.keys, key)


@dataclass
class ModelStore:
    """What a bucket answers. With `versions`, a key stands several times and pages cut it.

    `gaps`: now and then a page is empty although there is more.
    """

    keys: list[str]
    page_rows: int
    versions: bool = False
    before: str | None = None
    gaps: float = 0.0
    random: Random = field(default_factory=lambda: Random(0))

    def answer(self, request: ListRequest) -> PageAnswer:
        if request.delimiter:
            return self._folders(request)
        if request.token is not None:
            start = int(request.token)
        elif request.start_after:
            start = bisect_right(self.keys, request.start_after)
        else:
            start = bisect_left(self.keys, request.prefix)
        end = successor(request.prefix) if request.prefix else None
        ends = len(self.keys) if end is None else bisect_left(self.keys, end)
        start = max(start, bisect_left(self.keys, request.prefix))
        if self.before is not None:
            ends = min(ends, bisect_left(self.keys, self.before))
        if start < ends and self.random.random() < self.gaps:
            return PageAnswer(Keys(()), truncated=True, token=str(start))
        stop = max(start, min(start + self.page_rows, ends))
        found = tuple(self.keys[start:stop])
        return PageAnswer(
            Keys(found), stop < ends, str(stop) if stop < ends else None, ROW_BYTES * len(found)
        )

    def _folders(self, request: ListRequest) -> PageAnswer:
        cut = len(request.prefix)
        folders = {
            key[: key.index("/", cut) + 1]
            for key in self.keys
            if key.startswith(request.prefix) and "/" in key[cut:]
        }
        later = sorted(folder for folder in folders if folder > request.start_after)
        return PageAnswer(Keys(()), len(later) > 1000, prefixes=later[:1000])


@dataclass
class Driven:
    """What came of driving a scheduler to its end."""

    keys: list[str]
    calls: int
    buffered_max: int


def drive(
    scheduler: RangeScheduler,
    store: ModelStore,
    random: Random,
    *,
    throttles: float = 0.0,
    lazy: float = 0.0,
) -> Driven:
    """Answer requests in random order; with `lazy`, rows are often left waiting."""
    under_way: list[ListRequest] = []
    got: list[str] = []
    calls = buffered = 0
    while True:
        while (request := scheduler.next_request()) is not None:
            under_way.append(request)
            assert len(under_way) <= scheduler.plan.workers
        if not under_way:
            if scheduler.done:
                break
            assert scheduler.buffered_bytes, "nothing to do, nothing to take, not done"
            _take(scheduler, got)
            continue
        request = under_way.pop(random.randrange(len(under_way)))
        if random.random() < throttles:
            scheduler.failed(request, slow_down=random.random() < 0.5)
            scheduler.ask_again(request)
            continue
        calls += 1
        scheduler.answered(request, store.answer(request), random.random())
        buffered = max(buffered, scheduler.buffered_bytes)
        if random.random() >= lazy:
            _take(scheduler, got)
    _take(scheduler, got)
    return Driven(got, calls, buffered)


def _take(scheduler: RangeScheduler, got: list[str]) -> None:
    while (piece := scheduler.take()) is not None:
        got.extend(piece.page.keys.keys[piece.start : piece.stop])
