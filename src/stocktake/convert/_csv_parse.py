"""Blocks of records to Arrow tables; the parser never sees half a record."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv

from stocktake.convert._csv_blocks import WIDE_COLUMNS, Block
from stocktake.convert._csv_records import Dialect
from stocktake.errors import BadRowError, ConvertError

_BLOCK_BYTES = (1 << 31) - 1
"""Larger than any block: a block is parsed in one go."""
_MARK = b"\xef\xbb\xbf"
_WHERE = re.compile(r"In CSV column #(\d+): Row #(\d+): (?:CSV conversion error to )?(.*)", re.S)


@dataclass(frozen=True, slots=True)
class Parsed:
    """A block as a table.

    Attributes:
        table: The columns asked for.
        rejected: Rows of another width, as {"row", "line", "reason"}.
        rejected_places: Their places in the block.
    """

    table: pa.Table
    rejected: tuple[Mapping[str, Any], ...]
    rejected_places: tuple[int, ...]

    @property
    def records(self) -> int:
        """Records of the block, rejected ones too."""
        return int(self.table.num_rows) + len(self.rejected)


@dataclass(frozen=True, slots=True)
class _Misfit:
    place: int
    expected: int
    actual: int


class _Aside:
    """Takes rows of another width. Not the parser itself: Arrow would keep it alive for ever."""

    def __init__(self) -> None:
        self.misfits: list[_Misfit] = []
        self.allowed = 0

    def take(self, row: pacsv.InvalidRow) -> str:
        """Put one aside, or stop."""
        self.misfits.append(_Misfit(row.number - 1, row.expected_columns, row.actual_columns))
        return "skip" if len(self.misfits) <= self.allowed else "error"


class BlockParser:
    """Parses blocks of one file.

    An unquoted empty field is null, a quoted one is an empty text, an empty line is a row of nulls.
    Encoding is not checked here.
    """

    def __init__(self, name: str, names: Sequence[str], dialect: Dialect) -> None:
        self._name = name
        self._names = list(names)
        self._dialect = dialect
        self._read_options = pacsv.ReadOptions(
            use_threads=False, block_size=_BLOCK_BYTES, column_names=self._names
        )
        self._aside = _Aside()
        self._parse_options = pacsv.ParseOptions(
            delimiter=dialect.delimiter,
            quote_char='"' if dialect.quoting else False,
            double_quote=True,
            newlines_in_values=True,
            ignore_empty_lines=False,
            invalid_row_handler=self._aside.take,
        )
        self._convert_options = self._options({}, None)

    def want(self, types: Mapping[str, pa.DataType], *, only: Sequence[str] | None = None) -> None:
        """Columns and their types from the next block on; those without one are text."""
        self._convert_options = self._options(types, only)

    def parse(self, block: Block, *, rejects_max: int) -> Parsed:
        """One block.

        Raises:
            BadRowError: More rows than allowed are of another width, or a value is not of the type
                that was asked for.
        """
        if len(self._names) >= WIDE_COLUMNS:
            pa.default_memory_pool().release_unused()
        self._aside.misfits, self._aside.allowed = [], rejects_max
        try:
            table = pacsv.read_csv(
                pa.BufferReader(_guarded(block.data, block.cut.end)),
                self._read_options,
                self._parse_options,
                self._convert_options,
            )
        except pa.ArrowInvalid as error:
            raise self._explained(error, block) from error
        return Parsed(
            table,
            tuple(self._rejection(one, block) for one in self._aside.misfits),
            tuple(one.place for one in self._aside.misfits),
        )

    def _options(
        self, types: Mapping[str, pa.DataType], only: Sequence[str] | None
    ) -> pacsv.ConvertOptions:
        wanted = self._names if only is None else only
        return pacsv.ConvertOptions(
            check_utf8=False,
            column_types={name: types.get(name, pa.string()) for name in wanted},
            include_columns=list(wanted),
            null_values=[""],
            true_values=["true", "True", "TRUE"],
            false_values=["false", "False", "FALSE"],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            decimal_point=".",
        )

    def _rejection(self, one: _Misfit, block: Block) -> dict[str, Any]:
        return {
            "row": block.first_row + one.place,
            "line": block.line_of(one.place),
            "reason": f"{one.actual} fields, not {one.expected}",
        }

    def _explained(self, error: pa.ArrowInvalid, block: Block) -> ConvertError:
        if len(self._aside.misfits) > self._aside.allowed:
            one = self._aside.misfits[-1]
            row, line = block.first_row + one.place, block.line_of(one.place)
            return BadRowError(
                f"{self._name}: row {row} (line {line}) has {one.actual} fields,"
                f" not {one.expected}",
                hint="--bad-rows reject:N puts up to N such rows aside",
                row=row,
                line=line,
                expected=one.expected,
                actual=one.actual,
            )
        text = str(error)
        found = _WHERE.match(text)
        if found:
            place = int(found[2]) - 1
            row, line = block.first_row + place, block.line_of(place)
            column = self._names[int(found[1])]
            return BadRowError(
                f"{self._name}: row {row} (line {line}), column {column!r}: {found[3][:120]}",
                hint="leave the column out of the schema, or make its type wider",
                row=row,
                line=line,
            )
        return ConvertError(f"{self._name}: {text[:200]}")


def _guarded(data: bytes, end: int) -> pa.Buffer:
    """What the parser is to read, so that it changes nothing at either edge.

    In front it drops a byte order mark, even in mid-file. At the end, without a line end, it takes
    an empty field for a quoted one if the field before it was quoted.
    """
    front = _MARK if data.startswith(_MARK) else b""
    back = b"" if data[end - 1] in b"\r\n" else b"\n"
    if front or back:
        return pa.py_buffer(b"".join((front, memoryview(data)[:end], back)))
    return pa.py_buffer(data).slice(0, end)
