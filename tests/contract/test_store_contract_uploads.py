"""What every store does with checksums and with uploads that are under way (SHP-30, SHP-31)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from stocktake.errors import (
    DigestRefusedError,
    ObjectNotFoundError,
    PreconditionFailedError,
    StoreError,
    UsageError,
)
from stocktake.store import (
    CompleteOptions,
    ListQuery,
    PutOptions,
    UploadProfile,
    combine_crc64nvme,
    crc64nvme,
    encode_crc64nvme,
    probe_uploads,
    uploads_of,
)

MIB = 1 << 20
BODY = b"x" * 1000
WHOLE = PutOptions(full_object_crc64nvme=True)


def crc(data: bytes) -> str:
    return encode_crc64nvme(crc64nvme(data))


def begin(subject, body=BODY, options=WHOLE):
    upload = subject.store.begin_upload(subject.bucket, "film", options)
    return upload, {1: upload.put_part(1, body)}


# --- PUT -----------------------------------------------------------------------------------------


def test_a_put_whose_checksum_is_right_tells_it_at_head(subject):
    subject.store.put(subject.bucket, "a", BODY, PutOptions(crc64nvme=crc(BODY)))
    head = subject.store.head(subject.bucket, "a")
    assert head.size_bytes == len(BODY)
    told = head.checksums.get("crc64nvme") == crc(BODY)
    assert told == subject.traits.tells_crc64nvme


def test_a_put_whose_checksum_is_wrong_is_refused(subject):
    options = PutOptions(crc64nvme=crc(b"something else"))
    if subject.traits.checks_put_crc64nvme:
        with pytest.raises(DigestRefusedError) as caught:
            subject.store.put(subject.bucket, "a", BODY, options)
        assert not caught.value.retryable
        with pytest.raises(ObjectNotFoundError):
            subject.store.head(subject.bucket, "a")
    else:
        assert subject.store.put(subject.bucket, "a", BODY, options).etag


def test_a_body_may_be_a_view_of_a_larger_buffer(subject):
    buffer = bytearray(b"..." + BODY + b"...")
    view = memoryview(buffer)[3:-3]
    subject.store.put(subject.bucket, "a", view, PutOptions(crc64nvme=crc(BODY)))
    upload, etags = begin(subject, view)
    upload.complete(etags)
    for key in ("a", "film"):
        with subject.store.get(subject.bucket, key) as body:
            assert body.read() == BODY


# --- the whole object's checksum -----------------------------------------------------------------


def test_a_part_is_checked_and_the_whole_is_told_by_head(subject):
    first, second = b"a" * (5 * MIB), b"b" * 1000
    upload = subject.store.begin_upload(subject.bucket, "film", WHOLE)
    etags = {1: upload.put_part(1, first), 2: upload.put_part(2, second)}
    whole = combine_crc64nvme(crc64nvme(first), crc64nvme(second), len(second))
    size = len(first) + len(second)
    conditions = CompleteOptions(crc64nvme=encode_crc64nvme(whole), size_bytes=size)
    if not subject.traits.takes_full_object_crc64nvme:
        with pytest.raises(StoreError):
            upload.complete(etags, conditions)
        return
    assert upload.complete(etags, conditions).size_bytes == size
    head = subject.store.head(subject.bucket, "film")
    told = head.checksums.get("crc64nvme") == encode_crc64nvme(whole)
    assert told == subject.traits.tells_full_object_crc64nvme


def test_a_wrong_checksum_of_the_whole_object_is_refused(subject):
    upload, etags = begin(subject)
    conditions = CompleteOptions(crc64nvme=crc(b"something else"))
    if not subject.traits.takes_full_object_crc64nvme:
        return  # it refuses the right one too
    if subject.traits.checks_full_object_crc64nvme:
        with pytest.raises(DigestRefusedError) as caught:
            upload.complete(etags, conditions)
        assert not caught.value.retryable
        upload.complete(etags, CompleteOptions(crc64nvme=crc(BODY)))
    else:
        assert upload.complete(etags, conditions).etag


def test_a_wrong_size_of_the_whole_object_is_refused(subject):
    upload, etags = begin(subject)
    conditions = CompleteOptions(size_bytes=len(BODY) + 1)
    if subject.traits.checks_upload_size:
        with pytest.raises(StoreError):
            upload.complete(etags, conditions)
        upload.complete(etags, CompleteOptions(size_bytes=len(BODY)))
    else:
        assert upload.complete(etags, conditions).etag


def test_without_a_declaration_any_checksum_of_the_whole_is_believed(subject):
    """The trap that `full_object_crc64nvme` is for: S3 would tell the wrong one at HEAD."""
    if not subject.traits.is_s3_to_the_letter:
        return
    upload, etags = begin(subject, options=PutOptions())
    wrong = crc(b"something else")
    upload.complete(etags, CompleteOptions(crc64nvme=wrong))
    assert subject.store.head(subject.bucket, "film").checksums["crc64nvme"] == wrong


def test_an_upload_that_declared_checksums_takes_no_part_without_one(subject):
    if not subject.traits.is_s3_to_the_letter:
        return
    upload, _ = begin(subject)
    again = subject.store.begin_upload(subject.bucket, "film", upload_id=upload.upload_id)
    with pytest.raises(StoreError, match="mismatch"):
        again.put_part(2, BODY)
    again = subject.store.begin_upload(subject.bucket, "film", WHOLE, upload_id=upload.upload_id)
    assert again.put_part(2, BODY)


# --- conditions ----------------------------------------------------------------------------------


def test_completing_over_the_object_that_was_seen(subject):
    seen = subject.store.put(subject.bucket, "film", b"before").etag
    upload, etags = begin(subject)
    if not subject.traits.complete_if_match:
        return  # some refuse, some do not look: `probe_uploads` finds out
    with pytest.raises(PreconditionFailedError):
        upload.complete(etags, CompleteOptions(if_match="0" * 32))
    upload.complete(etags, CompleteOptions(if_match=seen))
    with subject.store.get(subject.bucket, "film") as body:
        assert body.read() == BODY


def test_completing_over_an_object_that_is_gone_fails(subject):
    upload, etags = begin(subject)
    if subject.traits.complete_if_match:
        with pytest.raises((PreconditionFailedError, ObjectNotFoundError)):
            upload.complete(etags, CompleteOptions(if_match="0" * 32))


def test_completing_without_settling_asks_once_and_says_what_the_answer_said(subject):
    # SHP-31
    upload, etags = begin(subject)
    with pytest.raises(UsageError):
        upload.complete(etags, CompleteOptions(settle=False))
    before = subject.meter.calls.get("HeadObject", 0)
    done = upload.complete(etags, CompleteOptions(settle=False, size_bytes=len(BODY)))
    assert subject.meter.calls.get("HeadObject", 0) == before
    assert (done.size_bytes, done.etag) == (
        len(BODY),
        subject.store.head(subject.bucket, "film").etag,
    )


# --- what is under way ---------------------------------------------------------------------------


def test_an_upload_that_ended_is_gone(subject):
    upload, etags = begin(subject)
    upload.complete(etags)
    gone, _ = begin(subject)
    gone.abort()
    if not subject.traits.forgets_ended_uploads:
        return
    for ended in (upload, gone):
        with pytest.raises(StoreError):
            ended.put_part(1, BODY)
        with pytest.raises(ObjectNotFoundError):
            subject.store.describe(
                "ListParts", subject.bucket, Key="film", UploadId=ended.upload_id
            )


def test_parts_that_have_arrived_are_listed(subject):
    upload, etags = begin(subject)
    listed = subject.store.describe(
        "ListParts", subject.bucket, Key="film", UploadId=upload.upload_id
    )
    [part] = listed["Parts"]
    assert (part["PartNumber"], part["Size"]) == (1, len(BODY))
    assert part["ETag"].strip('"') == etags[1]


def test_open_uploads_are_listed_by_the_exact_key(subject):
    # SHP-41
    before = datetime.now(UTC) - timedelta(seconds=2)
    upload, etags = begin(subject)
    other = subject.store.begin_upload(subject.bucket, "film.mp4", replace(WHOLE))
    listed = subject.store.describe("ListMultipartUploads", subject.bucket, Prefix="film")
    mine = [one for one in listed.get("Uploads", []) if one["Key"] == "film"]
    assert [one["UploadId"] for one in mine] == [upload.upload_id]
    if subject.traits.tells_when_uploads_began:
        assert mine[0]["Initiated"] >= before
    other.abort()
    upload.complete(etags)
    assert not subject.store.describe("ListMultipartUploads", subject.bucket).get("Uploads")


def test_open_uploads_of_keys_with_odd_characters_are_found(subject):
    keys = ["d e+f%2F", "ü/\u6587", "a&b<c"]
    if subject.traits.is_s3_to_the_letter:
        keys.append("x\x01 +%")  # others answer with what is no XML, or not at all
    for key in keys:
        upload = subject.store.begin_upload(subject.bucket, key)
        assert [one.upload_id for one in uploads_of(subject.store, subject.bucket, key)] == [
            upload.upload_id
        ]
        upload.abort()
        assert uploads_of(subject.store, subject.bucket, key) == []


# --- the probe -----------------------------------------------------------------------------------


def test_the_probe_of_uploads_finds_what_the_table_says_and_leaves_nothing(subject):
    profile = probe_uploads(subject.store, subject.bucket, prefix="in/")
    traits = subject.traits
    assert profile == UploadProfile(
        crc64nvme=traits.checks_put_crc64nvme,
        tells_crc64nvme=traits.tells_crc64nvme,
        full_object_crc=traits.takes_full_object_crc64nvme and traits.checks_full_object_crc64nvme,
        tells_full_object_crc=traits.takes_full_object_crc64nvme
        and traits.tells_full_object_crc64nvme,
        upload_size=traits.checks_upload_size,
        put_if_absent=True,
        put_if_match=traits.put_if_match,
        complete_if_absent=traits.complete_if_absent,
        complete_if_match=traits.complete_if_match,
        lists_uploads=True,
        upload_times=traits.tells_when_uploads_began,
    )
    assert UploadProfile.from_json(profile.to_json()) == profile
    assert subject.keys(ListQuery(subject.bucket)) == []
    assert not subject.store.describe("ListMultipartUploads", subject.bucket).get("Uploads")
