"""Who may do what, and where the bucket is: refusals of a strict S3, and the hints they give."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from stocktake.clock import FixedClock, SystemClock
from stocktake.errors import (
    AccessDeniedError,
    ArchivedObjectError,
    CredentialsError,
    InvalidSettingError,
    KmsAccessDeniedError,
    StoreError,
    ThrottledError,
    UnsupportedOperationError,
)
from stocktake.store import ListQuery, RetryPolicy, S3StoreOptions, iter_listing, open_store
from stocktake.telemetry import Meter
from stocktake.testing import FakeS3

QUICK = RetryPolicy(attempts_max=3, base_s=0.001, cap_s=0.01)


@pytest.fixture
def fake(fake_s3: FakeS3) -> FakeS3:
    fake_s3.create_bucket("b")
    open_store(fake_s3.options()).put("b", "k", b"x")
    return fake_s3


def read(options: S3StoreOptions, key: str = "k", bucket: str = "b") -> bytes:
    store = open_store(replace(options, retry=QUICK))
    with store.get(bucket, key) as body:
        return body.read()


# --- permissions ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "permission"),
    [
        ("GetObject", "s3:GetObject"),
        ("HeadObject", "s3:GetObject"),
        ("ListObjectsV2", "s3:ListBucket"),
        ("ListObjectVersions", "s3:ListBucketVersions"),
        ("PutObject", "s3:PutObject"),
        ("DeleteObjects", "s3:DeleteObject"),
        ("ListBucketInventoryConfigurations", "s3:GetInventoryConfiguration"),
        ("GetBucketVersioning", "s3:GetBucketVersioning"),
    ],
)
def test_access_denied_names_the_missing_permission(fake, operation, permission):
    fake.behaviour.denied.add((operation, "b"))
    store = open_store(fake.options(retry=QUICK))
    calls = {
        "GetObject": lambda: store.get("b", "k"),
        "HeadObject": lambda: store.head("b", "k"),
        "ListObjectsV2": lambda: store.list_page(ListQuery("b")),
        "ListObjectVersions": lambda: store.list_page(ListQuery("b", versions=True)),
        "PutObject": lambda: store.put("b", "k", b""),
        "DeleteObjects": lambda: store.delete("b", ["k"]),
    }
    with pytest.raises(AccessDeniedError) as caught:
        calls.get(operation, lambda: store.describe(operation, "b"))()
    assert caught.value.attrs["permission"] == permission
    assert f"grant {permission} on arn:aws:s3:::b" in caught.value.hint


def test_edge_70_a_key_that_kms_denies_is_told_from_s3_denying_it(fake):
    fake.behaviour.kms_denied = ("k",)
    with pytest.raises(KmsAccessDeniedError) as caught:
        read(fake.options())
    assert "kms:Decrypt" in caught.value.hint
    assert open_store(fake.options(retry=QUICK)).head("b", "k").size_bytes == 1


def test_edge_73_a_glacier_object_says_restore_it(fake):
    fake.buckets["b"].table.load(
        [replace(fake.buckets["b"].table.find("k"), storage_class="DEEP_ARCHIVE")]
    )
    with pytest.raises(ArchivedObjectError, match="restored") as caught:
        read(fake.options())
    assert "restore" in caught.value.hint


def test_edge_72_a_bucket_whose_readers_pay_needs_the_option(fake):
    fake.behaviour.requester_pays.add("b")
    with pytest.raises(AccessDeniedError) as caught:
        read(fake.options())
    assert "--requester-pays" in caught.value.hint
    assert read(fake.options(requester_pays=True)) == b"x"
    store = open_store(fake.options(requester_pays=True))
    assert store.head("b", "k").size_bytes == 1
    assert store.list_page(ListQuery("b")).objects
    assert store.list_page(ListQuery("b", versions=True)).objects
    store.put("b", "k", b"y")
    assert store.delete("b", ["k"]) == {}


def test_edge_72_a_public_bucket_is_read_without_signing(fake):
    anonymous = S3StoreOptions(endpoint_url=fake.endpoint_url, anonymous=True, retry=QUICK)
    with pytest.raises(AccessDeniedError) as caught:
        read(anonymous)
    assert "drop --anonymous" in caught.value.hint
    fake.behaviour.public.add("b")
    assert read(anonymous) == b"x"


# --- credentials ---------------------------------------------------------------------------------


def test_no_credentials_at_all_says_where_to_put_them(fake):
    with pytest.raises(CredentialsError) as caught:
        read(S3StoreOptions(endpoint_url=fake.endpoint_url, retry=QUICK))
    assert "AWS_PROFILE" in caught.value.hint


def test_an_unknown_access_key_is_a_credentials_error(fake):
    with pytest.raises(CredentialsError, match="does not know these credentials"):
        read(fake.options(access_key_id="NOBODY"))


def test_an_expired_token_says_log_in_again(fake):
    known = fake.identities[fake.credentials.access_key_id]
    fake.identities[fake.credentials.access_key_id] = replace(known, expired=True)
    with pytest.raises(CredentialsError, match="expired") as caught:
        read(fake.options())
    assert "log in again" in caught.value.hint


def test_a_wrong_clock_is_named_as_such():
    clock = FixedClock(SystemClock().now() + timedelta(hours=2))
    with FakeS3(clock=clock) as fake:
        fake.create_bucket("b")
        with pytest.raises(CredentialsError, match="clock") as caught:
            read(fake.options())
        assert "timedatectl" in caught.value.hint


def test_a_profile_that_does_not_exist_is_named(fake):
    with pytest.raises(CredentialsError, match="no profile `nobody`"):
        open_store(S3StoreOptions(profile="nobody"))


def test_a_profile_gives_credentials_and_endpoint(fake, tmp_path, monkeypatch):
    config = tmp_path / "config"
    config.write_text(
        f"[profile here]\naws_access_key_id = {fake.credentials.access_key_id}\n"
        f"aws_secret_access_key = {fake.credentials.secret_access_key}\nregion = us-east-1\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    assert read(S3StoreOptions(endpoint_url=fake.endpoint_url, profile="here")) == b"x"


def test_the_environment_gives_credentials_and_endpoint(fake, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", fake.endpoint_url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", fake.credentials.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", fake.credentials.secret_access_key)
    assert read(S3StoreOptions()) == b"x"


def test_a_role_is_assumed_with_the_identity_found(fake, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", fake.endpoint_url)
    role = fake.options(role_arn="arn:aws:iam::123456789012:role/reader")
    assert read(role) == b"x"
    assert "ASSUMED" in fake.identities
    del fake.identities[fake.credentials.access_key_id]
    with pytest.raises(CredentialsError, match="AssumeRole was refused") as caught:
        read(role)
    assert "sts:AssumeRole" in caught.value.hint


def test_a_role_without_any_identity_says_so():
    options = S3StoreOptions(role_arn="arn:aws:iam::123456789012:role/reader")
    with pytest.raises(CredentialsError, match="no credentials to assume"):
        open_store(options)


# --- regions -------------------------------------------------------------------------------------


@pytest.mark.parametrize("redirect_status", [400, 301])
def test_edge_71_a_bucket_in_another_region_is_followed_there(fake, redirect_status):
    fake.create_bucket("far", region="eu-central-1")
    fake.behaviour.redirect_status = redirect_status
    meter = Meter()
    store = open_store(fake.options(retry=QUICK), meter=meter)
    store.put("far", "k", b"there")
    with store.get("far", "k") as body:
        assert body.read() == b"there"
    assert store.head("far", "k").size_bytes == 5
    assert [entry.key for entry in store.list_page(ListQuery("far")).objects] == ["k"]
    # the detour is made once per bucket, and counted
    assert meter.calls["PutObject"] == 2
    assert meter.calls["GetObject"] == meter.calls["ListObjectsV2"] == 1


def test_a_bucket_that_moved_is_followed_once_more(fake):
    table = fake.create_bucket("far", region="eu-central-1").table
    store = open_store(fake.options(retry=QUICK))
    store.put("far", "k", b"x")
    table.region = "ap-south-1"
    with store.get("far", "k") as body:
        assert body.read() == b"x"


# --- limits and odd requests ---------------------------------------------------------------------


def test_a_page_holds_no_more_than_1000_keys(fake):
    table = fake.create_bucket("many").table
    sample = fake.buckets["b"].table.find("k")
    table.load(replace(sample, key=f"k{number:05d}") for number in range(2500))
    pages = list(iter_listing(open_store(fake.options()), ListQuery("many", keys_max=5000)))
    assert [len(page.objects) for page in pages] == [1000, 1000, 500]


def test_slow_down_is_waited_out_and_then_reported(fake):
    fake.behaviour.slow_down = 2
    assert read(fake.options()) == b"x"
    fake.behaviour.slow_down = 3
    with pytest.raises(ThrottledError):
        read(fake.options())


def test_an_operation_the_store_does_not_know_is_unsupported(fake):
    store = open_store(fake.options(retry=QUICK))
    with pytest.raises(UnsupportedOperationError):
        store.describe("GetBucketWebsite", "b")
    with pytest.raises(InvalidSettingError, match="no operation `GetBucketMood`"):
        store.describe("GetBucketMood", "b")


def test_bucket_documents_are_given_back_or_missing(fake):
    store = open_store(fake.options(retry=QUICK))
    with pytest.raises(StoreError) as caught:
        store.describe("GetBucketPolicy", "b")
    assert caught.value.code == "object-not-found"
    store.describe("PutBucketPolicy", "b", Policy='{"Version": "2012-10-17"}')
    assert store.describe("GetBucketPolicy", "b")["Policy"] == '{"Version": "2012-10-17"}'
