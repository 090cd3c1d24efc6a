"""What the fuzzers call: each target takes any bytes, reads them, and checks what must always hold.

Only our own errors may come out; nothing may vanish unseen; a wrong MD5 may never end well. The
same functions run on known inputs in `tests/property/test_inventory_fuzz_targets.py`.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from unittest.mock import patch

import pyarrow as pa
import pyarrow.orc as paorc
import pyarrow.parquet as papq

from stocktake.clock import FixedClock
from stocktake.errors import StocktakeError
from stocktake.inventory import ReadOptions, ReportAddress, _csv_part, open_report, parse_manifest
from stocktake.inventory._csv_part import read_csv_part
from stocktake.inventory._layout import CsvLayout
from stocktake.inventory._part_stream import PartStream
from stocktake.model import PartRef, PartTally
from stocktake.testing import MemoryStore

CLOCK = FixedClock(datetime(2026, 1, 6, tzinfo=UTC))
ADDRESS = ReportAddress("dest", "", "src", "cfg")
BASE = "src/cfg/"
SCHEMAS = [
    ("Bucket", "Key", "Size"),
    ("Bucket", "Key"),
    ("Key",),
    ("Size", "Key", "LastModifiedDate", "ETag", "StorageClass"),
    (
        *("Bucket", "Key", "VersionId", "IsLatest", "IsDeleteMarker", "Size"),
        *("LastModifiedDate", "ETag", "ObjectOwner"),
    ),
]
ENCODINGS = ["form", "percent", "none"]
BLOCKS = [1, 2, 3, 7, 16, 61, 256, 1 << 20]


def manifest(data: bytes) -> None:
    """Any bytes as manifest.json, with the right checksum."""
    with suppress(StocktakeError):
        parse_manifest(data)
    store = _store()
    _publish(store, data)
    _read_all(store)


def csv(data: bytes) -> None:
    """Any text as a part: two bytes choose schema, encoding and block size, the rest is text."""
    if len(data) < 2:
        return
    columns = SCHEMAS[data[0] % len(SCHEMAS)]
    encoding = ENCODINGS[(data[0] >> 4) % len(ENCODINGS)]
    text = data[2:]
    found = read_text(text, columns, encoding, BLOCKS[data[1] % len(BLOCKS)])
    whole = read_text(text, columns, encoding, 1 << 20)
    records = count_records(text)
    if not records.odd_quotes:  # one that is the header may be missing
        assert len(found.keys) + found.bad + 1 >= records.rows, "a record vanished"
        assert found == whole, "rows depend on where the text was cut"


def gzip_stream(data: bytes) -> None:
    """Any bytes as a stored part: one byte chooses the size of reads."""
    if not data:
        return
    body = data[1:]
    for md5 in (hashlib.md5(body).hexdigest(), "0" * 32):
        store = _store()
        store.put("dest", "part", body)
        stream = PartStream(
            store.get("dest", "part"), PartRef(0, "part", len(body), md5), PartTally()
        )
        size_bytes = 1 + data[0] * 37
        pieces = []
        try:
            while piece := stream.read(size_bytes):
                pieces.append(piece)
        except StocktakeError:
            continue
        assert md5 != "0" * 32, "a wrong MD5 ended well"
        assert all(len(piece) == size_bytes for piece in pieces[:-1]), "a short read"


def orc(data: bytes) -> None:
    """Any bytes as an ORC part that the manifest vouches for."""
    _columnar(data, "ORC")


def parquet(data: bytes) -> None:
    """Any bytes as a Parquet part that the manifest vouches for."""
    _columnar(data, "Parquet")


@dataclass(frozen=True)
class Found:
    """What came out of a text."""

    keys: list[tuple]
    bad: int
    undecodable: int
    suspicious: int


@dataclass(frozen=True)
class Records:
    """What a text holds, counted byte by byte.

    `odd_quotes`: a quote stays open, stands in an unquoted field, or follows a closing one: then
    writers and readers disagree about what a row is.
    """

    rows: int
    odd_quotes: bool


def read_text(text: bytes, columns: tuple[str, ...], encoding: str, block_bytes: int) -> Found:
    """All rows of a text, undecodable ones too; raises nothing but assertions."""
    tally = PartTally()
    layout = CsvLayout.of(columns, bucket="src", part_name="p", key_encoding=encoding)
    rows = []
    with patch.object(_csv_part, "BLOCK_BYTES", block_bytes):
        for block in read_csv_part(io.BytesIO(text), layout, tally):
            for batch in filter(None, (block.rows, block.undecodable)):
                batch.validate(full=True)
                rows += [tuple(row.values()) for row in batch.to_pylist()]
    assert len(rows) == tally.rows + tally.undecodable_keys
    assert all(row[0] for row in rows), "a row without a key"
    # blocks give good rows before undecodable ones
    rows.sort(key=repr)
    return Found(rows, tally.bad_rows, tally.undecodable_keys, tally.suspicious_keys)


def count_records(text: bytes) -> Records:
    """Records as the plainest of readers sees them; empty lines are none."""
    text = text.removeprefix(b"\xef\xbb\xbf")
    state, rows, length, odd = "start", 0, 0, False
    for byte in text:
        char = chr(byte)
        if state == "quoted":
            state = "closed" if char == '"' else "quoted"
        elif char in "\r\n":
            if length:
                rows += 1
            state, length = "start", -1
        elif char == '"' and state in ("start", "closed"):
            state = "quoted"
        elif char == ",":
            state = "start"
        else:
            odd = odd or char == '"' or state in ("closed", "odd")
            state = "odd" if state == "closed" else "bare"
        length += 1
    return Records(rows + bool(length), odd or state == "quoted")


def seeds(name: str) -> list[bytes]:
    """Inputs to start from."""
    if name == "manifest":
        entry = {"key": f"{BASE}data/0", "size": 0, "MD5checksum": hashlib.md5(b"").hexdigest()}
        return [_manifest([entry], "CSV"), _manifest([], "ORC"), _manifest([], "Parquet")]
    if name == "csv":
        row = b'"src","a%20b+%2B","v","true","false","5","2024-05-06T22:38:00.000Z","ab","x"\n'
        return [
            b"\x04\x07" + row * 3,
            b'\x00\x03"src","k","5"\n"src","l\nm",""\n',
            b"\x01\x05Bucket,Key\r\nsrc,%FF\r\n\xef\xbb\xbf",
            b'\x13\x02"5","k",""""",""x"","s\xff"\n',
        ]
    if name == "gzip_stream":
        text = b'"src","k"\n' * 50
        pair = gzip.compress(text, mtime=0) + gzip.compress(b"", mtime=0)
        return [b"\x01" + pair + b"\0" * 9, b"\x09" + text]
    return [_encode(name, codec) for codec in ("uncompressed", "snappy", "zlib")]


def _columnar(body: bytes, file_format: str) -> None:
    for buffer_bytes in (0, 1 << 20):
        store = _store()
        store.put("dest", f"{BASE}data/0", body)
        md5 = hashlib.md5(body).hexdigest()
        entry = {"key": f"{BASE}data/0", "size": len(body), "MD5checksum": md5}
        _publish(store, _manifest([entry], file_format))
        _read_all(store, ReadOptions(buffer_bytes_max=buffer_bytes))


def _read_all(store: MemoryStore, options: ReadOptions = ReadOptions()) -> None:
    with suppress(StocktakeError):
        report = open_report(store, ADDRESS, clock=CLOCK, options=options)
        for part in report.parts():
            tally, rows = PartTally(), 0
            for block in report.read(part, tally):
                for batch in filter(None, (block.rows, block.undecodable)):
                    batch.validate(full=True)
                    batch.slice(0, 1000).to_pylist()
                    rows += batch.num_rows
            assert rows == tally.rows + tally.undecodable_keys


def _store() -> MemoryStore:
    store = MemoryStore(clock=CLOCK)
    for bucket in ("dest", "src"):
        store.describe("CreateBucket", bucket)
    store.put("dest", f"{BASE}data/0", b"")
    return store


def _publish(store: MemoryStore, document: bytes) -> None:
    folder = f"{BASE}2026-01-05T01-00Z/"
    store.put("dest", f"{folder}manifest.json", document)
    store.put("dest", f"{folder}manifest.checksum", hashlib.md5(document).hexdigest().encode())


def _manifest(files: list[dict], file_format: str) -> bytes:
    document = {
        "sourceBucket": "src",
        "destinationBucket": "arn:aws:s3:::dest",
        "creationTimestamp": "1767574800000",
        "fileFormat": file_format,
        "fileSchema": "Bucket, Key, Size",
        "files": files,
    }
    return json.dumps(document).encode()


def _encode(name: str, codec: str) -> bytes:
    table = pa.table(
        {
            "bucket": ["src", "src", "src"],
            "key": ["a", "b/é", "c"],
            "size": [1, None, 3],
            "last_modified_date": pa.array([0, 10**12, None], pa.timestamp("ms")),
            "is_latest": [True, False, None],
            "e_tag": ["ab", 'W/"x"', ""],
        }
    )
    sink = io.BytesIO()
    if name == "orc":
        paorc.write_table(table, sink, compression=codec)
    else:
        codec = "gzip" if codec == "zlib" else codec
        papq.write_table(table, sink, compression="none" if codec == "uncompressed" else codec)
    return sink.getvalue()
