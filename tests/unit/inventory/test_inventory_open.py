"""Opening a delivery: which one, and what the report says about itself."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from stocktake.clock import FixedClock
from stocktake.errors import (
    AccessDeniedError,
    ForeignPartError,
    InvalidSettingError,
    InvalidUrlError,
    ManifestInvalidError,
    PartCorruptError,
    ReportNotFoundError,
    ReportNotReadyError,
    StoreUnavailableError,
)
from stocktake.inventory import KeyEncoding, ReadOptions, ReportAddress
from stocktake.model import S3Url, SourceKind

PART = gzip.compress(b'"src","a"\n', mtime=0)


def deliver(desk, stamp: str = "2026-01-05T01-00Z", schema: str = "Bucket, Key") -> str:
    return desk.publish(desk.manifest([desk.part("1.csv.gz", PART)], schema), stamp=stamp)


def date_of(report) -> str:
    return report.manifest_url.key.split("/")[-2]


def test_latest_is_the_default(desk) -> None:
    """INV-1."""
    deliver(desk, "2026-01-04T01-00Z")
    deliver(desk, "2026-01-05T01-00Z")
    assert date_of(desk.open()) == date_of(desk.open(date="latest")) == "2026-01-05T01-00Z"


def test_day_means_its_last_delivery(desk) -> None:
    """INV-1."""
    for stamp in ("2026-01-04T01-00Z", "2026-01-04T13-00Z", "2026-01-05T01-00Z"):
        deliver(desk, stamp)
    assert date_of(desk.open(date="2026-01-04")) == "2026-01-04T13-00Z"


def test_full_stamp_needs_no_listing(desk) -> None:
    """INV-1."""
    deliver(desk, "2026-01-04T01-00Z")
    assert date_of(desk.open(date="2026-01-04T01-00Z")) == "2026-01-04T01-00Z"
    named = ReportAddress.parse("s3://dest/p/src/cfg/2026-01-04T01-00Z/manifest.json")
    assert date_of(desk.open(address=named)) == "2026-01-04T01-00Z"
    assert desk.store.listed == []


def test_day_without_delivery_says_which_there_are(desk) -> None:
    deliver(desk, "2026-01-04T01-00Z")
    with pytest.raises(ReportNotFoundError, match="on 2025-12-24") as caught:
        desk.open(date="2025-12-24")
    assert "from 2026-01-04T01-00Z to 2026-01-04T01-00Z" in (caught.value.hint or "")


def test_stamp_without_delivery_is_not_found(desk) -> None:
    deliver(desk)
    with pytest.raises(ReportNotFoundError, match="2026-01-01T01-00Z"):
        desk.open(date="2026-01-01T01-00Z")


def test_text_that_is_no_date_is_a_usage_error(desk) -> None:
    with pytest.raises(InvalidSettingError) as caught:
        desk.open(date="last tuesday")
    assert caught.value.exit_code == 2


def test_folder_without_manifest_and_checksum_is_being_written(desk) -> None:
    """INV-2."""
    desk.put("p/src/cfg/2026-01-05T01-00Z/other", b"")
    with pytest.raises(ReportNotReadyError, match="neither manifest nor checksum"):
        desk.open()


def test_manifest_elsewhere_is_opened_by_its_address(desk) -> None:
    """INV-1: a copied report."""
    desk.base = "backup/src/cfg/"
    key = deliver(desk)
    for url in (f"s3://dest/{key}", S3Url("dest", key)):
        report = desk.open(manifest_url=url)
        assert date_of(report) == "2026-01-05T01-00Z"
        assert len(desk.read(report)[0]) == 1


def test_manifest_outside_any_dated_folder_is_dated_by_its_own_time(desk) -> None:
    desk.put("loose/data/1.csv.gz", PART)
    entry = desk.part("1.csv.gz", PART) | {"key": "loose/data/1.csv.gz"}
    text = desk.manifest([entry], "Bucket, Key")
    desk.put("loose/manifest.json", text)
    options = ReadOptions(allow_unverified_manifest=True)
    report = desk.open(manifest_url="s3://dest/loose/manifest.json", options=options)
    assert report.header.as_of == datetime(2026, 1, 5, 1, tzinfo=UTC)
    assert len(desk.read(report)[0]) == 1
    desk.put("loose/manifest.json", desk.manifest([entry], "Bucket, Key", creationTimestamp="?"))
    with pytest.raises(ManifestInvalidError, match="has no date"):
        desk.open(manifest_url="s3://dest/loose/manifest.json", options=options)


def test_manifest_at_the_root_reaches_only_the_folder_of_the_address(desk) -> None:
    """Its own folder is the whole bucket, which is no licence to read all of it."""
    part = desk.part("1.csv.gz", PART)
    desk.put("manifest.json", desk.manifest([part], "Bucket, Key"))
    options = ReadOptions(allow_unverified_manifest=True)
    report = desk.open(manifest_url="s3://dest/manifest.json", options=options)
    assert report.header.excluded_prefixes == ()
    assert len(desk.read(report)[0]) == 1
    desk.put("manifest.json", desk.manifest([part | {"key": "private/1.csv.gz"}], "Bucket, Key"))
    with pytest.raises(ForeignPartError):
        desk.open(manifest_url="s3://dest/manifest.json", options=options)


def test_address_that_is_no_manifest_is_refused(desk) -> None:
    with pytest.raises(InvalidUrlError, match="not the address of a manifest"):
        desk.open(manifest_url="s3://dest/p/src/cfg/2026-01-05T01-00Z/")


def test_header_says_what_when_and_how_old(desk) -> None:
    """INV-1, INV-3."""
    key = deliver(desk, schema="Bucket, Key")
    header = desk.open().header
    assert header.kind is SourceKind.AWS_INVENTORY
    assert header.source_name == "src/cfg"
    assert header.as_of == datetime(2026, 1, 5, 1, tzinfo=UTC)
    assert header.delivered_at == datetime(2026, 1, 6, 12, tzinfo=UTC)
    assert header.location == "s3://dest/p/src/cfg/2026-01-05T01-00Z/"
    assert header.columns == ("key",)
    assert header.identity == desk.open().manifest.md5
    assert header.attrs == {
        "format": "CSV",
        "lag_s": timedelta(hours=35).total_seconds(),
        "key_encoding": "form",
        "manifest_url": f"s3://dest/{key}",
        "part_bytes": len(PART),
        "verified": True,
        "configuration": header.attrs["configuration"],
        "warnings": [],
    }


@pytest.mark.parametrize(
    ("schema", "versions"),
    [("Bucket, Key, Size", "current"), ("Bucket, Key, VersionId, IsLatest", "all")],
)
def test_versions_are_known_by_the_columns(desk, schema, versions) -> None:
    """INV-6."""
    deliver(desk, schema=schema)
    assert desk.open().header.coverage.versions == versions


def configure(desk, **more) -> None:
    configuration = {"Id": "cfg", "IsEnabled": True, "IncludedObjectVersions": "All"} | more
    desk.store.describe(
        "PutBucketInventoryConfiguration", "src", Id="cfg", InventoryConfiguration=configuration
    )


def test_filter_of_the_configuration_becomes_the_coverage(desk) -> None:
    deliver(desk)
    configure(desk)
    whole = desk.open().header.coverage
    configure(desk, Filter={"Prefix": "photos/"})
    part = desk.open().header
    assert (whole.prefix, part.coverage.prefix) == ("", "photos/")
    assert whole.config_hash != part.coverage.config_hash
    assert part.attrs["configuration"] == "read"
    assert desk.open().header.coverage == part.coverage


def test_filter_that_cannot_be_read_is_unknown_not_absent(desk) -> None:
    deliver(desk)
    assert desk.open().header.coverage.prefix is None  # no such configuration

    def refuse(error):
        def describe(*_args, **_parameters):
            raise error

        desk.store.describe = describe

    for error in (AccessDeniedError("denied"), StoreUnavailableError("status 500")):
        refuse(error)
        header = desk.open().header
        assert (header.coverage.prefix, header.coverage.config_hash) == (None, None)
        assert header.attrs["configuration"] == error.message
    refuse(AssertionError("not asked"))
    assert desk.open(options=ReadOptions(read_configuration=False)).header.coverage.prefix is None


@pytest.mark.parametrize("answer", [{}, {"InventoryConfiguration": {"Id": "other"}}])
def test_answer_about_another_configuration_is_not_believed(desk, answer) -> None:
    deliver(desk)
    desk.store.describe = lambda *_args, **_parameters: answer
    assert desk.open().header.coverage.prefix is None


def test_refused_manifest_names_permission_and_purpose(desk) -> None:
    """INV-2."""
    key = deliver(desk)
    desk.store.faults[key] = AccessDeniedError("denied", hint="grant s3:GetObject")
    with pytest.raises(AccessDeniedError, match="needed to open the report") as caught:
        desk.open()
    assert caught.value.hint == "grant s3:GetObject"


def test_an_hour_of_clock_skew_is_not_the_future(desk) -> None:
    deliver(desk)
    desk.clock = FixedClock(datetime(2026, 1, 5, 0, 30, tzinfo=UTC))
    assert date_of(desk.open()) == "2026-01-05T01-00Z"


def test_key_encoding_is_an_option_of_csv_only(desk) -> None:
    """INV-4."""
    deliver(desk)
    percent = ReadOptions(key_encoding=KeyEncoding.PERCENT)
    assert desk.open(options=percent).header.attrs["key_encoding"] == "percent"
    desk.columnar(pa.table({"bucket": ["src"], "key": ["a%2Bb+c"]}))
    report = desk.open(options=percent)
    assert report.header.attrs["key_encoding"] == "none"
    assert desk.read(report)[0] == [{"key": "a%2Bb+c"}]
    assert report.with_key_encoding(KeyEncoding.FORM) is report


def test_columns_come_from_the_first_part_that_has_rows(desk) -> None:
    """INV-3."""
    empty = pa.table({"key": pa.array([], pa.string()), "odd": pa.array([], pa.string())})
    desk.columnar(empty, pa.table({"key": ["a"], "size": [1]}))
    assert desk.open().header.columns == ("key", "size_bytes")
    desk.columnar(empty)
    assert desk.open().header.columns == ("key", "extra_odd")


def test_report_without_parts_takes_the_columns_of_the_manifest(desk) -> None:
    for fmt, schema in (
        ("ORC", "struct<bucket:string,key:string,size:bigint>"),
        ("Parquet", "message s3.inventory { required binary key (UTF8); optional int64 size; }"),
        ("CSV", "Bucket, Key, Size"),
    ):
        desk.publish(desk.manifest([], schema, fmt))
        assert desk.open().header.columns == ("key", "size_bytes")


@pytest.mark.parametrize("schema", ["Bucket, Size", "Bucket, Key, , Size", "Key, key", ""])
def test_schema_without_key_or_with_holes_is_invalid(desk, schema) -> None:
    deliver(desk, schema=schema)
    with pytest.raises(ManifestInvalidError, match="schema"):
        desk.open()


@pytest.mark.parametrize("fmt", ["ORC", "Parquet"])
def test_first_part_without_a_footer_fails_at_once(desk, fmt) -> None:
    """INV-5."""
    desk.publish(desk.manifest([desk.part("1.x", b"not a footer")], "", fmt))
    with pytest.raises(PartCorruptError, match=r"data/1\.x cannot be read"):
        desk.open()
