"""What our writer wrote, our reader reads: the same rows in all three formats."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from stocktake.inventory import (
    CsvStyle,
    ReportAddress,
    ReportFormat,
    ReportSpec,
    list_deliveries,
    open_report,
    verify_report,
    write_report,
)
from stocktake.listing import list_objects
from stocktake.model import PartTally, S3Url
from stocktake.testing import (
    MemoryStore,
    ReportLook,
    ReportOrder,
    SyntheticBucket,
    expected_diff,
    write_synthetic_report,
)

HOME = S3Url("inventory", "reports")
ADDRESS = ReportAddress.parse("s3://inventory/reports/demo-data/daily")


@pytest.fixture
def store() -> MemoryStore:
    made = MemoryStore()
    made.describe("CreateBucket", "inventory")
    made.describe("CreateBucket", "demo-data")
    return made


def read_back(store, **how) -> pa.Table:
    report = open_report(store, ADDRESS, **how)
    batches = []
    for part in report.parts():
        tally = PartTally()
        for block in report.read(part, tally):
            assert block.undecodable is None
            batches.append(block.rows)
        assert (tally.bad_rows, tally.undecodable_keys) == (0, 0)
    return pa.Table.from_batches(batches)


def made(bucket: SyntheticBucket) -> pa.Table:
    return pa.Table.from_batches(list(bucket.batches()))


def same(first: pa.Table, second: pa.Table) -> bool:
    assert first.schema.names == second.schema.names
    # rows of one key (its versions) may come in any order
    order = [(name, "ascending") for name in ("key", "last_modified")]
    left, right = first.sort_by(order), second.sort_by(order)
    return left.to_pylist() == right.to_pylist()


@pytest.mark.parametrize("file_format", list(ReportFormat))
@pytest.mark.parametrize("versions", [False, True])
@pytest.mark.parametrize("extras", [False, True])
def test_every_format_reads_back_to_the_rows_that_were_written(
    store, file_format, versions, extras
):
    # INV-20: identical rows, with nasty keys, versions, delete markers and extra columns
    bucket = SyntheticBucket(
        rows=2500, generation=2, nasty=True, versions=versions, extras=extras, modified=0.1
    )
    look = ReportLook(file_format=file_format, parts=3)
    write_synthetic_report(bucket, store, HOME, look)
    assert same(read_back(store), made(bucket))


def test_rows_keep_their_order_through_writer_and_reader(store):
    bucket = SyntheticBucket(rows=2000, nasty=True)
    for file_format in ReportFormat:
        look = ReportLook(file_format=file_format, parts=2, order=ReportOrder.SORTED)
        write_synthetic_report(bucket, store, HOME, look)
        assert read_back(store)["key"].to_pylist() == made(bucket)["key"].to_pylist()


def test_a_report_that_looks_like_another_stores_reads_back_too(store):
    # INV-3, INV-11: header row, Windows line ends, columns in another order
    bucket = SyntheticBucket(rows=500, nasty=True)
    look = ReportLook(
        columns=("etag", "size_bytes", "key", "storage_class", "bucket", "last_modified"),
        csv_style=CsvStyle(header=True, line_end="\r\n"),
    )
    write_synthetic_report(bucket, store, HOME, look)
    assert same(read_back(store), made(bucket))


def test_our_deliveries_are_found_listed_and_verified(store):
    # INV-1, INV-2, INV-5
    bucket = SyntheticBucket(rows=300)
    for generation in (1, 2):
        write_synthetic_report(bucket.at(generation), store, HOME)
    stamps = [delivery.stamp for delivery in list_deliveries(store, ADDRESS)]
    assert sorted(stamps) == [bucket.stamp, bucket.at(2).stamp]
    report = open_report(store, ADDRESS)
    assert report.header.as_of == bucket.at(2).stamp
    assert verify_report(report).ok


def test_two_generations_read_back_differ_by_the_expected_diff(store):
    bucket = SyntheticBucket(rows=1000, nasty=True, new=0.05, modified=0.04, deleted=0.03)
    contents = []
    for generation in (1, 2):
        write_synthetic_report(bucket.at(generation), store, HOME)
        rows = read_back(store).to_pylist()
        contents.append({row["key"]: row["etag"] for row in rows})
    old, new = contents
    diff = expected_diff(bucket, 1, 2, keys=True)
    assert new.keys() - old.keys() == set(diff.new_keys)
    assert old.keys() - new.keys() == set(diff.deleted_keys)
    assert {key for key in old.keys() & new.keys() if old[key] != new[key]} == set(
        diff.modified_keys
    )


@pytest.mark.parametrize("file_format", list(ReportFormat))
def test_all_versions_of_a_live_bucket_become_a_report_that_reads_back_the_same(store, file_format):
    # INV-20: IsLatest, delete markers and the null version from a listing of versions
    store.put("demo-data", "before versioning", b"old")
    store.describe(
        "PutBucketVersioning", "demo-data", VersioningConfiguration={"Status": "Enabled"}
    )
    for key in ("before versioning", "a b=c", "a b=c", "gone"):
        store.put("demo-data", key, key.encode())
    store.delete("demo-data", ["gone"])
    listed = [
        row
        for batch in list_objects(store, S3Url("demo-data"), versions=True)
        for row in batch.to_pylist()
    ]
    assert len(listed) == 6
    spec = ReportSpec(
        HOME, "demo-data", "daily", datetime(2026, 1, 9, tzinfo=UTC), file_format=file_format
    )
    write_report(store, spec, list_objects(store, S3Url("demo-data"), versions=True))
    assert read_back(store).to_pylist() == listed
    assert [row["version_id"] for row in listed].count("null") == 1
    assert sum(row["is_delete_marker"] for row in listed) == 1
