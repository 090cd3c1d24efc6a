"""SET-2: what is written is what was shown, others' statements stay, and a race is noticed."""

import json
from dataclasses import replace

import pytest

from aws_account import load_answers
from stocktake.errors import (
    AccessDeniedError,
    BucketNotFoundError,
    ConfigurationExistsError,
    InvalidSettingError,
    PolicyChangedError,
    PolicyFormatError,
    SetupError,
    UnsupportedOperationError,
)
from stocktake.setup import Configuration, CreateRequest, apply_setup, plan_setup

POLICY = "GET /reports?policy"
WANTED = Configuration("stocktake", "photos", "arn:aws:s3:::reports", prefix="inventory")
NO_POLICY = {
    "status": 404,
    "body": "<Error><Code>NoSuchBucketPolicy</Code><Message>none</Message></Error>",
}
NO_CONFIGURATION = {
    "status": 404,
    "body": "<Error><Code>NoSuchConfiguration</Code><Message>none</Message></Error>",
}
OTHERS = {
    "Version": "2008-10-17",
    "Id": "Hers",
    "Statement": {
        "Sid": "Ada",
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::444455556666:root"},
        "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::reports/${aws:username}/*",
    },
}


def answers(policy=NO_POLICY, **more):
    return {
        **load_answers(),
        "GET /photos?inventory&id=stocktake": NO_CONFIGURATION,
        POLICY: policy,
        **more,
    }


def kept(desk):
    return json.loads(desk.aws.answers[POLICY]["body"])


def writes(desk):
    return [name for name in desk.aws.seen if name.startswith("PUT")]


def plan(desk, wanted=WANTED, **more):
    return plan_setup(desk.store, desk.account, CreateRequest(wanted, **more))


def apply(desk, made, **more):
    apply_setup(desk.store, made, clock=desk.clock, **more)


def denies(**condition):
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "No",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": "arn:aws:s3:::reports/*",
                "Condition": condition,
            }
        ],
    }


def test_a_plan_writes_nothing(make_desk):
    desk = make_desk(answers())
    made = plan(desk)
    assert writes(desk) == []
    assert made.writes_policy
    assert made.writes_configuration
    assert made.to_dict()["policy"]["Statement"][0]["Condition"] == {
        "ArnLike": {"aws:SourceArn": "arn:aws:s3:::photos"},
        "StringEquals": {
            "aws:SourceAccount": "111122223333",
            "s3:x-amz-acl": "bucket-owner-full-control",
        },
    }


def test_policy_and_configuration_are_written_in_this_order_and_pass_the_check(make_desk):
    desk = make_desk(answers())
    apply(desk, plan(desk))
    assert writes(desk) == ["PUT /reports?policy", "PUT /photos?inventory&id=stocktake"]
    body = desk.aws.answers["GET /photos?inventory&id=stocktake"]["body"]
    one = body[body.index("<InventoryConfiguration") :]
    listing = load_answers()["GET /photos?inventory"]["body"]
    start, end = listing.index("<InventoryConfiguration>"), listing.index("<IsTruncated>")
    desk.aws.answers["GET /photos?inventory"] = {"body": listing[:start] + one + listing[end:]}
    report = desk.check()
    assert report.exit_code == 0, report.to_dict()


def test_doing_it_twice_writes_nothing_more(make_desk):
    desk = make_desk(answers())
    apply(desk, plan(desk))
    desk.aws.seen.clear()
    again = plan(desk)
    apply(desk, again)
    assert not again.writes_policy
    assert not again.writes_configuration
    assert writes(desk) == []


def test_statements_of_others_stay_as_they_are(make_desk):
    """Also the version, which decides what `${aws:username}` means."""
    desk = make_desk(answers({"body": OTHERS}))
    apply(desk, plan(desk))
    found = kept(desk)
    assert found["Statement"][0] == OTHERS["Statement"]
    assert len(found["Statement"]) == 2
    assert (found["Version"], found["Id"]) == ("2008-10-17", "Hers")


def test_an_older_statement_of_ours_is_replaced_where_it_stands(make_desk):
    desk = make_desk(answers())
    statement = plan(desk).merged.document["Statement"][0]
    old = {**statement, "Condition": {}}
    policy = {"Version": "2012-10-17", "Statement": [old, OTHERS["Statement"]]}
    desk.aws.answers[POLICY] = {"body": policy}
    apply(desk, plan(desk))
    assert kept(desk)["Statement"] == [statement, OTHERS["Statement"]]


def test_two_sources_share_a_destination(make_desk):
    desk = make_desk(answers())
    apply(desk, plan(desk))
    desk.aws.answers |= {
        "HEAD /films": {"headers": {"x-amz-bucket-region": "us-east-1"}},
        "GET /films?inventory&id=stocktake": NO_CONFIGURATION,
    }
    apply(desk, plan(desk, replace(WANTED, bucket="films")))
    sids = [one["Sid"] for one in kept(desk)["Statement"]]
    assert len(set(sids)) == 2


def test_a_policy_that_was_changed_since_it_was_read_is_not_written_over(make_desk):
    desk = make_desk(answers())
    made = plan(desk)
    desk.aws.answers[POLICY] = {"body": OTHERS}
    with pytest.raises(PolicyChangedError) as caught:
        apply(desk, made)
    assert caught.value.retryable
    assert writes(desk) == []
    apply(desk, plan(desk))
    assert kept(desk)["Statement"][0] == OTHERS["Statement"]


def test_a_policy_that_changes_while_it_is_written_is_noticed(make_desk):
    desk = make_desk(answers([NO_POLICY, NO_POLICY, {"body": OTHERS}]))
    desk.aws.answers["PUT /reports?policy"] = {"status": 204}
    with pytest.raises(PolicyChangedError, match="at the same time"):
        apply(desk, plan(desk))
    assert writes(desk) == ["PUT /reports?policy"]


def test_a_policy_that_takes_a_moment_to_show_is_waited_for(make_desk):
    desk = make_desk(answers())
    made = plan(desk)
    written = {"body": json.loads(made.merged.text)}
    desk.aws.answers[POLICY] = [NO_POLICY, NO_POLICY, NO_POLICY, written]
    desk.aws.answers["PUT /reports?policy"] = {"status": 204}
    apply(desk, made)
    assert "PUT /photos?inventory&id=stocktake" in writes(desk)


def test_a_configuration_that_says_something_else_is_not_replaced_unasked(make_desk):
    desk = make_desk(answers())
    apply(desk, plan(desk))
    other = plan(desk, replace(WANTED, frequency="Weekly"))
    with pytest.raises(ConfigurationExistsError, match="frequency is `Daily`, wanted `Weekly`"):
        apply(desk, other)
    apply(desk, other, replace=True)
    assert plan(desk, replace(WANTED, frequency="Weekly")).differences == []


def test_slashes_are_taken_off_the_prefix_and_that_is_said(make_desk):
    desk = make_desk(answers())
    made = plan(desk, replace(WANTED, prefix="/inventory//"))
    assert made.wanted.prefix == "inventory"
    assert "without the slash" in made.notes[0]
    with pytest.raises(InvalidSettingError):
        plan(desk, replace(WANTED, prefix="a//b"))


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"id": "a b"}, InvalidSettingError),
        ({"fields": ("Sise",)}, InvalidSettingError),
        ({"encryption": "SSE-KMS", "kms_key": "alias/aws/s3"}, SetupError),
    ],
)
def test_what_s3_would_not_take_is_refused_before_anything_is_written(make_desk, changes, error):
    managed = {
        "headers": {"content-type": "application/x-amz-json-1.1"},
        "body": {"KeyMetadata": {"Arn": "arn:aws:kms:us-east-1:1:key/x", "KeyManager": "AWS"}},
    }
    desk = make_desk(answers(**{"POST kms:DescribeKey": managed}))
    with pytest.raises(error):
        plan(desk, replace(WANTED, **changes))
    assert writes(desk) == []


@pytest.mark.parametrize(
    ("more", "error", "words"),
    [
        ({"HEAD /photos": {"status": 404}}, BucketNotFoundError, "photos"),
        ({"HEAD /reports": {"status": 404}}, SetupError, "no bucket reports"),
        (
            {"HEAD /reports": {"headers": {"x-amz-bucket-region": "eu-west-1"}}},
            SetupError,
            "one region",
        ),
        (
            {POLICY: {"status": 403, "body": "<Error><Code>AccessDenied</Code></Error>"}},
            AccessDeniedError,
            "GetBucketPolicy",
        ),
        ({POLICY: {"body": '{"Statement": 1}'}}, PolicyFormatError, "Statement"),
        (
            {POLICY: {"body": denies(StringNotEquals={"aws:SourceVpce": "vpce-1"})}},
            SetupError,
            "denies",
        ),
        (
            {
                "GET /photos?inventory&id=stocktake": {
                    "status": 501,
                    "body": "<Error><Code>NotImplemented</Code></Error>",
                }
            },
            UnsupportedOperationError,
            "GetBucketInventoryConfiguration",
        ),
    ],
)
def test_where_reports_could_not_arrive_nothing_is_written(make_desk, more, error, words):
    desk = make_desk(answers() | more)
    with pytest.raises(error, match=words):
        apply(desk, plan(desk))
    assert writes(desk) == []


def test_a_store_without_inventories_is_told_what_to_do_instead(make_desk):
    refusal = {"status": 501, "body": "<Error><Code>NotImplemented</Code></Error>"}
    desk = make_desk(answers(**{"GET /photos?inventory&id=stocktake": refusal}))
    with pytest.raises(UnsupportedOperationError) as caught:
        plan(desk)
    assert "stocktake inventory write" in caught.value.hint


def test_a_policy_beyond_20_kilobytes_is_refused(make_desk):
    """S3 keeps 20 KB; the size counts without blanks."""
    many = [{**OTHERS["Statement"], "Sid": f"S{n}"} for n in range(130)]
    desk = make_desk(answers({"body": {"Version": "2012-10-17", "Statement": many}}))
    with pytest.raises(SetupError, match="20,480") as caught:
        plan(desk)
    assert caught.value.attrs["size_bytes"] > 20_480


def test_the_owner_of_the_source_has_to_be_known(make_desk):
    desk = make_desk(answers(**{"HEAD /photos owner": {"status": 403}}))
    with pytest.raises(InvalidSettingError) as caught:
        plan(desk)
    assert "--account-id" in caught.value.hint
    made = plan(desk, account="444455556666")
    condition = made.merged.document["Statement"][0]["Condition"]
    assert condition["StringEquals"]["aws:SourceAccount"] == "444455556666"
    with pytest.raises(InvalidSettingError):
        plan(desk, account="four")
    assert plan(desk, policy=False).merged is None


def test_without_policy_only_the_configuration_is_written(make_desk):
    desk = make_desk(answers())
    apply(desk, plan(desk, policy=False))
    assert writes(desk) == ["PUT /photos?inventory&id=stocktake"]


def test_a_key_of_ours_that_s3_may_not_use_is_said_and_left_alone(make_desk):
    arn = "arn:aws:kms:us-east-1:111122223333:key/1"
    json_type = {"content-type": "application/x-amz-json-1.1"}
    policy = {"Version": "2012-10-17", "Statement": []}
    desk = make_desk(
        answers(
            **{
                "POST kms:DescribeKey": {
                    "headers": json_type,
                    "body": {"KeyMetadata": {"Arn": arn, "KeyManager": "CUSTOMER"}},
                },
                "POST kms:GetKeyPolicy": {
                    "headers": json_type,
                    "body": {"Policy": json.dumps(policy)},
                },
            }
        )
    )
    made = plan(desk, replace(WANTED, encryption="SSE-KMS", kms_key=arn))
    assert any("key's policy" in note for note in made.notes)
    failed = next(one for one in made.checks if one.id == "kms")
    assert failed.fix.document["Statement"][0]["Action"] == "kms:GenerateDataKey"
    apply(desk, made)
    assert [one for one in desk.aws.seen if "PutKeyPolicy" in one] == []


def test_a_denied_write_names_the_permission(make_desk):
    denied = {"status": 403, "body": "<Error><Code>AccessDenied</Code></Error>"}
    desk = make_desk(answers(**{"PUT /reports?policy": denied}))
    with pytest.raises(AccessDeniedError) as caught:
        apply(desk, plan(desk))
    assert "s3:PutBucketPolicy on arn:aws:s3:::reports" in caught.value.hint
    assert "PUT /photos?inventory&id=stocktake" not in writes(desk)


def test_a_policy_that_names_a_deleted_user_is_said_to_be_the_reason(make_desk):
    """S3 shows the id of a deleted user, and refuses to take it back."""
    statement = {**OTHERS["Statement"], "Principal": {"AWS": "AIDACKCEVSQ6C2EXAMPLE"}}
    refusal = {
        "status": 400,
        "body": "<Error><Code>MalformedPolicy</Code>"
        "<Message>Invalid principal in policy</Message></Error>",
    }
    desk = make_desk(
        answers({"body": {**OTHERS, "Statement": statement}}, **{"PUT /reports?policy": refusal})
    )
    with pytest.raises(SetupError, match="Invalid principal") as caught:
        apply(desk, plan(desk))
    assert "AIDACKCEVSQ6C2EXAMPLE" in caught.value.hint
    assert "PUT /photos?inventory&id=stocktake" not in writes(desk)


def test_an_account_may_come_back_as_the_arn_of_its_root(make_desk):
    desk = make_desk(answers())
    before = {**OTHERS["Statement"], "Principal": {"AWS": ["444455556666"]}}
    desk.aws.answers[POLICY] = {"body": {**OTHERS, "Statement": [before]}}
    made = plan(desk)
    shown = {"body": {**made.merged.document, "Statement": list(made.merged.document["Statement"])}}
    shown["body"]["Statement"][0] = OTHERS["Statement"]
    desk.aws.answers[POLICY] = [desk.aws.answers[POLICY], shown]
    desk.aws.answers["PUT /reports?policy"] = {"status": 204}
    apply(desk, made)


def test_a_statement_that_is_lost_to_an_older_copy_a_moment_later_is_noticed(make_desk):
    """Two that set up at once may both have read the policy before either wrote."""
    desk = make_desk(answers())
    made = plan(desk)
    written = {"body": json.loads(made.merged.text)}
    desk.aws.answers[POLICY] = [NO_POLICY, written, {"body": OTHERS}]
    desk.aws.answers["PUT /reports?policy"] = {"status": 204}
    with pytest.raises(PolicyChangedError):
        apply(desk, made)
    desk.aws.answers[POLICY] = [NO_POLICY, written]
    apply(desk, made)


def test_a_run_that_stopped_between_policy_and_configuration_is_finished_by_the_next(make_desk):
    broken = {"status": 403, "body": "<Error><Code>AccessDenied</Code></Error>"}
    desk = make_desk(answers(**{"PUT /photos?inventory&id=stocktake": broken}))
    with pytest.raises(AccessDeniedError, match="PutBucketInventoryConfiguration"):
        apply(desk, plan(desk))
    del desk.aws.answers["PUT /photos?inventory&id=stocktake"]
    desk.aws.seen.clear()
    apply(desk, plan(desk))
    assert writes(desk) == ["PUT /photos?inventory&id=stocktake"]
