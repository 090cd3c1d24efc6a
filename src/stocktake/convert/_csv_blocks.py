"""Pieces of text to blocks of whole records, with the numbers of their rows and lines."""

from __future__ import annotations

from dataclasses import dataclass

from stocktake.convert._csv_records import (
    Cut,
    Dialect,
    MisquotedError,
    count_lines,
    cut_records,
    record_ends,
    records_before,
)
from stocktake.errors import BadRowError, ConvertLimitError, TextEncodingError

_RECORD_FIELDS = 2
"""A record may be as long as so many of the longest fields."""
WIDE_COLUMNS = 500
"""From here on a column costs more than its values, and every text column leaves a hole in memory,
because the parser first reserves a whole block for it."""
_WIDE_BLOCK_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Block:
    """Whole records.

    Attributes:
        data: Begins with the records; what is behind `cut.end` belongs to the next block.
        cut: Where they end, and the quotes.
        first_row: Number of the first one in the file; the header is row 1.
        first_line: The line it begins in.
    """

    data: bytes
    cut: Cut
    first_row: int
    first_line: int

    def line_of(self, place: int) -> int:
        """The line in which a record begins, by its place in the block."""
        start = int(record_ends(self.data, self.cut)[place - 1]) if place else 0
        return self.first_line + count_lines(self.data, start)

    def find(self, position: int) -> tuple[int, int]:
        """Row and line of a byte."""
        before = records_before(self.data, Cut(position, self.cut.opens, self.cut.closes))
        return self.first_row + before, self.first_line + count_lines(self.data, position)


class RecordBlocks:
    """Cuts text between records. Memory: a piece and a record.

    Attributes:
        name: Of the source, for messages.
        row: Number of the next block's first record.
        line: The line it begins in.
    """

    def __init__(self, name: str, dialect: Dialect, *, line: int, field_bytes_max: int) -> None:
        self.name = name
        self.dialect = dialect
        self.row = 1
        self.line = line
        self._pieces: list[bytes] = []
        self._waiting_bytes = 0
        self._wanted_bytes = 0
        self._bytes_min = 0
        self._field_bytes_max = field_bytes_max

    def like_this(self, dialect: Dialect) -> RecordBlocks:
        """Another one at the same place of the text, with another dialect."""
        other = RecordBlocks(
            self.name, dialect, line=self.line, field_bytes_max=self._field_bytes_max
        )
        other.row, other._bytes_min = self.row, self._bytes_min
        other._pieces, other._waiting_bytes = list(self._pieces), self._waiting_bytes
        other._wanted_bytes = self._wanted_bytes
        return other

    def expect(self, columns: int) -> None:
        """A table of so many columns: blocks get larger if they are very many."""
        self._bytes_min = _WIDE_BLOCK_BYTES if columns >= WIDE_COLUMNS else 0

    def feed(self, piece: bytes, *, final: bool) -> Block | None:
        """The records that are whole with this piece; None: not one is.

        Raises:
            BadRowError: Quotes are wrong; row and line say where.
            ConvertLimitError: A field or record is longer than allowed.
        """
        self._pieces.append(piece)
        self._waiting_bytes += len(piece)
        if not final and self._waiting_bytes < self._wanted_bytes:
            return None
        data = self._take_waiting()
        if not data:
            return None
        try:
            cut = cut_records(data, self.dialect, final=final)
        except MisquotedError as error:
            block = Block(data, error.before, self.row, self.line)
            row, line = block.find(error.before.end)
            raise BadRowError(
                f"{self.name}: row {row} (line {line}): {error.reason}", row=row, line=line
            ) from error
        self._check_length(data, cut)
        self._keep(data[cut.end :])
        if cut.end:
            return Block(data, cut, self.row, self.line)
        self._wanted_bytes = 2 * len(data)  # or a long record would be looked through too often
        return None

    def _take_waiting(self) -> bytes:
        data = b"".join(self._pieces)
        self._keep(b"")
        return data

    def _keep(self, tail: bytes) -> None:
        self._pieces = [tail] if tail else []
        self._waiting_bytes = len(tail)
        self._wanted_bytes = self._bytes_min

    def split_first(self, block: Block) -> bytes:
        """The first record of a block without its line end; the others are cut anew."""
        end = int(record_ends(block.data, block.cut)[0])
        record = block.data[:end]
        self._keep(block.data[end:])
        self.row += 1
        self.line += count_lines(record, end)
        return record.rstrip(b"\r\n") if not record.endswith(b'"') else record

    def passed(self, records: int, block: Block) -> None:
        """These are all records of the last block; it is done with."""
        self.row += records
        if len(block.cut.opens):
            self.line += count_lines(block.data, block.cut.end)
        else:  # without quotes a record is a line
            self.line += records

    def bad_text(self, reason: str) -> TextEncodingError:
        """The error for bytes right behind everything that was fed."""
        row, line = self.row, self.line
        tail = self._take_waiting()
        if tail:
            try:
                cut = cut_records(tail, self.dialect, final=False)
            except MisquotedError as error:
                cut = error.before
            row, line = Block(tail, cut, row, line).find(len(tail))
        return bad_text(self.name, row, line, reason)

    def _check_length(self, data: bytes, cut: Cut) -> None:
        rest = len(data) - cut.end
        if rest <= self._field_bytes_max:
            return
        block = Block(data, cut, self.row, self.line)
        opened = cut.open_at
        if opened is not None and len(data) - opened > self._field_bytes_max:
            row, line = block.find(opened)
            raise ConvertLimitError(
                f"{self.name}: row {row} (line {line}): a quoted field is longer than"
                f" {self._field_bytes_max} bytes",
                hint="is a quote missing there? --field-bytes-max allows longer fields",
                row=row,
                line=line,
            )
        if rest > _RECORD_FIELDS * self._field_bytes_max:
            row, line = block.find(cut.end)
            raise ConvertLimitError(
                f"{self.name}: row {row} (line {line}) is longer than"
                f" {_RECORD_FIELDS * self._field_bytes_max} bytes",
                hint="is it a table at all?",
                row=row,
                line=line,
            )


def bad_text(name: str, row: int, line: int, reason: str) -> TextEncodingError:
    """The error for bytes that are no text."""
    return TextEncodingError(f"{name}: row {row} (line {line}): {reason}", row=row, line=line)
