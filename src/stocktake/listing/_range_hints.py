"""What is known of a key space before it is listed: keys that cut it into about equal cells."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

_DRIFT = 0.03
_FILLED = 0.9
_FILLED_LEAST = 0.8
_PAGES_MAX = 8


class Hints:
    """Sorted keys that cut what was last known into cells of about the same number of rows.

    How many rows a cell really has now is learned while it is listed: hints that are old, or of
    another bucket, cost calls but never objects.
    """

    def __init__(
        self,
        keys: Sequence[str],
        rows_expected: int | None,
        *,
        page_rows: int,
        workers: int,
        prefix: str = "",
    ) -> None:
        inside = sorted({key for key in keys if key.startswith(prefix)})
        self.keys: tuple[str, ...] = tuple(inside)
        self._cell_rows = rows_expected / (len(keys) + 1) if rows_expected else float(page_rows)
        self.rows_expected = self._cell_rows * (len(inside) + 1)
        self._page_rows = page_rows
        self._workers = workers
        self._expected = 0.0
        self._found = 0.0

    def count(self, after: str, through: str | None) -> int:
        """How many cuts lie strictly between two keys."""
        if not self.keys:
            return 0
        stop = len(self.keys) if through is None else bisect_left(self.keys, through)
        return max(0, stop - bisect_right(self.keys, after))

    def cut(self, after: str, cells: int) -> str:
        """The key that ends that many cells behind a key."""
        return self.keys[bisect_right(self.keys, after) + cells - 1]

    def rows(self, cells: float) -> float:
        """How many rows that many cells are expected to have."""
        return cells * self._cell_rows * self._ratio

    def learn(self, cells: int, rows: int) -> None:
        """So many rows were found in so many cells."""
        self._expected += cells * self._cell_rows
        self._found += rows

    def cells_of_range(self, cells_left: int) -> int:
        """How many cells a range should have: whole pages, well filled, and enough for everybody.

        The share of a page that a range leaves empty at its end is the price of listing it apart;
        towards the end ranges get shorter, so that all workers finish together.
        """
        cell_pages = max(self.rows(1) / self._page_rows, 1e-6)
        share = cells_left * cell_pages / (2 * self._workers)
        best, best_filled = 1, 0.0
        for pages in range(1, _PAGES_MAX + 1):
            if pages > share and best_filled >= _FILLED_LEAST:
                break
            cells = max(1, int(pages / (cell_pages * (1 + _DRIFT))))
            filled = cells * cell_pages / math.ceil(cells * cell_pages * (1 + _DRIFT))
            if filled > best_filled + 0.005:
                best, best_filled = cells, filled
            if filled >= _FILLED:
                break
        return min(best, cells_left)

    @property
    def _ratio(self) -> float:
        prior = 20 * self._page_rows
        return (self._found + prior) / (self._expected + prior)
