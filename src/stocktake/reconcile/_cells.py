"""SHOULD in cells of about a page, of which some are drawn while it streams by.

A cell is a range of names: those after `low` up to `high`. Cells tile the whole line, so that what
only HAVE has lies in one of them too. The first and the last are always taken: what was added to a
bucket is mostly before or behind everything else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import pyarrow as pa

from stocktake.reconcile._side import SIDE_ROW

CELL_ROWS = 800
"""Of SHOULD; one page of 1,000 keys then holds the cell even with a quarter more in HAVE."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A range of names with the rows that SHOULD has there.

    Attributes:
        number: Its place, 0 for the first.
        low: It begins after this name; empty for the first.
        high: It ends with this name; None for the last.
        rows: Of SHOULD.
    """

    number: int
    low: str
    high: str | None
    rows: pa.RecordBatch


@dataclass(frozen=True, slots=True)
class DrawnCells:
    """What was drawn.

    Attributes:
        ends: The first cell and the last one (one, if they are the same), in order.
        drawn: Of the others, drawn at random without replacement, in random order.
        cells: How many cells there are.
        rows: How many rows all of them have.
    """

    ends: tuple[Cell, ...]
    drawn: tuple[Cell, ...]
    cells: int
    rows: int

    @property
    def inner(self) -> int:
        """Cells that are neither the first nor the last."""
        return self.cells - len(self.ends)


def draw_cells(batches: Iterator[pa.RecordBatch], number: int, seed: int) -> DrawnCells:
    """Draw cells from a stream, each set of cells equally likely. Holds the rows of those drawn.

    Args:
        batches: Rows of SHOULD in key order, none empty.
        number: Cells to take, the first and the last included; at least 2.
        seed: Chooses.
    """
    random = Random(seed)  # noqa: S311 - statistics, no secret
    room = max(0, number - 2)
    first: Cell | None = None
    held: Cell | None = None  # the newest one, which is the last until another follows
    drawn: list[Cell] = []
    inner = rows = count = 0
    for cell in _cells(batches):
        count += 1
        rows += cell.rows.num_rows
        if first is None:
            first = cell
            continue
        if held is not None:
            inner += 1
            _keep(drawn, held, inner, room, random)
        held = cell
    assert first is not None
    random.shuffle(drawn)
    ends = (first,) if held is None else (first, held)
    return DrawnCells(ends, tuple(drawn), count, rows)


def _keep(drawn: list[Cell], cell: Cell, seen: int, room: int, random: Random) -> None:
    """Reservoir: after each cell, every one seen so far is in it with the same chance."""
    if len(drawn) < room:
        drawn.append(cell)
    elif room:
        place = random.randrange(seen)
        if place < room:
            drawn[place] = cell


def _cells(batches: Iterator[pa.RecordBatch]) -> Iterator[Cell]:
    """All cells in order; at least one."""
    waiting: list[pa.RecordBatch] = []
    waiting_rows = number = 0
    low = ""
    for batch in batches:
        waiting.append(batch)
        waiting_rows += batch.num_rows
        # one row stays back, so that the last cell is known to be the last
        while waiting_rows > CELL_ROWS:
            whole = _join(waiting)
            rows = whole.slice(0, CELL_ROWS)
            high = str(rows.column("key")[-1].as_py())
            yield Cell(number, low, high, rows)
            number, low = number + 1, high
            waiting, waiting_rows = [whole.slice(CELL_ROWS)], waiting_rows - CELL_ROWS
    yield Cell(number, low, None, _join(waiting))


def _join(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    if len(batches) == 1:
        return batches[0]
    table = pa.Table.from_batches(batches, SIDE_ROW).combine_chunks()
    found = table.to_batches()
    return found[0] if found else pa.RecordBatch.from_pylist([], SIDE_ROW)
