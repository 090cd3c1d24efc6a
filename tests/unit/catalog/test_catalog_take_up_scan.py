"""LST-1: a scan that was killed goes on where it was: finished parts are not listed again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from stocktake.catalog import (
    Catalog,
    ImportOptions,
    ImportResult,
    find_snapshot,
    import_snapshot,
    interrupted_scan,
    object_batches,
    take_up_scan,
)
from stocktake.clock import FixedClock
from stocktake.errors import ImportRunningError, StoreUnavailableError
from stocktake.listing import ListSource, PagedLister, RangeLister, RangeOptions
from stocktake.model import S3Url
from stocktake.state import imports
from stocktake.store import Store
from stocktake.testing import FaultStore, MemoryStore, Planned

PART_ROWS = 1_500
KEYS = [f"k{number:05d}" for number in range(9_000)]


@pytest.fixture(scope="module")
def bucket() -> MemoryStore:
    store = MemoryStore(clock=FixedClock(datetime(2025, 1, 1, tzinfo=UTC)))
    store.describe("CreateBucket", "b")
    for key in KEYS:
        store.put("b", key, b"x")
    return store


def scan_of(store: Store, catalog: Catalog, *, parallel: bool = False) -> ListSource:
    options = RangeOptions(workers=4, rows_per_batch=1000, page_rows=500)
    lister = RangeLister(options) if parallel else PagedLister(rows_per_batch=500)
    return ListSource(store, S3Url("b"), clock=catalog.clock, lister=lister, part_rows=PART_ROWS)


def keys_of(catalog: Catalog, result: ImportResult) -> list[str]:
    snapshot = find_snapshot(catalog, result.snapshot_id)
    return [key for batch in object_batches(catalog, snapshot) for key in batch["key"].to_pylist()]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("good_pages", [2, 4, 7])
def test_a_scan_that_failed_at_a_page_goes_on_after_its_finished_parts(
    bucket: MemoryStore, catalog: Catalog, clock: FixedClock, good_pages, parallel, workers
) -> None:
    fault = Planned("list_page", StoreUnavailableError("gone"), skip=good_pages, times=99)
    broken = scan_of(FaultStore(bucket, [fault]), catalog, parallel=parallel)
    with pytest.raises(StoreUnavailableError):
        import_snapshot(catalog, broken, ImportOptions(workers=workers))
    clock.advance(600)

    counting = FaultStore(bucket, [])
    again = take_up_scan(catalog, scan_of(counting, catalog, parallel=parallel))
    found = interrupted_scan(catalog, again.header)
    result = import_snapshot(catalog, again, ImportOptions(workers=workers))

    assert keys_of(catalog, result) == KEYS
    done = len(found.finished) if found else 0
    assert result.resumed_parts == done
    if done:
        assert again.header.as_of == broken.header.as_of
        assert again.header.identity == broken.header.identity
        listed = again.metrics.objects
        assert listed <= len(KEYS) - done * PART_ROWS + 500


def test_a_scan_killed_late_lists_only_the_rest(bucket: MemoryStore, catalog: Catalog) -> None:
    fault = Planned("list_page", StoreUnavailableError("gone"), skip=8, times=99)
    broken = scan_of(FaultStore(bucket, [fault]), catalog)
    with pytest.raises(StoreUnavailableError):
        import_snapshot(catalog, broken, ImportOptions(workers=1))
    again = take_up_scan(catalog, scan_of(bucket, catalog))
    result = import_snapshot(catalog, again)
    assert result.resumed_parts == 5
    assert sum(again.metrics.calls.values()) == 2  # of 9 pages; 7,500 rows were there
    assert keys_of(catalog, result) == KEYS
    manifest = find_snapshot(catalog, result.snapshot_id).manifest
    periods = manifest.header.attrs["parts_read"]
    assert len(periods) >= 6
    assert all(first <= last for first, last in periods.values())


def test_keys_that_came_and_went_between_the_two_runs(catalog: Catalog) -> None:
    store = MemoryStore(clock=FixedClock(datetime(2025, 1, 1, tzinfo=UTC)))
    store.describe("CreateBucket", "b")
    for key in KEYS[::2]:
        store.put("b", key, b"x")
    fault = Planned("list_page", StoreUnavailableError("gone"), skip=3, times=99)
    broken = scan_of(FaultStore(store, [fault]), catalog)
    with pytest.raises(StoreUnavailableError):
        import_snapshot(catalog, broken, ImportOptions(workers=1))
    store.delete("b", [KEYS[0], KEYS[8000]])
    store.put("b", "a", b"late, in a part that is finished")
    store.put("b", KEYS[8001], b"late, in a part that is not")
    result = import_snapshot(catalog, take_up_scan(catalog, scan_of(store, catalog)))
    expected = {*KEYS[::2], KEYS[8001]} - {KEYS[8000]}
    assert result.resumed_parts == 1
    assert keys_of(catalog, result) == sorted(expected)


def test_an_old_interrupted_scan_is_not_taken_up(
    bucket: MemoryStore, catalog: Catalog, clock: FixedClock
) -> None:
    fault = Planned("list_page", StoreUnavailableError("gone"), skip=8, times=99)
    with pytest.raises(StoreUnavailableError):
        import_snapshot(catalog, scan_of(FaultStore(bucket, [fault]), catalog))
    clock.advance(7200)
    fresh = scan_of(bucket, catalog)
    assert take_up_scan(catalog, fresh, younger_than=timedelta(hours=1)) is fresh
    assert take_up_scan(catalog, fresh, younger_than=timedelta(hours=3)) is not fresh
    newer = import_snapshot(catalog, fresh)
    assert newer.resumed_parts == 0
    assert interrupted_scan(catalog, scan_of(bucket, catalog).header) is None


def test_a_scan_of_versions_does_not_take_up_one_of_current_objects(
    bucket: MemoryStore, catalog: Catalog
) -> None:
    fault = Planned("list_page", StoreUnavailableError("gone"), skip=8, times=99)
    with pytest.raises(StoreUnavailableError):
        import_snapshot(catalog, scan_of(FaultStore(bucket, [fault]), catalog))
    versions = ListSource(bucket, S3Url("b"), versions=True, clock=catalog.clock)
    assert interrupted_scan(catalog, versions.header) is None
    assert interrupted_scan(catalog, scan_of(bucket, catalog).header) is not None


def test_a_scan_at_work_elsewhere_is_not_taken_up(bucket: MemoryStore, catalog: Catalog) -> None:
    fault = Planned("list_page", StoreUnavailableError("gone"), skip=8, times=99)
    with pytest.raises(StoreUnavailableError):
        import_snapshot(catalog, scan_of(FaultStore(bucket, [fault]), catalog))
    with catalog.state.write() as connection:
        far = {"state": "running", "owner_host": "elsewhere", "lease_until": "2999-01-01T00:00:00Z"}
        connection.execute(update(imports).values(**far))
    fresh = scan_of(bucket, catalog)
    assert take_up_scan(catalog, fresh) is fresh
    with pytest.raises(ImportRunningError):
        import_snapshot(catalog, fresh)
