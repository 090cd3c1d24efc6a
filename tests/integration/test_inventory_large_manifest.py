"""A manifest at the size of the bar: 100,000 parts."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime

from stocktake.clock import FixedClock, SystemClock
from stocktake.inventory import ReportAddress, open_report
from stocktake.telemetry import Meter
from stocktake.testing import MemoryStore

PARTS = 100_000


def test_edge_60_manifest_of_a_hundred_thousand_parts_opens_within_ten_seconds() -> None:
    """INV-12; two requests, whatever the size."""
    meter = Meter()
    store = MemoryStore(meter=meter)
    for bucket in ("dest", "src"):
        store.describe("CreateBucket", bucket)
    name = "939c6d46-85a9-4ba8-87bd"
    document = {
        "sourceBucket": "src",
        "destinationBucket": "arn:aws:s3:::dest",
        "creationTimestamp": "1767574800000",
        "fileFormat": "CSV",
        "fileSchema": "Bucket, Key",
        "files": [
            {"key": f"src/cfg/data/{name}-{n:012d}.csv.gz", "size": 7, "MD5checksum": "0" * 32}
            for n in range(PARTS)
        ],
    }
    data = json.dumps(document, indent=2).encode()
    store.put("dest", "src/cfg/2026-01-05T01-00Z/manifest.json", data)
    checksum = hashlib.md5(data).hexdigest().encode()
    store.put("dest", "src/cfg/2026-01-05T01-00Z/manifest.checksum", checksum)

    began_s = SystemClock().monotonic_s()
    clock = FixedClock(datetime(2026, 1, 6, tzinfo=UTC))
    report = open_report(store, ReportAddress("dest", "", "src", "cfg"), clock=clock)
    assert SystemClock().monotonic_s() - began_s < 10
    assert len(report.parts()) == PARTS
    assert report.header.attrs["part_bytes"] == 7 * PARTS
    assert meter.calls["GetObject"] == 2
    assert meter.calls["ListObjectsV2"] == 1
