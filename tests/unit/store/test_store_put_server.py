"""The sink that uploads are measured against answers as S3 does, and is not fooled by checksums."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
import urllib.request

import pytest

from stocktake.errors import (
    DigestRefusedError,
    ObjectNotFoundError,
    PreconditionFailedError,
    StoreError,
)
from stocktake.store import (
    S3_UPLOADS,
    CompleteOptions,
    ListQuery,
    PutOptions,
    RetryPolicy,
    S3StoreOptions,
    combine_crc64nvme,
    crc64nvme,
    encode_crc64nvme,
    open_store,
    probe_uploads,
)
from stocktake.testing import start_put_server
from stocktake.testing._put_server import PutServer

LARGE = bytes(range(256)) * 30_000  # 7.7 MB


@pytest.fixture(scope="module")
def endpoint():
    server = PutServer()
    server.create_bucket("b")
    threading.Thread(target=server.serve, daemon=True).start()
    return server.endpoint_url


@pytest.fixture
def store(endpoint):
    options = S3StoreOptions(
        endpoint_url=endpoint,
        region="us-east-1",
        access_key_id="a",
        secret_access_key="b",
        retry=RetryPolicy(attempts_max=1),
    )
    opened = open_store(options)
    yield opened
    opened.delete("b", [one.key for one in opened.list_page(ListQuery("b")).objects])
    opened.close()


def test_small_objects_are_kept_whole(store):
    options = PutOptions(
        "text/plain", {"a": "1"}, if_absent=True, crc64nvme=encode_crc64nvme(crc64nvme(b"x"))
    )
    assert store.put("b", "k é+", b"x", options).etag == hashlib.md5(b"x").hexdigest()
    head = store.head("b", "k é+")
    assert (head.size_bytes, head.content_type, head.metadata) == (1, "text/plain", {"a": "1"})
    assert head.checksums["crc64nvme"] == options.crc64nvme
    with store.get("b", "k é+") as body:
        assert body.read() == b"x"
    with pytest.raises(PreconditionFailedError):
        store.put("b", "k é+", b"x", options)


def test_a_large_upload_is_summed_from_its_parts(store):
    upload = store.begin_upload("b", "large", PutOptions(full_object_crc64nvme=True))
    etags = {number: upload.put_part(number, LARGE) for number in (2, 1)}
    crc = combine_crc64nvme(crc64nvme(LARGE), crc64nvme(LARGE), len(LARGE))
    wrong = CompleteOptions(crc64nvme=encode_crc64nvme(crc + 1))
    with pytest.raises(DigestRefusedError):
        upload.complete(etags, wrong)
    right = CompleteOptions(crc64nvme=encode_crc64nvme(crc), size_bytes=2 * len(LARGE))
    assert upload.complete(etags, right).checksums["crc64nvme"] == encode_crc64nvme(crc)
    assert store.head("b", "large").size_bytes == 2 * len(LARGE)
    with pytest.raises(ObjectNotFoundError):
        upload.put_part(3, b"x")


def test_its_profile_is_that_of_s3(store):
    assert probe_uploads(store, "b", unequal_parts=True) == S3_UPLOADS


def test_a_request_in_crumbs_and_two_at_once_are_answered(endpoint):
    port = int(endpoint.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as line:
        for piece in (
            b"PUT /b/crumbs HT",
            b"TP/1.1\r\ncontent-le",
            b"ngth: 3\r\n\r",
            b"\na",
            b"bc",
        ):
            line.sendall(piece)
            threading.Event().wait(0.02)
        assert line.recv(4096).startswith(b"HTTP/1.1 200 ")
        line.sendall(b"HEAD /b/crumbs HTTP/1.1\r\n\r\nHEAD /b/nothing HTTP/1.1\r\n\r\n")
        got = b""
        while got.count(b"\r\n\r\n") < 2:
            got += line.recv(4096)
        assert b"content-length: 3" in got
        assert b"404" in got
        line.sendall(b"nonsense\r\n\r\n")
        assert line.recv(10) == b""


def test_it_tells_what_it_did(endpoint, store):
    store.put("b", "k", b"x" * 100)
    with urllib.request.urlopen(f"{endpoint}/_counts") as answer:
        said = json.load(answer)
    assert said["requests"]["PutObject"] >= 1
    assert said["received_bytes"] >= 100
    with pytest.raises(StoreError):
        store.describe("GetBucketCors", "b")


def test_it_starts_as_a_process(tmp_path):
    with start_put_server(tmp_path, "mine") as server:
        store = open_store(server.options())
        store.put("mine", "k", b"x")
        assert store.head("mine", "k").size_bytes == 1
        store.close()
