"""Hand-made deliveries of inventory reports in a store in memory."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.orc as paorc
import pyarrow.parquet as papq
import pytest

from stocktake.clock import FixedClock
from stocktake.errors import StocktakeError
from stocktake.inventory import ReadOptions, Report, ReportAddress, open_report
from stocktake.model import PartTally
from stocktake.store import ByteRange, ObjectBody, ObjectHead
from stocktake.telemetry import Meter
from stocktake.testing import MemoryStore

STAMP = "2026-01-05T01-00Z"
NOW = datetime(2026, 1, 6, 12, tzinfo=UTC)
SCHEMA = "Bucket, Key, Size, LastModifiedDate, ETag, StorageClass"


class FaultyStore(MemoryStore):
    """A store in memory that raises what `faults` says for a key, and counts its requests."""

    def __init__(self) -> None:
        self.meter = Meter()
        super().__init__(clock=FixedClock(NOW), meter=self.meter)
        self.faults: dict[str, StocktakeError] = {}
        self.listed: list[str] = []
        self.ranges: list[ByteRange] = []

    def get(self, bucket: str, key: str, **parameters: Any) -> ObjectBody:
        if key in self.faults:
            raise self.faults[key]
        if parameters.get("byte_range"):
            self.ranges.append(parameters["byte_range"])
        return super().get(bucket, key, **parameters)

    def head(self, bucket: str, key: str, **parameters: Any) -> ObjectHead:
        if key in self.faults:
            raise self.faults[key]
        return super().head(bucket, key, **parameters)

    def list_page(self, query: Any) -> Any:
        self.listed.append(query.prefix)
        return super().list_page(query)


class Desk:
    """Delivers reports about bucket `src`, configuration `cfg`, to `s3://dest/p/`."""

    address = ReportAddress("dest", "p", "src", "cfg")
    base = "p/src/cfg/"

    def __init__(self) -> None:
        self.store = FaultyStore()
        self.clock = FixedClock(NOW)
        for bucket in ("dest", "src", "elsewhere"):
            self.store.describe("CreateBucket", bucket)

    def put(self, key: str, body: bytes | str, bucket: str = "dest") -> ObjectHead:
        data = body.encode() if isinstance(body, str) else body
        return self.store.put(bucket, key, data)

    def part(self, name: str, body: bytes, **entry: Any) -> dict[str, Any]:
        """Store a part under `data/`; returns its entry for the manifest."""
        key = f"{self.base}data/{name}"
        self.put(key, body)
        return {"key": key, "size": len(body), "MD5checksum": md5(body)} | entry

    def manifest(self, files: Any, schema: str = SCHEMA, fmt: str = "CSV", **more: Any) -> str:
        created_ms = int(datetime(2026, 1, 5, 1, tzinfo=UTC).timestamp() * 1000)
        document = {
            "sourceBucket": "src",
            "destinationBucket": "arn:aws:s3:::dest",
            "version": "2016-11-30",
            "creationTimestamp": str(created_ms),
            "fileFormat": fmt,
            "fileSchema": schema,
            "files": files,
        }
        return json.dumps({k: v for k, v in (document | more).items() if v is not ...}, indent=2)

    def publish(self, manifest: str | bytes, stamp: str = STAMP, checksum: Any = None) -> str:
        """Store manifest and checksum in a dated folder; returns the manifest's key."""
        data = manifest.encode() if isinstance(manifest, str) else manifest
        key = f"{self.base}{stamp}/manifest.json"
        self.put(key, data)
        if checksum is not False:
            self.put(f"{self.base}{stamp}/manifest.checksum", checksum or md5(data) + "\n")
        return key

    def csv(self, *rows: str, schema: str = SCHEMA, **manifest: Any) -> None:
        """Deliver one gzipped part with these lines."""
        body = gzip.compress("".join(f"{row}\n" for row in rows).encode(), mtime=0)
        self.publish(self.manifest([self.part("1.csv.gz", body)], schema, **manifest))

    def keys(self, *raw: str, options: ReadOptions = ReadOptions()) -> list[str]:
        """Deliver a CSV report of these raw keys and read it: the keys that come out."""
        self.csv(*(f'"src","{key}"' for key in raw), schema="Bucket, Key")
        rows, _ = self.read(self.open(options=options))
        return [row["key"] for row in rows]

    def columnar(self, *tables: pa.Table, fmt: str = "Parquet", **write: Any) -> None:
        """Deliver one ORC or Parquet part per table."""
        encode = orc_bytes if fmt == "ORC" else parquet_bytes
        files = [self.part(f"{n}.x", encode(table, **write)) for n, table in enumerate(tables)]
        self.publish(self.manifest(files, "message s3.inventory { }", fmt))

    def open(self, **parameters: Any) -> Report:
        parameters.setdefault("address", self.address)
        return open_report(self.store, clock=self.clock, **parameters)

    def read(self, report: Report) -> tuple[list[dict[str, Any]], PartTally]:
        """All good rows of all parts, in order, and one tally of them all."""
        tally = PartTally()
        rows: list[dict[str, Any]] = []
        for part in report.parts():
            for block in report.read(part, tally):
                assert block.rows.schema.names == list(report.header.columns)
                rows += block.rows.to_pylist()
        return rows, tally


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def orc_bytes(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    paorc.write_table(table, sink, compression="zlib", **options)
    return sink.getvalue()


def parquet_bytes(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    papq.write_table(table, sink, compression="snappy", **options)
    return sink.getvalue()


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def fixtures() -> Path:
    return Path(__file__).parents[2] / "fixtures" / "inventory"
