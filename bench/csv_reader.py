"""The CSV reader alone: one part from memory, in one thread, beside what it cannot do without.

CPU seconds of the same bytes: MD5 and inflating by isal, the bare parse of `pyarrow.csv`, the key
decoder, and the reader as imports use it (MD5, inflate, cut, parse, decode, normalise). The rounds
are interleaved and the fastest counts, because machines are noisy.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import time
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.csv as pacsv
from isal import isal_zlib

from bench.measure import keep, table
from stocktake.inventory import ReportAddress, open_report
from stocktake.inventory._csv_part import BLOCK_BYTES, read_csv_part
from stocktake.inventory._key_decoding import decode_keys
from stocktake.inventory._layout import CsvLayout
from stocktake.model import PartTally, S3Url
from stocktake.testing import MemoryStore, ReportLook, SyntheticBucket, write_synthetic_report

TYPES = {
    "key": pa.binary(),
    "size_bytes": pa.int64(),
    "last_modified": pa.timestamp("ms", "UTC"),
    "is_latest": pa.bool_(),
    "is_delete_marker": pa.bool_(),
}
UNIT = 1 << 20


@dataclass(frozen=True)
class Sample:
    """One synthetic report of one part, and its bytes."""

    store: MemoryStore
    names: tuple[str, ...]
    packed: bytes
    text: bytes

    @property
    def layout(self) -> CsvLayout:
        return CsvLayout.of(self.names, bucket="demo-data", part_name="part")


def make(rows: int, schema: str) -> Sample:
    bucket = SyntheticBucket(rows=rows, versions=schema != "basic", extras=schema == "full")
    store = MemoryStore()
    store.describe("CreateBucket", "reports")
    target = S3Url.parse("s3://reports/r")
    report = write_synthetic_report(bucket, store, target, ReportLook(parts=1))
    with store.get("reports", report.parts[0].key) as body:
        packed = body.read()
    with store.get("reports", report.manifest_url.key) as body:
        names = json.loads(body.read())["fileSchema"].split(",")
    return Sample(store, tuple(name.strip() for name in names), packed, gzip.decompress(packed))


def whole_reader(sample: Sample) -> None:
    address = ReportAddress.parse("s3://reports/r/demo-data/daily")
    report = open_report(sample.store, address)
    for part in report.parts():
        for _ in report.read(part, PartTally()):
            pass


def reader_of_text(sample: Sample) -> None:
    for _ in read_csv_part(io.BytesIO(sample.text), sample.layout, PartTally()):
        pass


def inflate(sample: Sample) -> None:
    """As a stream: the whole text at once would mostly measure fresh memory."""
    inflater = isal_zlib.decompressobj(31)
    for start in range(0, len(sample.packed), UNIT // 8):
        data = sample.packed[start : start + UNIT // 8]
        while data or inflater.unconsumed_tail:
            inflater.decompress(data or inflater.unconsumed_tail, UNIT)
            data = b""


def bare_parse(sample: Sample) -> None:
    layout = sample.layout
    reader = pacsv.open_csv(
        pa.BufferReader(sample.text),
        pacsv.ReadOptions(
            use_threads=False, column_names=list(layout.columns), block_size=BLOCK_BYTES
        ),
        convert_options=pacsv.ConvertOptions(
            column_types={name: TYPES.get(name, pa.string()) for name in layout.output},
            include_columns=list(layout.output),
            null_values=[""],
            strings_can_be_null=True,
        ),
    )
    for _ in reader:
        pass


def key_blocks(sample: Sample) -> list[pa.Array]:
    layout = CsvLayout.of(sample.names, bucket="", part_name="", key_encoding="none")
    blocks = read_csv_part(io.BytesIO(sample.text), layout, PartTally())
    return [block.rows.column("key").cast(pa.binary()) for block in blocks]


def measure(sample: Sample, rounds: int) -> dict[str, float]:
    """Least CPU seconds of each work, all threads of this process."""
    keys = key_blocks(sample)
    works: dict[str, Callable[[], object]] = {
        "MD5": lambda: hashlib.md5(sample.packed).digest(),
        "isal inflate": lambda: inflate(sample),
        "bare pyarrow.csv": lambda: bare_parse(sample),
        "key decoder": lambda: [decode_keys(block, "form") for block in keys],
        "reader, inflated text": lambda: reader_of_text(sample),
        "reader, whole": lambda: whole_reader(sample),
    }
    least = dict.fromkeys(works, float("inf"))
    for _ in range(rounds):
        for name, work in works.items():
            started = time.process_time()
            work()
            least[name] = min(least[name], time.process_time() - started)
    return least


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench csv", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--schema", choices=["basic", "versions", "full"], default="basic")
    options = parser.parse_args(argv)
    sample = make(options.rows, options.schema)
    least = measure(sample, options.rounds)
    base, parse = least["isal inflate"], least["bare pyarrow.csv"]
    table(
        f"{options.rows} rows, {len(sample.packed) / 1e6:.0f} MB stored, "
        f"{len(sample.text) / 1e6:.0f} MB of text, schema {options.schema}",
        ["work", "CPU s", "M rows/s per core", "x isal inflate", "x bare pyarrow.csv"],
        [
            [name, cpu_s, options.rows / cpu_s / 1e6, cpu_s / base, cpu_s / parse]
            for name, cpu_s in least.items()
        ],
    )
    result = {
        "rows": options.rows,
        "schema": options.schema,
        "stored_bytes": len(sample.packed),
        "text_bytes": len(sample.text),
        "cpu_s": least,
        "rows_per_s": options.rows / least["reader, whole"],
        "to_inflate": least["reader, whole"] / base,
        "to_parse": least["reader, whole"] / parse,
    }
    print(json.dumps(result))
    keep("csv", result)
    return 0
