"""Which bodies are hashed for a signature, and which requests may arrive twice."""

from __future__ import annotations

import hashlib

import pytest

from stocktake.store._http import Origin
from stocktake.store._object_requests import _payload_sha, _wire
from stocktake.store._routes import Route
from stocktake.store._signing import EMPTY_SHA256, UNSIGNED, SigningScope

SMALL, LARGE = b"x" * 100, b"x" * 100_000
CRC = {"ChecksumCRC64NVME": "AAAAAAAAAAA="}
WHERE = {"Bucket": "b", "Key": "k"}


def sha(scheme: str, operation: str, method: str, **parameters) -> str:
    route = Route(Origin(scheme, "h", 1, "h"), "/b", SigningScope("r", "s3"))
    wire = _wire(operation, WHERE | parameters)
    assert wire is not None
    return _payload_sha(route, method, wire)


def test_over_tls_bodies_of_objects_are_not_hashed():
    for body in (SMALL, LARGE):
        assert sha("https", "PutObject", "PUT", Body=body) == UNSIGNED


def test_over_http_only_large_bodies_with_a_checksum_are_not_hashed():
    for body, more in ((SMALL, {}), (SMALL, CRC), (LARGE, {})):
        expected = hashlib.sha256(body).hexdigest()
        assert sha("http", "PutObject", "PUT", Body=body, **more) == expected
    assert sha("http", "UploadPart", "PUT", Body=LARGE, **CRC) == UNSIGNED


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_no_body_has_the_sum_of_nothing_and_documents_are_always_hashed(scheme):
    assert sha(scheme, "HeadObject", "HEAD") == EMPTY_SHA256
    assert sha(scheme, "CreateMultipartUpload", "POST") == EMPTY_SHA256
    parts = {"Parts": [{"PartNumber": 1, "ETag": '"<&>"'}]}
    wire = _wire("CompleteMultipartUpload", WHERE | {"UploadId": "u", "MultipartUpload": parts})
    assert wire is not None
    assert b'<ETag>"&lt;&amp;&gt;"</ETag><PartNumber>1</PartNumber>' in bytes(wire.body)
    found = sha(scheme, "CompleteMultipartUpload", "POST", UploadId="u", MultipartUpload=parts)
    assert found == hashlib.sha256(wire.body).hexdigest()


@pytest.mark.parametrize(
    ("operation", "parameters", "repeatable"),
    [
        ("GetObject", {"IfMatch": '"e"'}, True),
        ("HeadObject", {}, True),
        ("PutObject", {"Body": b"x"}, True),
        ("PutObject", {"Body": b"x", "IfNoneMatch": "*"}, False),
        ("PutObject", {"Body": b"x", "IfMatch": '"e"'}, False),
        ("UploadPart", {"Body": b"x", "PartNumber": 1, "UploadId": "u"}, True),
        ("CreateMultipartUpload", {}, False),
        ("CompleteMultipartUpload", {"UploadId": "u", "MultipartUpload": {"Parts": []}}, False),
        ("AbortMultipartUpload", {"UploadId": "u"}, True),
    ],
)
def test_what_may_arrive_twice(operation, parameters, repeatable):
    wire = _wire(operation, WHERE | parameters)
    assert wire is not None
    assert wire.repeatable == repeatable


@pytest.mark.parametrize(
    "odd",
    [
        {"StorageClass": "GLACIER"},
        {"Metadata": {"a b": "x"}},
        {"Metadata": {"a": "two  blanks"}},
        {"Metadata": {"a": " x"}},
        {"Metadata": {"a": "x\r\ny: z"}},
        {"ContentType": "text/plain\r\nx: y"},
        {"Metadata": {"a": "é"}},
    ],
)
def test_what_is_not_known_here_is_left_to_botocore(odd):
    assert _wire("PutObject", WHERE | odd) is None
