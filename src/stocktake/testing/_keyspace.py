"""Which key each base row of a synthetic bucket has: shapes in key order, with nasty keys."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stocktake.testing._chance import Ints, below, draw
from stocktake.testing._nasty import HEAD, SUFFIXES, TAIL
from stocktake.testing._shapes import (
    MARKER,
    SIDECAR,
    Shape,
    ShapedRows,
    hashed_rows,
    lake_rows,
    photo_rows,
)

# shapes in the order of their keys, with their share in percent
SHAPES: dict[str, tuple[tuple[Shape, int], ...]] = {
    "mixed": ((photo_rows, 50), (hashed_rows, 10), (lake_rows, 40)),
    "photos": ((photo_rows, 100),),
    "hashed": ((hashed_rows, 100),),
    "lake": ((lake_rows, 100),),
}

_ROOT_GROUP = 1 << 42
_ROOT_DAY = 18_000
_NASTY_ONE_IN = 10_000
_NASTY_LEAST = 50
_SUFFIXES = pa.array(["", *SUFFIXES])


@dataclass(frozen=True, slots=True)
class KeySpace:
    """The base rows of a bucket, `rows` of them, ascending by key.

    With `nasty`, the rows before `body_start` and from `body_stop` on have the fixed keys that sort
    before and after all ordinary ones (as many as there is room for), and some of the body's keys
    get a nasty ending, which leaves them in place.
    """

    rows: int
    seed: int
    shape: str
    nasty: bool

    @property
    def body_start(self) -> int:
        """The first row with an ordinary key."""
        return min(len(HEAD), self.rows) if self.nasty else 0

    @property
    def body_stop(self) -> int:
        """The row after the last with an ordinary key."""
        return self.rows - (min(len(TAIL), self.rows - self.body_start) if self.nasty else 0)

    def shaped(self, base_rows: Ints) -> ShapedRows:
        """Key, kind, group and day of these rows, in the order given."""
        pieces: list[ShapedRows] = []
        places: list[Ints] = []
        for start, stop, shape in self._ranges():
            inside = np.flatnonzero((base_rows >= start) & (base_rows < stop))
            if len(inside):
                pieces.append(shape(self.seed, stop - start, base_rows[inside] - start))
                places.append(inside)
        rows = _concatenated(pieces)
        order = np.concatenate(places) if places else np.zeros(0, np.int64)
        if len(pieces) > 1 and not (np.diff(order) > 0).all():
            rows = rows.take(np.argsort(order))
        return self._with_endings(base_rows, rows) if self.nasty else rows

    def _ranges(self) -> list[tuple[int, int, Shape]]:
        start, stop = self.body_start, self.body_stop
        shares = SHAPES[self.shape]
        ranges: list[tuple[int, int, Shape]] = [(0, start, _head_rows)]
        first, percent = start, 0
        for shape, share in shares:
            percent += share
            last = start + (stop - start) * percent // 100
            ranges.append((first, last, shape))
            first = last
        return [*ranges, (stop, self.rows, _tail_rows)]

    def _with_endings(self, base_rows: Ints, rows: ShapedRows) -> ShapedRows:
        body = (base_rows >= self.body_start) & (base_rows < self.body_stop)
        bits = draw(self.seed, 71, base_rows)
        one_in = max(1, min(_NASTY_ONE_IN, self.rows // _NASTY_LEAST))
        chosen = body & (rows.kinds != MARKER) & (below(bits, one_in) == 0)
        if not chosen.any():
            return rows
        ending = np.where(chosen, 1 + below(draw(self.seed, 72, base_rows), len(SUFFIXES)), 0)
        keys = pc.binary_join_element_wise(rows.keys, _SUFFIXES.take(pa.array(ending)), "")
        return ShapedRows(keys, rows.kinds, rows.groups, rows.days)


def _head_rows(seed: int, total: int, positions: Ints) -> ShapedRows:
    return _fixed_rows(HEAD, positions)


def _tail_rows(seed: int, total: int, positions: Ints) -> ShapedRows:
    return _fixed_rows(TAIL[len(TAIL) - total :], positions)


def _fixed_rows(keys: tuple[str, ...], positions: Ints) -> ShapedRows:
    texts = pa.array([keys[position] for position in positions.tolist()], pa.string())
    kinds = [MARKER if key.endswith("/") else SIDECAR for key in texts.to_pylist()]
    count = len(positions)
    return ShapedRows(
        texts, np.array(kinds, np.int8), np.full(count, _ROOT_GROUP), np.full(count, _ROOT_DAY)
    )


def _concatenated(pieces: list[ShapedRows]) -> ShapedRows:
    if len(pieces) == 1:
        return pieces[0]
    if not pieces:
        return _fixed_rows((), np.zeros(0, np.int64))
    return ShapedRows(
        pa.concat_arrays([piece.keys for piece in pieces]),
        np.concatenate([piece.kinds for piece in pieces]),
        np.concatenate([piece.groups for piece in pieces]),
        np.concatenate([piece.days for piece in pieces]),
    )
