"""Synthetic reports of every format through reader, import and diff (INV-3, CAT-1, CAT-4)."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from stocktake.catalog import (
    Catalog,
    ImportOptions,
    diff_snapshots,
    find_snapshot,
    import_snapshot,
    open_catalog,
)
from stocktake.clock import FixedClock
from stocktake.inventory import ReportAddress, ReportFormat, open_report
from stocktake.model import S3Url
from stocktake.testing import (
    MemoryStore,
    ReportLook,
    ReportOrder,
    SyntheticBucket,
    expected_diff,
    write_synthetic_report,
)

CLOCK = FixedClock(datetime(2026, 2, 1, tzinfo=UTC))
ACCEPT = ImportOptions(accept_deletions=True)


def import_generations(catalog: Catalog, bucket: SyntheticBucket, look: ReportLook) -> list[Any]:
    store = MemoryStore()
    for name in ("inventory", bucket.name):
        store.describe("CreateBucket", name)
    address = ReportAddress("inventory", "p", bucket.name, look.config_id)
    results = []
    for generation in (1, 2, 3):
        write_synthetic_report(bucket.at(generation), store, S3Url("inventory", "p"), look)
        report = open_report(store, address, clock=CLOCK)
        results.append(import_snapshot(catalog, report, ACCEPT))
    return results


@pytest.mark.parametrize("file_format", list(ReportFormat))
@pytest.mark.parametrize("versions", [False, True])
def test_import_finds_exactly_what_changed(
    file_format: ReportFormat, versions: bool, tmp_path: Path
) -> None:
    bucket = SyntheticBucket(
        rows=3000, seed=5, nasty=True, versions=versions, new=0.02, modified=0.02, deleted=0.01
    )
    order = ReportOrder.SHUFFLED if versions else ReportOrder.RUNS
    look = ReportLook(file_format=file_format, parts=3, order=order)
    with open_catalog(str(tmp_path / "catalog"), create=True, clock=CLOCK) as catalog:
        results = import_generations(catalog, bucket, look)
        markers = {result.stats.folder_markers for result in results}
        for generation, result in enumerate(results, 1):
            present = result.stats.objects + result.stats.folder_markers
            assert present == bucket.at(generation).row_count
            assert (result.stats.duplicates, result.stats.bad_rows) == (0, 0)
        assert markers != {0}
        first, last = find_snapshot(catalog, "latest~2"), find_snapshot(catalog, "latest")
        diff = diff_snapshots(catalog, first, last)
        found: dict[str, list[str]] = {"new": [], "modified": [], "deleted": []}
        for batch in diff.rows():
            for row in batch.to_pylist():
                if row["change"] == "renamed":
                    found["new"].append(row["key"])
                    found["deleted"].append(row["renamed_from"])
                else:
                    found[row["change"]].append(row["key"])
    expected = expected_diff(bucket, 1, 3, keys=True)
    assert sorted(found["new"]) == sorted(expected.new_keys)
    assert sorted(found["modified"]) == sorted(expected.modified_keys)
    assert sorted(found["deleted"]) == sorted(expected.deleted_keys)
