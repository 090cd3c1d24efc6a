"""SHP-20, SHP-21: whatever was written as CSV comes out of the Parquet file, cell by cell."""

from __future__ import annotations

import io
from dataclasses import dataclass
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from stocktake.convert import ConvertOptions, TableKind, plan_conversion, write_parquet
from stocktake.convert import _csv_text as csv_text
from stocktake.convert._lattice import ColumnLattice
from stocktake.convert._lattice_numbers import number_candidates
from stocktake.convert._lattice_times import time_candidates
from stocktake.convert._text_block import TextBlock
from stocktake.convert._typed_text import to_text, to_typed

Cell = str | None

_NUMBERS = """0 -0 00 1 -1 +1 007 1.0 1.50 0.1 -0.0 -0.00 .5 5. 1e5 1E-3 0x1F 1_000 nan NaN inf - --
1-1 9223372036854775807 9223372036854775808 -9223372036854775808 -9223372036854775809
18446744073709551615 18446744073709551616 99999999999999999999999999999999999999
100000000000000000000000000000000000000 0.30000000000000004 0.1234567890123456789 123456789012345.6
9007199254740993 1234567890123456.7"""
_WORDS = """NA NULL null true false True FALSE yes 2024-02-29 2023-02-29 2024-13-01 12:30:00
12:30:00.5 24:00:00 2024-01-01T00:00:00Z 2024-01-01T00:00:00.123456789 2024-01-01T23:59:60Z é
2024-01-01T00:00:00+02:00 2024-01-01T00:00:00-00:00"""
_ODD = [
    "2024-01-01 00:00:00",
    "2024-01-01 00:00",
    " 1",
    "1 ",
    "\u0663",
    "\uff11",
    "\ufeff",
    "\ufeff1",
]
_TRICKY = st.sampled_from([*_NUMBERS.split(), *_WORDS.split(), *_ODD, "\x00"])
_FREE = st.text(st.characters(codec="utf-8") | st.sampled_from('",;\t|\r\n\\ab01.-'), max_size=8)
_SAME_KIND = st.one_of(
    st.integers(-(10**20), 10**20).map(str),
    st.integers(-(10**40), 10**40).map(str),
    st.decimals(-(10**6), 10**6, places=2, allow_nan=False).map(lambda x: format(x, "f")),
    st.floats(allow_nan=False, allow_infinity=False, width=64).map(repr),
    st.floats(-1e6, 1e6).map(repr),
    st.dates().map(str),
    st.datetimes().map(str),
    st.datetimes().map(lambda x: x.isoformat("T", "milliseconds") + "Z"),
    st.datetimes().map(lambda x: x.isoformat(" ", "seconds") + "-05:30"),
    st.times().map(lambda x: x.isoformat("seconds")),
    st.booleans().map(lambda x: str(x).lower()),
)


@st.composite
def columns_of_texts(draw: st.DrawFn, rows: int) -> list[Cell]:
    """Columns that are nearly all of one kind, so that types are really chosen."""
    kinds = [_SAME_KIND, _FREE, _TRICKY]
    kind = draw(st.sampled_from(kinds))
    if kind is _SAME_KIND:
        kind = draw(st.sampled_from(_SAME_KIND.element_strategies))
    cells: list[Cell] = [draw(kind) for _ in range(rows)]
    for place in draw(st.lists(st.integers(0, max(0, rows - 1)), max_size=2)):
        if rows:
            cells[place] = draw(st.one_of(st.none(), _TRICKY, st.just("")))
    return cells


@dataclass(frozen=True)
class Written:
    """A table and how it is written."""

    columns: list[list[Cell]]
    delimiter: str
    line_end: str
    quote_all: bool
    encoding: str
    last_end: bool

    @property
    def source(self) -> bytes:
        rows = [[f"c{n}" for n in range(len(self.columns))], *zip(*self.columns, strict=True)]
        lines = [self.delimiter.join(self._cell(one) for one in row) for row in rows]
        text = self.line_end.join(lines)
        if self.last_end or len(self.columns) == 1:
            text += self.line_end
        return text.encode(self.encoding)

    def _cell(self, cell: Cell) -> str:
        if cell is None:
            return ""
        special = any(one in cell for one in (self.delimiter, '"', "\r", "\n"))
        if self.quote_all or special or not cell:
            return '"' + cell.replace('"', '""') + '"'
        return cell


@st.composite
def tables(draw: st.DrawFn) -> Written:
    rows = draw(st.integers(0, 8))
    columns = draw(st.lists(columns_of_texts(rows), min_size=1, max_size=4))
    return Written(
        columns,
        draw(st.sampled_from([",", ";", "\t", "|"])),
        draw(st.sampled_from(["\n", "\r\n", "\r"])),
        draw(st.booleans()),
        draw(st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "utf-16"])),
        draw(st.booleans()),
    )


def _convert(source: bytes, options: ConvertOptions) -> pa.Table:
    plan = plan_conversion(io.BytesIO(source), TableKind.CSV, options, name="t.csv")
    sink = io.BytesIO()
    result = write_parquet(plan, io.BytesIO(source), sink, options)
    assert result.rows == plan.rows
    assert result.size_bytes <= plan.bound_bytes
    return pq.read_table(io.BytesIO(sink.getvalue()))


def _texts(table: pa.Table) -> list[list[Cell]]:
    return [
        to_text(table.column(place), table.schema.field(place)).to_pylist()
        for place in range(table.num_columns)
    ]


@settings(max_examples=250, deadline=None)
@given(tables(), st.sampled_from(["auto", "strings"]))
def test_every_cell_comes_back_as_it_was_written(table: Written, types: str) -> None:
    options = ConvertOptions(delimiter=table.delimiter, types=types)
    assert _texts(_convert(table.source, options)) == table.columns


@settings(max_examples=120, deadline=None)
@given(tables(), st.integers(1, 40))
def test_where_blocks_are_cut_makes_no_difference(table: Written, piece_bytes: int) -> None:
    options = ConvertOptions(delimiter=table.delimiter)
    whole = _convert(table.source, options)
    with (
        patch.object(csv_text, "PIECE_BYTES", piece_bytes),
        patch.object(csv_text, "_DECODED_PIECE_BYTES", piece_bytes),
    ):
        parts = _convert(table.source, options)
    assert parts.schema.equals(whole.schema)
    assert parts.equals(whole)


_COLUMNS = st.integers(1, 8).flatmap(columns_of_texts)


@settings(max_examples=400, deadline=None)
@given(_COLUMNS)
def test_a_block_is_judged_as_its_values_one_by_one(cells: list[Cell]) -> None:
    texts = [cell for cell in cells if cell]
    if not texts:
        return
    for candidate in (*number_candidates(), *time_candidates()):
        block = TextBlock(pa.array(texts, pa.string()))
        if candidate.misfit(texts[0]) is not None:  # the first value fixes the format
            assert not candidate.admits(block)
            continue
        admitted = candidate.admits(block)
        assert admitted == all(candidate.misfit(text) is None for text in texts), candidate


@settings(max_examples=250, deadline=None)
@given(_COLUMNS, st.integers(1, 3))
def test_a_type_gives_every_text_back(cells: list[Cell], block_rows: int) -> None:
    lattice = ColumnLattice()
    array = pa.array(cells, pa.string())
    for start in range(0, len(cells), block_rows):
        lattice.add(array.slice(start, block_rows), 2 + start)
    decision = lattice.decide()
    typed = to_typed(array, decision.type)
    assert to_text(typed, decision.field("a")).to_pylist() == cells
