"""Synthetic reports: every row once, in the order asked for, the same bytes for the same seed."""

import gzip
import io
import json
import subprocess
import sys
from csv import reader
from itertools import chain, pairwise
from urllib.parse import unquote_plus

import pyarrow.orc as orc
import pyarrow.parquet as pq
import pytest

from stocktake.errors import ObjectNotFoundError, UsageError
from stocktake.inventory import CsvStyle, ReportFormat
from stocktake.model import S3Url
from stocktake.testing import (
    DirectoryStore,
    MemoryStore,
    ReportLook,
    ReportOrder,
    SyntheticBucket,
    expected_diff,
    populate,
    write_synthetic_report,
)
from stocktake.testing.reports import main

HOME = S3Url("inventory", "reports")


def written(bucket, look, *, threads=1):
    """The rows of each part as (key, other columns), read by nothing of ours."""
    store = MemoryStore()
    store.describe("CreateBucket", "inventory")
    report = write_synthetic_report(bucket, store, HOME, look, threads=threads)
    return report, [
        read_part(store.get("inventory", part.key).read(), look) for part in report.parts
    ]


def read_part(body, look) -> list[dict]:
    if look.file_format is ReportFormat.PARQUET:
        return pq.read_table(io.BytesIO(body)).to_pylist()
    if look.file_format is ReportFormat.ORC:
        return orc.ORCFile(io.BytesIO(body)).read().to_pylist()
    rows = list(reader(io.StringIO(gzip.decompress(body).decode(), newline=""), strict=True))
    return [{"key": unquote_plus(row[1], errors="strict")} for row in rows]


def keys_of(parts) -> list[list[str]]:
    return [[row["key"] for row in part] for part in parts]


def all_keys(bucket) -> list[str]:
    return [key for batch in bucket.batches() for key in batch.column("key").to_pylist()]


@pytest.mark.parametrize("file_format", list(ReportFormat))
@pytest.mark.parametrize("order", list(ReportOrder))
@pytest.mark.parametrize("versions", [False, True])
def test_every_row_is_in_the_report_once(file_format, order, versions):
    # INV-21
    bucket = SyntheticBucket(rows=1200, generation=2, nasty=True, versions=versions)
    look = ReportLook(file_format=file_format, parts=3, order=order)
    report, parts = written(bucket, look)
    assert sorted(chain(*keys_of(parts))) == sorted(all_keys(bucket))
    assert [part.rows for part in report.parts] == [len(part) for part in parts]


def test_sorted_reports_ascend_through_all_parts():
    bucket = SyntheticBucket(rows=1000)
    _, parts = written(bucket, ReportLook(parts=4, order=ReportOrder.SORTED))
    assert list(chain(*keys_of(parts))) == all_keys(bucket)
    assert len(parts) == 4


def test_runs_are_four_sorted_slices_and_parts_do_not_overlap():
    # INV-7: what real reports look like
    bucket = SyntheticBucket(rows=4000, seed=3)
    _, parts = written(bucket, ReportLook(parts=4, order=ReportOrder.RUNS))
    falls = [sum(after < before for before, after in pairwise(part)) for part in keys_of(parts)]
    assert all(fall <= 3 for fall in falls)
    assert sum(falls) > 4, "the slices must not happen to be in order"
    slices = set()
    for number, part in enumerate(keys_of(parts)):
        ranks = {key: rank for rank, key in enumerate(all_keys(bucket))}
        slices |= {(ranks[key], number) for key in part}
    owners = [number for _, number in sorted(slices)]
    changes = sum(first != second for first, second in pairwise(owners))
    assert changes <= 15, "sixteen slices in all"


def test_shuffled_reports_have_every_row_anywhere():
    bucket = SyntheticBucket(rows=4000)
    _, parts = written(bucket, ReportLook(parts=2, order=ReportOrder.SHUFFLED))
    keys = keys_of(parts)
    for part in keys:
        falls = sum(after < before for before, after in pairwise(part))
        assert 0.4 < falls / len(part) < 0.6
        assert len({key.split("/")[0] for key in part}) == 3


def test_the_same_report_has_the_same_bytes_however_many_threads():
    # INV-21
    def contents(threads, **settings):
        store = MemoryStore()
        store.describe("CreateBucket", "inventory")
        bucket = SyntheticBucket(rows=2000, nasty=True, **settings)
        report = write_synthetic_report(bucket, store, HOME, ReportLook(parts=5), threads=threads)
        return report.manifest_md5, [part.md5 for part in report.parts]

    assert contents(1) == contents(3)
    assert contents(1) != contents(1, seed=2)
    assert contents(1) != contents(1, generation=2)


def test_generations_are_dated_a_day_apart():
    bucket = SyntheticBucket(rows=100)
    first, _ = written(bucket, ReportLook())
    second, _ = written(bucket.at(2), ReportLook())
    assert first.manifest_url.key.endswith("/2026-01-05T01-00Z/manifest.json")
    assert second.manifest_url.key.endswith("/2026-01-06T01-00Z/manifest.json")


def test_more_parts_than_rows_leave_no_empty_part():
    report, _ = written(SyntheticBucket(rows=3), ReportLook(parts=8))
    assert report.rows == 3
    assert all(part.rows for part in report.parts)


def test_an_empty_bucket_gives_a_report_without_parts():
    report, _ = written(SyntheticBucket(rows=0), ReportLook())
    assert (report.rows, report.parts) == (0, ())


def test_oddities_of_other_stores_can_be_imitated():
    # INV-3, INV-11
    store = MemoryStore()
    store.describe("CreateBucket", "inventory")
    look = ReportLook(
        parts=1,
        columns=("size_bytes", "key", "etag"),
        csv_style=CsvStyle(header=True, line_end="\r\n"),
    )
    report = write_synthetic_report(SyntheticBucket(rows=10), store, HOME, look)
    text = gzip.decompress(store.get("inventory", report.parts[0].key).read()).decode()
    lines = text.split("\r\n")
    assert lines[0] == '"Size","Key","ETag"'
    assert len(lines) == 12
    manifest = json.loads(store.get("inventory", report.manifest_url.key).read())
    assert manifest["fileSchema"] == "Size, Key, ETag"


# --- files ---------------------------------------------------------------------------------------


def test_the_command_writes_files_where_a_file_server_finds_them(tmp_path, capsys):
    what = "--rows 500 --format parquet --parts 2 --schema full --generation 2 --nasty"
    code = main([*what.split(), "--out", str(tmp_path)])
    said = json.loads(capsys.readouterr().out)
    assert code == 0
    url = S3Url.parse(said["manifest"])
    manifest = json.loads((tmp_path / url.bucket / url.key).read_bytes())
    sizes = [(tmp_path / url.bucket / file["key"]).stat().st_size for file in manifest["files"]]
    assert sizes == [file["size"] for file in manifest["files"]]
    assert (said["parts"], said["generation"]) == (2, 2)
    hidden = [path for path in tmp_path.rglob("*") if path.name.startswith(".")]
    assert hidden == [], "no unfinished files stay behind"


def test_the_command_runs_as_a_module(tmp_path):
    run = subprocess.run(
        [sys.executable, "-m", "stocktake.testing.reports", "--rows", "10", "--out", str(tmp_path)],
        capture_output=True,
        check=True,
    )
    assert json.loads(run.stdout)["rows"] == 10


def test_a_directory_store_shows_an_object_only_when_it_is_whole(tmp_path):
    store = DirectoryStore(tmp_path)
    upload = store.begin_upload("b", "f/big")
    upload.put_part(2, b"world")
    upload.put_part(1, b"hello ")
    with pytest.raises(ObjectNotFoundError):
        store.head("b", "f/big")
    upload.complete({1: "", 2: ""})
    assert (tmp_path / "b/f/big").read_bytes() == b"hello world"
    assert store.head("b", "f/big").size_bytes == 11
    assert [path.name for path in (tmp_path / "b/f").iterdir()] == ["big"]


def test_an_aborted_upload_leaves_no_file(tmp_path):
    store = DirectoryStore(tmp_path)
    upload = store.begin_upload("b", "f/big")
    upload.put_part(1, b"hello")
    upload.abort()
    upload.abort()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("key", ["../x", "a//b", "/a", "a/./b", "", "a\\b"])
def test_a_directory_store_writes_nowhere_but_below_its_root(tmp_path, key):
    store = DirectoryStore(tmp_path / "root")
    with pytest.raises(UsageError):
        store.put("b", key, b"x")
    assert list(tmp_path.rglob("*")) == []


# --- live buckets --------------------------------------------------------------------------------


def test_populating_puts_exactly_the_current_keys():
    bucket = SyntheticBucket(rows=300, nasty=True)
    store = MemoryStore()
    store.describe("CreateBucket", bucket.name)
    assert populate(store, bucket) == 300
    for key in all_keys(bucket):
        assert store.head(bucket.name, key).size_bytes < 2100


def test_populating_a_later_generation_writes_only_the_difference():
    bucket = SyntheticBucket(rows=300, new=0.1, modified=0.1, deleted=0.1)
    store = MemoryStore()
    store.describe("CreateBucket", bucket.name)
    populate(store, bucket)
    before = {key: store.head(bucket.name, key).etag for key in all_keys(bucket)}
    assert populate(store, bucket.at(2), previous=1) == 60
    diff = expected_diff(bucket, 1, 2, keys=True)
    for key in diff.modified_keys:
        marker = key.endswith("/")
        assert (store.head(bucket.name, key).etag != before[key]) is not marker
    for key in diff.deleted_keys:
        with pytest.raises(ObjectNotFoundError):
            store.head(bucket.name, key)
    for key in all_keys(bucket.at(2)):
        store.head(bucket.name, key)
