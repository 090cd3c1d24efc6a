"""A report of a live bucket: listed from a real server process, written to it, read back."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from stocktake.errors import ReportExistsError
from stocktake.inventory import (
    ReadOptions,
    ReportAddress,
    ReportFormat,
    ReportSpec,
    open_report,
    verify_report,
    write_report,
)
from stocktake.listing import list_objects
from stocktake.model import PartTally, S3Url
from stocktake.store import open_store
from stocktake.testing import SyntheticBucket, populate, start_ministack

BUCKET = SyntheticBucket(rows=400, nasty=True, name="live-data")
ADDRESS = ReportAddress.parse("s3://live-inventory/reports/live-data/listed")
LARGE = ReportAddress.parse("s3://live-inventory/reports/live-data/large")
# once a bucket has such keys, ministack answers 500 to GetBucketInventoryConfiguration
PLAIN = ReadOptions(read_configuration=False)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with start_ministack(tmp_path_factory.mktemp("ministack")) as server:
        opened = open_store(server.options())
        for name in ("live-data", "live-inventory"):
            opened.describe("CreateBucket", name)
        populate(opened, BUCKET, threads=4)
        yield opened
        opened.close()


def listed(store) -> list[dict]:
    return [row for batch in list_objects(store, S3Url("live-data")) for row in batch.to_pylist()]


def spec(file_format: ReportFormat, minute: int) -> ReportSpec:
    return ReportSpec(
        destination=S3Url("live-inventory", "reports/"),
        source_bucket="live-data",
        config_id="listed",
        stamp=datetime(2026, 2, 1, 1, minute, tzinfo=UTC),
        file_format=file_format,
        rows_per_part=150,
    )


@pytest.mark.servers
@pytest.mark.parametrize(("minute", "file_format"), list(enumerate(ReportFormat)))
def test_a_listed_bucket_becomes_a_report_that_reads_back_the_same(store, minute, file_format):
    # INV-20
    batches = list_objects(store, S3Url("live-data"))
    written = write_report(store, spec(file_format, minute), batches)
    assert written.rows == BUCKET.row_count
    assert [part.rows for part in written.parts] == [150, 150, written.rows - 300]
    report = open_report(store, ADDRESS, manifest_url=written.manifest_url, options=PLAIN)
    assert verify_report(report).ok
    rows = pa.Table.from_batches(
        [block.rows for part in report.parts() for block in report.read(part, PartTally())]
    )
    assert rows.to_pylist() == listed(store)


@pytest.mark.servers
def test_a_large_part_goes_to_a_real_server_by_multipart(store):
    # INV-20: more than one chunk of 8 MB, no temporary file
    bucket = SyntheticBucket(rows=400_000, shape="hashed")
    made = spec(ReportFormat.PARQUET, 30)
    made = ReportSpec(
        destination=made.destination,
        source_bucket="live-data",
        config_id="large",
        stamp=made.stamp,
        file_format=ReportFormat.PARQUET,
    )
    written = write_report(store, made, bucket.batches())
    assert written.size_bytes > 2 * 8 * 1024 * 1024
    (part,) = written.parts
    head = store.head("live-inventory", part.key)
    assert head.size_bytes == part.size_bytes
    assert head.etag is not None
    assert head.etag.endswith("-" + str(-(-part.size_bytes // (8 * 1024 * 1024))))
    report = open_report(store, LARGE, options=PLAIN)
    assert verify_report(report).ok


@pytest.mark.servers
def test_a_real_server_keeps_two_reports_of_one_minute_apart(store):
    minute = spec(ReportFormat.CSV, 45)
    write_report(store, minute, list_objects(store, S3Url("live-data")))
    with pytest.raises(ReportExistsError):
        write_report(store, minute, list_objects(store, S3Url("live-data")))
