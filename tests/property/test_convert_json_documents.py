"""Any JSON document, through Parquet and back: the same values, wherever it is cut (SHP-21)."""

from __future__ import annotations

import io
import json
from decimal import Decimal
from typing import Any
from unittest import mock

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from stocktake.convert import (
    ConversionPlan,
    ConvertOptions,
    TableKind,
    plan_conversion,
    plan_from_json,
    plan_to_json,
    write_parquet,
)
from stocktake.convert import _json as convert_json
from stocktake.convert import _json_blocks as blocks
from stocktake.convert import _json_scan as scans
from stocktake.convert import _json_text as texts
from stocktake.convert._json_shape import FORM
from stocktake.convert._plan_json import schema_from_text, schema_of
from stocktake.errors import BadDocumentError

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
KEYS = st.sampled_from(["a", "b", "c", "a.b", "é", 'q"', "\\", "n\n"]) | TEXT
NUMBERS = (
    st.integers(-5, 5)
    | st.integers(-(2**70), 2**70)
    | st.integers(-(10**45), 10**45)
    | st.sampled_from([2**53, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63) - 1])
    | st.floats(allow_nan=False, allow_infinity=False)
)
SCALARS = st.none() | st.booleans() | NUMBERS | TEXT
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
RECORDS = st.lists(st.dictionaries(KEYS, VALUES, max_size=4), min_size=1, max_size=8)
ALIKE = st.lists(
    st.fixed_dictionaries(
        {"id": st.integers(-(2**63), 2**63 - 1), "s": TEXT},
        optional={
            "f": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-9, 9),
            "l": st.lists(st.none() | st.booleans(), max_size=3),
            "o": st.fixed_dictionaries({}, optional={"x": NUMBERS, "y": st.none() | TEXT}),
        },
    ),
    min_size=1,
    max_size=30,
)
SPACES = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n\t", " : ")])


def through_parquet(
    text: bytes, kind: TableKind, block_bytes: int
) -> tuple[ConversionPlan, list[dict[str, Any]]]:
    options = ConvertOptions()
    with (
        mock.patch.object(blocks, "FIRST_BYTES", block_bytes),
        mock.patch.object(blocks, "BLOCK_BYTES", 2 * block_bytes),
        mock.patch.object(texts, "PIECE_BYTES", block_bytes),
        mock.patch.object(scans, "_PART_BYTES", block_bytes // 2),
    ):
        plan = plan_conversion(io.BytesIO(text), kind, options, name="x")
        plan = plan_from_json(plan_to_json(plan))
        sink = io.BytesIO()
        write_parquet(plan, io.BytesIO(text), sink, options)
    if not plan.columns:
        return plan, []
    assert len(sink.getvalue()) <= plan.bound_bytes
    return plan, pq.read_table(io.BytesIO(sink.getvalue())).to_pylist()


def restored(value: Any, field: pa.Field) -> Any:
    """A value of the Parquet file as the JSON value that it stands for."""
    if value is None:
        return None
    if field.metadata and FORM in field.metadata:
        return json.loads(value, parse_float=exact)
    if pa.types.is_struct(field.type):
        return {
            member.name: restored(value[member.name], member)
            for member in (field.type.field(i) for i in range(field.type.num_fields))
        }
    if pa.types.is_list(field.type):
        return [restored(item, field.type.value_field) for item in value]
    return int(value) if isinstance(value, Decimal) else value


def exact(text: str) -> float | Decimal:
    return float(text) if Decimal(repr(float(text))) == Decimal(text) else Decimal(text)


def without_nulls(value: Any) -> Any:
    """The value as far as Parquet keeps it: a member that is null is a member that is not there."""
    if isinstance(value, dict):
        return {k: without_nulls(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return ("boolean", value) if isinstance(value, bool) else value


def same(plan: ConversionPlan, rows: list[dict[str, Any]], records: list[Any]) -> None:
    schema = schema_of(plan)
    sources = schema_from_text(plan.details["read"]).names
    for row, record in zip(rows, records, strict=True):
        values = {
            source: restored(row[field.name], field)
            for field, source in zip(schema, sources, strict=True)
        }
        got = values["value"] if plan.details["is_value"] else values
        if isinstance(got, dict) and record is None:
            record = {}
        assert without_nulls(got) == without_nulls(record)


def dumped(values: list[Any], spaces: tuple[str, str], *, ascii_only: bool) -> list[str]:
    return [json.dumps(v, separators=spaces, ensure_ascii=ascii_only) for v in values]


@given(RECORDS | ALIKE | st.lists(VALUES, min_size=1, max_size=8), SPACES, st.booleans())
def test_a_json_array_comes_back_equal(
    records: list[Any], spaces: tuple[str, str], ascii_only: bool
) -> None:
    text = ("[" + spaces[0].join(dumped(records, spaces, ascii_only=ascii_only)) + "]").encode()
    small = through_parquet(text, TableKind.JSON, 16)
    whole = through_parquet(text, TableKind.JSON, 1 << 16)
    assert small == whole
    same(*whole, records)


@given(RECORDS | ALIKE, st.sampled_from(["\n", "\r\n", "\n\n", " \n "]), st.booleans())
def test_json_lines_come_back_equal(records: list[Any], end: str, ascii_only: bool) -> None:
    text = end.join(dumped(records, (",", ":"), ascii_only=ascii_only)).encode()
    small = through_parquet(text, TableKind.JSONL, 16)
    whole = through_parquet(text, TableKind.JSONL, 1 << 16)
    assert small == whole
    same(*whole, records)


@given(st.dictionaries(KEYS, VALUES, max_size=3), ALIKE, st.dictionaries(KEYS, VALUES, max_size=3))
def test_records_in_an_object_come_back_equal(
    before: dict[str, Any], records: list[Any], after: dict[str, Any]
) -> None:
    members = [*before.items(), ("the records", records), *after.items()]
    names = [name for name, _ in members]
    if len(set(names)) < len(names):
        return
    text = json.dumps(dict(members)).encode()
    options = ConvertOptions(records_path="the records")
    plan = plan_conversion(io.BytesIO(text), TableKind.JSON, options, name="x")
    sink = io.BytesIO()
    write_parquet(plan, io.BytesIO(text), sink, options)
    same(plan, pq.read_table(io.BytesIO(sink.getvalue())).to_pylist(), records)
    automatic, rows = through_parquet(text, TableKind.JSON, 16)
    assert (automatic, rows) == through_parquet(text, TableKind.JSON, 1 << 16)
    if automatic.details["form"] == "member":
        same(automatic, rows, records)
        beside = automatic.details["metadata"].get("beside", {})
        assert {k: json.loads(v, parse_float=exact) for k, v in beside.items()} == {
            k: v for k, v in members if k != "the records"
        }
    else:
        same(automatic, rows, [dict(members)])


PIECES = st.sampled_from(
    ["{", "}", "[", "]", ",", ":", '"', "\\", " ", "\n", "null", "true", "1", "-", "0.5", "NaN"]
)


@given(st.lists(PIECES, max_size=3), ALIKE, st.data(), st.sampled_from([TableKind.JSON, "lines"]))
def test_what_is_accepted_is_what_the_standard_parser_accepts(
    inserted: list[str], records: list[Any], data: st.DataObject, kind: TableKind | str
) -> None:
    text = json.dumps(records) if kind is TableKind.JSON else "\n".join(map(json.dumps, records))
    at = data.draw(st.integers(0, len(text)))
    cut = data.draw(st.integers(0, 3))
    broken = text[:at] + "".join(inserted) + text[at + cut :]
    wanted: list[Any] | None
    try:
        if kind is TableKind.JSON:
            wanted = strictly(broken)
        else:
            wanted = [strictly(line) for line in broken.split("\n") if line.strip(" \t\r")]
    except ValueError:
        wanted = None
    if not isinstance(wanted, list | None):
        return
    kind = TableKind.JSON if kind is TableKind.JSON else TableKind.JSONL
    try:
        plan, rows = through_parquet(broken.encode(), kind, 16)
    except BadDocumentError:
        assert wanted is None
        return
    if wanted is None:  # what is only blanks is no document, and no records either
        assert not broken.strip()
    else:
        same(plan, rows, wanted) if plan.columns else None
        assert len(rows) == len(wanted)


def strictly(text: str) -> Any:
    def pairs(members: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(members)) != len(members):
            raise ValueError("a key twice")
        return dict(members)

    def refuse(constant: str) -> Any:
        raise ValueError(constant)

    value = json.loads(text, object_pairs_hook=pairs, parse_constant=refuse, parse_float=finite)
    json.dumps(value, ensure_ascii=False, default=str).encode()
    return value


def finite(text: str) -> float | Decimal:
    if float(text) in (float("inf"), float("-inf")):
        raise ValueError(text)
    return exact(text)


@given(ALIKE)
def test_pyarrow_and_the_exact_reader_agree(records: list[Any]) -> None:
    lines = "\n".join(dumped(records, (",", ":"), ascii_only=False)).encode()
    quick = through_parquet(lines, TableKind.JSONL, 16)
    with mock.patch.object(convert_json, "is_fast", return_value=False):
        assert through_parquet(lines, TableKind.JSONL, 16) == quick
