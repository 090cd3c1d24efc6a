"""INV-7, INV-11: the CSV reader against a slow one made of the standard library."""

from __future__ import annotations

import csv
import gzip
import io
import random
from urllib.parse import quote_plus, unquote_plus

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from stocktake.inventory import _csv_part
from stocktake.inventory._csv_part import read_csv_part
from stocktake.inventory._csv_rows import last_row_end
from stocktake.inventory._layout import CsvLayout
from stocktake.inventory._write_columns import report_columns
from stocktake.inventory._write_csv import CsvPart, CsvStyle
from stocktake.model import PartTally, object_schema

COLUMNS = ("Bucket", "Key", "Size", "ETag", "StorageClass", "ObjectOwner")
OUTPUT = ("key", "size_bytes", "etag", "storage_class", "extra_object_owner")
BLOCKS = [1, 2, 3, 5, 9, 17, 64, 300, 1 << 20]

# `\r` alone ends a row for pyarrow, `\0` is kept by both
character = st.sampled_from('"",,\n\r\t a1é\u2028\U0001f4f7\0;|') | st.characters(codec="utf-8")
text = st.text(character, max_size=6)
keys = st.text(character, min_size=1, max_size=6)
size = st.integers(0, 2**63 - 1).map(str) | st.just("")
row = st.tuples(st.just("src"), keys, size, text, text, text)


def write(rows: list, *, end: str, quote_all: bool, final: bool) -> bytes:
    lines = []
    for values in rows:
        fields = []
        for value in values:
            doubled = value.replace('"', '""')
            bare = not quote_all and not set(value) & set('",\r\n')
            fields.append(value if bare else f'"{doubled}"')
        lines.append(",".join(fields))
    whole = end.join(lines)
    return (whole + (end if final and lines else "")).encode()


def read(data: bytes, block_bytes: int, encoding: str = "form") -> tuple[list[dict], PartTally]:
    tally = PartTally()
    layout = CsvLayout.of(COLUMNS, bucket="src", part_name="p", key_encoding=encoding)
    rows: list[dict] = []
    before = _csv_part.BLOCK_BYTES
    _csv_part.BLOCK_BYTES = block_bytes
    try:
        for block in read_csv_part(io.BytesIO(data), layout, tally):
            assert block.rows.schema == object_schema(OUTPUT)
            block.rows.validate(full=True)
            rows += block.rows.to_pylist()
            if block.undecodable is not None:
                rows += block.undecodable.to_pylist()
    finally:
        _csv_part.BLOCK_BYTES = before
    return rows, tally


def slow(data: bytes, encoding: str) -> list[dict]:
    """The same rows by `csv.reader` and `unquote_plus`."""
    found = []
    for fields in csv.reader(io.StringIO(data.decode(), newline="")):
        if not fields:
            continue
        _, key, size_text, etag, *texts = fields
        found.append(
            {
                "key": unquote_plus(key, errors="strict") if encoding == "form" else key,
                "size_bytes": int(size_text) if size_text else None,
                "etag": etag,
                "storage_class": texts[0] or None,
                "extra_object_owner": texts[1] or None,
            }
        )
    return found


def without_etag(rows: list[dict]) -> list[dict]:
    return [{name: row[name] for name in row if name != "etag"} for row in rows]


@settings(deadline=None, max_examples=300)
@given(
    st.lists(row, max_size=8),
    st.sampled_from(BLOCKS),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
    st.booleans(),
)
def test_rows_are_those_of_the_standard_library(rows, block, end, quote_all, final) -> None:
    """Quotes, newlines and Unicode in every column, wherever blocks are cut."""
    data = write(rows, end=end, quote_all=quote_all, final=final)
    found, tally = read(data, block, "none")
    assert without_etag(found) == without_etag(slow(data, "none"))
    assert tally.rows == len(rows)
    assert tally.bad_rows == sum(not values[2] for values in rows)


@settings(deadline=None)
@given(st.lists(row, max_size=8), st.sampled_from(BLOCKS), st.booleans())
def test_encoded_keys_are_those_of_the_standard_library(rows, block, quote_all) -> None:
    encoded = [(bucket, quote_plus(key), *rest) for bucket, key, *rest in rows]
    data = write(encoded, end="\n", quote_all=quote_all, final=True)
    found, _ = read(data, block)
    assert without_etag(found) == without_etag(slow(data, "form"))
    assert [row["key"] for row in found] == [values[1] for values in rows]


@settings(deadline=None)
@given(st.lists(row, min_size=1, max_size=6), st.lists(st.sampled_from(BLOCKS), min_size=2))
def test_block_size_changes_nothing(rows, blocks) -> None:
    """Also with rows of another width and values that cannot be read among them."""
    ragged = [values[: 6 - index % 3] for index, values in enumerate(rows)]
    data = write(ragged, end="\n", quote_all=True, final=True) + b'"src","%FF","x","","",""\n'
    outcomes = []
    for block in blocks:
        found, tally = read(data, block)
        counts = (tally.rows, tally.bad_rows, tally.undecodable_keys, tally.suspicious_keys)
        outcomes.append((sorted(found, key=repr), counts))
    assert all(outcome == outcomes[0] for outcome in outcomes)


# a mutation may make a header of nothing, so none of the rows may become one
mutation = st.tuples(
    st.floats(0, 1, exclude_max=True),
    st.sampled_from([b'"', b",", b"\n", b"\r", b"\xff", b"%", b"%FF", b"x", b""]),
    st.booleans(),
)


@settings(deadline=None, max_examples=300)
@given(
    st.lists(st.integers(0, 999), min_size=1, max_size=8),
    st.lists(mutation, max_size=3),
    st.sampled_from(BLOCKS),
)
def test_no_line_of_a_mutated_part_vanishes(numbers, mutations, block) -> None:
    """Every line that no mutation touched comes out as a row, or is accounted for as bad."""
    lines = [f'"src","key-{n}-{i}","{n}","e","S","o"\n'.encode() for i, n in enumerate(numbers)]
    touched = set()
    for where, piece, insert in mutations:
        index = int(where * len(lines))
        at = random.Random(where).randrange(len(lines[index]))
        lines[index] = lines[index][:at] + piece + lines[index][at + (not insert) :]
        touched.add(index)
    found, tally = read(b"".join(lines), block)
    keys = {row["key"] for row in found}
    lost = [
        index
        for index, n in enumerate(numbers)
        if index not in touched and f"key-{n}-{index}" not in keys
    ]
    assert len(lost) <= tally.bad_rows
    assert len(found) == tally.rows + tally.undecodable_keys
    # a newline that a mutation took away joins two lines into one
    assert len(found) + tally.bad_rows >= len(lines) - len(mutations)


@given(st.lists(row, max_size=6), st.booleans(), st.integers(0, 400))
def test_cut_is_behind_the_last_whole_row(rows, quote_all, stop) -> None:
    """What is before the cut and what is behind it parse as they do together."""
    data = write(rows, end="\n", quote_all=quote_all, final=True)
    head = data[:stop]
    cut = last_row_end(head)
    ends = [0]
    for values in rows:
        line = write([values], end="\n", quote_all=quote_all, final=True)
        ends.append(ends[-1] + len(line))
    assert cut == max(end for end in ends if end <= len(head))


stored = st.fixed_dictionaries(
    {
        "key": keys,
        "size_bytes": st.integers(0, 2**63 - 1),
        "etag": st.just("d41d8cd98f00b204e9800998ecf8427e-2"),
        "storage_class": st.none() | st.text(character, min_size=1, max_size=6),
        "extra_object_owner": st.none() | st.text(character, min_size=1, max_size=6),
    }
)


class Sink:
    """Bytes that a part wrote."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> int:
        self.data += data
        return len(data)


@settings(deadline=None)
@given(
    st.lists(stored, max_size=8),
    st.sampled_from(BLOCKS),
    st.booleans(),
    st.sampled_from(["\n", "\r\n"]),
)
def test_what_the_writer_wrote_is_read_back(rows, block, header, end) -> None:
    """INV-20."""
    sink = Sink()
    columns = report_columns(("bucket", *OUTPUT))
    part = CsvPart(sink, columns, "src", CsvStyle(header=header, line_end=end))
    part.write(pa.RecordBatch.from_pylist(rows, schema=object_schema(OUTPUT)))
    part.finish()
    names = [column.csv_name for column in columns]
    assert names == list(COLUMNS)
    found, tally = read(gzip.decompress(sink.data), block)
    assert found == rows
    assert tally.bad_rows == 0
