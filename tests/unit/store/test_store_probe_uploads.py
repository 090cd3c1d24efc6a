"""The upload profile: its JSON, unequal parts, and what a failing probe leaves behind."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from stocktake.errors import AccessDeniedError, BucketNotFoundError, UnsupportedOperationError
from stocktake.store import S3_UPLOADS, ListQuery, UploadProfile, open_store, probe_uploads
from stocktake.testing import (
    FakeS3,
    Fault,
    FaultProxy,
    FaultStore,
    LostAnswer,
    MemoryStore,
    Planned,
)


@pytest.fixture
def store():
    made = MemoryStore()
    made.describe("CreateBucket", "b")
    return made


def is_empty(store) -> bool:
    uploads = store.describe("ListMultipartUploads", "b").get("Uploads")
    return not uploads and store.list_page(ListQuery("b")).objects == ()


def test_the_memory_store_is_as_s3_and_nothing_is_left(store):
    assert probe_uploads(store, "b", unequal_parts=True) == S3_UPLOADS
    assert is_empty(store)


def test_a_profile_of_another_version_is_not_believed():
    text = S3_UPLOADS.to_json()
    assert UploadProfile.from_json(text) == S3_UPLOADS
    said = json.loads(text)
    for wrong in (
        {**said, "crc64nvme": "yes"},
        {**said, "more": True},
        {name: value for name, value in said.items() if name != "lists_uploads"},
        [],
    ):
        with pytest.raises(ValueError, match=r"profile|yes or no"):
            UploadProfile.from_json(json.dumps(wrong))


def test_a_store_without_conditional_completion_is_not_one_that_holds_it(store):
    refusal = UnsupportedOperationError("not here")
    faulty = FaultStore(store, [Planned("complete", refusal, times=100)])
    profile = probe_uploads(faulty, "b")
    assert profile.put_if_absent
    assert not profile.complete_if_absent
    assert not profile.full_object_crc
    assert is_empty(store)


@pytest.mark.parametrize("verb", ["put_part", "complete", "begin_upload", "describe"])
def test_access_denied_in_the_middle_is_told_and_nothing_is_left(store, verb):
    faulty = FaultStore(store, [Planned(verb, AccessDeniedError("no"))])
    with pytest.raises(AccessDeniedError):
        probe_uploads(faulty, "b")
    assert is_empty(store)


def test_a_bucket_that_is_not_there_is_told(store):
    with pytest.raises(BucketNotFoundError):
        probe_uploads(store, "nowhere")


def test_an_upload_whose_id_was_lost_with_the_answer_is_not_left():
    with FakeS3() as fake, FaultProxy(fake.endpoint_url) as proxy:
        fake.create_bucket("b")
        lost = proxy.add(Fault("^POST .*uploads", LostAnswer(), times=2))
        store = open_store(fake.options(endpoint_url=proxy.endpoint_url))
        assert probe_uploads(store, "b") == replace(S3_UPLOADS, same_size_parts=None)
        assert lost.hits == 2
        assert is_empty(store)


def test_what_a_killed_probe_left_is_removed_by_the_next_of_its_name(store):
    store.put("b", ".stocktake-probe/me/plain", b"left")
    store.begin_upload("b", ".stocktake-probe/me/whole")
    probe_uploads(store, "b", trial_name="me")
    assert is_empty(store)
