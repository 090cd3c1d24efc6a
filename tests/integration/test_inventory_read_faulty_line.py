"""Reports read over HTTP from a server that checks everything, through a line that breaks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from stocktake.errors import PartCorruptError
from stocktake.inventory import (
    ReadOptions,
    Report,
    ReportAddress,
    ReportFormat,
    open_report,
    verify_report,
)
from stocktake.model import PartTally, S3Url
from stocktake.store import RetryPolicy, Store, open_store
from stocktake.testing import (
    BitFlip,
    Cut,
    FakeS3,
    Fault,
    FaultProxy,
    ReportLook,
    Reset,
    Status,
    SyntheticBucket,
    write_synthetic_report,
)

QUICK = RetryPolicy(attempts_max=4, base_s=0.01, cap_s=0.05)
BUCKET = SyntheticBucket(rows=20_000, nasty=True, versions=True, extras=True, name="src-data")
FORMATS = pytest.mark.parametrize("file_format", list(ReportFormat))
PART = r"GET /dest/\S*/data/"


@dataclass
class Line:
    store: Store
    proxy: FaultProxy

    def open(self, file_format: ReportFormat, *, buffer_bytes: int = 1 << 25) -> Report:
        address = ReportAddress("dest", "reports", "src-data", file_format.value.lower())
        options = ReadOptions(buffer_bytes_max=buffer_bytes, force=True)
        return open_report(self.store, address, options=options)


@pytest.fixture(scope="module")
def server() -> Iterator[FakeS3]:
    with FakeS3() as fake:
        fake.create_bucket("dest")
        fake.create_bucket("src-data")
        store = open_store(fake.options())
        for file_format in ReportFormat:
            look = ReportLook(file_format, parts=2, config_id=file_format.value.lower())
            write_synthetic_report(BUCKET, store, S3Url("dest", "reports"), look)
        store.close()
        yield fake


@pytest.fixture
def line(server: FakeS3) -> Iterator[Line]:
    with FaultProxy(server.endpoint_url) as proxy:
        store = open_store(server.options(endpoint_url=proxy.endpoint_url, retry=QUICK))
        yield Line(store, proxy)
        store.close()


def keys(report: Report) -> list[tuple[str, str]]:
    found = []
    for part in report.parts():
        for block in report.read(part, PartTally()):
            columns = (block.rows.column(name).to_pylist() for name in ("key", "version_id"))
            found += zip(*columns, strict=True)
    return sorted(found)


@pytest.fixture(scope="module")
def expected() -> list[tuple[str, str]]:
    rows = []
    for batch in BUCKET.batches():
        columns = (batch.column(name).to_pylist() for name in ("key", "version_id"))
        rows += zip(*columns, strict=True)
    return sorted(rows)


@FORMATS
@pytest.mark.parametrize("buffer_bytes", [0, 1 << 25])
def test_whole_report_comes_over_http(line, expected, file_format, buffer_bytes) -> None:
    """INV-3, INV-9."""
    report = line.open(file_format, buffer_bytes=buffer_bytes)
    assert keys(report) == expected
    report.recheck()


@FORMATS
@pytest.mark.parametrize("action", [Cut(30_000), Reset(30_000), Status()])
def test_transient_failures_cost_a_retry_and_no_row(line, expected, file_format, action) -> None:
    """INV-8."""
    report = line.open(file_format)
    fault = line.proxy.add(Fault(PART, action, times=2))
    assert keys(report) == expected
    assert fault.hits == 2


@FORMATS
@pytest.mark.parametrize(("buffer_bytes", "skip"), [(0, 0), (0, 1), (1 << 25, 0)])
def test_flipped_bit_on_the_line_is_noticed_and_read_again(
    line, file_format, buffer_bytes, skip
) -> None:
    """INV-5: also in the second reading of a part beyond the buffer."""
    report = line.open(file_format, buffer_bytes=buffer_bytes)
    line.proxy.add(Fault(PART, BitFlip(20_000), skip=skip))
    with pytest.raises(PartCorruptError) as caught:
        keys(report)
    assert caught.value.retryable
    line.proxy.add(Fault(PART, BitFlip(20_000), skip=skip))
    assert verify_report(report).ok
