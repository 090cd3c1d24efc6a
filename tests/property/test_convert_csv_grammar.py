"""SHP-20, SHP-21: quotes, line ends and widths, against a reader that goes byte by byte."""

from __future__ import annotations

import io
from unittest.mock import patch

import pyarrow.parquet as pq
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from stocktake.convert import ConvertOptions, TableKind, plan_conversion, write_parquet
from stocktake.convert import _csv_text as csv_text
from stocktake.errors import BadRowError

Record = list[str | None]


class MalformedError(ValueError):
    """Not CSV."""


def read_strictly(text: str, delimiter: str = ",") -> list[Record]:
    """The records of a CSV text; an empty field without quotes is None."""
    records: list[Record] = []
    at = 0
    while at < len(text):
        record: Record = []
        while True:
            field, at = _field(text, at, delimiter)
            record.append(field)
            if at < len(text) and text[at] == delimiter:
                at += 1
                continue
            break
        at += 2 if text[at : at + 2] == "\r\n" else 1
        records.append(record)
    return records


def _field(text: str, at: int, delimiter: str) -> tuple[str | None, int]:
    ends = (delimiter, "\r", "\n")
    if text[at : at + 1] != '"':
        start = at
        while at < len(text) and text[at] not in ends:
            at += 1
        return text[start:at] or None, at
    value = ""
    at += 1
    while True:
        if at >= len(text):
            raise MalformedError
        if text[at] != '"':
            value += text[at]
        elif text[at + 1 : at + 2] == '"':
            value += '"'
            at += 1
        else:
            break
        at += 1
    at += 1
    if at < len(text) and text[at] not in ends:
        raise MalformedError
    return value, at


def expected(records: list[Record]) -> list[Record]:
    """Rows of one width; an empty line is a row of nulls."""
    width = len(records[0])
    rows = []
    for number, record in enumerate(records):
        if record == [None] and width > 1:
            rows.append([None] * width)
        elif len(record) != width:
            raise MalformedError(number)
        else:
            rows.append(record)
    return rows


def converted(text: str, piece_bytes: int) -> list[Record]:
    options = ConvertOptions(types="strings", delimiter=",", header=False)
    source = text.encode()
    with patch.object(csv_text, "PIECE_BYTES", piece_bytes):
        plan = plan_conversion(io.BytesIO(source), TableKind.CSV, options, name="t")
        sink = io.BytesIO()
        write_parquet(plan, io.BytesIO(source), sink, options)
    table = pq.read_table(io.BytesIO(sink.getvalue()))
    columns = [column.to_pylist() for column in table.columns]
    return [list(row) for row in zip(*columns, strict=True)]


_TEXT = st.lists(
    st.sampled_from(['"', '"', '""', ",", "\n", "\n", "\r\n", "\r", "a", "b,", '"c"', "é"]),
    min_size=1,
    max_size=14,
).map("".join)


@settings(max_examples=400)
@given(_TEXT, st.sampled_from([1, 2, 3, 5, 1 << 20]))
@example('a,b\n"",\n', 1)
@example('"a""', 2)
@example('a,"b\r', 3)
@example('x"y",1\n"p"', 4)
@example('"""\n""",a\r', 1)
def test_reading_is_that_of_a_strict_reader(text: str, piece_bytes: int) -> None:
    assume(not text.startswith("\ufeff"))
    try:
        rows = expected(read_strictly(text))
    except MalformedError:
        with pytest.raises(BadRowError):
            converted(text, piece_bytes)
        return
    assert converted(text, piece_bytes) == rows


_CELL = st.text(st.sampled_from("ab 1.-é'"), min_size=1, max_size=6)
_QUOTEY = st.text(st.sampled_from("\"ab '\\,"), min_size=1, max_size=5)
_OTHERS = st.sampled_from(",;|\t")


@settings(max_examples=100)
@given(
    st.integers(2, 4).flatmap(
        lambda width: st.lists(
            st.lists(_CELL, min_size=width, max_size=width), min_size=2, max_size=6
        )
    ),
    st.sampled_from(",;|\t"),
    st.data(),
)
def test_the_delimiter_is_found_among_others_in_the_text(
    rows: list[list[str]], delimiter: str, data: st.DataObject
) -> None:
    """Another one may stand in some cells of the rows, but not as regularly."""
    other = data.draw(_OTHERS.filter(lambda one: one != delimiter))
    row = data.draw(st.integers(1, len(rows) - 1))
    rows[row][data.draw(st.integers(0, len(rows[0]) - 1))] += other
    header = [f"name {number}" for number in range(len(rows[0]))]
    source = "\n".join(delimiter.join(row) for row in [header, *rows]).encode()
    plan = plan_conversion(io.BytesIO(source), TableKind.CSV, ConvertOptions(), name="t")
    assert plan.details["csv"]["delimiter"] == delimiter


@settings(max_examples=100)
@given(
    st.lists(
        st.lists(
            st.text(st.sampled_from("\"ab '\\,"), min_size=1, max_size=5), min_size=2, max_size=2
        ),
        max_size=6,
    )
)
def test_tsv_without_quoting_keeps_every_quote(rows: list[list[str]]) -> None:
    """One cell shows that quotes are text; then they are text everywhere."""
    rows = [*rows, ['"a" b', "c"]]
    source = "\n".join("\t".join(row) for row in [["x", "y"], *rows]).encode()
    options = ConvertOptions(types="strings")
    plan = plan_conversion(io.BytesIO(source), TableKind.TSV, options, name="t")
    sink = io.BytesIO()
    write_parquet(plan, io.BytesIO(source), sink, options)
    table = pq.read_table(io.BytesIO(sink.getvalue()))
    assert [list(row.values()) for row in table.to_pylist()] == rows
