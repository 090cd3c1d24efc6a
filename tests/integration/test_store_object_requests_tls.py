"""Our own requests over TLS: bodies in both directions, and what is hashed (SHP-30)."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from stocktake.store import (
    CompleteOptions,
    PutOptions,
    Store,
    crc64nvme,
    encode_crc64nvme,
    open_store,
)
from stocktake.testing import FakeS3
from tls_certificates import certificate

LARGE = os.urandom(1 << 20) * 7


@pytest.fixture
def claims(monkeypatch) -> list[tuple[str, str]]:
    """Of every request: its method, and what it says about its body."""
    seen: list[tuple[str, str]] = []
    answer = FakeS3.answer

    def look(self, request):
        seen.append((request.method, request.headers.get("x-amz-content-sha256", "")))
        return answer(self, request)

    monkeypatch.setattr(FakeS3, "answer", look)
    return seen


@pytest.fixture
def store(tmp_path, monkeypatch, claims) -> Iterator[Store]:
    context, bundle = certificate(tmp_path, "localhost")
    monkeypatch.setenv("AWS_CA_BUNDLE", bundle)
    fake = FakeS3()
    server = fake._listener._server
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with fake:
        fake.create_bucket("b")
        port = fake.endpoint_url.rpartition(":")[2]
        opened = open_store(fake.options(endpoint_url=f"https://localhost:{port}"))
        opened.put("b", "first", b"x")
        assert opened._calls._objects.routes.find("b") is not None
        claims.clear()
        yield opened
        opened.close()


def test_objects_and_uploads_pass_over_tls_and_their_bodies_are_not_hashed(store, claims):
    crc = encode_crc64nvme(crc64nvme(LARGE))
    store.put("b", "k", memoryview(LARGE), PutOptions(if_absent=True, crc64nvme=crc))
    upload = store.begin_upload("b", "m", PutOptions(full_object_crc64nvme=True))
    etags = {1: upload.put_part(1, LARGE)}
    assert upload.complete(etags, CompleteOptions(crc64nvme=crc)).checksums == {"crc64nvme": crc}
    for key in ("k", "m"):
        with store.get("b", key) as body:
            assert body.read() == LARGE
    assert {sha for method, sha in claims if method == "PUT"} == {"UNSIGNED-PAYLOAD"}
    assert "UNSIGNED-PAYLOAD" not in {sha for method, sha in claims if method != "PUT"}
