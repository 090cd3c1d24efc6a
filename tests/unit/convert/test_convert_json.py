"""JSON and JSON lines become Parquet without losing a value (SHP-20, SHP-21)."""

from __future__ import annotations

import datetime as dt
import io
import json
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
from stocktake.convert import _json_blocks as blocks
from stocktake.convert import _json_text as texts
from stocktake.errors import (
    BadDocumentError,
    BadRowError,
    ConvertLimitError,
    InvalidSettingError,
    SourceChangedError,
    TextEncodingError,
)


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


def test_numbers_beyond_a_double_are_kept_wherever_a_block_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(blocks, "FIRST_BYTES", 24)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 24)
    monkeypatch.setattr(texts, "PIECE_BYTES", 8)
    numbers = ["0.12345678901234567890", "-1.00000000000000000001", "1E-400", "1.5", "2"] * 9
    for order in (numbers, numbers[::-1], numbers[1:], numbers[2:]):
        got = rows_of(("[" + ",".join(order) + "]").encode())
        assert [row["value"] for row in got] == order
        lines = "\n".join(order).encode()
        assert [row["value"] for row in rows_of(lines, TableKind.JSONL)] == order


def test_rare_keys_in_many_columns_do_not_fill_the_memory() -> None:
    """SHP-13: rows times columns are bounded, not only bytes."""
    text = b"[" + b",".join(b'{"k%d":1}' % (n % 3000) for n in range(20_000)) + b"]"
    (column,) = planned(text).columns
    assert column.type == "string (JSON text)"
    assert column.why == "3,000 columns, of which a row has hardly any"
    assert rows_of(text)[3001] == {"value": '{"k1":1}'}
    wide = [{f"k{n}": n for n in range(3000)}] * 3
    assert rows_of(json.dumps(wide).encode()) == wide


def test_a_record_that_would_fill_the_memory_is_refused() -> None:
    """SHP-13: `{},` is 3 bytes as text and a hundred times that as a value."""
    many = b'{"a":[' + b"{}," * 1_000_000 + b"{}]}"
    for kind in (TableKind.JSON, TableKind.JSONL):
        with pytest.raises(ConvertLimitError, match=r"row 1, line 1: .* too many values"):
            planned(many if kind is TableKind.JSONL else b"[" + many + b"]", kind)
    assert planned(b"[" + b"{}," * 100_000 + b"{}]").rows == 100_001


def test_a_map_with_many_keys_is_json_text() -> None:
    many = ",".join(f'"k{n}":{n}' for n in range(300))
    text = f'[{{"m":{{"k0":0}}}},{{"m":{{{many}}}}}]'.encode()
    assert types_of(text) == {"m": "string (JSON text)"}
    assert planned(text).columns[0].why == "more than 256 different keys by row 2"
    assert rows_of(text)[0] == {"m": '{"k0":0}'}
    assert types_of(b'[{"a":1,"b":1,"c":1}]', columns_max=2) == {"value": "string (JSON text)"}


def test_deep_members_are_json_text() -> None:
    deep = b'{"a":' * 60 + b"1" + b"}" * 60
    (row,) = rows_of(b"[" + deep + b"]")
    levels = 0
    while isinstance(row, dict):
        row, levels = row["a"], levels + 1
    assert levels == 32
    assert row == (b'{"a":' * 28 + b"1" + b"}" * 28).decode()


def test_a_late_change_of_type_widens_and_never_fails() -> None:
    rows = [f'{{"a":{n},"s":"x"}}' for n in range(30_000)]
    late = [*rows, '{"a":"text","s":"y","new":[1.5]}']
    for kind, text in (
        (TableKind.JSON, "[" + ",".join(late) + "]"),
        (TableKind.JSONL, "\n".join(late)),
    ):
        got = rows_of(text.encode(), kind)
        assert got[0] == {"a": "0", "s": "x", "new": None}
        assert got[-1] == {"a": '"text"', "s": "y", "new": [1.5]}
        (why,) = [one.why for one in planned(text.encode(), kind).columns if one.name == "a"]
        assert why == "row 1 holds a number; row 30001 holds a string"


def test_an_element_longer_than_a_block_is_cut_out_whole() -> None:
    long = b'{"a":"' + b"x" * 5_000_000 + b'","b":[' + b"{},1," * 1000 + b"0]}"
    text = b'[{"a":"s","b":[]},' + long + b',{"a":"t","b":null}]'
    assert [len(row["a"]) for row in rows_of(text)] == [1, 5_000_000, 1]
    lines = b'{"a":"s","b":[]}\n' + long
    assert [len(row["a"]) for row in rows_of(lines, TableKind.JSONL)] == [1, 5_000_000]
    for kind in (TableKind.JSON, TableKind.JSONL):
        with pytest.raises(ConvertLimitError, match=r"row [12], line [12]: a record of more than"):
            planned(text if kind is TableKind.JSON else lines, kind, field_bytes_max=1 << 20)


def test_the_only_array_of_objects_in_an_object_is_the_records() -> None:
    text = b'{"count":2,"tags":["x"],"items":[{"a":1},{"a":2}],"next":{"page":[1]}}'
    assert rows_of(text) == [{"a": 1}, {"a": 2}]
    details = planned(text).details
    assert details["metadata"] == {
        "form": "member",
        "records_path": "items",
        "beside": {"count": "2", "tags": '["x"]', "next": '{"page":[1]}'},
    }


@pytest.mark.parametrize(
    "beside", [b"nul", b"[1}", b'{"k":1,"k":2}', b"{]", b'[{"a":1} 2]', b"NaN"]
)
def test_what_stands_beside_the_records_must_be_json_too(beside: bytes) -> None:
    for text in (
        b'{"x":' + beside + b',"items":[{"a":1}]}',
        b'{"items":[{"a":1}],"x":' + beside + b"}",
    ):
        for path in (None, "items"):
            with pytest.raises(BadDocumentError, match="line 1"):
                planned(text, records_path=path)


def test_two_arrays_of_objects_make_one_row() -> None:
    text = b'{"a":[{"x":1}],"b":[{"y":1}]}'
    assert rows_of(text) == [{"a": [{"x": 1}], "b": [{"y": 1}]}]
    assert rows_of(text, records_path="b") == [{"y": 1}]
    with pytest.raises(ConvertLimitError, match="'a' and 'b' are both arrays of objects"):
        planned(text, field_bytes_max=16)


def test_much_beside_the_records_is_kept_or_told_of() -> None:
    text = b'{"items":[{"a":1}],"blob":"' + b"x" * 70_000 + b'"}'
    assert rows_of(text) == [{"items": [{"a": 1}], "blob": "x" * 70_000}]
    plan = planned(text, records_path="items")
    assert plan.warnings == ("blob: 70,002 bytes beside the records are left out",)


def test_a_records_path_leads_through_objects() -> None:
    text = b'{"d":{"n":1,"i":[{"a":1}],"k":5},"z":1}'
    assert rows_of(text, records_path="d/i") == [{"a": 1}]
    assert rows_of(text, records_path="d") == [{"n": 1, "i": [{"a": 1}], "k": 5}]
    for path in ("d/x", "x", "d/n"):
        with pytest.raises(BadDocumentError):
            planned(text, records_path=path)
    with pytest.raises(BadDocumentError, match="it is no object"):
        planned(b"[1]", records_path="a")


def test_lines_in_a_json_file_are_found() -> None:
    assert rows_of(b'{"a":1}\n{"a":2}\n') == [{"a": 1}, {"a": 2}]
    assert rows_of(b'{"i":[{"a":1}]}\n{"i":[]}\n') == [{"i": [{"a": 1}]}, {"i": []}]


def test_a_source_that_changed_between_the_passes_is_not_converted() -> None:
    plan = planned(b'[{"a":1}]')
    for other in (b'[{"a":"x"}]', b'[{"a":', b'[{"b":1}]', b'[{"a":1} ]'):
        with pytest.raises(SourceChangedError):
            write_parquet(plan, io.BytesIO(other), io.BytesIO(), ConvertOptions())


def test_a_type_that_was_asked_for_is_made_or_fails_with_its_row() -> None:
    text = b'[{"a":1,"b":"2024-01-01T00:00:00","c":"x"},{"a":null,"b":null,"c":2}]'
    schema = {"a": "decimal128(5, 2)", "b": "timestamp[us]"}
    assert rows_of(text, schema=schema) == [
        {"a": Decimal("1.00"), "b": dt.datetime(2024, 1, 1), "c": '"x"'},  # noqa: DTZ001
        {"a": None, "b": None, "c": "2"},
    ]
    assert types_of(text, schema={"a": "string"})["a"] == "string"
    plan = planned(text, schema={"c": "int64"})
    with pytest.raises(BadRowError, match="row 1: a value of 'c' is no int64"):
        write_parquet(plan, io.BytesIO(text), io.BytesIO(), ConvertOptions())
    lossy = b'[{"a":0.1}]'
    plan = planned(lossy, schema={"a": "float32"})
    with pytest.raises(BadRowError, match="row 1: a value of 'a' is no float"):
        write_parquet(plan, io.BytesIO(lossy), io.BytesIO(), ConvertOptions())
    with pytest.raises(InvalidSettingError):
        planned(text, schema={"a": "number"})
