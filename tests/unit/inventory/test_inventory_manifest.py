"""manifest.json as a value: real and documented ones, and ones that cannot be."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime

import pytest

from stocktake.errors import ManifestInvalidError, NotAnInventoryError
from stocktake.inventory import AWS, PartFile, ReportFormat, parse_manifest

GOOD = {
    "sourceBucket": "src",
    "destinationBucket": "arn:aws:s3:::dest",
    "creationTimestamp": "1767574800000",
    "fileFormat": "CSV",
    "fileSchema": "Bucket, Key",
    "files": [{"key": "k", "size": 2147483648, "MD5checksum": "A" * 32}],
}


def encode(**fields: object) -> bytes:
    return json.dumps({k: v for k, v in (GOOD | fields).items() if v is not ...}).encode()


@pytest.mark.parametrize("name", ["csv", "orc", "parquet"])
def test_documented_manifests_are_read(fixtures, name) -> None:
    """INV-3; their placeholder MD5s are made possible first."""
    text = (fixtures / "aws-docs-examples" / f"manifest-{name}.json").read_text()
    manifest = parse_manifest(text.replace('example"', '0000000"').encode())
    assert manifest.file_format.value.lower() == name
    assert manifest.created_at == datetime(2018, 1, 3, 2, tzinfo=UTC)
    columns = AWS.column_names(manifest)
    assert [column.lower() for column in columns[:2]] == ["bucket", "key"]
    assert len(columns) == 18


def test_placeholder_md5_is_not_taken_for_one(fixtures) -> None:
    with pytest.raises(ManifestInvalidError, match="MD5checksum that is not one"):
        parse_manifest((fixtures / "aws-docs-examples" / "manifest-orc.json").read_bytes())


def test_real_parquet_manifest_is_read(fixtures) -> None:
    """INV-3: as delivered in 2020."""
    manifest = parse_manifest((fixtures / "lakefs" / "lakefs-parquet-2020-06-27.json").read_bytes())
    assert manifest.source_bucket == "lakefs-example-data"
    assert manifest.destination_bucket == "yoni-test3"
    assert manifest.file_format is ReportFormat.PARQUET
    assert manifest.created_at == datetime(2020, 6, 27, tzinfo=UTC)
    assert [part.size_bytes for part in manifest.files] == [46473]
    assert manifest.size_bytes == 46473
    assert AWS.column_names(manifest) == (
        "bucket",
        "key",
        "version_id",
        "is_latest",
        "is_delete_marker",
        "size",
        "last_modified_date",
        "e_tag",
        "storage_class",
        "is_multipart_uploaded",
    )


def test_md5_of_a_manifest_is_what_its_checksum_says(fixtures) -> None:
    folder = fixtures / "s3-manifest-crate" / "inventory" / "csv"
    manifest = parse_manifest((folder / "manifest.json").read_bytes())
    assert manifest.md5 == (folder / "manifest.checksum").read_text().strip()


def test_sizes_are_64_bit_and_md5_is_lower_case() -> None:
    assert parse_manifest(encode()).files == (PartFile("k", 2147483648, "a" * 32),)


def test_field_names_match_in_any_case() -> None:
    """INV-11."""
    fields = {name.upper(): value for name, value in GOOD.items()}
    fields["FILES"] = [{"Key": "k", "Size": "5", "md5Checksum": "b" * 32}]
    manifest = parse_manifest(json.dumps(fields).encode())
    assert manifest.files == (PartFile("k", 5, "b" * 32),)


def test_byte_order_mark_is_tolerated() -> None:
    assert parse_manifest(b"\xef\xbb\xbf" + encode()).source_bucket == "src"


@pytest.mark.parametrize(
    "value", [..., None, "soon", [], 10**30, "1" * 5000, float("1e300"), "-" + "9" * 24]
)
def test_impossible_creation_time_is_a_warning(value) -> None:
    manifest = parse_manifest(encode(creationTimestamp=value))
    assert manifest.created_at is None
    assert "no usable creationTimestamp" in manifest.warnings[0]


@pytest.mark.parametrize("value", [1767574800, "1767574800", "1767574800000", 1767574800000])
def test_creation_time_in_seconds_or_milliseconds_is_one_instant(value) -> None:
    """INV-11."""
    created_at = parse_manifest(encode(creationTimestamp=value)).created_at
    assert created_at == datetime(2026, 1, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "data",
    [b"", b"not json", b"\xff\xfe", b"{", b"[" * 100_000, b'{"a": ' + b"1" * 5000 + b"}", b"nul"],
    ids=["empty", "text", "utf16", "cut", "deep", "long-number", "word"],
)
def test_bytes_that_are_not_json_are_invalid(data) -> None:
    with pytest.raises(ManifestInvalidError, match="is not JSON"):
        parse_manifest(data)


@pytest.mark.parametrize("data", [b"[]", b"1", b"null", b'"x"'])
def test_json_that_is_no_object_is_invalid(data) -> None:
    with pytest.raises(ManifestInvalidError, match="not an object"):
        parse_manifest(data)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"sourceBucket": ...}, "no `sourceBucket`"),
        ({"sourceBucket": 7}, "no `sourceBucket`"),
        ({"sourceBucket": " "}, "no `sourceBucket`"),
        ({"fileFormat": ...}, "no `fileFormat`"),
        ({"fileSchema": None}, "no `fileSchema`"),
        ({"fileFormat": "TSV"}, "a report in `TSV`, which cannot be read"),
    ],
)
def test_missing_and_unknown_fields_are_named(fields, message) -> None:
    with pytest.raises(ManifestInvalidError, match=message):
        parse_manifest(encode(**fields))


@pytest.mark.parametrize(
    "entry",
    [
        {"key": "", "size": 1, "MD5checksum": "0" * 32},
        {"key": 5, "size": 1, "MD5checksum": "0" * 32},
        {"key": "\ud800", "size": 1, "MD5checksum": "0" * 32},
        {"key": "k", "size": -1, "MD5checksum": "0" * 32},
        {"key": "k", "size": 2**63, "MD5checksum": "0" * 32},
        {"key": "k", "size": 1.5, "MD5checksum": "0" * 32},
        {"key": "k", "size": True, "MD5checksum": "0" * 32},
        {"key": "k", "size": "1e6", "MD5checksum": "0" * 32},
        {"key": "k", "size": 1, "MD5checksum": "0" * 31},
        {"key": "k", "size": 1, "MD5checksum": 7},
        {"key": "k", "size": 1},
    ],
)
def test_entries_that_cannot_be_parts_are_named_by_position(entry) -> None:
    good = {"key": "g", "size": 1, "MD5checksum": "0" * 32}
    with pytest.raises(ManifestInvalidError, match=r"`files\[1\]`"):
        parse_manifest(encode(files=[good, entry]))


def test_parts_without_md5_need_leave() -> None:
    entry = {"key": "k", "size": 1}
    manifest = parse_manifest(encode(files=[entry]), allow_missing_md5=True)
    assert manifest.files == (PartFile("k", 1, ""),)


def test_one_part_with_two_checksums_is_a_contradiction() -> None:
    entries = [{"key": "k", "size": 1, "MD5checksum": digit * 32} for digit in "01"]
    with pytest.raises(ManifestInvalidError, match="twice, with different checksums"):
        parse_manifest(encode(files=entries))


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        ({"report_shards_file_names": []}, "Google Cloud Storage Insights"),
        ({"entries": []}, "not an inventory manifest"),
        ({}, "not an inventory manifest"),
    ],
)
def test_manifests_of_something_else_are_told(document, kind) -> None:
    """INV-2."""
    with pytest.raises(NotAnInventoryError, match=kind):
        parse_manifest(json.dumps(document).encode())


def test_md5_is_of_the_bytes_not_of_the_meaning() -> None:
    data = encode()
    assert parse_manifest(data).md5 == hashlib.md5(data).hexdigest()
    assert parse_manifest(data + b"\n").md5 != parse_manifest(data).md5
