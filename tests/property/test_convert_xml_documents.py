"""Any XML records, through Parquet and back: the same elements, wherever pieces end (SHP-21)."""

from __future__ import annotations

import io
from typing import Any
from unittest import mock

import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from stocktake.convert import (
    ConvertOptions,
    TableKind,
    plan_conversion,
    plan_from_json,
    plan_to_json,
    write_parquet,
)
from stocktake.convert import _xml_document as documents

NAMES = st.sampled_from(["a", "b", "c-d", "e.f", "é"])
TEXTS = st.just("") | st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Cn"]), min_size=1, max_size=5
).map(lambda text: "t" + text)
LEAVES = st.fixed_dictionaries(
    {"text": TEXTS, "attributes": st.dictionaries(NAMES, TEXTS, max_size=2)}
)
ELEMENTS = st.recursive(
    LEAVES,
    lambda inner: st.fixed_dictionaries(
        {
            "attributes": st.dictionaries(NAMES, TEXTS, max_size=2),
            "children": st.lists(st.tuples(NAMES, inner), min_size=1, max_size=4),
        }
    ),
    max_leaves=8,
)


def written(name: str, element: dict[str, Any]) -> Any:
    made = etree.Element(name, element["attributes"])
    if element.get("text"):
        made.text = element["text"]
    for tag, child in element.get("children", ()):
        made.append(written(tag, child))
    return made


def meant(element: dict[str, Any]) -> dict[str, Any]:
    """An element in one form: attributes and text that are not empty, children as lists."""
    found: dict[str, Any] = {"@" + k: v for k, v in element["attributes"].items() if v}
    if element.get("text"):
        found["#text"] = element["text"]
    for tag, child in element.get("children", ()):
        found.setdefault(tag, []).append(meant(child))
    return found


def read_back(value: Any) -> Any:
    """The same form from a value of the file."""
    if isinstance(value, str):
        return {"#text": value} if value else {}
    found: dict[str, Any] = {}
    for name, inner in value.items():
        if name[0] in "@#":
            if inner:
                found[name] = inner
        elif inner is not None:
            found[name] = [
                read_back(one) for one in (inner if isinstance(inner, list) else [inner])
            ]
    return found


@settings(max_examples=40)
@given(st.lists(ELEMENTS, min_size=2, max_size=6), st.sampled_from(["utf-8", "utf-16"]))
def test_xml_records_come_back_equal(elements: list[dict[str, Any]], encoding: str) -> None:
    root = etree.Element("root")
    for element in elements:
        root.append(written("i", element))
    text = etree.tostring(root, encoding=encoding, xml_declaration=True)
    options = ConvertOptions()
    answers = []
    for piece_bytes in (5, 1 << 16):
        with mock.patch.object(documents, "PIECE_BYTES", piece_bytes):
            plan = plan_conversion(io.BytesIO(text), TableKind.XML, options, name="x")
            plan = plan_from_json(plan_to_json(plan))
            sink = io.BytesIO()
            write_parquet(plan, io.BytesIO(text), sink, options)
        assert len(sink.getvalue()) <= plan.bound_bytes
        answers.append((plan, pq.read_table(io.BytesIO(sink.getvalue())).to_pylist()))
    assert answers[0] == answers[1]
    plan, rows = answers[0]
    if plan.details["is_value"]:
        rows = [row["value"] for row in rows]
    assert [read_back(row) for row in rows] == [meant(element) for element in elements]
