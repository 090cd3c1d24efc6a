"""One listing, read by several readers, each of which wants its own stretch of the rows."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from stocktake.errors import StocktakeError
from stocktake.listing._lister import KeySpan, rows_through
from stocktake.listing._slots import Stretch, slot_rows

_AHEAD_ROWS = 100_000
_LOOK_AGAIN_S = 0.05

ListSpan = Callable[[KeySpan], Iterator[pa.RecordBatch]]


@dataclass(slots=True)
class _Slot:
    """Where the rows of one part are.

    Attributes:
        stretch: Index of the stretch it is in.
        rows_max: It is full then; None takes all that is left of the stretch.
        after: It begins behind this key.
        before: Once it is complete: the key that it ends before; None is the end.
        rows: Dealt to it so far.
        last: The last key dealt to it.
        waiting: What its reader has not taken yet.
        started: It has, or had, a reader.
        complete: Nothing more will be dealt to it.
        given_up: Its reader left before the end; rows for it are dropped.
    """

    stretch: int
    rows_max: int | None
    after: str
    before: str | None = None
    rows: int = 0
    last: str = ""
    waiting: deque[pa.RecordBatch] = field(default_factory=deque)
    waiting_rows: int = 0
    started: bool = False
    complete: bool = False
    given_up: bool = False


class SharedListing:
    """Deals the rows of a listing out to slots, in key order.

    Whoever needs rows pulls the listing on; rows of a slot whose reader is slower wait, up to
    100,000 of them. A slot never ends inside of a key.
    """

    def __init__(self, list_span: ListSpan, todo: Sequence[Stretch], unit_rows: int) -> None:
        self._list_span = list_span
        self._spans = [one.span for one in todo]
        self._slots: dict[int, _Slot] = {}
        for index, one in enumerate(todo):
            for number in one.slots:
                rows_max = None if number == one.slots[-1] else slot_rows(number, unit_rows)
                self._slots[number] = _Slot(index, rows_max, one.span.after)
        self._order = list(self._slots.values())
        self._at = 0  # the slot that rows go to now
        self._readers = 0
        self._stream: Iterator[pa.RecordBatch] | None = None
        self._left: pa.RecordBatch | None = None  # of the last batch, for the slot of now
        self._error: StocktakeError | None = None  # a listing that failed has not ended
        self._pulling = threading.Lock()
        self._changed = threading.Condition()

    def fits_one_slot(self) -> bool:
        """Are all rows in the first slot? Lists as many rows as it takes, and keeps them."""
        with self._pulling:
            while self._at == 0 and self._order:
                self._pull()
            return self._at == len(self._order)

    def read(self, number: int) -> Iterator[pa.RecordBatch | None]:
        """The rows of a slot. None now and then, while nothing comes: a moment to look around.

        Raises:
            KeyError: The slot is finished already.
        """
        slot = self._slots[number]
        if slot.started:
            yield from self._read_again(slot)
            return
        slot.started = True
        drained = False
        with self._changed:
            self._readers += 1
        try:
            while True:
                batch = self._next(slot)
                if batch is None and slot.complete and not slot.waiting:
                    break
                yield batch
            drained = True
        finally:
            self._leave(slot, drained=drained)

    def close(self) -> None:
        """End the listing."""
        with self._pulling:
            self._close_stream()

    def _next(self, slot: _Slot) -> pa.RecordBatch | None:
        """The next rows of a slot; None if it is complete, or others have to move first."""
        while True:
            with self._changed:
                if slot.waiting:
                    batch = slot.waiting.popleft()
                    slot.waiting_rows -= batch.num_rows
                    self._changed.notify_all()
                    return batch
                if slot.complete:
                    return None
                current = self._order[self._at]
                if current is not slot and current.started and self._is_behind(current):
                    self._changed.wait(_LOOK_AGAIN_S)
                    return None
            with self._pulling:
                if slot.waiting or slot.complete:
                    continue
                current = self._order[self._at]
                self._pull()
            if current.given_up:
                return None

    def _is_behind(self, slot: _Slot) -> bool:
        return slot.waiting_rows >= _AHEAD_ROWS

    def _leave(self, slot: _Slot, *, drained: bool) -> None:
        with self._changed:
            self._readers -= 1
            if not drained:
                slot.given_up = True
                slot.waiting.clear()
                slot.waiting_rows = 0
            self._changed.notify_all()
            alone = self._readers == 0
        if alone and not drained:
            self.close()

    def _read_again(self, slot: _Slot) -> Iterator[pa.RecordBatch | None]:
        """List a slot once more, by itself; first learn where it ends."""
        while not slot.complete:
            with self._pulling:
                if not slot.complete:
                    self._pull()
            yield None
        yield from self._list_span(KeySpan(slot.after, slot.before))

    # --- by the one who holds the pulling lock -----------------------------------------------

    def _pull(self) -> None:
        """Deal out one batch of the listing, or note that a stretch of it ended."""
        slot = self._order[self._at]
        batch = self._next_batch(slot)
        if batch is None:
            self._end_stretch(slot.stretch)
            return
        keys = batch.column("key")
        room = None if slot.rows_max is None else slot.rows_max - slot.rows
        stop = batch.num_rows
        if room is not None and room < stop:
            last = keys[room - 1].as_py() if room > 0 else slot.last
            stop = rows_through(keys, last)  # not inside of a key
        self._deal(slot, batch.slice(0, stop))
        if stop < batch.num_rows:
            self._left = batch.slice(stop)
            self._complete(slot, keys[stop].as_py())

    def _next_batch(self, slot: _Slot) -> pa.RecordBatch | None:
        if self._left is not None:
            batch, self._left = self._left, None
            return batch
        if self._stream is None:
            span = self._spans[slot.stretch]
            self._stream = self._list_span(KeySpan(slot.last or slot.after, span.before))
        if self._error is not None:
            raise self._error
        try:
            return next(self._stream, None)
        except StocktakeError as error:
            self._error = error
            raise

    def _deal(self, slot: _Slot, batch: pa.RecordBatch) -> None:
        if batch.num_rows == 0:
            return
        with self._changed:
            slot.rows += batch.num_rows
            slot.last = batch.column("key")[-1].as_py()
            if not slot.given_up:
                slot.waiting.append(batch)
                slot.waiting_rows += batch.num_rows
            self._changed.notify_all()

    def _complete(self, slot: _Slot, before: str | None) -> None:
        with self._changed:
            slot.before = before
            slot.complete = True
            self._at += 1
            if self._at < len(self._order) and self._order[self._at].stretch == slot.stretch:
                self._order[self._at].after = slot.last or slot.after
            self._changed.notify_all()

    def _end_stretch(self, stretch: int) -> None:
        self._close_stream()
        while self._at < len(self._order) and self._order[self._at].stretch == stretch:
            self._complete(self._order[self._at], self._spans[stretch].before)

    def _close_stream(self) -> None:
        stream, self._stream, self._left = self._stream, None, None
        if isinstance(stream, Generator):
            stream.close()
