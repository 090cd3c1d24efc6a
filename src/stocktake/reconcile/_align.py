"""Two key-sorted streams of batches, cut so that both pieces speak of the same range of keys."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from stocktake.reconcile._side import SIDE_ROW

Piece = tuple[pa.RecordBatch, pa.RecordBatch]

_EMPTY = pa.RecordBatch.from_arrays([pa.array([], one.type) for one in SIDE_ROW], schema=SIDE_ROW)


def aligned(left: Iterator[pa.RecordBatch], right: Iterator[pa.RecordBatch]) -> Iterator[Piece]:
    """Pieces of both, in key order: no key of a piece's one side is in another piece's other side.

    Holds one batch of each side. Both ascend, and have no empty batches.
    """
    a, b = next(left, None), next(right, None)
    while a is not None and b is not None:
        bound = min(_last(a), _last(b))
        cut_a, cut_b = rows_through(a.column("key"), bound), rows_through(b.column("key"), bound)
        yield a.slice(0, cut_a), b.slice(0, cut_b)
        a = a.slice(cut_a) if cut_a < a.num_rows else next(left, None)
        b = b.slice(cut_b) if cut_b < b.num_rows else next(right, None)
    while a is not None:
        yield a, _EMPTY
        a = next(left, None)
    while b is not None:
        yield _EMPTY, b
        b = next(right, None)


def rows_through(keys: pa.StringArray, bound: str) -> int:
    """How many of some ascending keys are not greater than a bound."""
    low, high = 0, len(keys)
    while low < high:
        middle = (low + high) // 2
        if keys[middle].as_py() <= bound:
            low = middle + 1
        else:
            high = middle
    return low


def rows_before(keys: pa.StringArray, bound: str) -> int:
    """How many of some ascending keys are smaller than a bound."""
    through = rows_through(keys, bound)
    return through - 1 if through and keys[through - 1].as_py() == bound else through


def _last(rows: pa.RecordBatch) -> str:
    return str(rows.column("key")[-1].as_py())
