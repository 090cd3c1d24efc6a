"""Properties of reading reports: nothing but our own errors, and never a row that is not right."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
from contextlib import suppress
from datetime import UTC, datetime
from unittest.mock import patch

import pyarrow as pa
import pyarrow.orc as paorc
import pyarrow.parquet as papq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stocktake.clock import FixedClock
from stocktake.errors import PartCorruptError, StocktakeError
from stocktake.inventory import (
    ReadOptions,
    Report,
    ReportAddress,
    _part_stream,
    open_report,
    parse_manifest,
)
from stocktake.inventory._part_stream import PartStream
from stocktake.model import PartRef, PartTally
from stocktake.testing import MemoryStore

ADDRESS = ReportAddress("dest", "", "src", "cfg")
BASE = "src/cfg/"
CLOCK = FixedClock(datetime(2026, 1, 6, tzinfo=UTC))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
FIELDS = ["sourceBucket", "destinationBucket", "creationTimestamp", "fileFormat", "fileSchema"]


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def deliver(parts: list[bytes], fmt: str, schema: str = "Bucket, Key, Size") -> MemoryStore:
    store = MemoryStore(clock=CLOCK)
    for bucket in ("dest", "src"):
        store.describe("CreateBucket", bucket)
    files = []
    for n, body in enumerate(parts):
        store.put("dest", f"{BASE}data/{n}", body)
        files.append({"key": f"{BASE}data/{n}", "size": len(body), "MD5checksum": md5(body)})
    document = {"sourceBucket": "src", "fileFormat": fmt, "fileSchema": schema, "files": files}
    publish(store, json.dumps(document).encode())
    return store


def publish(store: MemoryStore, manifest: bytes) -> None:
    folder = f"{BASE}2026-01-05T01-00Z/"
    store.put("dest", f"{folder}manifest.json", manifest)
    store.put("dest", f"{folder}manifest.checksum", md5(manifest).encode())


def open_it(store: MemoryStore, options: ReadOptions = ReadOptions()) -> Report:
    return open_report(store, ADDRESS, clock=CLOCK, options=options)


def read_all(report: Report) -> list[dict]:
    rows = []
    for part in report.parts():
        for block in report.read(part, PartTally()):
            rows += block.rows.to_pylist()
    return rows


@given(st.binary(max_size=200))
def test_any_bytes_are_a_manifest_or_a_told_error(data) -> None:
    with suppress(StocktakeError):
        parse_manifest(data)


@given(
    st.dictionaries(st.sampled_from([*FIELDS, "files"]), JSON, max_size=6),
    st.lists(st.dictionaries(st.sampled_from(["key", "size", "MD5checksum"]), JSON), max_size=3),
    st.booleans(),
)
def test_any_json_is_a_manifest_or_a_told_error(fields, files, keep_files) -> None:
    base = {"sourceBucket": "src", "fileFormat": "CSV", "fileSchema": "Key", "files": files}
    if not keep_files:
        base.pop("files")
    store = deliver([], "CSV")
    publish(store, json.dumps(base | fields).encode())
    with suppress(StocktakeError):
        report = open_it(store)
        assert all(part.size_bytes >= 0 for part in report.parts())


members = st.lists(st.binary(max_size=400) | st.just(b"row\n" * 500), min_size=1, max_size=5)


@settings(deadline=None)
@given(members, st.integers(1, 40), st.integers(1, 900), st.integers(8, 700))
def test_members_cut_anywhere_give_the_same_text(texts, padding, read_bytes, piece_bytes) -> None:
    """INV-5: wherever members, reads and pieces from the store begin and end."""
    body = (b"\0" * padding).join(gzip.compress(text) for text in texts) + b"\0" * padding
    store = deliver([body], "CSV")
    with patch.object(_part_stream, "_PIECE_BYTES", piece_bytes):
        part = PartRef(0, "p", len(body), md5(body))
        stream = PartStream(store.get("dest", f"{BASE}data/0"), part, PartTally())
        pieces = []
        while piece := stream.read(read_bytes):
            pieces.append(piece)
    assert b"".join(pieces) == b"".join(texts)
    assert all(len(piece) == read_bytes for piece in pieces[:-1])


@given(st.binary(max_size=2000), st.data())
def test_mutated_gzip_with_the_old_md5_never_ends_well(text, data) -> None:
    """INV-5."""
    body = gzip.compress(text)
    position = data.draw(st.integers(0, len(body) - 1))
    mutated = bytearray(body)
    mutated[position] ^= data.draw(st.integers(1, 255))
    store = deliver([bytes(mutated)], "CSV")
    stream = PartStream(
        store.get("dest", f"{BASE}data/0"), PartRef(0, "p", len(body), md5(body)), PartTally()
    )
    with pytest.raises(PartCorruptError):
        stream.read()


@given(st.binary(max_size=400))
@example(b'"src","k\n')
@example(b'"src",""","\n"src","b","1"\n')
@example(b"\xef\xbb\xbfBucket,Key,Size\r\n")
@example(b'\r"')
def test_any_text_is_rows_or_a_told_error(text) -> None:
    """INV-7."""
    store = deliver([text], "CSV")
    with suppress(StocktakeError):
        rows = read_all(open_it(store))
        assert all(row["key"] for row in rows)


keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
record = st.fixed_dictionaries(
    {
        "key": keys,
        "size": st.none() | st.integers(0, 2**62),
        "last_modified_date": st.none() | st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1)),  # noqa: DTZ001
        "is_latest": st.none() | st.booleans(),
        "storage_class": st.none() | st.text(st.characters(codec="ascii"), min_size=1, max_size=5),
    }
)
COLUMNS = {
    "key": pa.string(),
    "size": pa.int64(),
    "last_modified_date": pa.timestamp("us"),
    "is_latest": pa.bool_(),
    "storage_class": pa.string(),
}


def encode(rows: list[dict], columns: list[str], fmt: str, per_group: int = 1000) -> bytes:
    schema = pa.schema([(name, COLUMNS[name]) for name in columns])
    table = pa.Table.from_pylist([{n: row[n] for n in columns} for row in rows], schema=schema)
    sink = io.BytesIO()
    if fmt == "ORC":
        paorc.write_table(table, sink, compression="zlib", batch_size=per_group)
    else:
        papq.write_table(table, sink, row_group_size=per_group)
    return sink.getvalue()


@settings(deadline=None)
@given(
    st.lists(st.lists(record, max_size=20), min_size=1, max_size=3),
    st.lists(st.sampled_from(list(COLUMNS)[1:]), unique=True),
    st.sampled_from(["ORC", "Parquet"]),
    st.sampled_from([0, 1 << 20]),
    st.integers(1, 7),
)
def test_columnar_rows_come_back_as_they_were(parts, extra, fmt, buffer_bytes, per_group) -> None:
    """INV-3."""
    columns = ["key", *extra]
    store = deliver([encode(rows, columns, fmt, per_group) for rows in parts], fmt)
    report = open_it(store, ReadOptions(buffer_bytes_max=buffer_bytes))
    names = {"size": "size_bytes", "last_modified_date": "last_modified"}
    expected = []
    for row in (row for part in parts for row in part):
        kept = {names.get(name, name): row[name] for name in columns}
        when = kept.get("last_modified")
        if when is not None:
            kept["last_modified"] = when.replace(microsecond=when.microsecond // 1000 * 1000)
        expected.append(kept)
    assert read_all(report) == expected


@pytest.mark.parametrize("fmt", ["ORC", "Parquet"])
@settings(deadline=None)
@given(st.lists(record, min_size=1, max_size=20), st.data())
def test_mutated_columnar_part_gives_no_row(fmt, rows, data) -> None:
    """INV-5: whatever the damage, the MD5 comes first."""
    body = encode(rows, list(COLUMNS), fmt)
    store = deliver([body, body], fmt)
    report = open_it(store, ReadOptions(buffer_bytes_max=data.draw(st.sampled_from([0, 1 << 20]))))
    mutated = bytearray(body)
    mutated[data.draw(st.integers(0, len(body) - 1))] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.integers(0, 3))
    store.put("dest", f"{BASE}data/1", bytes(mutated[: len(body) - cut]))
    tally = PartTally()
    with pytest.raises(PartCorruptError):
        next(iter(report.read(report.parts()[1], tally)))
    assert tally.rows == 0


@pytest.mark.parametrize("fmt", ["ORC", "Parquet"])
@settings(deadline=None)
@given(st.binary(max_size=300))
def test_arbitrary_bytes_as_columnar_part_are_a_told_error(fmt, body) -> None:
    """INV-5: also if the manifest vouches for them."""
    with pytest.raises(StocktakeError):
        open_it(deliver([body], fmt))


@pytest.mark.parametrize("fmt", ["ORC", "Parquet"])
@settings(deadline=None)
@given(st.lists(record, min_size=1, max_size=20), st.data())
def test_damaged_footer_is_rows_or_a_told_error(fmt, rows, data) -> None:
    """INV-5: the footer is looked at before the MD5 is known."""
    body = bytearray(encode(rows, list(COLUMNS), fmt))
    position = data.draw(st.integers(max(len(body) - 120, 0), len(body) - 1))
    body[position] ^= data.draw(st.integers(1, 255))
    with suppress(StocktakeError):
        open_it(deliver([bytes(body)], fmt))
