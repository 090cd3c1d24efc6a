"""Where answers go: tables or one JSON document on stdout, everything else on stderr.

The JSON contract: one document per command; rows of a long answer stand one per line and are
written as they come; integers beyond 2**53 - 1 are decimal strings, so that no reader rounds them
silently; times are ISO 8601 UTC; unknown is null; everything outside ASCII is escaped. A failure is
`{"error": {code, message, hint, retryable, attrs}}`, in the same document if it had been begun.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, TextIO

from stocktake.cli._text import cell_width, shorten
from stocktake.clock import format_utc
from stocktake.errors import StocktakeError

JSON_SAFE_INT = 2**53 - 1
_WIDTH_DEFAULT = 80
_TABLE_CHUNK_ROWS = 1000
_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


def portable(value: Any) -> Any:
    """The value as JSON can carry it to any reader without loss."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return value if abs(value) <= JSON_SAFE_INT else str(value)
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    if isinstance(value, datetime):
        return format_utc(value if value.tzinfo else value.replace(tzinfo=UTC))
    if isinstance(value, Mapping):
        return {str(key): portable(item) for key, item in value.items()}
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, date | Decimal):
        return str(value)
    if isinstance(value, Iterable):
        return [portable(item) for item in value]
    return str(value)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table. `flexible` columns are shortened on a narrow terminal."""

    title: str
    right: bool = False
    flexible: bool = False


class Output:
    """The two streams of one run and how to write to them."""

    def __init__(self, stdout: TextIO | None = None, stderr: TextIO | None = None) -> None:
        self.stdout = stdout or sys.stdout
        self.stderr = stderr or sys.stderr
        self.json = False
        self.quiet = False
        self.verbose = False
        self.no_color = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
        self._open_rows = False

    @property
    def width(self) -> int | None:
        """Columns of the terminal that shows stdout; None if it is not one: nothing is cut."""
        if not self.stdout.isatty():
            return None
        return shutil.get_terminal_size((_WIDTH_DEFAULT, 24)).columns

    @property
    def is_live(self) -> bool:
        """True if somebody watches stderr on a terminal."""
        return self.stderr.isatty() and os.environ.get("TERM") != "dumb"

    def styled(self, text: str, style: str, stream: TextIO | None = None) -> str:
        """The text in a style, if the stream is a terminal that wants it."""
        if self.no_color or not (stream or self.stdout).isatty():
            return text
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m"

    # --- stdout ---

    def line(self, text: str = "") -> None:
        """One line of the answer for people."""
        self.stdout.write(_encodable(text, self.stdout) + "\n")

    def table(self, columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> int:
        """A table for people; returns the rows written. Memory is bounded: widths are per chunk."""
        total = 0
        widths = [cell_width(column.title) for column in columns]
        for chunk in _chunks(rows, _TABLE_CHUNK_ROWS):
            for index in range(len(columns)):
                widths[index] = max(widths[index], *(cell_width(row[index]) for row in chunk))
            fitted = self._fit(columns, widths)
            if total == 0:
                titles = [column.title for column in columns]
                self.line(self.styled(_row_text(columns, fitted, titles), "dim"))
            for row in chunk:
                self.line(_row_text(columns, fitted, row))
            total += len(chunk)
        return total

    def _fit(self, columns: Sequence[Column], widths: list[int]) -> list[int]:
        """The widths, with the flexible columns narrowed to what the terminal has left."""
        if self.width is None:
            return widths
        over = sum(widths) + 2 * (len(widths) - 1) - self.width
        fitted = list(widths)
        for index in sorted(range(len(columns)), key=lambda i: -widths[i]):
            if over > 0 and columns[index].flexible:
                cut = min(over, max(0, fitted[index] - 12))
                fitted[index] -= cut
                over -= cut
        return fitted

    def document(self, value: Mapping[str, Any]) -> None:
        """The whole answer as JSON."""
        self.stdout.write(json.dumps(portable(value), indent=2) + "\n")

    def rows_document(
        self,
        head: Mapping[str, Any],
        rows: Iterable[Mapping[str, Any]],
        name: str = "rows",
        tail: Callable[[], Mapping[str, Any]] | None = None,
    ) -> int:
        """An answer of any length as one JSON document, a row per line; returns the rows.

        `tail` is asked for further members when the rows have ended.
        """
        opening = json.dumps(portable(head), indent=2).removesuffix("}").rstrip()
        comma = "," if head else ""
        self.stdout.write(f'{opening}{comma}\n  "{name}": [')
        self._open_rows = True
        total = 0
        for row in rows:
            self.stdout.write(("," if total else "") + "\n    " + json.dumps(portable(row)))
            total += 1
        self._open_rows = False
        self.stdout.write("\n  ]" if total else "]")
        for key, value in (tail() if tail else {}).items():
            self.stdout.write(f',\n  "{key}": {json.dumps(portable(value))}')
        self.stdout.write("\n}\n")
        return total

    # --- stderr ---

    def note(self, text: str) -> None:
        """A line beside the answer: source and age, what was left out, what to do next."""
        if not self.quiet:
            self._say(self.styled(text, "dim", self.stderr))

    def warn(self, text: str) -> None:
        """A line about something that may surprise."""
        self._say(self.styled("warning", "yellow", self.stderr) + ": " + text)

    def detail(self, text: str) -> None:
        """A line for `--verbose` only."""
        if self.verbose:
            self._say(self.styled(text, "dim", self.stderr))

    def error(self, error: StocktakeError) -> None:
        """The failure: JSON on stdout if asked for, else message and hint on stderr."""
        if self.verbose and error.code != "usage":
            self._say("".join(traceback.format_exception(error)).rstrip())
        if self.json:
            self._error_document(error)
            return
        self._say(self.styled("error", "red", self.stderr) + ": " + error.message)
        if error.hint:
            self._say("")
            self._say(self.styled("hint", "cyan", self.stderr) + ": " + error.hint)

    def _error_document(self, error: StocktakeError) -> None:
        document = json.dumps({"error": portable(error.to_dict())}, indent=2)
        if self._open_rows:  # the document was begun: end it so that it still parses
            self._open_rows = False
            document = "\n  ]," + document.removeprefix("{")
        self.stdout.write(document + "\n")

    def flush(self) -> None:
        """Write out what is buffered; a reader that has gone does not matter any more."""
        for stream in (self.stdout, self.stderr):
            with contextlib.suppress(OSError):
                stream.flush()

    def restore_terminal(self) -> None:
        """Show the cursor again, which a bar hides while it moves."""
        if self.is_live:
            self.stderr.write("\n\x1b[?25h")

    def _say(self, text: str) -> None:
        self.stdout.flush()
        self.stderr.write(_encodable(text, self.stderr) + "\n")
        self.stderr.flush()


def _encodable(text: str, stream: TextIO) -> str:
    """The text with what the stream cannot say escaped (ASCII locales, lone surrogates)."""
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _row_text(columns: Sequence[Column], widths: Sequence[int], row: Sequence[str]) -> str:
    cells = []
    for index, column in enumerate(columns):
        width = widths[index]
        text = shorten(row[index], width) if column.flexible else row[index]
        padding = " " * (width - cell_width(text))
        cells.append(padding + text if column.right else text + padding)
    return "  ".join(cells).rstrip()


def _chunks(rows: Iterable[Sequence[str]], rows_max: int) -> Iterator[list[Sequence[str]]]:
    chunk: list[Sequence[str]] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == rows_max:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
