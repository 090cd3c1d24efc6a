"""INV-12: odd, foreign and half-written deliveries, as the reader must take them."""

from __future__ import annotations

import gzip
import hashlib
from datetime import UTC, datetime

import pytest

from stocktake.errors import (
    AccessDeniedError,
    ForeignManifestError,
    ForeignPartError,
    ManifestChecksumError,
    ManifestInvalidError,
    NotAnInventoryError,
    ReportExpiredError,
    ReportNotFoundError,
    ReportNotReadyError,
    StaleReportError,
    WrongRegionError,
)
from stocktake.inventory import ReadOptions, ReportAddress, list_deliveries

PART = gzip.compress(b'"src","a"\n', mtime=0)
KEYS = "Bucket, Key"


def keys(desk, **parameters) -> list[str]:
    rows, _ = desk.read(desk.open(**parameters))
    return [row["key"] for row in rows]


def deliver(desk, **fields) -> str:
    return desk.publish(desk.manifest([desk.part("1.csv.gz", PART)], KEYS, **fields))


def test_edge_29_report_without_files_is_empty_not_wrong(desk) -> None:
    """The catalog asks for confirmation; the reader says what it is."""
    desk.publish(desk.manifest([]))
    report = desk.open()
    assert report.parts() == ()
    assert report.header.columns[0] == "key"


@pytest.mark.parametrize("files", [..., None, {}, "x", [None], [{}], [{"key": "k"}], [7]])
def test_edge_30_files_that_are_no_list_of_parts_are_invalid(desk, files) -> None:
    desk.publish(desk.manifest(files))
    with pytest.raises(ManifestInvalidError, match="files"):
        desk.open()


def test_edge_49_missing_checksum_means_being_written(desk) -> None:
    """INV-2."""
    part = desk.part("1.csv.gz", PART)
    desk.publish(desk.manifest([part], KEYS), checksum=False)
    with pytest.raises(ReportNotReadyError, match="still being written") as caught:
        desk.open()
    assert caught.value.retryable
    options = ReadOptions(allow_unverified_manifest=True)
    assert keys(desk, options=options) == ["a"]
    assert "taken unverified" in desk.open(options=options).warnings[0]


def test_edge_49_not_ready_names_the_delivery_before(desk) -> None:
    deliver(desk)
    desk.publish(desk.manifest([]), stamp="2026-01-06T01-00Z", checksum=False)
    with pytest.raises(ReportNotReadyError) as caught:
        desk.open()
    assert "--date 2026-01-05T01-00Z" in (caught.value.hint or "")
    assert keys(desk, date="2026-01-05T01-00Z") == ["a"]


def test_edge_50_wrong_checksum_fails_after_a_second_look(desk) -> None:
    """INV-2."""
    desk.publish(desk.manifest([]), checksum="0" * 32)
    with pytest.raises(ManifestChecksumError, match=r"manifest\.checksum says 0000"):
        desk.open(options=ReadOptions(read_configuration=False))
    assert desk.store.meter.calls["GetObject"] == 4


def test_edge_50_manifest_that_is_rewritten_just_now_is_read_again(desk) -> None:
    manifest = desk.manifest([desk.part("1.csv.gz", PART)], KEYS)
    desk.publish(desk.manifest([]), checksum=hashlib.md5(manifest.encode()).hexdigest())
    get = desk.store.get

    def get_then_overwrite(bucket, key, **parameters):
        body = get(bucket, key, **parameters)
        if key.endswith("manifest.json"):
            desk.put(key, manifest)
        return body

    desk.store.get = get_then_overwrite
    assert keys(desk) == ["a"]


def test_edge_52_manifest_about_another_bucket_is_refused(desk) -> None:
    """INV-2."""
    deliver(desk, sourceBucket="other")
    with pytest.raises(ForeignManifestError, match="about bucket other, not src"):
        desk.open()


def test_edge_53_copied_report_is_read_where_it_lies(desk) -> None:
    """Old bucket and prefix are never followed."""
    part = {"size": len(PART), "MD5checksum": hashlib.md5(PART).hexdigest()}
    old = part | {"key": "old/src/cfg/data/1.csv.gz"}
    desk.part("1.csv.gz", PART)
    desk.put("old/src/cfg/data/1.csv.gz", b"planted", bucket="elsewhere")
    desk.publish(desk.manifest([old], KEYS, destinationBucket="arn:aws:s3:::elsewhere"))
    report = desk.open()
    assert keys(desk) == ["a"]
    assert "its parts are read beside it" in report.warnings[0]


def test_edge_53_old_home_is_followed_only_on_request(desk) -> None:
    part = {"size": len(PART), "MD5checksum": hashlib.md5(PART).hexdigest()}
    desk.put("old/src/cfg/data/1.csv.gz", PART, bucket="elsewhere")
    old = part | {"key": "old/src/cfg/data/1.csv.gz"}
    desk.publish(desk.manifest([old], KEYS, destinationBucket="elsewhere"))
    with pytest.raises(ReportExpiredError):
        keys(desk)
    assert keys(desk, options=ReadOptions(allow_foreign_parts=True)) == ["a"]


@pytest.mark.parametrize("name", ["arn:aws-cn:s3:::dest", "arn:aws-us-gov:s3:::dest", "dest"])
def test_edge_54_bucket_names_come_as_arn_of_any_partition_or_bare(desk, name) -> None:
    """INV-11."""
    source = name.replace("dest", "src")
    deliver(desk, destinationBucket=name, sourceBucket=source)
    assert keys(desk) == ["a"]
    assert desk.open().warnings == ()


@pytest.mark.parametrize(
    "key",
    [
        "s3://elsewhere/secret.csv.gz",
        "https://example.org/secret.csv.gz",
        "/p/src/cfg/data/1.csv.gz",
        "secret.csv.gz",
        "p/src/cfg2/data/1.csv.gz",
        "p/src/cfg/data/../../../../secret.csv.gz",
    ],
)
@pytest.mark.parametrize("destination", ["dest", "elsewhere"])
def test_edge_55_parts_outside_the_report_are_not_fetched(desk, key, destination) -> None:
    entry = {"key": key, "size": len(PART), "MD5checksum": hashlib.md5(PART).hexdigest()}
    desk.publish(desk.manifest([entry], KEYS, destinationBucket=destination))
    for bucket in ("dest", "elsewhere"):
        desk.put("secret.csv.gz", PART, bucket=bucket)
    with pytest.raises((ForeignPartError, ReportExpiredError)) as caught:
        keys(desk)
    if destination == "dest" or "://" in key or ".." in key:
        assert isinstance(caught.value, ForeignPartError)


def test_edge_55_foreign_parts_are_followed_on_request(desk) -> None:
    entry = {"size": len(PART), "MD5checksum": hashlib.md5(PART).hexdigest()}
    desk.put("far/1.csv.gz", PART, bucket="elsewhere")
    desk.put("far/2.csv.gz", PART)
    files = [entry | {"key": "s3://elsewhere/far/1.csv.gz"}, entry | {"key": "far/2.csv.gz"}]
    desk.publish(desk.manifest(files, KEYS))
    assert keys(desk, options=ReadOptions(allow_foreign_parts=True)) == ["a", "a"]


def test_edge_56_trailing_slash_of_the_prefix_is_found_and_explained(desk) -> None:
    """INV-1."""
    desk.base = "p//src/cfg/"
    files = [desk.part("1.csv.gz", PART) | {"key": "p/src/cfg/data/1.csv.gz"}]
    desk.publish(desk.manifest(files, KEYS))
    (delivery,) = list_deliveries(desk.store, desk.address)
    assert "set Prefix to `p` in the inventory configuration `cfg`" in (delivery.warning or "")
    report = desk.open()
    rows, tally = desk.read(report)
    assert [row["key"] for row in rows] == ["a"]
    assert delivery.warning in report.warnings
    assert "should not end with a slash" in tally.warnings[0]
    assert keys(desk, date="2026-01-05T01-00Z") == ["a"]


def test_edge_56_address_with_the_doubled_slash_works_too(desk) -> None:
    desk.base = "p//src/cfg/"
    deliver(desk)
    address = ReportAddress.parse("s3://dest/p//src/cfg/")
    assert keys(desk, address=address) == ["a"]
    desk.base = "q/src/cfg/"
    deliver(desk)
    assert keys(desk, address=ReportAddress.parse("s3://dest/q//src/cfg/")) == ["a"]


def test_edge_57_other_folders_and_manifests_are_ignored(desk) -> None:
    """INV-1."""
    deliver(desk)
    for name in (
        "zzz/manifest.json",
        "2026-01-05T01-00Z-copy/manifest.json",
        "2026-13-45T99-00Z/manifest.json",
        "hive/dt=2026-01-05-01-00/symlink.txt",
        "2026-01-05T01-00Z/old-manifest.json",
        "2026-01-06T01-00Z",
    ):
        desk.put(f"p/src/cfg/{name}", b"{}")
    assert [one.date for one in list_deliveries(desk.store, desk.address)] == ["2026-01-05T01-00Z"]
    assert keys(desk) == ["a"]


@pytest.mark.parametrize(
    ("name", "kind"), [("batch", "S3 Batch Operations"), ("lens", "Storage Lens")]
)
def test_edge_58_other_manifests_are_refused_by_name(desk, fixtures, name, kind) -> None:
    """INV-2."""
    desk.publish((fixtures / "s3-manifest-crate" / name / "manifest.json").read_bytes())
    with pytest.raises(NotAnInventoryError, match=kind):
        desk.open()


@pytest.mark.parametrize(
    "dress",
    [
        lambda text: f"{text}\r\n",
        lambda text: text.upper(),
        lambda text: f"\ufeff{text}\n",
        lambda text: f"  {text}",
    ],
)
def test_edge_59_oddly_written_checksums_are_accepted(desk, dress) -> None:
    """INV-11."""
    manifest = desk.manifest([desk.part("1.csv.gz", PART)], KEYS)
    desk.publish(manifest, checksum=dress(hashlib.md5(manifest.encode()).hexdigest()))
    assert keys(desk) == ["a"]


def test_edge_60_manifest_beyond_the_bound_is_refused_unread(desk) -> None:
    deliver(desk)
    with pytest.raises(ManifestInvalidError, match="more than the 100 that are accepted"):
        desk.open(options=ReadOptions(manifest_bytes_max=100))


def test_edge_61_own_files_of_the_report_are_excluded_by_default(desk) -> None:
    """INV-10."""
    desk.put("p/dest/cfg/2026-01-05T01-00Z/x", b"")
    desk.base = "p/dest/cfg/"
    deliver(desk, sourceBucket="dest")
    address = ReportAddress("dest", "p", "dest", "cfg")
    assert desk.open(address=address).header.excluded_prefixes == ("p/dest/cfg/",)
    keep = ReadOptions(exclude_own_files=False)
    assert desk.open(address=address, options=keep).header.excluded_prefixes == ()
    desk.base = "p/src/cfg/"
    deliver(desk)
    assert desk.open().header.excluded_prefixes == ()


def test_edge_66_report_from_the_future_is_refused_unless_forced(desk) -> None:
    manifest = desk.manifest([desk.part("1.csv.gz", PART)], KEYS)
    desk.publish(manifest, stamp="2027-01-05T01-00Z")
    with pytest.raises(StaleReportError, match="has not come yet"):
        desk.open()
    report = desk.open(options=ReadOptions(force=True))
    assert report.header.as_of == datetime(2027, 1, 5, 1, tzinfo=UTC)
    assert "the folder counts" in report.warnings[0]


def test_edge_71_bucket_in_another_region_is_told_with_its_hint(desk) -> None:
    """The store follows by itself where it can; what it cannot is not renamed here."""
    key = deliver(desk)
    desk.store.faults[key] = WrongRegionError("in another region", hint="pass --region eu-west-1")
    with pytest.raises(WrongRegionError) as caught:
        desk.open()
    assert caught.value.hint == "pass --region eu-west-1"


def test_edge_72_public_report_needs_nothing_but_list_and_get(desk) -> None:
    deliver(desk)

    def refuse(*_args, **_parameters):
        raise AccessDeniedError("anonymous requests may not")

    for verb in ("describe", "head", "put", "delete", "begin_upload"):
        setattr(desk.store, verb, refuse)
    assert keys(desk) == ["a"]


def test_manifest_in_seconds_with_upper_case_md5_is_understood(desk) -> None:
    """INV-11."""
    part = desk.part("1.csv.gz", PART)
    part["MD5checksum"] = part["MD5checksum"].upper()
    part["size"] = str(part["size"])
    desk.publish(desk.manifest([part], KEYS, creationTimestamp=1767574800))
    report = desk.open()
    assert report.manifest.created_at == datetime(2026, 1, 5, 1, tzinfo=UTC)
    assert keys(desk) == ["a"]
    assert report.warnings == ()


def test_nothing_delivered_yet_is_told_apart_from_being_written(desk) -> None:
    """INV-2."""
    with pytest.raises(ReportNotFoundError, match="no inventory report") as caught:
        desk.open()
    assert "48 hours" in (caught.value.hint or "")


def test_checksum_without_manifest_means_expired(desk) -> None:
    """INV-2."""
    key = deliver(desk)
    desk.store.delete("dest", [key])
    with pytest.raises(ReportExpiredError, match="only its checksum is left"):
        desk.open()
