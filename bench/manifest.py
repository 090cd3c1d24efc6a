"""A manifest of 100,000 parts: fetched, verified and parsed."""

from __future__ import annotations

import hashlib
import json
import time

from bench.measure import keep, table

PARTS = 100_000


def main(argv: list[str] | None = None) -> int:
    from stocktake.inventory import ReadOptions, ReportAddress, open_report
    from stocktake.model import S3Url
    from stocktake.testing import MemoryStore

    base = "photos/daily"
    files = [
        {
            "key": f"{base}/data/{number:08d}-85a9-4ba8-87bd-9db705a579ce.csv.gz",
            "size": 90_000_000,
            "MD5checksum": hashlib.md5(str(number).encode()).hexdigest(),
        }
        for number in range(PARTS)
    ]
    manifest = {
        "sourceBucket": "photos",
        "destinationBucket": "arn:aws:s3:::reports",
        "version": "2016-11-30",
        "creationTimestamp": "1748826000000",
        "fileFormat": "CSV",
        "fileSchema": "Bucket, Key, Size, LastModifiedDate, ETag",
        "files": files,
    }
    body = json.dumps(manifest, indent=2).encode()
    store = MemoryStore()
    store.describe("CreateBucket", "reports")
    folder = f"{base}/2025-06-02T01-00Z"
    store.put("reports", f"{folder}/manifest.json", body)
    checksum = hashlib.md5(body).hexdigest().encode() + b"\n"
    store.put("reports", f"{folder}/manifest.checksum", checksum)
    started = time.perf_counter()
    address = ReportAddress.parse(str(S3Url("reports", base)))
    options = ReadOptions(read_configuration=False)
    report = open_report(store, address, options=options)
    elapsed = time.perf_counter() - started
    assert len(report.parts()) == PARTS
    table(
        "Opening a report",
        ["parts", "manifest MB", "wall s"],
        [[PARTS, len(body) / 1e6, elapsed]],
    )
    keep("manifest", {"parts": PARTS, "manifest_bytes": len(body), "wall_s": elapsed})
    return 0
