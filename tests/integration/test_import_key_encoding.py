"""A report whose keys are percent-encoded is noticed, read again, and remembered (INV-4)."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

import pytest

from stocktake.catalog import (
    KEY_ENCODING,
    find_snapshot,
    import_snapshot,
    list_objects,
    list_snapshots,
    open_catalog,
    source_setting,
)
from stocktake.cli._output import Output
from stocktake.cli._report_import import ImportRequest, run_import
from stocktake.cli._run import Run
from stocktake.errors import KeyEncodingError
from stocktake.inventory import ReportAddress, open_report
from stocktake.testing import MemoryStore

KEYS = ["a+b.txt", "c d.txt"]


def store_with_report(encoded: list[str]) -> MemoryStore:
    store = MemoryStore()
    for bucket in ("photos", "reports"):
        store.describe("CreateBucket", bucket)
    for key in KEYS:
        store.put("photos", key, b"x")
    rows = "".join(f'"photos","{key}","1"\n' for key in encoded)
    part = gzip.compress(rows.encode())
    store.put("reports", "photos/daily/data/1.csv.gz", part)
    manifest = {
        "sourceBucket": "photos",
        "destinationBucket": "arn:aws:s3:::reports",
        "version": "2016-11-30",
        "creationTimestamp": "1748826000000",
        "fileFormat": "CSV",
        "fileSchema": "Bucket, Key, Size",
        "files": [
            {
                "key": "photos/daily/data/1.csv.gz",
                "size": len(part),
                "MD5checksum": hashlib.md5(part).hexdigest(),
            }
        ],
    }
    body = json.dumps(manifest).encode()
    folder = "photos/daily/2025-06-02T01-00Z"
    store.put("reports", f"{folder}/manifest.json", body)
    store.put("reports", f"{folder}/manifest.checksum", hashlib.md5(body).hexdigest().encode())
    return store


def test_percent_encoded_keys_are_never_published_as_form_encoded(tmp_path: Path) -> None:
    store = store_with_report(["a+b.txt", "c%20d.txt"])
    report = open_report(store, ReportAddress.parse("s3://reports/photos/daily"))
    with open_catalog(str(tmp_path / "catalog"), create=True) as catalog:
        with pytest.raises(KeyEncodingError) as caught:
            import_snapshot(catalog, report)
        assert caught.value.attrs["encoding"] == "percent"
        assert not list_snapshots(catalog)


@pytest.mark.parametrize(
    ("encoded", "kept"),
    [
        (["a+b.txt", "c%20d.txt"], "percent"),
        (["a%2Bb.txt", "c+d.txt"], None),
        (["a%2Bb.txt", "c%20d.txt"], None),
    ],
)
def test_the_command_reads_such_a_report_again_and_remembers(
    tmp_path: Path, encoded: list[str], kept: str | None
) -> None:
    store = store_with_report(encoded)
    report = open_report(store, ReportAddress.parse("s3://reports/photos/daily"))
    with open_catalog(str(tmp_path / "catalog"), create=True) as catalog:
        run = Run.of({"out": Output(), "quiet": True})
        run_import(run, catalog, report, ImportRequest("s3://reports/photos/daily"))
        assert source_setting(catalog, report.header, KEY_ENCODING) == kept
        rows = list_objects(catalog, find_snapshot(catalog, "latest"), "").rows
        assert rows.column("key").to_pylist() == KEYS
