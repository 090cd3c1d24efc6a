"""XML becomes Parquet: records found, texts typed, nothing resolved (SHP-20, SHP-21, fault 58)."""

from __future__ import annotations

import datetime as dt
import io
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from stocktake.convert import (
    ConversionPlan,
    ConvertOptions,
    TableKind,
    plan_conversion,
    plan_from_json,
    plan_to_json,
    write_parquet,
)
from stocktake.convert import _xml_document as documents
from stocktake.errors import BadDocumentError, BadRowError, ConvertLimitError, SourceChangedError


def planned(text: bytes, **options: Any) -> ConversionPlan:
    return plan_conversion(
        io.BytesIO(text), TableKind.XML, ConvertOptions(**options), name="data.xml"
    )


def rows_of(text: bytes, **options: Any) -> list[Any]:
    plan = plan_from_json(plan_to_json(planned(text, **options)))
    sink = io.BytesIO()
    result = write_parquet(plan, io.BytesIO(text), sink, ConvertOptions(**options))
    assert result.size_bytes <= plan.bound_bytes
    rows = pq.read_table(io.BytesIO(sink.getvalue())).to_pylist()
    assert result.rows == plan.rows == len(rows)
    return rows


def test_repeated_children_are_rows_and_texts_get_types() -> None:
    text = b"""<r><i a="1"><x>1</x><d>2024-01-01</d><p>1.50</p><z>007</z></i>
    <i a="2"><x>2</x><d>2024-01-02</d><p>2.25</p><t>a</t><t>b</t></i></r>"""
    assert rows_of(text) == [
        {
            "@a": 1,
            "x": 1,
            "d": dt.date(2024, 1, 1),
            "p": Decimal("1.50"),
            "z": "007",
            "t": None,
        },
        {
            "@a": 2,
            "x": 2,
            "d": dt.date(2024, 1, 2),
            "p": Decimal("2.25"),
            "z": None,
            "t": ["a", "b"],
        },
    ]


def test_records_below_a_wrapper_are_found_and_what_is_beside_is_kept() -> None:
    text = b'<r v="1"><meta>m</meta><items n="2"><i>1</i>\n<i>2</i></items><end/></r>'
    assert rows_of(text) == [{"value": 1}, {"value": 2}]
    metadata = planned(text).details["metadata"]
    assert metadata["records_path"] == "items/i"
    assert metadata["beside"] == {
        "./@v": ["1"],
        "meta": ["<meta>m</meta>"],
        "items/@n": ["2"],
        "end": ["<end/>"],
    }


def test_a_records_path_says_where_the_records_are() -> None:
    text = b'<r><g id="1"><i>1</i></g><g id="2"><i>2</i><i>3</i></g></r>'
    assert rows_of(text) == [{"@id": 1, "i": [1]}, {"@id": 2, "i": [2, 3]}]
    assert rows_of(text, records_path="g/i") == [{"value": 1}, {"value": 2}, {"value": 3}]
    with pytest.raises(BadDocumentError, match="no 'g/k' below its root"):
        planned(text, records_path="g/k")


def test_without_anything_repeated_the_document_is_one_row() -> None:
    assert rows_of(b"<r><a>1</a><b>x</b></r>") == [{"a": 1, "b": "x"}]
    assert rows_of(b"<r>5</r>") == [{"value": 5}]
    assert rows_of(b"<r><i>1</i><j>2</j><i>1</i><j>2</j></r>") == [{"i": [1, 1], "j": [2, 2]}]


def test_text_beside_attributes_and_empty_elements() -> None:
    text = b'<r><p><v c="EUR">5</v></p><p><v>6</v></p><p><v/></p><p/></r>'
    assert rows_of(text) == [
        {"v": {"@c": "EUR", "#text": 5}},
        {"v": {"@c": None, "#text": 6}},
        {"v": {"@c": None, "#text": None}},
        {"v": None},
    ]
    assert rows_of(b"<r><a/><a>1</a></r>") == [{"value": ""}, {"value": "1"}]
    nil = (
        b'<r xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
        b'<i><a xsi:nil="true"/></i><i><a>1</a></i></r>'
    )
    assert rows_of(nil) == [{"a": None}, {"a": 1}]


def test_a_late_change_of_type_or_shape_widens() -> None:
    many = b"".join(b"<i><x>%d</x></i>" % number for number in range(30_000))
    rows = rows_of(b"<r>" + many + b"<i><x>a</x><x>b</x></i></r>")
    assert (rows[0], rows[-1]) == ({"x": ["0"]}, {"x": ["a", "b"]})


def test_fault_58_bombs_entities_mixed_content_and_namespaces(tmp_path: Path) -> None:
    """Fault 58 (SHP-21): refused in no time, or kept as it is written."""
    laughs = b"".join(b'<!ENTITY l%d "%s">' % (n + 1, b"&l%d;" % n * 10) for n in range(12))
    bomb = b'<!DOCTYPE r [<!ENTITY l0 "ha">' + laughs + b"]><r><a>&l12;</a></r>"
    secret = tmp_path / "secret"
    secret.write_text("secret")
    xxe = f'<!DOCTYPE r [<!ENTITY x SYSTEM "file://{secret}">]><r><a>&x;</a></r>'.encode()
    parameter = f'<!DOCTYPE r [<!ENTITY % x SYSTEM "file://{secret}"> %x;]><r/>'.encode()
    for text in (bomb, xxe, parameter):
        with pytest.raises(BadDocumentError, match=r"declares entities|amplification"):
            planned(text)
    with pytest.raises(BadDocumentError, match="values of attributes"):
        planned(b'<!DOCTYPE r [<!ATTLIST a k CDATA "d">]><r><a/></r>')
    elsewhere = b'<!DOCTYPE r SYSTEM "http://127.0.0.1:9/x.dtd">'
    assert rows_of(elsewhere + b"<r><a>1</a><a>2</a></r>") == [{"value": 1}, {"value": 2}]
    for inner in (b"p&x;q", b"&x;", b"<b>1</b>&x;"):
        with pytest.raises(BadDocumentError, match="entity &x; is not defined"):
            planned(elsewhere + b"<r><a>" + inner + b"</a><a>1</a></r>")
    mixed = b"<r><p><t>one <b>two</b> three</t></p><p><t>x</t></p></r>"
    assert rows_of(mixed) == [{"t": "<t>one <b>two</b> three</t>"}, {"t": "<t>x</t>"}]
    named = (
        b'<r xmlns="urn:x" xmlns:q="urn:q"><i q:a="1"><q:x>1</q:x><x>2</x></i>'
        b'<i xmlns:q="urn:other"><q:x>3</q:x></i></r>'
    )
    assert rows_of(named) == [
        {"@q:a": 1, "q:x": 1, "x": 2, "q2:x": None},
        {"@q:a": None, "q:x": None, "x": None, "q2:x": 3},
    ]
    assert planned(named).details["metadata"]["namespaces"] == {
        "": "urn:x",
        "q": "urn:q",
        "q2": "urn:other",
    }


def test_cdata_comments_and_encodings_of_the_prolog() -> None:
    text = '<?xml version="1.0" encoding="ISO-8859-1"?><r><a>é<!-- c -->z<?p x?></a>'
    assert rows_of((text + "<a><![CDATA[<b>&]]></a></r>").encode("latin-1")) == [
        {"value": "éz"},
        {"value": "<b>&"},
    ]
    assert rows_of("<r><a>é</a><a>b</a></r>".encode("utf-16")) == [{"value": "é"}, {"value": "b"}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"<r><a></b></r>", "line 1: Opening and ending tag mismatch"),
        (b"<r><i>1</i>\n<i>2</i>", "line 2: Premature end"),
        (b"<r><a>&x;</a></r>", "line 1: Entity 'x' not defined"),
        (b'{"not":"xml"}', "line 1: Start tag expected"),
        (b"<r>\n<a>\xff</a></r>", "line 2: "),
    ],
)
def test_what_is_no_xml_is_refused_with_its_line(text: bytes, message: str) -> None:
    with pytest.raises(BadDocumentError, match=message):
        planned(text)


def test_deep_nesting_becomes_xml_text_and_too_deep_is_refused() -> None:
    deep = b"<b>" * 60 + b"</b>" * 60
    (row,) = rows_of(b"<r><a>1</a>" + deep + b"</r>")
    value = row["b"]
    while isinstance(value, dict):
        value = value["b"]
    assert value.startswith("<b><b>")
    with pytest.raises(ConvertLimitError):
        planned(b"<r>" + b"<b>" * 300 + b"</b>" * 300 + b"</r>")


def test_a_source_that_changed_between_the_passes_is_not_converted() -> None:
    plan = planned(b"<r><i><a>1</a></i><i><a>2</a></i></r>")
    for other in (
        b"<r><i><a>x</a></i><i><a>2</a></i></r>",
        b"<r><i><a>1</a>",
        b"<r><i><a><b/></a></i></r>",
        b"<r/>",
        b"<!DOCTYPE r [<!ENTITY x 'y'>]><r><i><a>&x;</a></i></r>",
    ):
        with pytest.raises(SourceChangedError):
            write_parquet(plan, io.BytesIO(other), io.BytesIO(), ConvertOptions())


def test_nothing_in_it_means_nothing_to_write() -> None:
    assert planned(b"").columns == ()


def test_pieces_of_any_length_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    text = b"<r><m>x</m>" + b'<i a="1"><x>1</x>\n<x>2</x></i>\n' * 20 + b"<m>y</m></r>"
    whole = (planned(text), rows_of(text))
    for size_bytes in (1, 7, 64):
        monkeypatch.setattr(documents, "PIECE_BYTES", size_bytes)
        assert (planned(text), rows_of(text)) == whole


def test_records_are_taken_off_the_tree() -> None:
    """SHP-13: what was read is not kept, whatever stands between the records."""
    text = b"<r>" + b'<g n="1"><i>1</i><i>2</i></g>\n' * 2_000 + b"</r>"
    source = documents.XmlText(io.BytesIO(text))
    records = documents.XmlRecords(source, ("g", "i"), ConvertOptions(), documents.Names())
    most = 0
    for record in records:
        root = record.getroottree().getroot()
        most = max(most, len(root))
    assert most < 1_000_000 // len(b'<g n="1"><i>1</i><i>2</i></g>\n')
    assert len(root) == 1
    assert records.beside.members["g/@n"] == ["1"] * 2_000


def test_a_type_that_was_asked_for_is_made_or_fails_with_its_row() -> None:
    text = b"<r><i a='1'><x>1.50</x></i><i a='2'><x>2.25</x></i></r>"
    assert rows_of(text, schema={"@a": "string", "x": "double"}) == [
        {"@a": "1", "x": 1.5},
        {"@a": "2", "x": 2.25},
    ]
    plan = planned(text, schema={"x": "int64"})
    with pytest.raises(BadRowError, match="row 1: a value of 'x' is no int64"):
        write_parquet(plan, io.BytesIO(text), io.BytesIO(), ConvertOptions())
