"""What every store does with versions, uploads in parts and settings of buckets."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from stocktake.errors import (
    BucketNotFoundError,
    CredentialsError,
    ObjectNotFoundError,
    PreconditionFailedError,
    StoreError,
    UsageError,
)
from stocktake.store import CompleteOptions, ListQuery, PutOptions, iter_listing, open_store, probe

MIB = 1 << 20


# --- versions ------------------------------------------------------------------------------------


def test_versions_and_delete_markers_are_listed_newest_first(subject):
    store, bucket = subject.store, subject.bucket
    store.describe("PutBucketVersioning", bucket, VersioningConfiguration={"Status": "Enabled"})
    assert store.describe("GetBucketVersioning", bucket)["Status"] == "Enabled"
    store.put(bucket, "a", b"1")
    store.put(bucket, "a", b"22")
    store.put(bucket, "b", b"333")
    store.delete(bucket, ["a"])
    assert subject.keys(ListQuery(bucket)) == ["b"]
    for keys_max in (1, 2, 1000):
        query = ListQuery(bucket, versions=True, keys_max=keys_max)
        rows = [entry for page in iter_listing(store, query) for entry in page.objects]
        in_order = [row.key for row in rows] == sorted(row.key for row in rows)
        assert in_order == (subject.traits.versions_in_key_order or keys_max < 1000)
        shown = sorted(rows, key=lambda row: (row.key, not row.is_delete_marker))
        assert [(r.key, r.size_bytes, r.is_latest, r.is_delete_marker) for r in shown] == [
            ("a", None, True, True),
            ("a", 2, False, False),
            ("a", 1, False, False),
            ("b", 3, True, False),
        ]
        assert len({row.version_id for row in rows}) == 4
    oldest = shown[2]
    with store.get(bucket, "a", version_id=oldest.version_id) as body:
        assert body.read() == b"1"
    assert store.head(bucket, "a", version_id=oldest.version_id).size_bytes == 1


def test_an_unversioned_bucket_lists_null_versions(subject):
    subject.store.put(subject.bucket, "a", b"1")
    [row] = subject.store.list_page(ListQuery(subject.bucket, versions=True)).objects
    assert (row.key, row.version_id, row.is_latest) == ("a", "null", True)


def test_control_characters_in_a_version_listing(subject):
    subject.store.put(subject.bucket, "x\x01y", b"1")
    assert subject.keys(ListQuery(subject.bucket, versions=True)) == ["x\x01y"]


# --- multipart -----------------------------------------------------------------------------------


def test_an_upload_in_parts_becomes_one_object(subject):
    parts = {1: b"a" * (5 * MIB), 2: b"b" * (5 * MIB), 3: b"c" * 1000}
    options = PutOptions(content_type="video/mp4", metadata={"n": "3"})
    upload = subject.store.begin_upload(subject.bucket, "film", options)
    etags = {number: upload.put_part(number, parts[number]) for number in (3, 1)}
    assert subject.keys(ListQuery(subject.bucket)) == []
    again = subject.store.begin_upload(subject.bucket, "film", upload_id=upload.upload_id)
    etags[2] = again.put_part(2, parts[2])
    done = again.complete(etags)
    digests = b"".join(hashlib.md5(parts[number]).digest() for number in (1, 2, 3))
    assert done.etag == hashlib.md5(digests).hexdigest() + "-3"
    assert done.size_bytes == 10 * MIB + 1000
    with subject.store.get(subject.bucket, "film") as body:
        assert body.read() == b"".join(parts.values())
    head = subject.store.head(subject.bucket, "film")
    assert (head.content_type, head.metadata) == ("video/mp4", {"n": "3"})


def test_an_aborted_upload_is_gone_and_may_be_aborted_again(subject):
    upload = subject.store.begin_upload(subject.bucket, "film")
    upload.put_part(1, b"x" * 100)
    upload.abort()
    upload.abort()
    assert subject.keys(ListQuery(subject.bucket)) == []
    with pytest.raises(StoreError):
        upload.put_part(2, b"x")


def test_parts_below_five_mebibytes_are_refused_but_for_the_last(subject):
    upload = subject.store.begin_upload(subject.bucket, "film")
    etags = {number: upload.put_part(number, b"x" * 100) for number in (1, 2)}
    if subject.traits.refuses_small_parts:
        with pytest.raises(StoreError):
            upload.complete(etags)
    else:
        assert upload.complete(etags).size_bytes == 200


def test_completing_with_a_part_that_was_never_sent_fails(subject):
    upload = subject.store.begin_upload(subject.bucket, "film")
    upload.put_part(1, b"x" * 100)
    with pytest.raises(StoreError):
        upload.complete({1: "0" * 32})
    with pytest.raises(UsageError):
        upload.complete({})


def test_completing_if_absent_keeps_what_is_there(subject):
    subject.store.put(subject.bucket, "film", b"here")
    upload = subject.store.begin_upload(subject.bucket, "film")
    etags = {1: upload.put_part(1, b"x" * 100)}
    if subject.traits.complete_if_absent:
        with pytest.raises(PreconditionFailedError):
            upload.complete(etags, CompleteOptions(if_absent=True))
        with subject.store.get(subject.bucket, "film") as body:
            assert body.read() == b"here"
    else:
        assert upload.complete(etags, CompleteOptions(if_absent=True)).size_bytes == 100


# --- bucket level --------------------------------------------------------------------------------

CONFIGURATION = {
    "Id": "daily",
    "IsEnabled": True,
    "IncludedObjectVersions": "All",
    "Schedule": {"Frequency": "Daily"},
    "OptionalFields": ["Size", "ETag"],
    "Destination": {"S3BucketDestination": {"Bucket": "arn:aws:s3:::d", "Format": "ORC"}},
}


def test_inventory_configurations_are_kept_or_the_store_says_it_cannot(subject):
    store, bucket = subject.store, subject.bucket

    def put() -> None:
        store.describe(
            "PutBucketInventoryConfiguration",
            bucket,
            Id="daily",
            InventoryConfiguration=CONFIGURATION,
        )

    if not subject.traits.keeps_inventory_configurations:
        with pytest.raises(StoreError):
            put()
        with pytest.raises(StoreError):
            store.describe("ListBucketInventoryConfigurations", bucket)
        return
    put()
    found = store.describe("GetBucketInventoryConfiguration", bucket, Id="daily")
    assert found["InventoryConfiguration"] == CONFIGURATION
    listed = store.describe("ListBucketInventoryConfigurations", bucket)
    assert [each["Id"] for each in listed["InventoryConfigurationList"]] == ["daily"]
    with pytest.raises(ObjectNotFoundError):
        store.describe("GetBucketInventoryConfiguration", bucket, Id="weekly")


def test_creating_a_bucket_twice_and_looking_at_it(subject):
    subject.store.describe("CreateBucket", subject.bucket)
    subject.store.describe("HeadBucket", subject.bucket)
    assert "LocationConstraint" in subject.store.describe("GetBucketLocation", subject.bucket)
    with pytest.raises(BucketNotFoundError):
        subject.store.describe("HeadBucket", "no-such-bucket-anywhere")


def test_a_wrong_secret_is_refused_where_signatures_are_checked(subject):
    if subject.options is None:
        assert not subject.traits.checks_signatures
        return
    store = open_store(replace(subject.options, secret_access_key="not-the-secret"))
    if subject.traits.checks_signatures:
        with pytest.raises(CredentialsError):
            store.list_page(ListQuery(subject.bucket))
    else:
        assert store.list_page(ListQuery(subject.bucket)).objects == ()
    store.close()


def test_the_probe_finds_what_the_table_says(subject):
    profile = probe(subject.store, subject.bucket)
    assert profile.ordered
    assert profile.start_after
    assert profile.page_limit
    assert profile.odd_keys
    assert profile.put_if_absent
    assert profile.put_if_match == subject.traits.put_if_match
    assert profile.versioning == "Off"
    assert profile.list_versions
    assert subject.keys(ListQuery(subject.bucket)) == []
