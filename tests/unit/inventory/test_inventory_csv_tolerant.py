"""The patient parse: broken quoting and odd bytes cost their own rows, not their neighbours."""

from __future__ import annotations

import pytest

from stocktake.inventory._csv_rows import last_row_end, read_row
from stocktake.inventory._csv_tolerant import parse_tolerant, rows_refused
from stocktake.inventory._layout import CsvLayout

LAYOUT = CsvLayout.of(["Bucket", "Key", "Size"], bucket="src", part_name="p")


def parse(text: bytes) -> tuple[list[bytes], list[str]]:
    columns, bad = parse_tolerant(text, LAYOUT)
    return columns["key"].to_pylist(), [reason for _, reason in bad]


def test_open_quote_costs_one_line() -> None:
    """INV-7: the rows behind it are found again."""
    keys, bad = parse(b'"src","a","1"\n"src","b\n"src","c","3"\n"src","d","4')
    assert keys == [b"a", b"c"]
    assert bad == ["4 fields instead of 3", "a quote is open"]


def test_open_quote_in_text_that_is_not_utf8_costs_one_line() -> None:
    keys, bad = parse(b'"src","a\xff","1"\nshort\xff\n"src","b\n"src","c\nd","3"\n"src","e","5')
    assert keys == [b"a\xff", b"c\nd"]
    assert bad == ["1 fields instead of 3", "4 fields instead of 3", "a quote is open"]


def test_carriage_returns_end_broken_rows_too() -> None:
    keys, bad = parse(b'\xff"x\rshort\rsrc,a,1\r\n\r\nsrc,"b')
    assert keys == [b"a"]
    assert len(bad) == 3


def test_wide_row_over_two_lines_is_one_bad_row() -> None:
    keys, bad = parse(b'\xff,"a\nb","c","d"\nsrc,e,1\n')
    assert keys == [b"e"]
    assert bad == ["4 fields instead of 3"]


def test_open_quote_before_a_sea_of_lines_is_given_up_soon() -> None:
    """Each line is searched for its quote within 64 KiB, not to the end of the block."""
    text = b'\xff"\n' + b'src,"k\n' * 3000 + b"src,last,1\n"
    keys, bad = parse(text)
    assert b"last" in keys
    assert len(bad) >= 1


def test_closing_quote_taken_for_an_opening_one_does_not_swallow_rows() -> None:
    """INV-7: searching line by line can start inside quotes."""
    keys, bad = parse(b'"\n"x\xff\nsrc,a,1\nsrc,b\nc"\n')
    assert keys == [b"a"]
    assert len(bad) == 4


def test_empty_lines_among_broken_rows_are_no_rows() -> None:
    layout = CsvLayout.of(["Key"], bucket="src", part_name="p")
    columns, bad = parse_tolerant(b"\xff,wide\n\n\r\n\rk\n\n", layout)
    assert columns["key"].to_pylist() == [b"k"]
    assert len(bad) == 1


def test_row_beyond_the_reach_of_the_search_is_bad_not_cut_short() -> None:
    long = b"k" * 70_000
    keys, bad = parse(b'\xff"x\nsrc,b,' + long + b"\nsrc,c,3\n")
    assert keys == [b"c"]
    assert len(bad) == 2


def test_empty_text_gives_empty_columns() -> None:
    columns, bad = parse_tolerant(b"short\n", LAYOUT)
    assert {name: len(column) for name, column in columns.items()} == {"key": 0, "size_bytes": 0}
    assert len(bad) == 1


def test_refusing_needs_text_that_can_be_shown() -> None:
    """pyarrow fails to hand over a row that is not UTF-8, and says so on stderr."""
    assert rows_refused(b"a\xff", []) is None
    assert rows_refused("é".encode(), []) is not None


@pytest.mark.parametrize(
    ("text", "end"),
    [
        (b"", 0),
        (b"a,b", 0),
        (b"\n", 1),
        (b"\r\n", 2),
        (b"a\nb", 2),
        (b'"a"\nb', 4),
        (b'"a\n', 0),
        (b'"a\nb"\nc', 6),
        (b'"a""\n', 0),
        (b'"a"""\n', 6),
        (b'"",""\n', 6),
        (b'",""\n', 0),
        (b'x,""\n', 5),
        (b'"\n', 0),
        (b'""\n', 3),
        (b'a"b\nc"d\ne', 8),
        (b'a"b\nc,d\n', 8),
        (b'"a"b"\n', 6),
        (b'k\r"\n', 2),
        (b'k,"5"\r\n"l', 7),
        (b'a\n"b\n"\n"c\n', 7),
    ],
)
def test_last_row_end_reads_quotes_as_the_parser_does(text, end) -> None:
    assert last_row_end(text) == end


@pytest.mark.parametrize(
    ("text", "fields", "end", "odd"),
    [
        (b"a,b\nc", [b"a", b"b"], 4, False),
        (b'"a""b",c\r\n', [b'a"b', b"c"], 10, False),
        (b'"a\nb",\r', [b"a\nb", b""], 7, False),
        (b",", [b"", b""], 1, False),
        (b'a"b', [b'a"b'], 3, True),
        (b'"a"b"c', [b'ab"c'], 6, True),
    ],
)
def test_row_is_split_as_the_parser_does(text, fields, end, odd) -> None:
    row = read_row(text, 0, len(text))
    assert row is not None
    assert (row.fields, row.end, row.odd_quotes) == (fields, end, odd)


def test_row_that_does_not_end_in_reach_is_none() -> None:
    assert read_row(b'"a', 0, 2) is None
    assert read_row(b"abc\n", 0, 2) is None
