"""What a worker reads ahead of a feed: judged changes, ready to be claimed, folder by folder.

The feed is read outside transactions; a claim then only picks from memory. The window holds at most
`look_ahead` changes. What is skipped, or too young, costs two bits.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from pyroaring import BitMap64

from stocktake.ingest._change import Change, ChangeFeed, changes_of, to_ms
from stocktake.ingest._judge import Action, Judge
from stocktake.ingest._overwrite import OverwriteRule
from stocktake.ingest._seqs import SeqState, span
from stocktake.ingest._spec import BatchOrder, IngestionSpec

_NEVER_MS = 1 << 62
_RIPENING_STEP_MS = 1_000
_READ_ROWS_MIN = 4_096
_RowOrder = Callable[[Change], int]


@dataclass(frozen=True, slots=True)
class WindowSource:
    """Where a window gets its changes, and how it judges them."""

    spec: IngestionSpec
    feed: ChangeFeed
    judge: Judge
    rule: OverwriteRule


@dataclass(slots=True)
class Budget:
    """What still fits into a batch. A batch takes one item that is larger than all it may hold."""

    files: int
    size_bytes: int
    empty: bool = True

    def fits(self, change: Change) -> bool:
        """True if this change may be added."""
        return self.files > 0 and (self.empty or (change.size_bytes or 0) <= self.size_bytes)

    def take(self, change: Change) -> None:
        """Count it."""
        self.files -= 1
        self.size_bytes -= change.size_bytes or 0
        self.empty = False


class Window:
    """Changes read ahead. Not for several threads at once.

    `skipped` are numbers that the filters or the policy settled and that no transaction has noted.
    """

    def __init__(self, source: WindowSource) -> None:
        self._source = source
        self._order = _row_order(source.spec.order)
        self._position = 0
        self._folders: dict[str, list[tuple[int, int, Change]]] = {}
        self._turns: deque[str] = deque()
        self._ready = BitMap64()
        self.skipped = BitMap64()
        self._young = BitMap64()
        self._ripe_ms = _NEVER_MS
        self._held = BitMap64()
        self._held_at = (0, 0)

    @property
    def ready(self) -> BitMap64:
        """Numbers that can be claimed."""
        return self._ready

    @property
    def delayed(self) -> BitMap64:
        """Numbers that wait for their age, or for another version of their key."""
        return self._young | self._held

    @property
    def ripe_ms(self) -> int | None:
        """When the first of those that wait for their age is old enough."""
        return self._ripe_ms if self._young else None

    def forget(self) -> None:
        """Start anew at the watermark."""
        self.__init__(self._source)  # type: ignore[misc]

    def refill(self, state: SeqState, now: datetime) -> None:
        """Read on until there are `look_ahead` changes to choose from or the feed ends."""
        now_ms = to_ms(now)
        taken = state.taken()
        self._forget_settled(state, taken, now_ms)
        self._read_freed(state, taken, now_ms)
        limit = max(self._source.spec.look_ahead, self._source.spec.files_max)
        if len(self._ready) * 2 > limit:
            return
        last = self._source.feed.last_seq()
        while len(self._ready) < limit:
            free = span(max(self._position, state.low) + 1, last) - taken
            if not free:
                self._position = max(self._position, last)
                return
            self._position = free.min() - 1
            before = self._position
            rows = max(limit - len(self._ready), _READ_ROWS_MIN)
            for batch in self._source.feed.read(self._position, rows):
                self._judge(changes_of(batch), taken, state, now_ms)
                self._position = batch.column("seq")[-1].as_py()
            if self._position == before:
                return

    def take(self, taken: BitMap64, low: int, budget: Budget) -> list[Change]:
        """Take changes out of the window, the folders in turn, as many as the budget allows.

        Stops at the first that does not fit. Numbers in `taken` or up to `low` are dropped.
        """
        chosen: list[Change] = []
        while self._turns:
            folder = self._turns[0]
            heap = self._folders[folder]
            while heap and (heap[0][1] in taken or heap[0][1] <= low):
                self._ready.discard(heapq.heappop(heap)[1])
            if not heap:
                del self._folders[folder]
                self._turns.popleft()
                continue
            change = heap[0][2]
            if not budget.fits(change):
                break
            heapq.heappop(heap)
            self._ready.discard(change.seq)
            budget.take(change)
            chosen.append(change)
            self._turns.rotate(-1)
        return chosen

    def _forget_settled(self, state: SeqState, taken: BitMap64, now_ms: int) -> None:
        done = span(1, state.low) | taken
        self.skipped -= done
        self._young -= done
        self._held -= done
        # what waited for its time, or for another version, is read and judged again
        if now_ms >= self._ripe_ms:
            self._young.clear()
            self._ripe_ms = _NEVER_MS
        if self._held_at != (state.low, len(state.settled)):
            self._held.clear()
        stale = self._ready & done
        if len(stale) * 4 > len(self._ready):
            kept = [c for heap in self._folders.values() for _, s, c in heap if s not in stale]
            self._folders.clear()
            self._turns.clear()
            self._ready.clear()
            self._add(kept)

    def _read_freed(self, state: SeqState, taken: BitMap64, now_ms: int) -> None:
        """Read again what lies behind the position and is free: given back, rewound or ripe."""
        known = self._ready | self.skipped | self._young | self._held
        missing = span(state.low + 1, self._position) - taken - known
        if not missing:
            return
        if len(missing) > self._source.spec.look_ahead:
            skipped = self.skipped
            self.forget()
            self.skipped = skipped & span(1, missing.min() - 1)
            return
        self._judge(changes_of(self._source.feed.rows_at(missing)), taken, state, now_ms)

    def _judge(
        self, changes: Iterator[Change], taken: BitMap64, state: SeqState, now_ms: int
    ) -> None:
        load: list[Change] = []
        low, judge = state.low, self._source.judge.judge
        for change in changes:
            if change.seq <= low or change.seq in taken or change.seq in self._ready:
                continue
            verdict = judge(change, now_ms)
            if verdict.action is Action.LOAD:
                load.append(change)
            elif verdict.action is Action.SKIP:
                self.skipped.add(change.seq)
            else:
                self._delay(change.seq, verdict.until_ms, state, now_ms)
        verdicts = self._source.rule.verdicts(load, state)
        for seq, verdict in verdicts.items():
            if verdict.action is Action.SKIP:
                self.skipped.add(seq)
            else:
                self._delay(seq, verdict.until_ms, state, now_ms)
        self._add(change for change in load if change.seq not in verdicts)

    def _delay(self, seq: int, until_ms: int | None, state: SeqState, now_ms: int) -> None:
        if until_ms is None:
            self._held.add(seq)
            self._held_at = (state.low, len(state.settled))
        else:
            self._young.add(seq)
            # all of them are judged again at once, so not for each one that ripens
            self._ripe_ms = min(self._ripe_ms, max(until_ms, now_ms + _RIPENING_STEP_MS))

    def _add(self, changes: Iterable[Change]) -> None:
        name_of = self._source.judge.name_of
        for change in changes:
            folder, slash, _ = name_of(change.key).partition("/")
            name = folder if slash else ""
            heap = self._folders.get(name)
            if heap is None:
                heap = self._folders[name] = []
                self._turns.append(name)
            heapq.heappush(heap, (self._order(change), change.seq, change))
            self._ready.add(change.seq)


def _row_order(order: BatchOrder) -> _RowOrder:
    if order is BatchOrder.OLDEST:
        return lambda change: _modified_ms(change)
    if order is BatchOrder.NEWEST:
        return lambda change: -_modified_ms(change)
    return lambda change: change.seq


def _modified_ms(change: Change) -> int:
    return change.observed_ms if change.modified_ms is None else change.modified_ms
