"""Answers that come in pages, as one stream of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from stocktake.catalog import PAGE_ROWS_MAX, Page, PageRequest
from stocktake.cli._output import Output
from stocktake.cli._text import count_text


class Pages:
    """The rows of a query, page after page, up to a limit. One page is in memory.

    The first page is fetched at once, so that a question that cannot be asked fails before anything
    of the answer is written.
    """

    def __init__(
        self, fetch: Callable[[PageRequest], Page], limit: int, cursor: str | None = None
    ) -> None:
        self._fetch = fetch
        self._left = limit
        self._limit = limit
        self._page = fetch(PageRequest(min(limit, PAGE_ROWS_MAX), cursor))
        self.attrs = self._page.attrs

    def rows(self) -> Iterator[dict[str, Any]]:
        """Every row, once."""
        while True:
            yield from self._page.rows.to_pylist()
            self._left -= self._page.rows.num_rows
            if self._page.next_cursor is None or self._left <= 0:
                return
            request = PageRequest(min(self._left, PAGE_ROWS_MAX), self._page.next_cursor)
            self._page = self._fetch(request)

    def tail(self) -> dict[str, Any]:
        """What follows the rows in JSON."""
        return {"next": self._page.next_cursor}

    def say_more(self, out: Output) -> None:
        """A line if there is more than the limit."""
        if self._page.next_cursor is not None:
            out.note(f"the first {count_text(self._limit)}; --limit shows more")
