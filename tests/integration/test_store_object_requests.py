"""Our own requests for objects: signed, followed and understood as botocore's are (SHP-30)."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from stocktake.clock import SystemClock
from stocktake.errors import (
    AccessDeniedError,
    BucketNotFoundError,
    CredentialsError,
    ObjectNotFoundError,
    StoreError,
    UnexpectedAnswerError,
)
from stocktake.store import (
    ByteRange,
    CompleteOptions,
    ListQuery,
    PutOptions,
    RetryPolicy,
    S3StoreOptions,
    crc64nvme,
    encode_crc64nvme,
    open_store,
)
from stocktake.telemetry import Meter
from stocktake.testing import FakeS3, Fault, FaultProxy, Status
from stocktake.testing._fake_s3_auth import Identity
from stocktake.testing._object_table import bytes_version

QUICK = RetryPolicy(attempts_max=2, base_s=0.001, cap_s=0.01)
ODD_KEYS = ["a b", "c+d/e", "é😀%", "/", "//x", "a/../b", "x\x01\t", "~-_.!*'()", "a?b#c&d=e;f"]
BODY = bytes(range(256)) * 1000


@pytest.fixture
def fake(fake_s3: FakeS3) -> FakeS3:
    etag = hashlib.md5(BODY).hexdigest()
    here = bytes_version("here", BODY, etag, SystemClock().now())
    fake_s3.create_bucket("b").table.put(here)
    return fake_s3


def warmed(options: S3StoreOptions, meter: Meter | None = None):
    """A store that knows its way, and must not use botocore for objects any more."""
    store = open_store(options, meter=meter)
    store.head("b", "here")
    client = store._calls._client

    def forbid(request, **_):
        raise AssertionError(f"botocore was asked for {request.url}")

    client.meta.events.register("before-send.s3.*", forbid)
    return store


@pytest.fixture
def store(fake):
    return warmed(fake.options(retry=QUICK))


def read(store, key: str, **wishes) -> bytes:
    with store.get("b", key, **wishes) as body:
        return body.read()


def test_everything_about_objects_goes_without_botocore(store):
    options = PutOptions("text/csv", {"One": "1", "two": "", "blank": "a b"}, if_absent=True)
    written = store.put("b", "k", BODY, options)
    head = store.head("b", "k")
    assert written.etag == head.etag == hashlib.md5(BODY).hexdigest()
    assert (head.size_bytes, head.content_type) == (len(BODY), "text/csv")
    assert head.metadata == {"one": "1", "two": "", "blank": "a b"}
    assert head.last_modified.tzinfo is not None
    assert read(store, "k") == BODY
    assert read(store, "k", byte_range=ByteRange(5, 10)) == BODY[5:10]
    assert read(store, "k", if_match=head.etag) == BODY
    upload = store.begin_upload("b", "m", PutOptions(full_object_crc64nvme=True))
    etags = {1: upload.put_part(1, memoryview(BODY))}
    crc = encode_crc64nvme(crc64nvme(BODY))
    done = upload.complete(etags, CompleteOptions(if_absent=True, crc64nvme=crc))
    assert done.checksums == {"crc64nvme": crc}
    gone = store.begin_upload("b", "n")
    gone.abort()
    gone.abort()
    with pytest.raises(ObjectNotFoundError):
        store.head("b", "nothing")


def test_keys_of_any_shape_are_signed_and_arrive(store):
    for key in ODD_KEYS:
        store.put("b", key, b"x", PutOptions(if_absent=True))
        assert store.head("b", key).size_bytes == 1
        assert read(store, key) == b"x"
        upload = store.begin_upload("b", key)
        upload.complete({1: upload.put_part(1, b"yy")})
        assert store.head("b", key).size_bytes == 2


def test_any_request_shows_the_way_to_its_bucket(fake):
    store = open_store(fake.options())
    routes = store._calls._objects.routes
    for key in ODD_KEYS:
        store.put("b", key, b"x")
        assert routes.find("b").path == "/b"
        routes.forget("b")


def test_many_threads_share_connections_and_mix_nothing_up(store):
    connections = set()
    http = store._calls._objects._http
    connect = http._connect
    http._connect = lambda request: connections.add(made := connect(request)) or made

    def work(number: int) -> None:
        data = f"{number} ".encode() * (1 + number % 7 * 2000)
        key = f"thread/{number}"
        store.put("b", key, data, PutOptions(metadata={"n": str(number)}))
        assert store.head("b", key).metadata == {"n": str(number)}
        assert read(store, key) == data

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(300)))
    assert 1 <= len(connections) <= 17


def test_a_refusal_for_the_key_shows_the_way_as_well(fake):
    store = open_store(fake.options())
    with pytest.raises(ObjectNotFoundError):
        store.head("b", "nothing")
    assert store._calls._objects.routes.find("b") is not None


def test_a_large_body_that_was_altered_is_refused_by_its_checksum(fake):
    # over http its SHA-256 is not signed, but the header with its CRC is
    store = warmed(fake.options(retry=QUICK))
    options = PutOptions(crc64nvme=encode_crc64nvme(crc64nvme(BODY)))
    store.put("b", "k", BODY, options)
    with pytest.raises(StoreError):
        store.put("b", "k", BODY[:-1] + b"!", options)


def test_a_session_token_is_signed_for_objects(fake):
    fake.identities["TEMP"] = Identity("secret", "token/with+odd=chars")
    store = warmed(
        fake.options(
            access_key_id="TEMP", secret_access_key="secret", session_token="token/with+odd=chars"
        )
    )
    store.put("b", "k", BODY)
    assert read(store, "k") == BODY


def test_a_requester_who_pays_says_so_for_objects(fake):
    fake.behaviour.requester_pays.add("b")
    store = warmed(fake.options(requester_pays=True))
    assert read(store, "here") == BODY
    with pytest.raises(AccessDeniedError):
        open_store(fake.options()).head("b", "here")


def test_a_public_object_is_read_without_signing(fake):
    fake.behaviour.public.add("b")
    store = warmed(S3StoreOptions(endpoint_url=fake.endpoint_url, anonymous=True))
    assert read(store, "here") == BODY


def test_credentials_that_expire_between_two_writes_say_log_in_again(fake):
    fake.identities["TEMP"] = Identity("secret", "token")
    store = warmed(
        fake.options(access_key_id="TEMP", secret_access_key="secret", session_token="token")
    )
    fake.identities["TEMP"] = Identity("secret", "token", expired=True)
    with pytest.raises(CredentialsError, match="expired"):
        store.put("b", "k", b"x")


def test_access_lost_between_two_writes_names_the_permission(fake, store):
    fake.behaviour.denied.add(("PutObject", "b"))
    with pytest.raises(AccessDeniedError) as caught:
        store.put("b", "k", b"x")
    assert caught.value.attrs["permission"] == "s3:PutObject"


def test_a_bucket_that_was_deleted_is_told(fake, store):
    fake.buckets.pop("b")
    with pytest.raises(BucketNotFoundError):
        store.put("b", "k", b"x")


@pytest.mark.parametrize("status", [400, 301])
def test_a_bucket_that_is_elsewhere_now_is_followed(fake, status):
    store = open_store(fake.options())
    store.head("b", "here")
    fake.behaviour.redirect_status = status
    fake.buckets["b"].table.region = "eu-west-1"
    assert store.head("b", "here").size_bytes == len(BODY)
    routes = store._calls._objects.routes
    assert routes.find("b").scope.region == "eu-west-1"
    fake.buckets["b"].table.region = "eu-west-3"
    store.put("b", "k", BODY)
    assert routes.find("b").scope.region == "eu-west-3"
    assert read(store, "k") == BODY


def test_metadata_that_stores_sign_differently_is_left_to_botocore(fake):
    meter = Meter()
    store = open_store(fake.options(retry=QUICK), meter=meter)
    store.head("b", "here")
    store.put("b", "k", b"x", PutOptions(metadata={"a": "two  blanks"}))
    assert store.head("b", "k").metadata["a"] in {"two  blanks", "two blanks"}
    for value in ("line\r\nx-amz-acl: public-read", "é", "x\0"):
        with pytest.raises(StoreError):
            store.put("b", "bad", b"x", PutOptions(metadata={"a": value}))
    assert [entry.key for entry in store.list_page(ListQuery("b")).objects] == ["here", "k"]


def test_a_store_that_does_not_believe_our_signature_is_asked_through_botocore(fake):
    # it has another idea of something that is signed, and botocore knows which
    with FaultProxy(fake.endpoint_url) as proxy:
        meter = Meter()
        store = open_store(fake.options(endpoint_url=proxy.endpoint_url, retry=QUICK), meter=meter)
        store.head("b", "here")
        no = b"<Error><Code>SignatureDoesNotMatch</Code><Message>no</Message></Error>"
        proxy.add(Fault("^PUT /b/k", Status(403, no), times=1))
        store.put("b", "k", b"x")
        assert meter.calls["PutObject"] == 2
        assert store._calls._objects.routes.find("b") is None
        assert store.head("b", "k").size_bytes == 1
        assert store._calls._objects.routes.find("b") is None


@pytest.mark.parametrize("page", [b"<html>hello</html>", b"not xml", b""])
def test_an_answer_to_a_completion_that_is_not_s3s_is_no_success(fake, page):
    # SHP-31
    with FaultProxy(fake.endpoint_url) as proxy:
        store = warmed(fake.options(endpoint_url=proxy.endpoint_url, retry=QUICK))
        upload = store.begin_upload("b", "k")
        etags = {1: upload.put_part(1, b"x")}
        proxy.add(Fault("^POST /b/k", Status(200, page), times=1))
        with pytest.raises(UnexpectedAnswerError):
            upload.complete(etags, CompleteOptions(settle=False, size_bytes=1))


def test_a_completion_whose_etag_is_left_empty_has_that_of_its_parts(fake):
    # as Ceph RGW 16 answers
    with FaultProxy(fake.endpoint_url) as proxy:
        options = fake.options(endpoint_url=proxy.endpoint_url, retry=QUICK)
        store = warmed(options)
        upload = store.begin_upload("b", "k")
        etags = {1: upload.put_part(1, b"x")}
        said = b"<CompleteMultipartUploadResult><ETag></ETag></CompleteMultipartUploadResult>"
        proxy.add(Fault("^POST /b/k", Status(200, said), times=1))
        done = upload.complete(etags, CompleteOptions(settle=False, size_bytes=1))
        assert done.etag == upload.complete(etags).etag


def test_an_error_in_a_200_to_a_completion_is_ambiguous_and_one_request(fake):
    # SHP-31
    meter = Meter()
    with FaultProxy(fake.endpoint_url) as proxy:
        options = fake.options(endpoint_url=proxy.endpoint_url, retry=QUICK)
        store = warmed(options, meter)
        upload = store.begin_upload("b", "k")
        etags = {1: upload.put_part(1, b"x")}
        said = b"\n\n  <?xml version='1.0'?><Error><Code>InternalError</Code></Error>"
        proxy.add(Fault("^POST /b/k", Status(200, said), times=1))
        with pytest.raises(StoreError) as caught:
            upload.complete(etags, CompleteOptions(settle=False, size_bytes=1))
        assert caught.value.retryable
        assert meter.calls["CompleteMultipartUpload"] == 1
        assert upload.complete(etags).size_bytes == 1
