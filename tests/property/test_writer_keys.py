"""The key encoder of the report writer against Python's own, for any legal key."""

from urllib.parse import quote_plus, unquote_plus

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from stocktake.inventory._write_csv import csv_field, form_encode

keys = st.text(st.characters(exclude_categories=("Cs",)), max_size=40).filter(
    lambda key: len(key.encode()) <= 1024
)


def oracle(key: str) -> str:
    # Python never quotes `~`; the form encoding that AWS uses does
    return quote_plus(key, safe="/-_.*").replace("~", "%7E")


@given(st.lists(keys, max_size=30), st.data())
def test_encoded_keys_equal_the_oracle_and_decode_to_themselves(batch, data):
    # INV-20
    array = pa.array(batch, pa.string())
    start = data.draw(st.integers(0, len(batch)))
    encoded = form_encode(array.slice(start)).to_pylist()
    assert encoded == [oracle(key) for key in batch[start:]]
    assert [unquote_plus(text, errors="strict") for text in encoded] == batch[start:]


@given(st.lists(st.one_of(st.none(), st.text(st.characters(exclude_categories=("Cs",))))))
def test_quoted_text_fields_undouble_to_themselves(values):
    fields = csv_field(pa.array(values, pa.string()), "extra_object_owner").to_pylist()
    assert [text.replace('""', '"') for text in fields] == [value or "" for value in values]
