"""SHP-20, SHP-21: the 41 CSV cases in which libraries lose, change or invent values."""

from __future__ import annotations

import datetime as dt
import io
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stocktake.convert import ConvertOptions, TableKind, plan_conversion, write_parquet
from stocktake.errors import BadRowError, ConvertError, TextEncodingError

_INT, _TEXT = "int64", "string"
_UTC = dt.UTC


@dataclass(frozen=True)
class Case:
    """A literal file, and what must come out: columns as (type, values), or an error."""

    number: int
    name: str
    source: bytes
    columns: dict[str, tuple[str, list[Any]]] = field(default_factory=dict)
    error: type[ConvertError] | None = None
    says: tuple[str, ...] = ()
    options: ConvertOptions = ConvertOptions()
    renamed: dict[str, str] = field(default_factory=dict)
    warning: str | None = None
    text_format: dict[str, str] = field(default_factory=dict)


def _dec(*texts: str) -> list[Decimal]:
    return [Decimal(text) for text in texts]


CASES = [
    Case(1, "leadzero", b"a\n00123\n00456\n", {"a": (_TEXT, ["00123", "00456"])}),
    Case(2, "bigint", b"a\n9223372036854775808\n1\n", {"a": ("uint64", [9223372036854775808, 1])}),
    Case(
        3,
        "bigint20",
        b"a\n18446744073709551616123\n1\n",
        {"a": ("decimal128(38, 0)", _dec("18446744073709551616123", "1"))},
    ),
    Case(4, "plus", b"a\n+1\n2\n", {"a": (_TEXT, ["+1", "2"])}),
    Case(5, "decimal", b"a\n0.10\n1.20\n", {"a": ("decimal128(3, 2)", _dec("0.10", "1.20"))}),
    Case(
        6,
        "longdec",
        b"a\n0.12345678901234567890\n1.5\n",
        {"a": (_TEXT, ["0.12345678901234567890", "1.5"])},
    ),
    Case(7, "NA", b"a\nNA\n1\n2\n", {"a": (_TEXT, ["NA", "1", "2"])}),
    Case(
        8, "NULLstr", b"a,b\nNULL,x\n1,y\n", {"a": (_TEXT, ["NULL", "1"]), "b": (_TEXT, ["x", "y"])}
    ),
    Case(9, "nan", b"a\nnan\n1.5\n", {"a": (_TEXT, ["nan", "1.5"])}),
    Case(
        10,
        "empty_vs_q",
        b'a,b\n,x\n"",y\n1,z\n',
        {"a": (_TEXT, [None, "", "1"]), "b": (_TEXT, ["x", "y", "z"])},
    ),
    Case(11, "bool01", b"a\n0\n1\n", {"a": (_INT, [0, 1])}),
    Case(12, "boolYN", b"a\nyes\nno\n", {"a": (_TEXT, ["yes", "no"])}),
    Case(
        13,
        "date_ambig",
        b"a\n01/02/2024\n03/04/2024\n",
        {"a": (_TEXT, ["01/02/2024", "03/04/2024"])},
    ),
    Case(
        14,
        "ts_z",
        b"a\n2024-01-01T00:00:00Z\n2024-01-01T00:00:00+02:00\n",
        {"a": (_TEXT, ["2024-01-01T00:00:00Z", "2024-01-01T00:00:00+02:00"])},
    ),
    Case(
        15,
        "ts_ns",
        b"a\n2024-01-01 00:00:00.123456789\n2024-01-02 00:00:00\n",
        {"a": (_TEXT, ["2024-01-01 00:00:00.123456789", "2024-01-02 00:00:00"])},
    ),
    Case(
        16,
        "time",
        b"a\n12:30:00\n01:02:03\n",
        {"a": ("time64[us]", [dt.time(12, 30), dt.time(1, 2, 3)])},
    ),
    Case(17, "exp", b"a\n1e5\n2E3\n", {"a": (_TEXT, ["1e5", "2E3"])}),
    Case(18, "hex", b"a\n0x1F\n0x20\n", {"a": (_TEXT, ["0x1F", "0x20"])}),
    Case(19, "space", b"a\n 1\n2 \n", {"a": (_TEXT, [" 1", "2 "])}),
    Case(20, "underscore", b"a\n1_000\n2_000\n", {"a": (_TEXT, ["1_000", "2_000"])}),
    Case(21, "thousands", b'a\n"1,000"\n"2,000"\n', {"a": (_TEXT, ["1,000", "2,000"])}),
    Case(22, "bom", b"\xef\xbb\xbfa,b\n1,2\n", {"a": (_INT, [1]), "b": (_INT, [2])}),
    Case(
        23,
        "utf16",
        "a,b\n1,é\n".encode("utf-16"),
        {"a": (_INT, [1]), "b": (_TEXT, ["é"])},
    ),
    Case(24, "latin1", b"a,b\n1,\xe9\n", error=TextEncodingError, says=("row 2", "line 2")),
    Case(25, "nul", b"a,b\n1,x\x00y\n2,z\n", {"a": (_INT, [1, 2]), "b": (_TEXT, ["x\x00y", "z"])}),
    Case(
        26,
        "ragged_short",
        b"a,b\n1\n2,3\n",
        error=BadRowError,
        says=("row 2", "line 2", "1 fields, not 2"),
    ),
    Case(
        27,
        "ragged_long",
        b"a,b\n1,2,3\n4,5\n",
        error=BadRowError,
        says=("row 2", "line 2", "3 fields, not 2"),
    ),
    Case(28, "header_only", b"a,b\n", {"a": (_TEXT, []), "b": (_TEXT, [])}),
    Case(29, "zero", b"", {}),
    Case(
        30,
        "dup_hdr",
        b"a,a\n1,2\n",
        {"a": (_INT, [1]), "a_2": (_INT, [2])},
        renamed={"a_2": "a"},
    ),
    Case(
        31,
        "empty_hdr",
        b"a,\n1,2\n",
        {"a": (_INT, [1]), "_c2": (_INT, [2])},
        renamed={"_c2": ""},
    ),
    Case(
        32,
        "quoted_nl",
        b'a,b\n"x\ny",1\nz,2\n',
        {"a": (_TEXT, ["x\ny", "z"]), "b": (_INT, [1, 2])},
    ),
    Case(
        33,
        "unclosed_q",
        b'a,b\n"x,1\nz,2\n',
        error=BadRowError,
        says=("row 2", "line 2", "ends inside quotes"),
    ),
    Case(34, "cr_only", b"a,b\r1,2\r3,4\r", {"a": (_INT, [1, 3]), "b": (_INT, [2, 4])}),
    Case(35, "blank_lines", b"a\n1\n\n3\n", {"a": (_INT, [1, None, 3])}),
    Case(36, "semicolon", b"a;b\n1;2\n3;4\n", {"a": (_INT, [1, 3]), "b": (_INT, [2, 4])}),
    Case(37, "sep_line", b"sep=;\na;b\n1;2\n", {"a": (_INT, [1]), "b": (_INT, [2])}),
    Case(
        38,
        "no_header",
        b"1,2\n3,4\n",
        {"1": (_INT, [3]), "2": (_INT, [4])},
        warning="header looks like data",
    ),
    Case(
        39,
        "trailing_comma",
        b"a,b,\n1,2,\n",
        {"a": (_INT, [1]), "b": (_INT, [2]), "_c3": (_TEXT, [None])},
        renamed={"_c3": ""},
    ),
    Case(
        40,
        "bslash",
        b'a,b\n"x\\"y",1\n',
        error=BadRowError,
        says=("row 2", "line 2", "text after a closing quote"),
    ),
    Case(41, "quote_mid", b'a,b\nx"y",1\n', {"a": (_TEXT, ['x"y"']), "b": (_INT, [1])}),
]

OTHER_READINGS = [
    Case(
        14,
        "ts_z-all-z",
        b"a\n2024-01-01T00:00:00Z\n2024-06-01T12:00:00Z\n",
        {
            "a": (
                "timestamp[us, tz=UTC]",
                [
                    dt.datetime(2024, 1, 1, tzinfo=_UTC),
                    dt.datetime(2024, 6, 1, 12, tzinfo=_UTC),
                ],
            )
        },
        text_format={"a": "YYYY-MM-DDTHH:MM:SSZ"},
    ),
    Case(
        14,
        "ts_z-one-offset",
        b"a\n2024-01-01T00:00:00+02:00\n",
        {"a": ("timestamp[us, tz=+02:00]", [dt.datetime(2023, 12, 31, 22, tzinfo=_UTC)])},
        text_format={"a": "YYYY-MM-DDTHH:MM:SS+02:00"},
    ),
    Case(
        24,
        "latin1-fallback",
        b"a,b\n1,\xe9\n",
        {"a": (_INT, [1]), "b": (_TEXT, ["é"])},
        options=ConvertOptions(fallback_encoding="cp1252"),
        warning="not UTF-8: read as cp1252",
    ),
    Case(
        38,
        "no_header-kept-as-row",
        b"1,2\n3,4\n",
        {"_c1": (_INT, [1, 3]), "_c2": (_INT, [2, 4])},
        options=ConvertOptions(header=False),
    ),
]


def _id(case: Case) -> str:
    return f"{case.number:02d}-{case.name}"


@pytest.mark.parametrize("case", CASES + OTHER_READINGS, ids=_id)
def test_case(case: Case) -> None:
    if case.error is not None:
        with pytest.raises(case.error) as caught:
            _plan(case)
        for part in case.says:
            assert part in caught.value.message
        assert caught.value.attrs["row"] == 2
        return
    plan = _plan(case)
    assert [one.name for one in plan.columns] == list(case.columns)
    assert {one.name: one.type for one in plan.columns} == {
        name: kind for name, (kind, _) in case.columns.items()
    }
    sources = {one.name: one.source_name for one in plan.columns if one.source_name is not None}
    assert sources == case.renamed
    assert all(one.why for one in plan.columns)
    warned = " ".join(plan.warnings)
    assert case.warning in warned if case.warning else not warned
    sink = io.BytesIO()
    result = write_parquet(plan, io.BytesIO(case.source), sink, case.options)
    if not case.columns:
        assert plan.rows is None
        assert sink.getvalue() == b""
        return
    table = pq.read_table(io.BytesIO(sink.getvalue()))
    assert [str(kind) for kind in table.schema.types] == [kind for kind, _ in case.columns.values()]
    for name, (_, values) in case.columns.items():
        assert table.column(name).to_pylist() == values
    assert result.rows == plan.rows == table.num_rows
    assert result.size_bytes == len(sink.getvalue()) <= plan.bound_bytes
    for name, text_format in case.text_format.items():
        assert table.schema.field(name).metadata[b"stocktake.format"] == text_format.encode()


def test_all_41_are_here() -> None:
    assert [case.number for case in CASES] == list(range(1, 42))


@pytest.mark.parametrize("case", [one for one in CASES if one.columns], ids=_id)
def test_case_in_utf16_is_the_same(case: Case) -> None:
    """edge: neither the encoding nor a byte order mark changes a type."""
    if case.name in ("utf16", "bom"):
        return
    source = case.source.decode("utf-8").encode("utf-16")
    plan = plan_conversion(io.BytesIO(source), TableKind.CSV, case.options, name="x.csv")
    assert [one.type for one in plan.columns] == [kind for kind, _ in case.columns.values()]


def _plan(case: Case) -> Any:
    return plan_conversion(
        io.BytesIO(case.source), TableKind.CSV, case.options, name=f"{case.name}.csv"
    )


def test_types_of_an_empty_column_is_text_not_null() -> None:
    plan = plan_conversion(io.BytesIO(b"a,b\n,1\n,2\n"), TableKind.CSV, ConvertOptions(), name="x")
    assert [one.type for one in plan.columns] == [str(pa.string()), "int64"]
