"""Upkeep through the command: what killed runs left goes with the next import; compact, upgrade."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from stocktake.catalog import import_snapshot, open_catalog
from stocktake.cli._main import run
from stocktake.cli._output import Output
from stocktake.cli._report_import import ImportRequest, run_import
from stocktake.cli._run import Run
from stocktake.inventory import ReportAddress, open_report
from stocktake.model import S3Url
from stocktake.testing import (
    MemoryPart,
    MemorySource,
    MemoryStore,
    ReportLook,
    SyntheticBucket,
    write_synthetic_report,
)


def answer(*args: str) -> dict[str, object]:
    out = io.StringIO()
    code = run([*args, "--json"], Output(out, io.StringIO()))
    assert code == 0, out.getvalue()
    document: dict[str, object] = json.loads(out.getvalue())
    return document


def test_next_import_removes_what_a_killed_run_left(tmp_path: Path) -> None:
    store = MemoryStore()
    store.describe("CreateBucket", "reports")
    bucket = SyntheticBucket(rows=50)
    write_synthetic_report(bucket, store, S3Url("reports"), ReportLook(parts=1))
    address = f"s3://reports/{bucket.name}/daily"
    report = open_report(store, ReportAddress.parse(address))
    with open_catalog(str(tmp_path / "catalog"), create=True) as catalog:
        orphan = tmp_path / "catalog/snapshots/gone/daily/snp_gone/objects/0.parquet"
        orphan.parent.mkdir(parents=True)
        orphan.write_bytes(b"left behind")
        work = Run.of({"out": Output(io.StringIO(), io.StringIO()), "quiet": True})
        run_import(work, catalog, report, ImportRequest(address))
        assert not orphan.exists()


@pytest.fixture
def place(tmp_path: Path) -> str:
    parts = [MemoryPart(rows=[{"key": f"k{n}"} for n in range(s, 9, 2)]) for s in (0, 1)]
    with open_catalog(str(tmp_path / "catalog"), create=True) as catalog:
        import_snapshot(catalog, MemorySource(parts, columns=("key",)))
        return catalog.location


def test_compact_command_says_what_became_of_the_files(place: str) -> None:
    found = answer("catalog", "compact", "--catalog", place)
    assert (found["files_before"], found["files_after"], found["rows"]) == (2, 1, 9)


def test_upgrade_command_leaves_a_current_database_as_it_is(place: str) -> None:
    assert answer("catalog", "upgrade", "--catalog", place)["catalog"] == place
    found = answer("find", "k", "--catalog", place)
    assert "k8" in json.dumps(found)
