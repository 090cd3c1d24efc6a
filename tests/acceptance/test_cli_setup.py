"""`stocktake setup` and `stocktake cost` as users run them; SET-1, SET-2, SET-3."""

from __future__ import annotations

import json
import shlex
from datetime import timedelta

import pyarrow as pa
import pytest
from acceptance_shell import Inside, help_of, members_in

from aws_account import ScriptedAws, load_answers
from stocktake.clock import SystemClock
from stocktake.inventory import ReportFormat, ReportSpec, write_report
from stocktake.model import S3Url, object_schema
from stocktake.store import open_store

SHIPPED_PRICES = "prices.toml"
NONE = {"status": 404, "body": "<Error><Code>NoSuchConfiguration</Code></Error>"}
NO_POLICY = {"status": 404, "body": "<Error><Code>NoSuchBucketPolicy</Code></Error>"}


@pytest.fixture(scope="module")
def aws():
    with ScriptedAws(load_answers()) as server:
        yield server


@pytest.fixture
def user(aws, tmp_path) -> Inside:
    aws.reset(load_answers())
    deliver(aws)
    return Inside(
        tmp_path,
        {
            "PATH": "/usr/bin:/bin",
            "HOME": str(tmp_path),
            "AWS_ENDPOINT_URL": aws.endpoint_url,
            "AWS_ACCESS_KEY_ID": aws.credentials.access_key_id,
            "AWS_SECRET_ACCESS_KEY": aws.credentials.secret_access_key,
            "AWS_REGION": aws.region,
            "STOCKTAKE_CATALOG": str(tmp_path / "catalog"),
        },
    )


def deliver(aws):
    """A report of some hours ago."""
    store = open_store(aws.options())
    batch = pa.RecordBatch.from_pylist(
        [{"key": "a.jpg", "size_bytes": 1}], schema=object_schema(("key", "size_bytes"))
    )
    stamp = SystemClock().now() - timedelta(hours=5)
    spec = ReportSpec(
        S3Url("reports", "inv"),
        "photos",
        "daily",
        stamp,
        file_format=ReportFormat.PARQUET,
        columns=("bucket", "key", "size_bytes"),
    )
    write_report(store, spec, [batch])
    store.close()


def fits(text):
    """Everything but commands, which are copied whole, and JSON fits a terminal."""
    lines = [one for one in text.splitlines() if not one.lstrip().startswith(("$", '"', "{", "}"))]
    assert max(map(len, lines)) <= 80, max(lines, key=len)


def test_a_healthy_inventory_is_walked_through(user):
    """SET-1"""
    answer = user("setup", "check", "s3://photos")
    assert answer.code == 0, answer
    assert answer.out.count("\nok ") >= 19
    assert "21 ok\n" in answer.out
    assert "1 GetCallerIdentity" in answer.err
    fits(answer.out)
    fits(answer.err)


def test_the_json_is_what_the_help_says(user, aws):
    aws.answers["GET /reports?policy"] = NO_POLICY
    answer = user("setup", "check", "photos", "--json")
    assert answer.code == 4
    assert set(answer.json) == members_in(help_of(user, "setup", "check"))
    failed = [one for one in answer.json["checks"] if one["state"] == "failed"]
    assert [one["id"] for one in failed] == ["policy"]
    assert set(failed[0]) == {"id", "title", "state", "configuration", "why", "fix"}
    assert failed[0]["fix"]["document"]["Statement"][0]["Effect"] == "Allow"


def test_the_fix_of_a_configuration_can_be_pasted_into_a_shell(user, aws):
    listing = aws.answers["GET /photos?inventory"]["body"]
    aws.answers["GET /photos?inventory"] = {
        "body": listing.replace("<Prefix>inv<", "<Prefix>it's/<")
    }
    answer = user("setup", "check", "s3://photos")
    assert answer.code == 4
    commands = [one.strip() for one in answer.out.splitlines() if one.strip().startswith("$ ")]
    words = shlex.split(commands[0].removeprefix("$ "))
    assert words[:3] == ["aws", "s3api", "put-bucket-inventory-configuration"]
    document = json.loads(words[words.index("--inventory-configuration") + 1])
    assert document["Destination"]["S3BucketDestination"]["Prefix"] == "it's"


def test_what_could_not_be_looked_at_is_exit_code_3(user, aws):
    aws.answers["GET /reports?lifecycle"] = {
        "status": 403,
        "body": "<Error><Code>AccessDenied</Code></Error>",
    }
    answer = user("setup", "check", "s3://photos")
    assert answer.code == 3
    assert "grant s3:GetLifecycleConfiguration" in answer.out
    fits(answer.out)


def test_all_configurations_are_listed(user, aws):
    """SET-2"""
    answer = user("setup", "list", "s3://photos", "--json")
    assert answer.code == 0
    assert set(answer.json) == members_in(help_of(user, "setup", "list"))
    assert [one["id"] for one in answer.json["configurations"]] == ["daily"]
    shown = user("setup", "list", "photos").out
    assert "s3://reports/inv" in shown
    fits(shown)
    body = aws.answers["GET /photos?inventory"]["body"]
    start, end = body.index("<InventoryConfiguration>"), body.index("<IsTruncated>")
    aws.answers["GET /photos?inventory"] = {"body": body[:start] + body[end:]}
    none = user("setup", "list", "photos")
    assert none.code == 0
    assert "no inventory is configured" in none.out


def test_a_dry_run_shows_and_a_run_writes(user, aws):
    """SET-2"""
    aws.answers |= {"GET /photos?inventory&id=stocktake": NONE, "GET /reports?policy": NO_POLICY}
    words = ("setup", "create", "s3://photos/2026/", "--to", "s3://reports/inv/")
    dry = user(*words, "--dry-run")
    assert dry.code == 0, dry
    assert "nothing was written" in dry.err
    assert '"aws:SourceAccount": "111122223333"' in dry.out
    assert "without the slash" in dry.out
    assert [one for one in aws.seen if one.startswith("PUT /")] == [
        one for one in aws.seen if one.startswith("PUT /reports/")
    ]
    fits(dry.out)
    done = user(*words, "--json")
    assert done.code == 0, done
    assert set(done.json) == members_in(help_of(user, "setup", "create"))
    assert done.json["configuration"]["Filter"] == {"Prefix": "2026/"}
    again = user(*words)
    assert again.code == 0
    assert "is there already" in again.out
    differs = user(*words, "--weekly")
    assert differs.code == 1
    assert "--replace" in differs.err
    assert user(*words, "--weekly", "--replace").code == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("setup", "check", "s3://nowhere"), 1, "there is no such bucket"),
        (("setup", "check", "s3://photos", "--id", "x"), 1, "there is daily"),
        (("setup", "check", "s3://photos", "--frequency", "hourly"), 2, "daily or weekly"),
        (("setup", "create", "s3://photos", "--to", "reports"), 2, "s3://"),
        (("setup", "create", "s3://photos", "--to", "s3://gone/x"), 1, "aws s3 mb s3://gone"),
        (("setup", "create", "s3://photos", "--to", "s3://reports", "--format", "xml"), 2, "orc"),
        (("setup", "create", "s3://photos", "--to", "s3://reports", "--field", "x"), 2, "Size"),
        (("setup", "create", "s3://photos", "--to", "s3://reports", "--id", "a b"), 2, "64"),
        (("setup",), 2, "--help"),
        (("cost",), 2, "--objects"),
        (("cost", "--objects", "1", "--every", "often"), 2, "length of time"),
        (("cost", "--objects", "1", "--prices", "gone.toml"), 2, "cannot read"),
    ],
)
def test_likely_mistakes_are_answered_with_what_helps(user, aws, words, code, said):
    aws.answers |= {
        "GET /photos?inventory&id=stocktake": NONE,
        "HEAD /gone": {"status": 404},
        "HEAD /nowhere": {"status": 404},
    }
    answer = user(*words)
    assert answer.code == code, answer
    assert said in answer.err


def test_a_dead_endpoint_is_said_to_be_one(user):
    answer = user(
        "setup",
        "check",
        "s3://photos",
        "--json",
        AWS_ENDPOINT_URL="http://127.0.0.1:1",
        STOCKTAKE_ATTEMPTS="1",
    )
    assert answer.code == 1
    assert answer.json["error"]["code"] == "store-unavailable"


def test_the_ways_are_compared_without_asking_anybody(user, aws):
    """SET-3"""
    before = len(aws.seen)
    answer = user("cost", "--objects", "5000000", "--json")
    assert answer.code == 0
    assert len(aws.seen) == before
    assert set(answer.json) == members_in(help_of(user, "cost"))
    listing = next(one for one in answer.json["ways"] if one["id"] == "list")
    assert listing["per_run"] == 0.025
    assert answer.json["prices"]["region"] == "us-east-1"
    shown = user("cost", "--objects", "5000000")
    assert "not 99 %" in shown.out
    assert "2026-11-20" in shown.err
    fits(shown.out)
    fits(shown.err)


def test_the_objects_are_counted_by_a_sample_or_a_snapshot(user):
    """SET-3"""
    sampled = user("cost", "s3://reports/inv/", "--json").json
    assert sampled["objects"]["value"] == 4
    assert sampled["objects"]["from"] == "listing"
    assert user("scan", "s3://reports", "--json").code == 0
    known = user("cost", "reports", "--json").json
    assert (known["objects"]["value"], known["objects"]["from"]) == (4, "snapshot")
    assert known["objects"]["as_of"]


def test_prices_of_ones_own_are_used_and_named(user, tmp_path):
    """SET-3"""
    from stocktake.setup import Prices

    shipped = Prices.load()
    text = "\n".join(
        [
            'date = "2026-12-01"',
            'region = "eu-central-1"',
            'currency = "EUR"',
            'source = "our contract"',
            "[requests]",
            *(f"{name} = {price * 2}" for name, price in shipped.requests.items()),
            "[inventory]\nper_million_objects = 0.0025",
            "[metadata]\nper_million_updates = 0.3\nper_million_backfilled = 0.4",
            "[queue]\nper_million_requests = 0.4",
            "[storage]\nper_gb_month = 0.02",
        ]
    )
    (tmp_path / "mine.toml").write_text(text)
    answer = user("cost", "--objects", "1000000", "--prices", "mine.toml")
    assert answer.code == 0, answer
    assert "EUR" in answer.out
    assert "$" not in answer.out
    assert "0.25 times" in answer.out
    assert "our contract" in answer.err
