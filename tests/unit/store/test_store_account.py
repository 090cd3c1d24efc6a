"""Who we are and what a KMS key is, asked through the store room; SET-1."""

import json

import pytest

from aws_account import ScriptedAws, load_answers
from stocktake.errors import (
    AccessDeniedError,
    CredentialsError,
    ObjectNotFoundError,
    StoreUnavailableError,
    ThrottledError,
    UnexpectedAnswerError,
    UnsupportedOperationError,
)
from stocktake.store import Caller, KeyFacts, RetryPolicy, S3StoreOptions, open_account
from stocktake.store._account_aws import _endpoint, region_of_arn
from stocktake.telemetry import Meter

QUICK = RetryPolicy(attempts_max=2, base_s=0.0, cap_s=0.0)
JSON = {"content-type": "application/x-amz-json-1.1"}
ARN = "arn:aws:kms:us-east-1:111122223333:key/1"


@pytest.fixture(scope="module")
def aws():
    with ScriptedAws(load_answers()) as server:
        yield server


@pytest.fixture(scope="module")
def meter():
    return Meter()


@pytest.fixture(scope="module")
def account(aws, meter):
    opened = open_account(aws.options(retry=QUICK), meter=meter)
    yield opened
    opened.close()


def kms_error(code, status=400):
    return {"status": status, "headers": JSON, "body": {"__type": code, "message": "no"}}


def test_the_caller_is_told_with_account_and_partition(aws, account, meter):
    aws.reset(load_answers())
    caller = account.caller()
    assert caller.account == "111122223333"
    assert caller.arn.endswith("reader/ada")
    assert caller.partition == "aws"
    assert meter.calls["GetCallerIdentity"] == 1
    assert Caller("1", "arn:aws-cn:iam::1:root").partition == "aws-cn"
    assert Caller("1", "nonsense").partition == "aws"


def test_a_key_and_its_policy(aws, account):
    policy = {"Version": "2012-10-17", "Statement": []}
    aws.reset(
        {
            "POST kms:DescribeKey": {
                "headers": JSON,
                "body": {"KeyMetadata": {"Arn": ARN, "KeyManager": "AWS", "KeyState": "Disabled"}},
            },
            "POST kms:GetKeyPolicy": {"headers": JSON, "body": {"Policy": json.dumps(policy)}},
        }
    )
    key = account.key("alias/x", "eu-west-1")
    assert key == KeyFacts(ARN, is_aws_managed=True, state="Disabled")
    assert json.loads(account.key_policy(key)) == policy


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (kms_error("AccessDeniedException"), AccessDeniedError, "access denied"),
        (kms_error("NotFoundException"), ObjectNotFoundError, "KMS key alias/x"),
        (kms_error("UnknownOperationException"), UnsupportedOperationError, "has no KMS"),
        (kms_error("", 404), UnsupportedOperationError, "has no KMS"),
        (kms_error("ThrottlingException"), ThrottledError, "slow down"),
        (kms_error("InternalError", 500), StoreUnavailableError, "internal error"),
        (kms_error("UnrecognizedClientException"), CredentialsError, "credentials"),
        ({"headers": JSON, "body": {}}, UnexpectedAnswerError, "names no key"),
    ],
)
def test_refusals_of_kms_are_told_apart(aws, account, answer, error, words):
    aws.reset({"POST kms:DescribeKey": answer})
    with pytest.raises(error, match=words) as caught:
        account.key("alias/x")
    if error is AccessDeniedError:
        assert caught.value.hint == "grant kms:DescribeKey to this identity"


def test_a_throttled_question_is_asked_again(aws, account):
    good = load_answers()["POST sts:GetCallerIdentity"]
    slow = {"status": 503, "body": "<Error><Code>SlowDown</Code></Error>"}
    aws.reset({"POST sts:GetCallerIdentity": [slow, good]})
    assert account.caller().account == "111122223333"


def test_an_answer_without_an_account_is_none(aws, account):
    empty = "<GetCallerIdentityResponse><GetCallerIdentityResult/></GetCallerIdentityResponse>"
    aws.reset({"POST sts:GetCallerIdentity": {"body": empty}})
    with pytest.raises(UnexpectedAnswerError):
        account.caller()


def test_unsigned_requests_come_from_nobody():
    with pytest.raises(CredentialsError):
        open_account(S3StoreOptions(anonymous=True)).caller()


@pytest.mark.parametrize(
    ("given", "environment", "endpoint"),
    [
        (None, {}, None),
        ("http://127.0.0.1:9000", {}, "http://127.0.0.1:9000"),
        ("https://s3.eu-west-1.amazonaws.com", {}, None),
        ("https://s3.cn-north-1.amazonaws.com.cn", {}, None),
        ("https://amazonaws.com.example", {}, "https://amazonaws.com.example"),
        (None, {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, None),
        (None, {"AWS_ENDPOINT_URL_STS": "http://127.0.0.1:1"}, None),
        (None, {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:2"}, "http://127.0.0.1:2"),
        (
            None,
            {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:2", "AWS_ENDPOINT_URL_STS": "http://x"},
            None,
        ),
    ],
)
def test_keys_of_another_store_are_not_shown_to_amazon(monkeypatch, given, environment, endpoint):
    """None leaves the address to botocore: its own settings first, then Amazon."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert _endpoint(S3StoreOptions(endpoint_url=given), "sts") == endpoint


def test_the_region_of_a_key_is_in_its_arn():
    assert region_of_arn(ARN) == "us-east-1"
    assert region_of_arn("alias/x") is None
    assert region_of_arn("arn:aws:s3:::b") is None
