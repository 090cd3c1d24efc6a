"""Trouble: missing permissions, two imports at once, Ctrl-C, nobody listening, no store at all."""

from __future__ import annotations

import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from acceptance_shell import Shell

from stocktake.model import S3Url
from stocktake.store import open_store
from stocktake.testing import (
    FakeS3,
    Fault,
    FaultProxy,
    ReportLook,
    Stall,
    SyntheticBucket,
    write_synthetic_report,
)

ROWS = 40_000
ADDRESS = "s3://strict-reports/demo-data/daily"


@pytest.fixture(scope="module")
def strict():
    """A store that checks permissions, with a report of some size."""
    with FakeS3() as fake:
        fake.create_bucket("strict-reports")
        write_synthetic_report(
            SyntheticBucket(rows=ROWS),
            open_store(fake.options()),
            S3Url("strict-reports"),
            ReportLook(parts=8),
        )
        yield fake


@pytest.fixture
def user(strict, tmp_path):
    strict.behaviour.denied.clear()
    strict.behaviour.kms_denied = ()
    return Shell(
        tmp_path,
        {
            "AWS_ENDPOINT_URL": strict.endpoint_url,
            "AWS_ACCESS_KEY_ID": strict.credentials.access_key_id,
            "AWS_SECRET_ACCESS_KEY": strict.credentials.secret_access_key,
            "AWS_REGION": strict.region,
        },
    )


@pytest.mark.parametrize(
    ("operation", "permission"),
    [("GetObject", "s3:GetObject"), ("ListObjectsV2", "s3:ListBucket")],
)
def test_a_missing_permission_is_named(strict, user, operation, permission):
    """INV-2"""
    strict.behaviour.denied.add((operation, "strict-reports"))
    error = user("inventory", "import", ADDRESS, "--json")
    assert error.code == 1
    assert error.json["error"]["code"] == "access-denied"
    assert permission in error.json["error"]["message"] + error.json["error"]["hint"]


def test_a_key_that_may_not_be_used_is_told_apart_from_a_missing_permission(strict, user):
    """INV-2"""
    strict.behaviour.kms_denied = ("demo-data/daily/",)
    error = user("inventory", "import", ADDRESS, "--json").json["error"]
    assert error["code"] == "kms-access-denied"
    assert "kms:Decrypt" in error["hint"]


def test_wrong_credentials_say_what_to_set(user):
    answer = user("inventory", "dates", ADDRESS, "--json", AWS_SECRET_ACCESS_KEY="wrong")
    assert answer.json["error"]["code"] == "credentials"
    assert "AWS_PROFILE" in answer.json["error"]["hint"]


def test_no_store_at_that_address_is_said_to_be_unavailable(user):
    answer = user(
        *("inventory", "dates", ADDRESS, "--endpoint-url", "http://127.0.0.1:9", "--json"),
        STOCKTAKE_ATTEMPTS="1",
    )
    assert answer.code == 1
    assert answer.json["error"]["code"] == "store-unavailable"
    assert answer.json["error"]["retryable"] is True


def test_two_imports_of_one_source_exclude_each_other(strict, user):
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: user("inventory", "import", ADDRESS, "--json"), range(2)))
    codes = sorted(answer.code for answer in answers)
    states = {a.json.get("state") or a.json["error"]["code"] for a in answers}
    assert states in ({"published", "import-running"}, {"published", "no-change"}), answers
    assert codes in ([0, 1], [0, 0])
    assert len(user("snapshots", "--json").json["snapshots"]) == 1


def test_ctrl_c_exits_130_and_the_next_run_goes_on_where_it_stopped(strict, user):
    """INV-8"""
    stall = Fault(
        "^GET /strict-reports/.*/data/", Stall(after_bytes=0, stall_s=40), times=100, skip=4
    )
    with FaultProxy(strict.endpoint_url) as proxy:
        proxy.add(stall)
        process = user.start(
            *("inventory", "import", ADDRESS, "--workers", "1"),
            *("--endpoint-url", proxy.endpoint_url),
        )
        wait_until(lambda: stall.hits > 0)
        answer = Shell.interrupt(process)
    assert answer.code == 130, answer
    assert answer.err.splitlines()[-3:] == [
        "error: interrupted; everything finished is kept",
        "",
        "hint: run the same command again to go on where it stopped",
    ]
    assert "Traceback" not in answer.err
    assert user("snapshots").out == "no snapshots yet\n"
    again = user("inventory", "import", ADDRESS, "--json")
    assert again.code == 0
    assert 0 < again.json["resumed_parts"] < 8
    assert again.json["stats"]["rows"] == ROWS


def test_termination_ends_the_command_without_a_traceback(strict, user):
    stall = Fault("^GET /strict-reports/.*/data/", Stall(after_bytes=0, stall_s=40), times=100)
    with FaultProxy(strict.endpoint_url) as proxy:
        proxy.add(stall)
        process = user.start("inventory", "import", ADDRESS, "--endpoint-url", proxy.endpoint_url)
        wait_until(lambda: stall.hits > 0)
        process.terminate()
        _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert "Traceback" not in err


def wait_until(condition):
    deadline_s = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
