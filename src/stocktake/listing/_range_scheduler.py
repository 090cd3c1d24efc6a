"""Decides which request a parallel listing sends next. No threads, no clock, no I/O.

The keys are a row of disjoint ranges. Each is listed page by page from its left end; whoever has
nothing to do cuts a range in two and lists the right part. Where to cut is known from an earlier
listing (hints), seen in a delimiter listing (points), or guessed from the keys seen so far
(`KeySpace`). A wrong cut costs a call, never a key: what lies between two ranges is nothing.

Rows are given out in key order; what was read ahead waits, within a limit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from stocktake.listing._concurrency import Concurrency
from stocktake.listing._range_cuts import Cuts
from stocktake.listing._range_hints import Hints
from stocktake.listing._range_state import CallKind, KeyRange, ListRequest, PageAnswer, Piece

_PIECES_ENOUGH = 4

_SERIAL_PAGES = 10
"""Up to here at most one call may be wasted: a small bucket costs what a serial listing costs."""

_START_PAGES = 32
"""So many pages more allow one useless call each: to find out where everything is."""

_WARM_SPECULATION = 0.1
"""Useless calls for each useful one where hints say nothing: behind the last, or after a change."""


@dataclass(frozen=True, slots=True)
class ScanPlan:
    """What to list, and within which limits.

    Attributes:
        prefix: Of all keys.
        after: Only keys greater than it.
        before: Only keys smaller than it; None: to the end.
        versions: Pages may end inside of a key, so that only a token goes on from there.
        split_keys: Keys that cut what was last known into about equal pieces.
        rows_expected: How many rows were last known.
        workers: Most requests at once.
        page_rows: Rows of a full page.
        speculation: Calls that may turn out to be useless, for each page that is not.
        buffer_bytes: Rows that wait for their turn, about.
    """

    prefix: str = ""
    after: str = ""
    before: str | None = None
    versions: bool = False
    split_keys: Sequence[str] = ()
    rows_expected: int | None = None
    workers: int = 64
    page_rows: int = 1000
    speculation: float = 0.5
    buffer_bytes: int = 128 << 20


@dataclass(frozen=True, slots=True)
class Suspect:
    """The listing to the left of a cut and that to the right see different keys first behind it.

    Keys came or went meanwhile, or the store has an order of its own, in which `key`, seen from the
    left, is not behind the cut: the driver must find out.
    """

    cut: str
    key: str


class RangeScheduler:
    """The state of one listing; see the module. Not safe for threads: its driver holds a lock."""

    def __init__(self, plan: ScanPlan) -> None:
        self.plan = plan
        self.concurrency = Concurrency(plan.workers)
        self.calls = dict.fromkeys((kind.value for kind in CallKind), 0)
        self.rows = 0
        self.buffered_bytes = 0
        self.under_way = 0
        self.under_way_max = 0
        hints = Hints(
            plan.split_keys,
            plan.rows_expected,
            page_rows=plan.page_rows,
            workers=plan.workers,
            prefix=plan.prefix,
        )
        self._hints = hints
        self._cuts = Cuts(plan.prefix, hints, page_rows=plan.page_rows)
        self._ranges = [KeyRange(plan.after, plan.before)]
        self._page_bytes = 0  # the largest page so far
        self._probes = 0  # under way
        self._hinted: dict[KeyRange, tuple[int, int]] = {}  # cells of a range, rows before them
        self._hinted_waste = 0.0
        self.suspects: list[Suspect] = []
        self._seen_behind: dict[str, str] = {}  # a cut -> the first key behind it, by its left side
        self._begun_at: dict[str, str | None] = {}  # a cut -> the first key that came from it

    # --- asked by the driver -----------------------------------------------------------------

    @property
    def done(self) -> bool:
        """True if there is nothing left to ask for; rows may still wait."""
        return all(one.done for one in self._ranges)

    @property
    def open_ranges(self) -> int:
        """Ranges that are not finished."""
        return sum(1 for one in self._ranges if not one.done)

    def next_request(self) -> ListRequest | None:
        """What to ask next. None: nothing, until an answer comes or rows are taken."""
        if self.under_way >= self.concurrency.limit:
            return None
        if self.done:
            return None
        request = self._waiting_page() or self._speculative()
        if request is not None:
            self.under_way += 1
            self.under_way_max = max(self.under_way_max, self.under_way)
        return request

    @property
    def worth_taking(self) -> bool:
        """Is there enough to take, or nothing else to do but take?"""
        if not self._ranges:
            return True
        head = self._ranges[0]
        if not head.pieces:
            return head.done
        enough = head.done or len(head.pieces) >= _PIECES_ENOUGH
        return enough or not self.under_way or 2 * self.buffered_bytes > self.plan.buffer_bytes

    def take(self) -> Piece | None:
        """The next rows in key order, if they are there; they no longer count as waiting."""
        while self._ranges:
            head = self._ranges[0]
            if head.pieces:
                piece = head.pieces.popleft()
                self.buffered_bytes -= piece.size_bytes
                return piece
            if not head.done:
                return None
            self._ranges.pop(0)
        return None

    # --- told by the driver ------------------------------------------------------------------

    def answered(self, request: ListRequest, answer: PageAnswer, latency_s: float) -> None:
        """A request was answered. The driver has made sure that the page is in order."""
        self.concurrency.answered(latency_s, self.under_way)
        self.under_way -= 1
        self._page_bytes = max(self._page_bytes, answer.size_bytes)
        if request.delimiter:
            self._probes -= 1
            self.calls[CallKind.PROBE] += 1
            self._cuts.add_points(request.prefix, answer.prefixes, complete=not answer.truncated)
            self._forget_estimates()
            return
        target = request.key_range
        target.busy = False
        target.failures = 0
        target.calls += 1
        kept = self._keep(target, answer)
        self.calls[CallKind.PAGE if kept else CallKind.EMPTY] += 1

    def failed(self, request: ListRequest, *, slow_down: bool) -> int:
        """A request failed, perhaps because the store asked to slow down.

        It stays under way until `ask_again`. Returns how many times in a row its range failed.
        """
        if slow_down:
            self.concurrency.throttled()
        request.key_range.failures += 1
        return request.key_range.failures

    def ask_again(self, request: ListRequest) -> None:
        """The wait after a failure is over. A probe is not repeated."""
        self.under_way -= 1
        if request.delimiter:
            self._probes -= 1
        else:
            request.key_range.busy = False

    # --- pages -------------------------------------------------------------------------------

    def _keep(self, target: KeyRange, answer: PageAnswer) -> int:
        """Share a page out to the ranges it covers; returns how many rows were of use."""
        keys = answer.keys
        count = len(keys)
        if target.first is None and not target.rows and (count or not answer.truncated):
            self._compare(target.after, begun_at=keys.key(0) if count else None)
        if count == 0:
            if answer.truncated:  # nothing visible here, but more behind: only the token goes on
                target.token = answer.token
            else:
                self._finish(target)
                self._end_all_behind(target.after)
            return 0
        last = keys.key(-1)
        self._cuts.learn(keys)
        kept = self._give(target, answer, 0)
        start = kept
        if target.done and not self.plan.versions:
            # rows beyond the range belong to ranges that nobody has asked for yet
            for further in self._idle_after(target, last):
                start = max(start, keys.rows_through(further.after))
                given = self._give(further, answer, start)
                start += given
                kept += given
        if not answer.truncated:
            self._end_all_behind(last)
        if kept == 0:
            self._missed(target)
        return kept

    def _give(self, target: KeyRange, answer: PageAnswer, start: int) -> int:
        """Let a range keep its rows of a page, from row `start` on; returns how many."""
        keys, count = answer.keys, len(answer.keys)
        last = keys.key(-1)
        stop = count
        beyond = target.through is not None and last > target.through
        if beyond:
            assert target.through is not None
            stop = keys.rows_through(target.through)
            self._seen_behind[target.through] = keys.key(stop)
            if target.through in self._begun_at:
                self._compare(target.through, begun_at=self._begun_at[target.through])
        if stop > start:
            size_bytes = answer.size_bytes * (stop - start) // count
            target.pieces.append(Piece(answer, start, stop, size_bytes))
            self.buffered_bytes += size_bytes
            self.rows += stop - start
            if target.first is None and target.rows == 0:
                self._found(target)
            target.first = keys.key(start)
            target.page_rows = stop - start
            target.rows += stop - start
            target.serial_rows += stop - start
        target.estimate = None
        if not beyond:
            target.after = last
        ends_in_key = self.plan.versions and answer.truncated
        target.token = answer.token if ends_in_key else None
        complete = beyond or (last == target.through and not ends_in_key)
        if complete or not answer.truncated:
            self._finish(target)
        return max(stop - start, 0)

    def _compare(self, cut: str, *, begun_at: str | None) -> None:
        """Both sides of a cut have seen what is behind it: do they agree?"""
        seen = self._seen_behind.pop(cut, None)
        if seen is None:
            self._begun_at[cut] = begun_at
            return
        self._begun_at.pop(cut, None)
        if begun_at != seen:
            self.suspects.append(Suspect(cut, seen))

    def _idle_after(self, target: KeyRange, last: str) -> Iterator[KeyRange]:
        for further in self._ranges[self._ranges.index(target) + 1 :]:
            if further.after >= last:
                return
            if not (further.busy or further.done) and further.token is None:
                yield further

    def _finish(self, target: KeyRange) -> None:
        target.done = True
        cells, rows_before = self._hinted.pop(target, (0, 0))
        if cells:
            self._hints.learn(cells, target.rows - rows_before)
            self._hinted_waste += target.calls - target.rows / self.plan.page_rows

    def _end_all_behind(self, key: str) -> None:
        """The listing ended at a key: ranges behind it hold nothing."""
        for one in reversed(self._ranges):
            if one.after < key:
                return
            if not one.busy and not one.done:
                self._finish(one)

    def _found(self, target: KeyRange) -> None:
        """A guessed range has rows: what is left of it is bounded by something that exists."""
        index = self._ranges.index(target)
        if index:
            before = self._ranges[index - 1]
            before.open_end = False
            before.estimate = None

    def _missed(self, target: KeyRange) -> None:
        """A guessed range was empty: what is left of it has no end that is known."""
        index = self._ranges.index(target)
        if index and target.rows == 0 and target.done:
            before = self._ranges[index - 1]
            before.open_end = target.open_end
            before.reach_rows = max(2.0 * self.plan.page_rows, before.reach_rows / 4)
            before.estimate = None

    def _forget_estimates(self) -> None:
        for one in self._ranges:
            one.estimate = None

    # --- the next request --------------------------------------------------------------------

    def _waiting_page(self) -> ListRequest | None:
        """A page of the leftmost range that nobody lists and that has room.

        With hints, one worker is always behind the last of them: how much was added there since is
        not known, and to find out at the end would take longest.
        """
        last = self._ranges[-1]
        if self._hints.keys and last.open_end and not last.done and not last.busy:
            new = self._hints.count(last.after, last.through) == 0
            if new and self._has_room(last, self.plan.workers):
                return self._page_of(last)
        place = 0
        for index, one in enumerate(self._front()):
            if one.done:
                continue
            if not one.busy and self._has_room(one, place):
                if self.rows and one not in self._hinted:
                    self._cut_at_hint(index, one)
                return self._page_of(one)
            place += 1
        return None

    def _page_of(self, one: KeyRange) -> ListRequest:
        one.busy = True
        after = one.after if one.after >= self.plan.prefix else ""
        return ListRequest(one, self.plan.prefix, after, one.token)

    def _has_room(self, one: KeyRange, place: int) -> bool:
        """May a range read on? `place` counts the unfinished ranges before it.

        The first may always, unless its rows are not taken; the next few until the limit, all
        others until half of it, so that what waits is mostly what comes next.
        """
        waiting = self.buffered_bytes + self.under_way * self._page_bytes
        if place == 0 and one is self._ranges[0] and not one.pieces:
            return True
        limit = self.plan.buffer_bytes
        return waiting < (limit if place < self.plan.workers else limit // 2)

    def _cut_at_hint(self, index: int, one: KeyRange) -> None:
        """Leave to the range as many hinted cells as one worker should list; queue the rest."""
        left = self._hints.count(one.after, one.through)
        if not left or self._hints.rows_expected <= 2 * _SERIAL_PAGES * self.plan.page_rows:
            return
        if one.through is None and index == len(self._ranges) - 1:
            # what was added at the end since then is of unknown size: begin with it early
            self._split(one, self._hints.keys[-1])
            left -= 1
        cells = self._hints.cells_of_range(left + 1)
        if cells <= left:
            self._split(one, self._hints.cut(one.after, cells))
            self._hinted[one] = (cells, one.rows)

    def _split(self, one: KeyRange, key: str) -> KeyRange:
        right = KeyRange(key, one.through, open_end=one.open_end)
        right.reach_rows = one.reach_rows
        right.alike = one.alike
        if one.first is not None:
            right.alike = (one.first, one.after, one.page_rows)
        one.through = key
        one.estimate = None
        one.serial_rows = 0
        self._ranges.insert(self._ranges.index(one) + 1, right)
        return right

    # --- speculation -------------------------------------------------------------------------

    def _speculative(self) -> ListRequest | None:
        """A new range or a probe, if the budget allows and some range is worth it."""
        if not self._may_speculate():
            return None
        request = self._look_beyond()
        if request is not None:
            return request
        victim = self._largest()
        if victim is None:
            return None
        rows = self._estimate(victim)
        probe = self._cuts.probe(victim, rows) if victim.first is not None else None
        if probe is not None:
            self._probes += 1
            prefix, start_after = probe
            return ListRequest(victim, prefix, start_after, delimiter="/")
        tight = self._is_tight
        key = self._cuts.cut_near(victim, self._share_rows) if tight else self._cuts.cut(victim)
        if key is None:
            victim.estimate = 0.0
            return None
        self._hinted.pop(victim, None)
        right = self._split(victim, key)
        right.reach_rows = victim.reach_rows * 8
        victim.reach_rows *= 2
        return self._page_of(right)

    def _look_beyond(self) -> ListRequest | None:
        """Is there anything behind the kind of keys that were seen? Asked of the last range."""
        last = self._ranges[-1]
        if last.done or not last.open_end or last.first is None or last.token is not None:
            return None
        if self.rows < _SERIAL_PAGES * self.plan.page_rows or not self._has_room(last, 1):
            return None
        key = self._cuts.beyond(last)
        return None if key is None else self._page_of(self._split(last, key))

    def _may_speculate(self) -> bool:
        """Would the calls stay within the budget if one more of them were useless?

        Every range may end with a page that is empty, so an open range is a call at risk; not so
        the last one, whose end a serial listing would have to find as well.
        """
        useful = self.rows / self.plan.page_rows
        spent = sum(self.calls.values()) - useful - self._hinted_waste
        certain = 0 if self._ranges[-1].done else 1
        risked = self.open_ranges - len(self._hinted) - certain + self._probes
        share = self.plan.speculation
        if self._hints.keys:
            share = min(share, _WARM_SPECULATION)
        proven = max(0.0, useful - _SERIAL_PAGES)
        allowed = 1 + min(proven, _START_PAGES) + share * max(0.0, proven - _START_PAGES)
        return spent + risked + 1 <= allowed and useful > 0

    def _largest(self) -> KeyRange | None:
        if self._is_tight:
            return self._next_in_front()
        best: KeyRange | None = None
        best_rows = 3.0 * self.plan.page_rows
        place = 0
        for one in self._ranges:
            if one.done:
                continue
            if one.first is not None and one.token is None and self._has_room(one, place + 1):
                rows = self._estimate(one)
                if rows > best_rows:
                    best, best_rows = one, rows
            place += 1
        return best

    # --- when much waits ---------------------------------------------------------------------

    @property
    def _is_tight(self) -> bool:
        """Does so much wait that only work near the first range makes sense?"""
        return 4 * self.buffered_bytes > 3 * self.plan.buffer_bytes

    @property
    def _share_rows(self) -> float:
        """How many rows each worker can read ahead if all of them do."""
        row_bytes = max(self._page_bytes / self.plan.page_rows, 1.0)
        rows = self.plan.buffer_bytes / (4 * self.plan.workers) / row_bytes
        return max(rows, float(self.plan.page_rows))

    def _front(self) -> Iterator[KeyRange]:
        """The ranges, when much waits only as far as their rows would still find room."""
        tight, ahead = self._is_tight, 0.0
        limit = 2 * self.plan.workers * self._share_rows
        for one in list(self._ranges):
            yield one
            if tight and not one.done:
                ahead += self._estimate(one)
                if ahead > limit:
                    return

    def _next_in_front(self) -> KeyRange | None:
        """The first range that is too long for one worker: its next piece is cut off."""
        for place, one in enumerate(self._front()):
            if not one.done and one.token is None and self._estimate(one) > 1.5 * self._share_rows:
                return one if self._has_room(one, place + 1) else None
        return None

    def _estimate(self, one: KeyRange) -> float:
        if one.estimate is None:
            one.estimate = self._cuts.estimate(one)
        return one.estimate
