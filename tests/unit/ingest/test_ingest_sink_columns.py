"""Rows of many files brought to one schema: what is added, what widens, what fails (ING-4)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sink_world import T0
from stocktake.errors import SinkError, UnreadableItemError
from stocktake.ingest import Item
from stocktake.ingest.sinks._columns import ItemRows, Settled, fits, plain_columns, settle
from stocktake.ingest.sinks._types import lake_type

ITEM = Item(1, "a", None, None, 1, T0, False, 1)


def rows(*tables: pa.Table | dict[str, Any]) -> list[ItemRows]:
    return [
        ItemRows(replace(ITEM, seq=n), t if isinstance(t, pa.Table) else pa.table(t))
        for n, t in enumerate(tables, 1)
    ]


def failed(settled: Settled) -> list[int]:
    return [item.seq for item, _ in settled.failures]


def test_columns_of_all_files_stand_side_by_side() -> None:
    settled = settle(rows({"a": [1]}, {"b": ["x"], "a": [2]}, {}), None, "t")
    assert settled.rows.to_pylist() == [{"a": 1, "b": None}, {"a": 2, "b": "x"}]
    assert failed(settled) == []


def test_whole_numbers_become_doubles_beside_doubles_if_they_fit_exactly() -> None:
    settled = settle(rows({"a": [1]}, {"a": [0.5]}, {"a": [2**53 + 1]}), None, "t")
    assert settled.rows.column("a").to_pylist() == [1.0, 0.5]
    assert failed(settled) == [3]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (["7"], [7]),
        ([True], [1]),
        ([Decimal("1.10")], [1.1]),
        ([{"x": 1}], [[1]]),
        ([T0], ["2020-01-01"]),
    ],
)
def test_other_kinds_of_values_fail_their_file_only(first: list[Any], second: list[Any]) -> None:
    settled = settle(rows({"a": first}, {"a": second}, {"a": first}), None, "t")
    assert failed(settled) == [2]
    assert "column `a` is" in settled.failures[0][1].message
    assert settled.rows.num_rows == 2


def test_a_known_column_keeps_its_type() -> None:
    known = pa.schema([("a", pa.int32()), ("s", pa.large_string())])
    found = rows({"a": [1], "s": ["x"]}, {"a": [2**40]}, {"a": [0.5]}, {"n": [1]}, {"s": [5]})
    settled = settle(found, known, "the table `t`")
    assert settled.rows.schema.types == [pa.int32(), pa.large_string(), pa.int64()]
    assert settled.rows.column_names == ["a", "s", "n"]
    assert failed(settled) == [3, 5, 2]
    assert "int32 in the table `t`" in settled.failures[0][1].message


def test_a_required_column_that_is_missing_fails_the_file() -> None:
    known = pa.schema([pa.field("a", pa.int64(), nullable=False)])
    settled = settle(rows({"b": [1]}, {"a": [1]}), known, "t")
    assert failed(settled) == [1]
    assert settled.rows.to_pylist() == [{"a": 1, "b": None}]


def test_columns_without_a_value_wait_for_one() -> None:
    nothing = pa.table({"n": pa.nulls(1), "l": pa.array([[]], pa.list_(pa.null())), "a": [1]})
    assert plain_columns(nothing).column_names == ["a"]
    settled = settle(rows(nothing, {"n": ["x"], "l": [[1]], "a": [2]}), None, "t")
    assert settled.rows.select(["n", "l"]).to_pylist() == [
        {"n": None, "l": None},
        {"n": "x", "l": [1]},
    ]


def test_structs_lose_only_fields_without_a_value() -> None:
    inner = pa.struct([("x", pa.int64()), ("y", pa.null())])
    table = pa.table({"s": pa.array([{"x": 1, "y": None}], inner)})
    assert plain_columns(table).schema.field("s").type == pa.struct([("x", pa.int64())])
    settled = settle(rows(table, {"s": [{"y": "now", "x": 2}]}), None, "t")
    assert settled.rows.column("s").to_pylist() == [{"x": 1, "y": None}, {"x": 2, "y": "now"}]


def test_dictionaries_and_extensions_become_what_they_hold() -> None:
    import uuid

    ids = pa.array([uuid.UUID(int=5).bytes], pa.uuid())
    table = pa.table({"d": pa.array(["x"]).dictionary_encode(), "u": ids})
    assert plain_columns(table).schema.types == [pa.string(), pa.binary(16)]


def test_names_that_the_target_takes_for_one_collide() -> None:
    found = rows(pa.table([[1], [2]], names=["a", "A"]), {"a": [1]}, {"A": [2]})
    folded = settle(found, None, "t", fold=str.lower)
    assert failed(folded) == [1]
    assert folded.rows.to_pylist() == [{"a": 1}, {"a": 2}]
    assert failed(settle(found, None, "t")) == []


def test_rows_of_the_batch_itself_that_do_not_fit_are_a_failure_of_the_sink() -> None:
    with pytest.raises(SinkError, match="column `key`") as caught:
        settle([ItemRows(None, pa.table({"key": ["k"]}))], pa.schema([("key", pa.int64())]), "t")
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("kind", "kept"),
    [
        (pa.int8(), pa.int32()),
        (pa.uint32(), pa.int64()),
        (pa.uint64(), pa.decimal128(20, 0)),
        (pa.timestamp("s"), pa.timestamp("us")),
        (pa.timestamp("ns", tz="Europe/Berlin"), pa.timestamp("us", tz="UTC")),
        (pa.time32("s"), pa.time64("us")),
        (pa.list_(pa.struct([("a", pa.uint8())])), pa.list_(pa.struct([("a", pa.int32())]))),
        (pa.map_(pa.string(), pa.date64()), pa.map_(pa.string(), pa.date32())),
        (pa.decimal256(10, 2), pa.decimal128(10, 2)),
    ],
)
def test_types_that_tables_keep_otherwise(kind: pa.DataType, kept: pa.DataType) -> None:
    assert lake_type(kind) == kept


@pytest.mark.parametrize("kind", [pa.duration("s"), pa.decimal256(60, 2)])
def test_types_that_tables_do_not_have_fail_the_file(kind: pa.DataType) -> None:
    with pytest.raises(UnreadableItemError, match="no place"):
        lake_type(kind)
    settled = settle(rows(pa.table({"d": pa.nulls(1, kind)})), None, "t", adapt=lake_type)
    assert failed(settled) == [1]


_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(max_size=3),
    st.lists(st.integers(-5, 5), max_size=2),
    st.fixed_dictionaries({"x": st.integers(-5, 5)}),
)


def _table(column: list[Any], name: str) -> pa.Table | None:
    try:
        return pa.table({name: column, "row": list(range(len(column)))})
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return None


@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.lists(_VALUES, min_size=1, max_size=3)), max_size=5
    )
)
def test_every_value_is_kept_as_it_is_or_its_file_fails(files: list[Any]) -> None:
    tables = [t for name, column in files if (t := _table(column, name)) is not None]
    settled = settle(rows(*tables), None, "t")
    bad = set(failed(settled))
    expected = [
        {name: value for name, value in row.items() if value not in (None, [])}
        for seq, table in enumerate(tables, 1)
        if seq not in bad
        for row in table.to_pylist()
    ]
    got = [
        {name: value for name, value in row.items() if value not in (None, [])}
        for row in settled.rows.to_pylist()
    ]
    assert got == expected
    for row, original in zip(got, expected, strict=True):
        for name, value in row.items():
            assert isinstance(value, bool) == isinstance(original[name], bool)
            assert isinstance(value, str) == isinstance(original[name], str)


@given(st.data())
def test_what_fits_is_reflexive_and_never_text_to_number(data: st.DataObject) -> None:
    kinds = [pa.int64(), pa.float64(), pa.string(), pa.bool_(), pa.date32(), pa.binary()]
    a, b = data.draw(st.sampled_from(kinds)), data.draw(st.sampled_from(kinds))
    assert fits(a, a)
    if pa.string() in (a, b) and a != b:
        assert not fits(a, b)
