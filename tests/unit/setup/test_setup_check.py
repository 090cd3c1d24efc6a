"""SET-1: every failure is found, alone, and comes with its fix; AWS's answers are fixtures."""

import json

import pytest

from aws_account import load_answers, scenarios, with_scenario
from stocktake.errors import (
    BucketNotFoundError,
    CredentialsError,
    SetupError,
    StoreUnavailableError,
)
from stocktake.setup import CheckRequest, CheckState, check_setup

REGION = {"x-amz-bucket-region": "us-east-1"}


def not_ok(report):
    return {one.id: one.state.value for one in report.checks if one.state is not CheckState.OK}


def test_a_healthy_inventory_passes_every_step(desk):
    desk.deliver()
    report = desk.check()
    assert not_ok(report) == {}
    assert report.exit_code == 0
    assert [one.id for one in report.checks] == [
        "bucket",
        "identity",
        "configurations",
        "enabled",
        "schedule",
        "format",
        "fields",
        "versions",
        "filter",
        "prefix",
        "destination-arn",
        "destination",
        "policy",
        "confused-deputy",
        "encryption",
        "ownership",
        "object-lock",
        "lifecycle",
        "payer",
        "delivery",
        "reading",
    ]


@pytest.mark.parametrize("path", scenarios(), ids=lambda path: path.stem)
def test_each_failure_is_found_alone_and_explained(path, make_desk):
    """SET-1: 50 kinds of set-up, each with exactly these findings, this exit code, this fix."""
    scenario = json.loads(path.read_text("utf-8"))
    desk = make_desk(with_scenario(scenario))
    slash = "//" if path.stem == "prefix-slash" else ""
    if slash:  # S3 puts a slash of its own after the one that is configured
        for name in ("manifest.json", "manifest.checksum"):
            desk.store.put("reports", f"inv//photos/daily/2026-11-21T01-00Z/{name}", b"x")
        scenario["found"]["reading"] = "failed"
    elif "reports" in scenario["without"]:
        del desk.aws.buckets["reports"]
    else:
        desk.deliver()
    report = desk.check(**scenario["request"])
    assert not_ok(report) == scenario["found"], report.to_dict()["checks"]
    assert report.exit_code == scenario["exit"]
    said = " ".join(
        f"{one.why} {one.fix.text} {one.fix.command} {json.dumps(one.fix.document)}"
        if one.fix
        else one.why
        for one in report.checks
    )
    for words in scenario["says"]:
        assert words in said
    for one in report.checks:
        if one.state is CheckState.FAILED:
            assert one.fix is not None, one
        assert "\n" not in one.why


WITH_DOCUMENTS = [
    path
    for path in scenarios()
    if json.loads(path.read_text("utf-8"))["exit"] == 4
    and path.stem not in ("none-configured", "no-inventory-api", "no-inventory-api-listing")
]


@pytest.mark.parametrize("path", WITH_DOCUMENTS, ids=lambda path: path.stem)
def test_the_fix_that_is_printed_mends_it(path, make_desk):
    """SET-1: put the JSON where the command puts it, look again: that finding is gone."""
    scenario = json.loads(path.read_text("utf-8"))
    desk = make_desk(with_scenario(scenario))
    desk.deliver()
    found = [one for one in desk.check(**scenario["request"]).checks if one.asks_for_something]
    mended = {one.id for one in found if one.fix and one.fix.document and apply_fix(desk, one.fix)}
    again = {one.id for one in desk.check(**scenario["request"]).checks if one.asks_for_something}
    if path.stem == "policy-everybody":
        mended -= {"confused-deputy"}  # what else it is for, its owner knows
    assert not mended & again, again


def apply_fix(desk, fix):
    answers, document = desk.aws.answers, dict(fix.document)
    if "put-bucket-policy" in fix.command:
        answers["GET /reports?policy"] = {"body": document}
    elif "put-key-policy" in fix.command:
        kept = {"body": {"Policy": json.dumps(document), "PolicyName": "default"}}
        answers["POST kms:GetKeyPolicy"] = {**answers["POST kms:GetKeyPolicy"], **kept}
    elif "put-bucket-inventory-configuration" in fix.command:
        desk.store.describe(
            "PutBucketInventoryConfiguration",
            "photos",
            Id=document["Id"],
            InventoryConfiguration=document,
        )
        body = answers[f"GET /photos?inventory&id={document['Id']}"]["body"]
        listing = load_answers()["GET /photos?inventory"]["body"]
        start, end = listing.index("<InventoryConfiguration>"), listing.index("<IsTruncated>")
        one = body[body.index("<InventoryConfiguration") :]
        answers["GET /photos?inventory"] = {"body": listing[:start] + one + listing[end:]}
    return True


def test_every_configuration_is_looked_at_and_its_destination_only_once(desk):
    answers = desk.aws.answers
    one = answers["GET /photos?inventory"]["body"]
    start, end = one.index("<InventoryConfiguration>"), one.index("<IsTruncated>")
    weekly = one[start:end].replace("<Id>daily<", "<Id>weekly<").replace(">Daily<", ">Weekly<")
    answers["GET /photos?inventory"] = {"body": one[:end] + weekly + one[end:]}
    desk.deliver()
    desk.deliver(config_id="weekly")
    report = desk.check()
    assert not_ok(report) == {}
    assert [one.id for one in report.configurations] == ["daily", "weekly"]
    assert desk.aws.seen.count("GET /reports?policy") == 1
    assert len(desk.check(configuration="weekly").configurations) == 1


def test_a_configuration_that_is_not_there_is_an_error_that_names_the_others(desk):
    with pytest.raises(SetupError) as caught:
        desk.check(configuration="dayly")
    assert "daily" in caught.value.hint


def test_a_bucket_that_is_not_there_is_an_error(make_desk):
    desk = make_desk({**load_answers(), "HEAD /photos": {"status": 404}})
    with pytest.raises(BucketNotFoundError):
        desk.check()


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [(403, "InvalidAccessKeyId", CredentialsError), (500, "InternalError", StoreUnavailableError)],
)
def test_when_nothing_can_be_asked_it_is_an_error_and_no_finding(make_desk, status, code, error):
    body = f"<Error><Code>{code}</Code><Message>no</Message></Error>"
    for name in ("GET /photos?inventory", "GET /reports?policy"):
        desk = make_desk({**load_answers(), name: {"status": status, "body": body}})
        with pytest.raises(error):
            desk.check()


def test_a_bucket_that_may_not_be_looked_at_is_checked_as_far_as_possible(make_desk):
    desk = make_desk({**load_answers(), "HEAD /photos": {"status": 403}})
    desk.deliver()
    report = desk.check()
    assert not_ok(report)["bucket"] == "unknown"
    assert report.exit_code == 3
    assert len(report.configurations) == 1


def test_the_check_of_a_healthy_inventory_takes_few_requests(desk):
    desk.deliver()
    before = len(desk.aws.seen)
    desk.check()
    assert len(desk.aws.seen) - before <= 24


def test_directory_buckets_are_told_apart(make_desk):
    """Their requests need a session of another endpoint, which stores at --endpoint-url lack."""
    desk = make_desk({**load_answers(), "HEAD /logs--use1-az4--x-s3": {"headers": REGION}})
    request = CheckRequest("logs--use1-az4--x-s3")
    report = check_setup(desk.store, desk.account, request, clock=desk.clock)
    assert "directory bucket" in report.checks[2].why
    assert report.exit_code in (3, 4)


@pytest.mark.parametrize("body", ["<html><p>Log in</html>", '{"error": "Unsupported"}', "x", ""])
@pytest.mark.parametrize("status", [200, 400, 404])
def test_a_store_that_answers_something_else_than_s3_is_no_traceback(make_desk, body, status):
    """ministack answers `{"error": ...}` to what it does not have."""
    odd = {"status": status, "body": body}
    names = ("GET /reports?encryption", "GET /reports?object-lock", "POST sts:GetCallerIdentity")
    desk = make_desk({**load_answers(), **dict.fromkeys(names, odd)})
    found = not_ok(desk.check())
    assert found["identity"] == "unknown"
