"""A sample against everything that should be there: some cells exactly, all by estimate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil, inf

from stocktake.listing import Estimate, interval_of
from stocktake.reconcile._align import rows_through
from stocktake.reconcile._bounded_mean import bounded_mean
from stocktake.reconcile._cell_reader import CellReader, ReadCell
from stocktake.reconcile._cells import CELL_ROWS, DrawnCells, draw_cells
from stocktake.reconcile._compare import Comparer
from stocktake.reconcile._named_side import NamedSide
from stocktake.reconcile._report import SampleFigures
from stocktake.reconcile._request import HaveSpec
from stocktake.reconcile._tally import Tally

_PAGE_ROWS = 1_000
_CELLS_LEAST = 3
_EXTRA_CELLS_LEAST = 10


@dataclass(slots=True)
class _Draws:
    """What the cells held, each as a share of a full cell."""

    missing_low: list[float] = field(default_factory=list)
    missing_high: list[float] = field(default_factory=list)
    different_low: list[float] = field(default_factory=list)
    different_high: list[float] = field(default_factory=list)
    extra: list[float] = field(default_factory=list)
    cut_short: int = 0

    def add(self, tally: Tally, unread: int) -> None:
        """Add a cell; of `unread` names of SHOULD nobody knows whether they are there."""
        self.missing_low.append(tally.missing / CELL_ROWS)
        self.missing_high.append((tally.missing + unread) / CELL_ROWS)
        self.different_low.append(tally.different / CELL_ROWS)
        self.different_high.append((tally.different + unread) / CELL_ROWS)
        self.extra.append(float(tally.extra))
        self.cut_short += unread > 0


def compare_sample(
    should: NamedSide,
    have: NamedSide,
    reader: CellReader,
    comparer: Comparer,
    spec: HaveSpec,
    advance: Callable[[int], None],
) -> tuple[Tally, SampleFigures]:
    """Draw cells of SHOULD, compare HAVE in each, and estimate all the rest.

    `have` gives the reader's rows their shared names. Requests: one per cell, more where HAVE has
    more than a page there, at most 20.
    """
    cells = draw_cells(should.batches(), max(_CELLS_LEAST, spec.probes), spec.seed)
    everything = [*cells.ends, *cells.drawn]
    total = Tally()
    draws = {False: _Draws(), True: _Draws()}
    for number, one in enumerate(reader.read(everything)):
        tally, unread = _compare_cell(one, have, comparer)
        total.add(tally)
        draws[number < len(cells.ends)].add(tally, unread)
        advance(1)
    return total, _figures(cells, draws[True], draws[False], reader.calls, total, spec)


def _compare_cell(one: ReadCell, have: NamedSide, comparer: Comparer) -> tuple[Tally, int]:
    rows, unread = one.cell.rows, 0
    if one.read_through is not None:
        known = rows_through(rows.column("key"), one.read_through)
        unread = rows.num_rows - known
        rows = rows.slice(0, known)
    tally = comparer.compare((rows, have.shared_rows(one.rows)))
    return tally, unread


def _figures(
    cells: DrawnCells, ends: _Draws, inner: _Draws, calls: int, total: Tally, spec: HaveSpec
) -> SampleFigures:
    missing = _estimate(
        cells,
        (ends.missing_low, ends.missing_high),
        inner.missing_low,
        inner.missing_high,
        spec.confidence,
    )
    different = _estimate(
        cells,
        (ends.different_low, ends.different_high),
        inner.different_low,
        inner.different_high,
        spec.confidence,
    )
    extra = _extra(cells, ends, inner, spec.confidence)
    rows = cells.rows
    coverage = Estimate(
        *(_percent(rows, rows - one) for one in (missing.value, missing.high, missing.low))
    )
    in_all = max(0.0, rows - missing.value) + extra.value
    return SampleFigures(
        missing=missing,
        different=different,
        extra=extra,
        coverage_percent=coverage,
        confidence=spec.confidence,
        cells=cells.cells,
        cells_compared=len(cells.ends) + len(cells.drawn),
        objects_compared=total.should,
        calls=calls,
        calls_full=max(1, ceil(in_all / _PAGE_ROWS)),
        seed=spec.seed,
    )


def _estimate(
    cells: DrawnCells,
    ends: tuple[list[float], list[float]],
    low: list[float],
    high: list[float],
    confidence: float,
) -> Estimate:
    """Objects in all: what the two ends hold, and the mean of the drawn cells for each other."""
    scale = cells.inner * CELL_ROWS
    interval = bounded_mean(low, cells.inner, confidence)
    upper = interval[1] if high == low else bounded_mean(high, cells.inner, confidence)[1]
    least = interval[0] * scale + sum(ends[0]) * CELL_ROWS
    most = upper * scale + sum(ends[1]) * CELL_ROWS
    mean = sum(low) / len(low) if low else 0.0
    value = mean * scale + sum(ends[0]) * CELL_ROWS
    return Estimate(round(value, 3), round(least, 3), round(most, 3))


def _extra(cells: DrawnCells, ends: _Draws, inner: _Draws, confidence: float) -> Estimate:
    """Nothing bounds what a cell may hold, so few cells with any leave the upper end open."""
    known = sum(ends.extra)
    if inner.cut_short or ends.cut_short:
        value = known + sum(inner.extra) / max(1, len(inner.extra)) * cells.inner
        return Estimate(value, known + sum(inner.extra), inf)
    if len(inner.extra) == cells.inner:
        whole = known + sum(inner.extra)
        return Estimate(whole, whole, whole)
    found = interval_of(known, [one * cells.inner for one in inner.extra], confidence)
    least = max(found.low, known + sum(inner.extra))
    if sum(one > 0 for one in inner.extra) < _EXTRA_CELLS_LEAST:
        return Estimate(found.value, min(least, known + sum(inner.extra)), inf)
    return Estimate(found.value, least, found.high)


def _percent(whole: int, part: float) -> float:
    return round(100.0 * max(0.0, part) / whole, 4) if whole else 100.0
