"""`stocktake plan`: a recommendation from evidence, or from an answer."""

from __future__ import annotations

import io

import pytest
from acceptance_shell import Inside, help_of, members_in

from stocktake.cli._main import run
from stocktake.cli._output import Output
from stocktake.listing import QUESTIONS, StrategyName
from stocktake.store import open_store
from stocktake.testing import FakeS3

BUCKET = "plan-logs"


@pytest.fixture(scope="module")
def fake():
    with FakeS3() as server:
        server.create_bucket(BUCKET)
        store = open_store(server.options())
        for day in range(1, 11):
            for part in range(12):
                store.put(BUCKET, f"logs/dt=2026-11-{day:02d}/part-{part:04d}.json", b"{}")
        yield server


@pytest.fixture
def user(fake, tmp_path) -> Inside:
    fake.behaviour.denied.clear()
    return Inside(
        tmp_path,
        {
            "PATH": "/usr/bin:/bin",
            "HOME": str(tmp_path),
            "AWS_ENDPOINT_URL": fake.endpoint_url,
            "AWS_ACCESS_KEY_ID": fake.credentials.access_key_id,
            "AWS_SECRET_ACCESS_KEY": fake.credentials.secret_access_key,
            "AWS_REGION": fake.region,
        },
    )


def test_plan_ranks_every_strategy_that_finds_objects(user):
    """STR-8"""
    answer = user("plan", f"s3://{BUCKET}/logs/", "--json")
    assert answer.code == 0, answer
    assert set(answer.json) == members_in(help_of(user, "plan"))
    names = [one["strategy"] for one in answer.json["candidates"]]
    assert sorted(names) == sorted(set(StrategyName) - {StrategyName.SAMPLE})
    assert answer.json["strategy"] == names[0] == "full"
    assert any("dt=%Y-%m-%d" in finding for finding in answer.json["findings"])
    assert answer.json["receipt"]["calls"]["ListObjectsV2"] <= 12
    assert not (user.home / ".local").exists()


def test_plan_for_people_names_the_reasons_and_the_next_command(user):
    """STR-8"""
    answer = user("plan", f"s3://{BUCKET}/logs/", "--deletes")
    assert "recommended: full" in answer.out
    assert "incremental_lexical: deletions are seen at the next audit only" in answer.out
    assert max(map(len, answer.out.splitlines())) <= 80
    assert f"next: stocktake ingest create NAME s3://{BUCKET}/logs/ --strategy full" in answer.err


def test_plan_knows_what_the_catalog_knows(user):
    """STR-8"""
    user("scan", f"s3://{BUCKET}")
    answer = user("plan", f"s3://{BUCKET}/logs/", "--queue", "--json").json
    fits = {one["strategy"]: one["fits"] for one in answer["candidates"]}
    assert fits["event_driven"] is True
    assert fits["inventory"] is False


@pytest.mark.parametrize("answer", [one.id for one in QUESTIONS[0].answers])
def test_ask_explains_the_strategy_for_each_answer(user, answer):
    """STR-12"""
    said = user("plan", "--ask", "--answer", answer, "--json").json
    assert set(said) == {"answer", "strategy", "explanation", "audit", "settings", "instead"}
    people = user("plan", "--ask", "--answer", answer).out
    assert people.startswith(f"recommended: {said['strategy']}\n")
    assert max(map(len, people.splitlines())) <= 80


class Terminal(io.StringIO):
    """Somebody sits there."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("typed", ["1\n", "append-only\n"])
def test_ask_at_a_terminal_takes_the_number_or_the_name(user, monkeypatch, typed):
    """STR-12"""
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    out = Output(io.StringIO(), io.StringIO())
    assert run(["plan", "--ask"], out) == 0
    shown = out.stdout.getvalue()
    assert shown.startswith("How are the files organised?\n  1  append-only")
    assert "recommended: partitioned" in shown


@pytest.mark.parametrize(
    ("args", "code", "error", "hint"),
    [
        ([], 2, "usage", "s3://bucket/prefix"),
        (["--ask"], 2, "usage", "append-only"),
        (["--answer", "perhaps"], 2, "usage", "append-only"),
        (["logs"], 2, "invalid-url", "s3://bucket/key"),
        ([f"s3://{BUCKET}", "--fresh", "soon"], 2, "invalid-setting", "90s"),
        (["s3://no-such-bucket"], 1, "bucket-not-found", "spelling"),
    ],
)
def test_what_is_wrong_is_said_with_code_and_hint(user, args, code, error, hint):
    answer = user("plan", *args, "--json")
    assert answer.code == code, answer
    assert answer.json["error"]["code"] == error
    assert hint in answer.json["error"]["hint"]


def test_a_missing_permission_is_named(fake, user):
    fake.behaviour.denied.add(("ListObjectsV2", BUCKET))
    answer = user("plan", f"s3://{BUCKET}", "--json")
    assert (answer.code, answer.json["error"]["code"]) == (1, "access-denied")
