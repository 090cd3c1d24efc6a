"""Objects as rows: Parquet, CSV, JSON lines, plain or gzipped; values are not guessed (ING-4)."""

from __future__ import annotations

import gzip
import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stocktake.errors import UnreadableItemError
from stocktake.ingest import CsvLook, CsvTypes, Reader
from stocktake.ingest.sinks import _formats
from stocktake.ingest.sinks._formats import parse_rows


def parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


TABLE = pa.table({"a": [1, 2], "b": ["x", None]})


@pytest.mark.parametrize(
    ("key", "data", "rows"),
    [
        ("d/x.parquet", parquet(TABLE), [{"a": 1, "b": "x"}, {"a": 2, "b": None}]),
        ("x.csv", b"a,b\n1,x\n", [{"a": "1", "b": "x"}]),
        ("x.CSV.GZ", gzip.compress(b"a,b\n1,x\n", mtime=0), [{"a": "1", "b": "x"}]),
        ("x.tsv", b"a\tb\n1\tx,y\n", [{"a": "1", "b": "x,y"}]),
        ("x.jsonl", b'{"a":1}\n{"a":2}', [{"a": 1}, {"a": 2}]),
        ("x.ndjson.gz", gzip.compress(b'{"a":1}\n', mtime=0), [{"a": 1}]),
        ("x.json", b'{"a":{"b":2}}', [{"a": {"b": 2}}]),
        # gzipped, and nothing in the name says so
        ("x.csv", gzip.compress(b"a\n1\n", mtime=0), [{"a": "1"}]),
        # two gzip members
        (
            "x.csv.gz",
            gzip.compress(b"a\n1\n", mtime=0) + gzip.compress(b"2\n", mtime=0),
            [{"a": "1"}, {"a": "2"}],
        ),
    ],
)
def test_format_by_ending(key: str, data: bytes, rows: list[dict[str, object]]) -> None:
    assert parse_rows(Reader.AUTO, key, data).to_pylist() == rows


def test_csv_fields_stay_as_they_stand() -> None:
    data = '\ufeffid,when,note\n007,2020-01-01,""\n1e3,NULL,"a\n""b"""\n'.encode()
    rows = parse_rows(Reader.CSV, "x", data).to_pylist()
    assert rows == [
        {"id": "007", "when": "2020-01-01", "note": ""},
        {"id": "1e3", "when": "NULL", "note": 'a\n"b"'},
    ]


def test_csv_types_are_recognised_when_asked_for() -> None:
    look = CsvLook(";", CsvTypes.INFER)
    data = b"n;t;e\n1;2020-01-01;\n2;2020-01-02;5\n"
    table = parse_rows(Reader.CSV, "x", data, look)
    assert table.schema.types == [pa.int64(), pa.date32(), pa.int64()]
    assert table.column("e").to_pylist() == [None, 5]


def test_texts_in_json_that_look_like_dates_stay_text() -> None:
    data = b'{"t":"2020-01-01T00:00:00","s":{"u":"2020-01-02"},"l":["2020-01-03"]}\n'
    assert parse_rows(Reader.JSONL, "x", data).to_pylist() == [
        {"t": "2020-01-01T00:00:00", "s": {"u": "2020-01-02"}, "l": ["2020-01-03"]}
    ]


@pytest.mark.parametrize("reader", [Reader.CSV, Reader.JSONL])
@pytest.mark.parametrize("data", [b"", b"\n \n", gzip.compress(b"", mtime=0)])
def test_empty_files_have_no_rows(reader: Reader, data: bytes) -> None:
    assert parse_rows(reader, "x", data).num_rows == 0


def test_a_header_alone_has_no_rows() -> None:
    table = parse_rows(Reader.CSV, "x.csv", b"a,b\n")
    assert (table.num_rows, table.column_names) == (0, ["a", "b"])


@pytest.mark.parametrize(
    ("reader", "data"),
    [
        (Reader.PARQUET, b""),
        (Reader.PARQUET, b"PAR1 and no footer"),
        (Reader.PARQUET, parquet(TABLE)[:-20]),
        (Reader.CSV, b"a,b\n1\n"),
        (Reader.CSV, b"a,a\n1,2\n"),
        (Reader.CSV, b"a\n\xff\xfe\n"),
        (Reader.JSONL, b'{"a":1}\n{"a":'),
        (Reader.JSONL, b'{"a":1}\n{"a":"x"}\n'),
        (Reader.JSONL, b"[1,2]\n"),
        (Reader.JSONL, gzip.compress(b'{"a":1}\n', mtime=0)[:-9]),
        (Reader.JSONL, b"\x1f\x8b\x08 not gzip"),
        (Reader.AUTO, b"anything"),
    ],
)
def test_what_is_not_of_the_format_is_unreadable(reader: Reader, data: bytes) -> None:
    with pytest.raises(UnreadableItemError, match=r"in/odd\.bin"):
        parse_rows(reader, "in/odd.bin", data)


def test_a_gzip_bomb_is_unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_formats, "INFLATED_BYTES_MAX", 1000)
    with pytest.raises(UnreadableItemError, match="inflates to more than 1000 bytes"):
        parse_rows(Reader.CSV, "x.csv.gz", gzip.compress(b"a\n" * 1000, mtime=0))
    assert parse_rows(Reader.CSV, "x.csv.gz", gzip.compress(b"a\n" * 500, mtime=0)).num_rows == 499
