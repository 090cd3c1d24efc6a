"""SET-1, SET-2 against a server that keeps inventory configurations, policies and keys."""

import json

import botocore.session
import pytest

from stocktake.errors import ConfigurationExistsError, SetupError
from stocktake.setup import (
    CheckRequest,
    Configuration,
    CreateRequest,
    apply_setup,
    check_setup,
    list_configurations,
    plan_setup,
)
from stocktake.store import open_account, open_store

pytestmark = pytest.mark.servers

ACCOUNT = "123456789012"
OTHERS = {
    "Sid": "Ada",
    "Effect": "Allow",
    "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
    "Action": ["s3:GetObject"],
    "Resource": "arn:aws:s3:::setup-reports/*",
}


@pytest.fixture(scope="module")
def store(moto):
    opened = open_store(moto.options())
    for bucket in ("setup-photos", "setup-reports"):
        opened.describe("CreateBucket", bucket)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def account(moto):
    opened = open_account(moto.options())
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def kms(moto):
    return botocore.session.Session().create_client(
        "kms",
        endpoint_url=moto.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="x",
        aws_secret_access_key="y",
    )


def wanted(**changes):
    """moto keeps `All` whatever is written, which `put_configuration` notices."""
    made = {"versions": "All", "prefix": "inv/", **changes}
    name = made.pop("id", "stocktake")
    return Configuration(name, "setup-photos", "arn:aws:s3:::setup-reports", **made)


def states(report):
    return {one.id: one.state.value for one in report.checks}


def test_from_nothing_to_an_inventory_that_waits_for_its_first_report(store, account):
    before = check_setup(store, account, CheckRequest("setup-photos"))
    assert states(before)["configurations"] == "failed"
    assert before.exit_code == 4
    policy = json.dumps({"Version": "2012-10-17", "Statement": [OTHERS]})
    store.describe("PutBucketPolicy", "setup-reports", Policy=policy)
    plan = plan_setup(store, account, CreateRequest(wanted()))
    apply_setup(store, plan)
    kept = json.loads(store.describe("GetBucketPolicy", "setup-reports")["Policy"])
    assert kept["Statement"][0] == OTHERS
    assert kept["Statement"][1]["Condition"]["StringEquals"]["aws:SourceAccount"] == ACCOUNT
    again = plan_setup(store, account, CreateRequest(wanted()))
    assert not again.writes_policy
    assert not again.writes_configuration
    after = check_setup(store, account, CheckRequest("setup-photos", configuration="stocktake"))
    found = states(after)
    for name in ("bucket", "identity", "enabled", "prefix", "destination", "policy"):
        assert found[name] == "ok", after.to_dict()
    assert found["confused-deputy"] == "ok"
    assert found["delivery"] == "warning"  # the first report is due
    payer = next(one for one in after.checks if one.id == "payer")
    assert (
        payer.why == "this store has no such setting"
    )  # moto answers with a listing: not believed
    assert after.exit_code == 4  # moto forgets fields in its list


def test_another_configuration_of_that_name_is_not_written_over(store, account):
    apply_setup(store, plan_setup(store, account, CreateRequest(wanted(id="mine"))))
    other = plan_setup(store, account, CreateRequest(wanted(id="mine", frequency="Weekly")))
    with pytest.raises(ConfigurationExistsError):
        apply_setup(store, other)
    apply_setup(store, other, replace=True)
    found = {one.id: one for one in list_configurations(store, "setup-photos")}
    assert found["mine"].frequency == "Weekly"


def test_a_server_that_keeps_something_else_than_was_written_is_caught(store, account):
    plan = plan_setup(store, account, CreateRequest(wanted(id="current", versions="Current")))
    with pytest.raises(SetupError, match="versions is `All`, wanted `Current`"):
        apply_setup(store, plan)


def test_a_key_of_ours_is_judged_by_its_policy(store, account, kms):
    arn = kms.create_key()["KeyMetadata"]["Arn"]
    asked = wanted(id="secret", encryption="SSE-KMS", kms_key=arn)
    plan = plan_setup(store, account, CreateRequest(asked))
    failed = next(one for one in plan.checks if one.id == "kms")
    assert failed.state == "failed"
    apply_setup(store, plan)
    request = CheckRequest("setup-photos", configuration="secret")
    assert states(check_setup(store, account, request))["kms"] == "failed"
    kms.put_key_policy(KeyId=arn, PolicyName="default", Policy=json.dumps(failed.fix.document))
    assert states(check_setup(store, account, request))["kms"] == "ok"


def test_a_store_without_inventories_is_told_apart(ministack, tmp_path):
    store = open_store(ministack.options())
    account = open_account(ministack.options())
    store.describe("CreateBucket", "setup-plain")
    report = check_setup(store, account, CheckRequest("setup-plain"))
    failed = [one for one in report.checks if one.state == "failed"]
    assert [one.id for one in failed] == ["configurations"]
    assert "stocktake inventory write" in failed[0].fix.command
    store.close()
    account.close()
