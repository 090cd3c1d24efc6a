"""JSON and JSON lines become Parquet without losing a value (SHP-20, SHP-21)."""

from __future__ import annotations

import io
from decimal import Decimal
from typing import Any

import pyarrow.parquet as pq
import pytest

from stocktake.convert import (
    ConversionPlan,
    ConvertOptions,
    TableKind,
    plan_conversion,
    write_parquet,
)
from stocktake.errors import BadDocumentError, ConvertLimitError, TextEncodingError


def planned(text: bytes, kind: TableKind = TableKind.JSON, **options: Any) -> ConversionPlan:
    return plan_conversion(io.BytesIO(text), kind, ConvertOptions(**options), name="data.json")


def rows_of(text: bytes, kind: TableKind = TableKind.JSON, **options: Any) -> list[Any]:
    plan = planned(text, kind, **options)
    sink = io.BytesIO()
    result = write_parquet(plan, io.BytesIO(text), sink, ConvertOptions(**options))
    assert result.size_bytes == len(sink.getvalue()) <= plan.bound_bytes
    rows = pq.read_table(io.BytesIO(sink.getvalue())).to_pylist()
    assert result.rows == plan.rows == len(rows)
    return rows


def types_of(text: bytes, kind: TableKind = TableKind.JSON, **options: Any) -> dict[str, str]:
    return {one.name: one.type for one in planned(text, kind, **options).columns}


def test_objects_become_rows_and_missing_keys_nulls() -> None:
    text = b'[{"a":1,"b":"x"},{"a":2.5,"c":[1,null]},null]'
    assert rows_of(text) == [
        {"a": 1.0, "b": "x", "c": None},
        {"a": 2.5, "b": None, "c": [1, None]},
        {"a": None, "b": None, "c": None},
    ]


def test_a_string_that_looks_like_a_time_or_number_stays_a_string() -> None:
    text = b'[{"t":"2024-01-01T00:00:00Z","n":"007","b":"true"}]'
    assert rows_of(text) == [{"t": "2024-01-01T00:00:00Z", "n": "007", "b": "true"}]


@pytest.mark.parametrize(
    ("numbers", "kind", "values"),
    [
        (b"1,-2", "int64", [1, -2]),
        (b"9223372036854775807,1", "int64", [2**63 - 1, 1]),
        (b"9223372036854775808,1", "uint64", [2**63, 1]),
        (b"9223372036854775808,-1", "decimal128(38, 0)", [Decimal(2**63), Decimal(-1)]),
        (
            b"18446744073709551616123,1",
            "decimal128(38, 0)",
            [Decimal(18446744073709551616123), Decimal(1)],
        ),
        (b"1" * 39 + b",1", "string (JSON text)", ["1" * 39, "1"]),
        (b"1,2.5", "double", [1.0, 2.5]),
        (b"1e5,0.1", "double", [100000.0, 0.1]),
        (b"9007199254740992,0.5", "double", [2.0**53, 0.5]),
        (b"9007199254740993,0.5", "string (JSON text)", ["9007199254740993", "0.5"]),
        (b"0.12345678901234567890,1.5", "string (JSON text)", ["0.12345678901234567890", "1.5"]),
        (b"0.1234567890123456,1.5", "double", [0.1234567890123456, 1.5]),
        (b"1e-400,1.5", "string (JSON text)", ["1E-400", "1.5"]),
    ],
)
def test_numbers_keep_every_digit(numbers: bytes, kind: str, values: list[Any]) -> None:
    text = b'[{"n":' + numbers.replace(b",", b'},{"n":') + b"}]"
    assert types_of(text) == {"n": kind}
    assert [row["n"] for row in rows_of(text)] == values


def test_fault_56_deep_nan_duplicate_surrogate_and_20_digits() -> None:
    """Fault 56 (SHP-21): each of them is refused with its place, or kept exactly."""
    closed = b'{"a":' * 200_000 + b"1" + b"}" * 200_000
    for deep in (b"[" * 200_000 + b"]" * 200_000, b"[" + closed + b"]", closed):
        with pytest.raises(ConvertLimitError, match="nested more than 500 levels"):
            planned(deep)
        with pytest.raises(ConvertLimitError, match="nested more than 500 levels"):
            planned(b'{"a":1}\n' + deep + b"\n", TableKind.JSONL)
    for bad in (b"NaN", b"-Infinity", b"1e400", b'"\\ud800"', b'{"k":1,"k":1}'):
        with pytest.raises(BadDocumentError, match="row 2, line 3"):
            planned(b'[{"a":1},\n\n{"a":' + bad + b"}]")
        with pytest.raises(BadDocumentError, match="row 2, line 3"):
            planned(b'{"a":1}\n\n{"a":' + bad + b"}\n", TableKind.JSONL)
    assert rows_of(b'[{"a":12345678901234567890}]') == [{"a": 12345678901234567890}]
    assert rows_of(b'[{"a":"\\ud83d\\ude00"}]') == [{"a": "\U0001f600"}]


def test_fault_57_scalars_and_mixed_records() -> None:
    """Fault 57: one column `value`; JSON text where the records have no one type."""
    assert rows_of(b"[1,null,3]") == [{"value": 1}, {"value": None}, {"value": 3}]
    assert rows_of(b'["a","2024-01-01"]') == [{"value": "a"}, {"value": "2024-01-01"}]
    assert rows_of(b"[[1],[2,3]]") == [{"value": [1]}, {"value": [2, 3]}]
    mixed = b'[1,"x",{"a":[1.10,{"b":null}]},true]'
    assert [row["value"] for row in rows_of(mixed)] == [
        "1",
        '"x"',
        '{"a":[1.1,{"b":null}]}',
        "true",
    ]
    (column,) = planned(mixed).columns
    assert column.why == (
        "row 1 holds a number; row 2 holds a string; row 3 holds an object; row 4 holds a boolean"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"[1,]", "row 2, line 1"),
        (b"[1", "the array does not end"),
        (b"[1}", "a brace closes an array"),
        (b'[{"a":1}]x', "more after the end"),
        (b'{"a":1', "line 1: "),
        (b'[{"a":1},,{"a":2}]', "row 2, line 1"),
        (b'[{"a":1} {"a":2}]', "row 1, line 1: Extra data"),
        (b'[{"a":1}null,{"a":2}]', "row 1, line 1: Extra data"),
        (b'{"a":1} x', "more after the end"),
        (b"{'a':1}", "a key is missing"),
        (b'[{"a":01}]', "row 1, line 1"),
        (b'[{"a":"x\ny"}]', "row 1"),
    ],
)
def test_what_is_no_json_is_refused_with_its_place(text: bytes, message: str) -> None:
    with pytest.raises(BadDocumentError, match=message):
        planned(text)


def test_bytes_that_are_no_utf8_are_refused_or_read_in_the_encoding_named() -> None:
    text = b'[{"a":"caf\xe9"}]'
    with pytest.raises(TextEncodingError, match="row 1, line 1: byte 0xe9"):
        planned(text)
    assert rows_of(text, fallback_encoding="cp1252") == [{"a": "caf\xe9"}]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_marks_and_other_unicode_encodings_are_found(encoding: str) -> None:
    assert rows_of('[{"é":"ü\U0001f600"}]'.encode(encoding)) == [{"é": "ü\U0001f600"}]


def test_nothing_in_it_means_nothing_to_write() -> None:
    for text in (b"", b" \n", b"[]", b"[ ]"):
        plan = planned(text)
        assert (plan.rows, plan.columns) == (None, ())
        assert write_parquet(plan, io.BytesIO(text), io.BytesIO(), ConvertOptions()).rows == 0


def test_an_empty_object_is_json_text() -> None:
    assert rows_of(b'[{"a":{}},{"a":null}]') == [{"a": "{}"}, {"a": None}]
    assert rows_of(b"[{}]") == [{"value": "{}"}]


def test_an_empty_key_gets_a_name() -> None:
    assert rows_of(b'[{"":1,"_c1":2}]') == [{"_c2": 1, "_c1": 2}]
    assert planned(b'[{"":1}]').columns[0].source_name == ""
