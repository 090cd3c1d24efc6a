"""What refusals mean: the error, whether to try again, and the hint."""

from __future__ import annotations

import pytest

from stocktake import errors
from stocktake.store import Call, Refusal, refusal_error

READ = Call("GetObject", "photos", "2020/a.jpg")


def error(status: int, code: str = "", message: str = "", call: Call = READ):
    return refusal_error(Refusal(status, code, message), call)


@pytest.mark.parametrize(
    ("status", "code", "expected", "retryable"),
    [
        (404, "NoSuchKey", errors.ObjectNotFoundError, False),
        (404, "404", errors.ObjectNotFoundError, False),
        (404, "NoSuchVersion", errors.ObjectNotFoundError, False),
        (404, "NoSuchBucket", errors.BucketNotFoundError, False),
        (403, "AccessDenied", errors.AccessDeniedError, False),
        (403, "403", errors.AccessDeniedError, False),
        (400, "ExpiredToken", errors.CredentialsError, False),
        (403, "SignatureDoesNotMatch", errors.CredentialsError, False),
        (403, "RequestTimeTooSkewed", errors.CredentialsError, False),
        (403, "InvalidObjectState", errors.ArchivedObjectError, False),
        (412, "PreconditionFailed", errors.PreconditionFailedError, False),
        (409, "ConditionalRequestConflict", errors.PreconditionFailedError, True),
        (503, "SlowDown", errors.ThrottledError, True),
        (429, "TooManyRequests", errors.ThrottledError, True),
        (500, "InternalError", errors.StoreUnavailableError, True),
        (502, "", errors.StoreUnavailableError, True),
        (599, "Strange", errors.StoreUnavailableError, True),
        (400, "RequestTimeout", errors.StoreUnavailableError, True),
        (400, "BadDigest", errors.DigestRefusedError, True),
        (301, "PermanentRedirect", errors.WrongRegionError, False),
        (501, "NotImplemented", errors.UnsupportedOperationError, False),
        (400, "Nonsense", errors.StoreError, False),
    ],
)
def test_each_code_is_one_error(status, code, expected, retryable):
    found = error(status, code)
    assert type(found) is expected
    assert found.retryable is retryable
    assert found.attrs["bucket"] == "photos"
    assert found.attrs["key"] == "2020/a.jpg"
    assert found.attrs["operation"] == "GetObject"
    assert found.attrs["status"] == status


def test_a_404_without_a_key_is_about_the_bucket():
    assert type(error(404, "404", call=Call("HeadBucket", "photos"))) is errors.BucketNotFoundError


def test_a_missing_setting_of_a_bucket_is_not_a_missing_bucket():
    call = Call("GetBucketTagging", "photos")
    assert type(error(404, "NoSuchTagSet", call=call)) is errors.ObjectNotFoundError


def test_messages_say_what_which_and_why_in_one_line():
    found = error(500, "InternalError", "We encountered\nan error.")
    assert found.message == (
        "cannot read s3://photos/2020/a.jpg: the store has an internal error "
        "(InternalError: We encountered an error.)"
    )


def test_keys_in_messages_cannot_move_the_cursor():
    found = error(404, "NoSuchKey", call=Call("GetObject", "b", "a\x1b[2Jb\u202e"))
    assert "\x1b" not in found.message
    assert "\u202e" not in found.message


@pytest.mark.parametrize(
    ("call", "permission"),
    [
        (Call("GetObject", "b", "k"), "s3:GetObject"),
        (Call("GetObject", "b", "k", "v1"), "s3:GetObjectVersion"),
        (Call("CompleteMultipartUpload", "b", "k"), "s3:PutObject"),
        (Call("PutBucketVersioning", "b"), "s3:PutBucketVersioning"),
        (Call("PutBucketInventoryConfiguration", "b"), "s3:PutInventoryConfiguration"),
    ],
)
def test_denied_names_the_iam_action(call, permission):
    found = error(403, "AccessDenied", call=call)
    assert found.attrs["permission"] == permission
    assert permission in found.hint


@pytest.mark.parametrize(
    ("operation", "permission"),
    [("GetObject", "kms:Decrypt"), ("PutObject", "kms:GenerateDataKey")],
)
def test_kms_denied_names_the_kms_action(operation, permission):
    """INV-2, edge case 70."""
    message = "not authorized to perform: kms:Decrypt on resource arn:aws:kms:..."
    found = error(403, "AccessDenied", message, Call(operation, "b", "k"))
    assert type(found) is errors.KmsAccessDeniedError
    assert permission in found.hint
