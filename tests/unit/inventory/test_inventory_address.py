"""Addresses of reports, as people type them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from stocktake.errors import InvalidUrlError
from stocktake.inventory import ReportAddress, format_stamp, parse_stamp


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3://dest/src/cfg", ReportAddress("dest", "", "src", "cfg")),
        ("s3://dest/src/cfg/", ReportAddress("dest", "", "src", "cfg")),
        ("s3://dest/a/b/src/cfg", ReportAddress("dest", "a/b", "src", "cfg")),
        ("s3://dest/p//src/cfg", ReportAddress("dest", "p/", "src", "cfg")),
        ("s3://dest/src/data", ReportAddress("dest", "", "src", "data")),
    ],
)
def test_address_is_taken_apart_from_its_end(text, expected) -> None:
    """INV-1."""
    assert ReportAddress.parse(text) == expected


@pytest.mark.parametrize("tail", ["", "/", "/manifest.json", "/manifest.checksum"])
def test_dated_folder_and_its_files_name_the_delivery(tail) -> None:
    """INV-1."""
    address = ReportAddress.parse(f"s3://dest/p/src/cfg/2025-06-02T01-00Z{tail}")
    assert address == ReportAddress("dest", "p", "src", "cfg", "2025-06-02T01-00Z")
    assert address.base_prefix == "p/src/cfg/"
    assert str(address) == "s3://dest/p/src/cfg/2025-06-02T01-00Z"


def test_address_without_prefix_has_no_leading_slash() -> None:
    assert ReportAddress("dest", "", "src", "cfg").base_prefix == "src/cfg/"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("s3://dest", "only a bucket"),
        ("s3://dest/", "only a bucket"),
        ("s3://dest/manifest.json", "only a bucket"),
        ("s3://dest/src", "configuration are missing"),
        ("s3://dest/p/src/cfg/data/1.csv.gz", "a data file"),
        ("s3://dest/src//cfg/data/x.parquet", "a data file"),
        ("s3://dest/p//cfg", "`` is not a source bucket"),
        ("s3://dest/not a bucket/cfg", "`not a bucket` is not a source bucket"),
    ],
)
def test_other_addresses_are_refused_with_what_is_wrong(text, hint) -> None:
    with pytest.raises(InvalidUrlError) as caught:
        ReportAddress.parse(text)
    assert hint in (caught.value.hint or "")


def test_text_that_is_no_s3_address_is_refused() -> None:
    with pytest.raises(InvalidUrlError):
        ReportAddress.parse("https://dest.s3.amazonaws.com/src/cfg")


@pytest.mark.parametrize(
    "name", ["data", "2025-06-02", "2025-6-2T1-0Z", "2025-13-02T01-00Z", "2025-06-02T01-00Z "]
)
def test_folders_that_are_no_stamps_are_not_taken_for_one(name) -> None:
    assert parse_stamp(name) is None


def test_stamp_goes_there_and_back_as_utc() -> None:
    stamp = parse_stamp("2018-11-30T08-05Z")
    assert stamp == datetime(2018, 11, 30, 8, 5, tzinfo=UTC)
    assert format_stamp(stamp) == "2018-11-30T08-05Z"
