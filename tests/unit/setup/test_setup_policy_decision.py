"""SET-1: what a bucket policy says to the writes of an inventory, judged and not searched."""

import json

import pytest

from stocktake.errors import PolicyFormatError
from stocktake.setup import Configuration
from stocktake.setup._grant import Grant, delivery_requests, key_request
from stocktake.setup._policy import Condition, parse_policy
from stocktake.setup._policy_conditions import UNKNOWN, holds, matches
from stocktake.setup._policy_decision import Outcome, decide

ACCOUNT = "111122223333"
CONFIG = Configuration("daily", "photos", "arn:aws:s3:::reports", prefix="inv", format="CSV")
GRANT = Grant("photos", "reports", "inv", ACCOUNT)
ALLOW = GRANT.statement()


def outcome(*statements, encryption=None, grant=GRANT, config=CONFIG):
    policy = parse_policy(json.dumps({"Version": "2012-10-17", "Statement": list(statements)}))
    found = [decide(policy, one) for one in delivery_requests(grant, config, encryption)]
    order = [Outcome.DENIED, Outcome.NOT_ALLOWED, Outcome.UNKNOWN, Outcome.ALLOWED]
    return min((one.outcome for one in found), key=order.index)


def changed(**members):
    return {**ALLOW, **members}


def deny(condition, **members):
    return {
        "Sid": "No",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": ["arn:aws:s3:::reports", "arn:aws:s3:::reports/*"],
        "Condition": condition,
        **members,
    }


@pytest.mark.parametrize(
    "statement",
    [
        ALLOW,
        changed(Principal={"Service": ["logging.s3.amazonaws.com", "s3.amazonaws.com"]}),
        changed(Principal="*"),
        changed(Principal={"AWS": "*"}),
        changed(Principal={"AWS": ["*"]}),
        changed(Action=["s3:Get*", "S3:putobject"]),
        changed(Action="s3:Put*"),
        changed(Action="*"),
        changed(Resource="*"),
        changed(Resource=["arn:aws:s3:::other/*", "arn:aws:s3:::rep?rts/*"]),
        changed(Resource="arn:aws:s3:::reports/inv/photos/*"),
        changed(Condition={}),
        changed(Condition={"ArnEquals": {"AWS:SourceArn": "arn:aws:s3:*:*:phot*"}}),
        changed(Condition={"StringLike": {"aws:SourceArn": ["arn:aws:s3:::x", "arn:*"]}}),
        changed(Condition={"StringEquals": {"aws:SourceAccount": ["999999999999", ACCOUNT]}}),
        changed(Condition={"StringEqualsIfExists": {"aws:PrincipalOrgID": "o-1"}}),
        changed(Condition={"Bool": {"aws:SecureTransport": True}}),
        changed(Condition={"Null": {"aws:SourceArn": "false"}}),
        changed(Condition={"Null": {"aws:SourceVpce": True}}),
    ],
)
def test_these_statements_let_s3_deliver(statement):
    assert outcome(statement) is Outcome.ALLOWED


@pytest.mark.parametrize(
    "statement",
    [
        changed(Principal={"Service": "logging.s3.amazonaws.com"}),
        changed(Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:root"}),
        changed(Principal={"Service": "S3.amazonaws.com"}),
        changed(Action="s3:GetObject"),
        changed(Action="s3:PutObjectAcl"),
        changed(Resource="arn:aws:s3:::reports"),
        changed(Resource="arn:aws:s3:::reports/inv"),
        changed(Resource="arn:aws:s3:::reports/Inv/*"),
        changed(Resource="arn:aws:s3:::reports/inv/photos/daily/data/*"),
        changed(Resource="arn:aws:s3:::reports/*.csv.gz"),
        changed(Condition={"ArnLike": {"aws:SourceArn": "arn:aws:s3:::photos-2"}}),
        changed(Condition={"ArnLike": {"aws:SourceArn": "photos"}}),
        changed(Condition={"StringEquals": {"aws:SourceArn": "arn:aws:s3:::*"}}),
        changed(Condition={"StringEquals": {"aws:SourceAccount": "999999999999"}}),
        changed(Condition={"StringEquals": {"aws:PrincipalOrgID": "o-1"}}),
        changed(Condition={"StringEquals": {"s3:x-amz-server-side-encryption": "AES256"}}),
        changed(Condition={"ForAnyValue:StringEquals": {"aws:PrincipalOrgID": "o-1"}}),
    ],
)
def test_these_statements_do_not(statement):
    """Resource patterns that hold the data but not the manifest are among them."""
    assert outcome(statement) is Outcome.NOT_ALLOWED


def test_without_a_policy_nothing_is_allowed():
    assert decide(None, delivery_requests(GRANT, CONFIG, None)[0]).outcome is Outcome.NOT_ALLOWED


@pytest.mark.parametrize(
    ("statement", "hits"),
    [
        (deny({"Bool": {"aws:SecureTransport": "false"}}), False),
        (deny({"Bool": {"aws:SecureTransport": False}}), False),
        (deny({"StringNotEquals": {"aws:SourceVpce": "vpce-1"}}), True),
        (deny({"StringNotEqualsIfExists": {"aws:SourceVpce": "vpce-1"}}), True),
        (deny({"StringNotEquals": {"aws:PrincipalOrgID": "o-1"}}), True),
        (
            deny(
                {
                    "StringNotEquals": {"aws:PrincipalOrgID": "o-1"},
                    "Bool": {"aws:PrincipalIsAWSService": "false"},
                }
            ),
            False,
        ),
        (deny({"StringNotEquals": {"s3:x-amz-server-side-encryption": "AES256"}}), True),
        (deny({"Null": {"s3:x-amz-server-side-encryption": "true"}}), True),
        (deny({}, Action="s3:DeleteObject"), False),
        (deny({}, NotAction="s3:GetObject", Action=None), True),
        (deny({}, Resource="arn:aws:s3:::reports/other/*"), False),
        (deny({}, Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:user/mallory"}), False),
        (deny({}, NotPrincipal={"Service": "s3.amazonaws.com"}, Principal=None), False),
        (deny({}, NotPrincipal={"AWS": ACCOUNT}, Principal=None), True),
        (deny({"NumericLessThan": {"s3:TlsVersion": 1.2}}), None),
        (deny({"NotIpAddress": {"aws:SourceIp": ["10.0.0.0/8"]}}), None),
        (deny({"StringLike": {"aws:PrincipalArn": "${aws:username}"}}), False),
        (deny({"SomethingNew": {"aws:SourceArn": "x"}}), None),
    ],
)
def test_an_explicit_deny_that_hits_the_service_wins(statement, hits):
    """SET-1: SecureTransport does not hit S3; VPC endpoint and organisation denies do."""
    statement = {name: value for name, value in statement.items() if value is not None}
    wanted = {True: Outcome.DENIED, False: Outcome.ALLOWED, None: Outcome.UNKNOWN}[hits]
    assert outcome(ALLOW, statement) is wanted
    assert outcome(statement, ALLOW) is wanted


def test_a_deny_of_unencrypted_writes_spares_those_that_ask_for_encryption():
    wanted = deny({"StringNotEquals": {"s3:x-amz-server-side-encryption": "AES256"}})
    assert outcome(ALLOW, wanted, encryption="SSE-S3") is Outcome.ALLOWED
    assert outcome(ALLOW, wanted, encryption="SSE-KMS") is Outcome.DENIED


def test_a_near_miss_is_explained():
    policy = parse_policy(
        json.dumps(
            {"Statement": changed(Condition={"ArnLike": {"aws:SourceArn": "arn:aws:s3:::fotos"}})}
        )
    )
    found = decide(policy, delivery_requests(GRANT, CONFIG, None)[0])
    assert len(found.near) == 1
    assert "arn:aws:s3:::fotos does not hold: the request has arn:aws:s3:::photos" in (
        found.near[0].misses
    )


def test_the_account_of_the_source_may_be_unknown():
    """Then a policy that names one cannot be judged, and one that names none can."""
    grant = Grant("photos", "reports", "inv", None)
    assert outcome(ALLOW, grant=grant) is Outcome.UNKNOWN
    assert outcome(changed(Condition={}), grant=grant) is Outcome.ALLOWED


def test_key_policies_need_no_resource():
    statement = GRANT.key_statement()
    del statement["Resource"]
    policy = parse_policy(json.dumps({"Statement": [statement]}))
    assert decide(policy, key_request(GRANT, "arn:aws:kms:x:1:key/2")).outcome is Outcome.ALLOWED
    assert decide(policy, key_request(GRANT.stranger(), "arn:k")).outcome is Outcome.NOT_ALLOWED


@pytest.mark.parametrize(
    ("pattern", "text", "answer"),
    [
        ("a*c", "abbbc", True),
        ("a*c", "ab", False),
        ("a?c", "abc", True),
        ("a?c", "ac", False),
        ("a.c", "abc", False),
        ("a[bc]", "ab", False),
        ("*", "a\nb", True),
        ("${*}", "*", True),
        ("${*}", "x", False),
        ("a${?}", "a?", True),
        ("${aws:username}/*", "me/x", None),
        ("A*", "abc", False),
    ],
)
def test_patterns_are_those_of_iam_and_not_of_the_shell(pattern, text, answer):
    assert matches(pattern, text) is answer


@pytest.mark.parametrize(
    ("operator", "values", "found", "answer"),
    [
        ("StringEquals", ("a", "b"), ("b",), True),
        ("StringEquals", ("A",), ("a",), False),
        ("StringEqualsIgnoreCase", ("A",), ("a",), True),
        ("StringNotEquals", ("a", "b"), ("b",), False),
        ("StringNotEquals", ("a", "b"), ("c",), True),
        ("StringNotEquals", ("a",), None, True),
        ("StringEquals", ("a",), None, False),
        ("StringEqualsIfExists", ("a",), None, True),
        ("StringLike", ("a*",), ("abc",), True),
        ("StringNotLike", ("a*",), ("abc",), False),
        ("StringLike", ("${aws:x}",), ("abc",), None),
        ("ArnLike", ("arn:aws:s3:::p*",), ("arn:aws:s3:::photos",), True),
        ("ArnLike", ("arn:aws:s3*",), ("arn:aws:s3:::photos",), False),
        ("ArnLike", ("arn:*:s3:::photos",), ("arn:aws-cn:s3:::photos",), True),
        ("ArnNotEquals", ("arn:aws:s3:::photos",), ("arn:aws:s3:::photos",), False),
        ("NumericLessThan", ("1.2",), ("1.1",), True),
        ("NumericEquals", ("10",), ("10.0",), True),
        ("NumericEquals", ("10",), ("ten",), False),
        ("DateGreaterThan", ("2020-01-01T00:00:00Z",), ("2026-01-01",), True),
        ("DateGreaterThan", ("soon",), ("2026-01-01",), None),
        ("IpAddress", ("10.0.0.0/8",), ("10.1.2.3",), True),
        ("NotIpAddress", ("10.0.0.0/8",), ("10.1.2.3",), False),
        ("IpAddress", ("2001:db8::/32",), ("2001:db8::1",), True),
        ("IpAddress", ("10.0.0.0/8",), ("nonsense",), False),
        ("Bool", ("True",), ("true",), True),
        ("Null", ("true",), None, True),
        ("Null", ("false",), None, False),
        ("Null", ("false",), ("x",), True),
        ("ForAllValues:StringEquals", ("a", "b"), ("a", "b"), True),
        ("ForAllValues:StringEquals", ("a",), ("a", "b"), False),
        ("ForAllValues:StringEquals", ("a",), None, True),
        ("ForAnyValue:StringEquals", ("a",), ("a", "b"), True),
        ("ForAnyValue:StringEquals", ("c",), ("a", "b"), False),
        ("ForAnyValue:StringNotEquals", ("a",), None, False),
        ("ForNoValue:StringEquals", ("a",), ("a",), None),
        ("StringEquals", ("a",), UNKNOWN, None),
        ("Null", ("true",), UNKNOWN, None),
    ],
)
def test_condition_operators(operator, values, found, answer):
    """Source: IAM user guide, condition operators."""
    assert holds(Condition(operator, "K", values), {"k": found}) is answer


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{}",
        '{"Statement": "x"}',
        '{"Statement": [1]}',
        '{"Statement": [{"Effect": "allow"}]}',
        '{"Statement": [{"Effect": "Allow", "Effect": "Deny"}]}',
        '{"Statement": [{"Effect": "Allow", "Action": 1}]}',
        '{"Statement": [{"Effect": "Allow", "Action": "a", "NotAction": "b"}]}',
        '{"Statement": [{"Effect": "Allow", "Principal": "somebody"}]}',
        '{"Statement": [{"Effect": "Allow", "Principal": ["*"]}]}',
        '{"Statement": [{"Effect": "Allow", "Condition": []}]}',
        '{"Statement": [{"Effect": "Allow", "Condition": {"Bool": 1}}]}',
        '{"Statement": [{"Effect": "Allow", "Condition": {"Bool": {"x": null}}}]}',
        '{"Statement": [{"Effect": "Allow", "Surprise": 1}]}',
        "[" * 100_000,
    ],
)
def test_what_is_no_policy_is_refused_and_not_guessed_at(text):
    """SET-2: a member that is there twice would be lost by whoever writes the policy back."""
    with pytest.raises(PolicyFormatError):
        parse_policy(text)
