"""What the fake S3 refuses, asked over plain HTTP: it must be at least as strict as S3."""

from __future__ import annotations

import hashlib
import http.client
import time
from base64 import b64encode
from urllib.parse import urlsplit

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from stocktake.testing import FakeS3


@pytest.fixture
def fake(fake_s3: FakeS3) -> FakeS3:
    fake_s3.create_bucket("b")
    assert ask(fake_s3, "PUT", "/b/k", b"0123456789")[0] == 200
    return fake_s3


def signed(fake: FakeS3, method: str, target: str, body: bytes, headers: dict) -> dict:
    request = AWSRequest(method, fake.endpoint_url + target, data=body, headers=dict(headers))
    keys = Credentials(fake.credentials.access_key_id, fake.credentials.secret_access_key)
    S3SigV4Auth(keys, "s3", "us-east-1").add_auth(request)
    return dict(request.headers.items())


def send(fake: FakeS3, method: str, target: str, body: bytes, headers: dict):
    address = urlsplit(fake.endpoint_url)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=10)
    connection.request(method, target, body=body, headers=headers)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, text, answer.headers


def ask(fake: FakeS3, method: str, target: str, body: bytes = b"", **headers: str):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return send(fake, method, target, body, signed(fake, method, target, body, named))


def test_an_unsigned_request_is_denied(fake):
    status, text, _ = send(fake, "GET", "/b/k", b"", {})
    assert (status, b"AccessDenied" in text) == (403, True)


@pytest.mark.parametrize("what", ["path", "query", "header", "body", "signature"])
def test_a_request_that_was_changed_after_signing_is_refused(fake, what):
    headers = signed(fake, "PUT", "/b/new?a=1", b"body", {"x-amz-meta-owner": "me"})
    target, body = "/b/new?a=1", b"body"
    if what == "path":
        target = "/b/old?a=1"
    elif what == "query":
        target = "/b/new?a=2"
    elif what == "header":
        headers["x-amz-meta-owner"] = "you"
    elif what == "body":
        body = b"ydob"
    else:
        last = headers["Authorization"][-1]
        headers["Authorization"] = headers["Authorization"][:-1] + ("0" if last != "0" else "1")
    status, text, _ = send(fake, "PUT", target, body, headers)
    assert status in {400, 403}
    assert b"SignatureDoesNotMatch" in text or b"XAmzContentSHA256Mismatch" in text
    assert "new" not in fake.buckets["b"].table._versions


def test_a_malformed_authorization_is_refused(fake):
    status, text, _ = send(fake, "GET", "/b/k", b"", {"Authorization": "AWS me:secret"})
    assert (status, b"AuthorizationHeaderMalformed" in text) == (400, True)


def test_a_body_that_does_not_match_its_checksum_is_not_stored(fake):
    wrong = b64encode(hashlib.md5(b"other").digest()).decode()
    status, text, _ = ask(fake, "PUT", "/b/new", b"body", Content_MD5=wrong)
    assert (status, b"BadDigest" in text) == (400, True)
    assert ask(fake, "GET", "/b/new")[0] == 404


@pytest.mark.parametrize(
    ("span", "status", "body"),
    [
        ("bytes=0-0", 206, b"0"),
        ("bytes=-3", 206, b"789"),
        ("bytes=-30", 206, b"0123456789"),
        ("bytes=5-", 206, b"56789"),
        ("bytes=8-99", 206, b"89"),
        ("furlongs=1-2", 200, b"0123456789"),
    ],
)
def test_ranges_are_those_of_http(fake, span, status, body):
    got, text, headers = ask(fake, "GET", "/b/k", Range=span)
    assert (got, text) == (status, body)
    assert (headers["Content-Range"] is not None) == (status == 206)


def test_a_range_behind_the_end_is_refused(fake):
    status, text, _ = ask(fake, "GET", "/b/k", Range="bytes=10-")
    assert (status, b"InvalidRange" in text) == (416, True)


def test_deleting_1001_keys_at_once_is_refused(fake):
    keys = "".join(f"<Object><Key>{number}</Key></Object>" for number in range(1001))
    body = f"<Delete>{keys}</Delete>".encode()
    md5 = b64encode(hashlib.md5(body).digest()).decode()
    status, text, _ = ask(fake, "POST", "/b?delete", body, Content_MD5=md5)
    assert (status, b"MalformedXML" in text) == (400, True)


def test_deleting_without_a_checksum_is_refused(fake):
    body = b"<Delete><Object><Key>k</Key></Object></Delete>"
    assert ask(fake, "POST", "/b?delete", body)[0] == 400
    assert ask(fake, "GET", "/b/k")[0] == 200


@pytest.mark.parametrize(
    ("method", "target", "code"),
    [
        ("GET", "/b?website", b"NotImplemented"),
        ("PUT", "/b?website", b"NotImplemented"),
        ("GET", "/b/%FF", b"InvalidURI"),
        ("GET", "/b?list-type=2&max-keys=many", b"InvalidArgument"),
        ("GET", "/b?list-type=2&continuation-token=x", b"InvalidArgument"),
        ("POST", "/b/k?uploadId=none", b"MalformedXML"),
    ],
)
def test_what_s3_refuses_is_refused(fake, method, target, code):
    status, text, _ = ask(fake, method, target)
    assert status >= 400
    assert code in text


def test_an_upload_that_is_cut_leaves_no_object(fake):
    headers = signed(fake, "PUT", "/b/cut", b"x" * 1000, {})
    address = urlsplit(fake.endpoint_url)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=10)
    connection.putrequest("PUT", "/b/cut", skip_host=True)
    for name, value in {"Host": address.netloc, "Content-Length": "1000", **headers}.items():
        if name.lower() not in {"host", "content-length"} or name in {"Host", "Content-Length"}:
            connection.putheader(name, value)
    connection.endheaders()
    connection.send(b"x" * 400)
    connection.close()
    time.sleep(0.1)
    assert ask(fake, "GET", "/b/cut")[0] == 404
