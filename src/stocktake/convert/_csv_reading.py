"""One way to read a table of text: its dialect, its encoding, and what its columns can be.

A file whose quotes or encoding are in doubt is read in several ways side by side, from the first
byte on that makes a difference; whichever way fails drops out.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from stocktake.convert._csv_blocks import Block, RecordBlocks, bad_text
from stocktake.convert._csv_names import column_names, looks_like_data, numbered_names
from stocktake.convert._csv_parse import BlockParser, Parsed
from stocktake.convert._csv_records import Dialect, split_record
from stocktake.convert._csv_text import BadTextError, Recoder, first_bad_byte, is_utf8
from stocktake.convert._lattice import ColumnLattice
from stocktake.convert._plan import ConvertOptions
from stocktake.errors import ConvertError, ConvertLimitError

_DISTINCT_SAMPLE_ROWS = 20_000
_DISTINCT_SHARE = 0.5


class CsvReading:
    """Reads pieces in one way and keeps what it learns. Memory: a block and the lattices.

    Attributes:
        dialect: As assumed.
        encoding: As assumed.
        header: Names as the file has them; None before the first record.
        names: Names of the columns.
        rows: Rows so far.
        rejected: Rows put aside.
        text_bytes: UTF-8 bytes of whole records so far.
        escaped: A quoted field held a quote.
        header_quoted: All names in the header stand in quotes.
    """

    def __init__(
        self,
        blocks: RecordBlocks,
        encoding: str,
        options: ConvertOptions,
        schema: Mapping[str, pa.DataType],
    ) -> None:
        self.encoding = encoding
        self.header: list[str] | None = None
        self.names: list[str] = []
        self.rows = 0
        self.rejected: list[Mapping[str, Any]] = []
        self.text_bytes = 0
        self.escaped = False
        self.header_quoted = False
        self.plain_columns: list[str] = []
        self.lattices: dict[str, ColumnLattice] = {}
        self._blocks = blocks
        self._options = options
        self._schema = schema
        self._recoder: Recoder | None = None
        self._parser: BlockParser | None = None
        self._wanted: tuple[str, ...] = ()

    @property
    def dialect(self) -> Dialect:
        """As assumed."""
        return self._blocks.dialect

    @property
    def row(self) -> int:
        """Number of the next row: how far it has come."""
        return self._blocks.row

    def otherwise(self, *, quoting: bool | None = None, encoding: str | None = None) -> CsvReading:
        """Another reading that has read the same text so far, in which there was no difference."""
        dialect = self.dialect
        if quoting is not None:
            dialect = Dialect(dialect.delimiter, quoting)
        other = copy.copy(self)
        other._blocks = self._blocks.like_this(dialect)
        other.lattices = copy.deepcopy(self.lattices)
        other.rejected, other.plain_columns = list(self.rejected), list(self.plain_columns)
        other._recoder = copy.deepcopy(self._recoder)
        if encoding is not None:
            other.encoding, other._recoder = encoding, Recoder(encoding)
        if self.names:
            other._parser = BlockParser(self._blocks.name, self.names, dialect)
            other._wanted = ()
        return other

    def feed(self, piece: bytes, *, final: bool = False) -> None:
        """Read on.

        Raises:
            ConvertError: Read in this way the file is no table.
        """
        if self._recoder:
            try:
                piece = self._recoder.recode(piece, final=final)
            except BadTextError as error:
                self._take(error.args[1], final=False)
                raise self._blocks.bad_text(error.args[0]) from error
        self._take(piece, final=final)

    def bad_text(self, reason: str) -> ConvertError:
        """The error for bytes behind what was fed."""
        return self._blocks.bad_text(reason)

    def _take(self, piece: bytes, *, final: bool) -> None:
        block = self._blocks.feed(piece, final=final)
        if block is None:
            return
        end = block.cut.end
        if not is_utf8(block.data, end):
            row, line = block.find(first_bad_byte(block.data))
            raise bad_text(self._blocks.name, row, line, "bytes that are not UTF-8")
        self.escaped |= block.cut.escaped
        if self.header is None:
            self._begin(block)
            if self._options.header:
                block = self._blocks.feed(b"", final=final)
        if block is not None:
            self._learn(block)

    def _begin(self, block: Block) -> None:
        if self._options.header:
            record = self._blocks.split_first(block)
            fields = split_record(record, self.dialect)
            self.header = [field.decode("utf-8") for field in fields]
            self.names = column_names(self.header)
            self.header_quoted = record.count(b'"') >= 2 * len(fields) and record[:1] == b'"'
        else:
            self.header = numbered_names(_width(block, self.dialect))
            self.names = self.header
        if len(self.names) > self._options.columns_max:
            raise ConvertLimitError(
                f"{self._blocks.name}: {len(self.names)} columns are more than"
                f" {self._options.columns_max}"
            )
        for name in self._schema:
            if name not in self.names:
                raise ConvertError(
                    f"{self._blocks.name}: the schema's column {name!r} is not there"
                )
        self._blocks.expect(len(self.names))
        self._parser = BlockParser(self._blocks.name, self.names, self.dialect)
        if self._options.types == "auto":
            free = [name for name in self.names if name not in self._schema]
            self.lattices = {name: ColumnLattice() for name in free}

    def _learn(self, block: Block) -> None:
        assert self._parser is not None
        left = self._options.bad_rows_max - len(self.rejected)
        open_names = [name for name, one in self.lattices.items() if one.open]
        wanted = (*self._schema, *open_names) or (self.names[0],)
        if block.cut.end > self._options.field_bytes_max:
            self._check_fields(block, left)
            self._wanted = ()
        if wanted != self._wanted:
            self._parser.want(self._schema, only=wanted)
            self._wanted = wanted
        parsed = self._parser.parse(block, rejects_max=left)
        if not self.rows:
            self._find_plain(parsed.table)
        for name in open_names:
            texts = parsed.table.column(name).combine_chunks()
            texts = texts.chunk(0) if isinstance(texts, pa.ChunkedArray) else texts
            self.lattices[name].add(texts, block.first_row, _numbering(block, parsed))
        self.rows += parsed.table.num_rows
        self.rejected += parsed.rejected
        self.text_bytes += block.cut.end
        self._blocks.passed(parsed.records, block)

    def _check_fields(self, block: Block, rejects_max: int) -> None:
        """Only a block with a very long record is long enough to get here."""
        assert self._parser is not None
        self._parser.want({})
        table = self._parser.parse(block, rejects_max=rejects_max).table
        for name in self.names:
            longest = pc.max(pc.binary_length(table.column(name))).as_py() or 0
            if longest > self._options.field_bytes_max:
                raise ConvertLimitError(
                    f"{self._blocks.name}: from row {block.first_row} on, column {name!r} has a"
                    f" field of {longest} bytes, more than {self._options.field_bytes_max}"
                )

    def _find_plain(self, table: pa.Table) -> None:
        """Columns whose values hardly repeat, going by the first rows: no dictionary for them."""
        front = table.slice(0, _DISTINCT_SAMPLE_ROWS)
        for name in front.column_names:
            distinct = pc.count_distinct(front.column(name)).as_py()
            if distinct > _DISTINCT_SHARE * front.num_rows > 100:
                self.plain_columns.append(name)

    def warnings(self) -> list[str]:
        """What a person should know about it."""
        found = []
        if self._options.header and looks_like_data(self.header or []):
            found.append("the header looks like data: --no-header keeps it as a row")
        if self.rejected:
            found.append(f"{len(self.rejected)} rows of another width were put aside")
        if self._recoder:
            found.append(f"not UTF-8: read as {self.encoding}")
        return found


def _width(block: Block, dialect: Dialect) -> int:
    shell = RecordBlocks("", dialect, line=1, field_bytes_max=len(block.data) + 1)
    return len(split_record(shell.split_first(block), dialect))


def _numbering(block: Block, parsed: Parsed) -> Any:
    """Number of a row by its place in the table, from which rejected rows are missing."""
    if not parsed.rejected_places:
        return None

    def number(place: int) -> int:
        for rejected in parsed.rejected_places:
            place += rejected <= place
        return block.first_row + place

    return number
