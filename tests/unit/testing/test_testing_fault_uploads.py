"""Uploads of a store that fails by script: before a step, or after it as if the answer was lost."""

from __future__ import annotations

import pytest

from stocktake.errors import StoreUnavailableError
from stocktake.store import CompleteOptions
from stocktake.testing import FaultStore, MemoryStore, Planned

CUT = StoreUnavailableError("cut")


@pytest.fixture
def inner():
    made = MemoryStore()
    made.describe("CreateBucket", "b")
    return made


@pytest.mark.parametrize("after_effect", [False, True])
def test_a_completion_fails_before_or_after_it_happened(inner, after_effect):
    store = FaultStore(inner, [Planned("complete", CUT, key="k", after_effect=after_effect)])
    upload = store.begin_upload("b", "k")
    etags = {1: upload.put_part(1, b"x")}
    with pytest.raises(StoreUnavailableError):
        upload.complete(etags, CompleteOptions(settle=False, size_bytes=1))
    assert bool(inner.buckets["b"].current("k")) == after_effect


@pytest.mark.parametrize("after_effect", [False, True])
def test_an_abort_fails_before_or_after_it_happened(inner, after_effect):
    store = FaultStore(inner, [Planned("abort", CUT, after_effect=after_effect)])
    upload = store.begin_upload("b", "k")
    with pytest.raises(StoreUnavailableError):
        upload.abort()
    listed = inner.describe("ListMultipartUploads", "b").get("Uploads", [])
    assert [one["UploadId"] for one in listed] == ([] if after_effect else [upload.upload_id])
    upload.abort()


def test_the_second_part_fails_and_works_when_sent_again(inner):
    store = FaultStore(inner, [Planned("put_part", CUT, skip=1)])
    upload = store.begin_upload("b", "k")
    etags = {1: upload.put_part(1, bytes(5 << 20))}
    with pytest.raises(StoreUnavailableError):
        upload.put_part(2, b"y")
    etags[2] = upload.put_part(2, b"y")
    assert upload.complete(etags).size_bytes == (5 << 20) + 1
