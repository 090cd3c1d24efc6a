"""`stocktake events`: from a queue and a webhook into the control database, and the quarantine."""

from __future__ import annotations

import http.client
import json
from urllib.parse import urlsplit

import botocore.session
import pytest
from acceptance_shell import Inside, Shell, help_of, members_in
from redis import Redis

from stocktake.testing import start_redis

BUCKET = "event-photos"


def record(key, name="ObjectCreated:Put", bucket=BUCKET, sequencer="0A"):
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventTime": "2026-11-20T18:00:00.000Z",
        "eventName": name,
        "s3": {
            "bucket": {"name": bucket},
            "object": {"key": key, "size": 3, "eTag": "e1", "sequencer": sequencer},
        },
    }


def message(*records):
    return json.dumps({"Records": records})


@pytest.fixture(scope="module")
def sqs(acceptance_server):
    keys = acceptance_server.credentials
    return botocore.session.Session().create_client(
        "sqs",
        region_name="us-east-1",
        endpoint_url=acceptance_server.endpoint_url,
        aws_access_key_id=keys.access_key_id,
        aws_secret_access_key=keys.secret_access_key,
    )


@pytest.fixture
def queue(sqs, request):
    name = request.node.name.split("[")[0][:70].replace("_", "-")
    return sqs.create_queue(QueueName=name)["QueueUrl"]


def test_receive_empties_a_queue_and_says_what_was_in_it(inside: Inside, sqs, queue):
    """EVT-1, EVT-2, EVT-3"""
    for body in (
        message(record("a+b.jpg"), record("c.jpg")),
        message(record("c.jpg")),
        message(record("d.jpg", bucket="another-bucket")),
        json.dumps({"Event": "s3:TestEvent", "Bucket": BUCKET}),
        "not an event",
    ):
        sqs.send_message(QueueUrl=queue, MessageBody=body)
    command = ("events", "receive", queue, "--bucket", BUCKET, "--wait", "1s")
    answer = inside(*command, "--json")
    assert answer.code == 0, answer
    assert set(answer.json) == members_in(help_of(inside, "events", "receive"))
    metrics = answer.json["metrics"]
    counts = {
        name: metrics[name]
        for name in ("messages", "received", "held", "duplicate", "foreign", "test", "undecodable")
    }
    assert counts == {
        "messages": 5,
        "received": 4,
        "held": 2,
        "duplicate": 1,
        "foreign": 1,
        "test": 1,
        "undecodable": 1,
    }
    again = inside(*command)
    assert again.out.splitlines() == ["0 messages with 0 events"]


def test_receivers_share_what_they_have_seen(inside: Inside, sqs, queue, tmp_path):
    """ING-6"""
    body = message(record("seen/a.jpg"), record("seen/b.jpg"))
    command = ("events", "receive", queue, "--wait", "1s", "--json")
    with start_redis(tmp_path) as redis, Redis.from_url(redis.url) as client:
        for turn in range(2):
            sqs.send_message(QueueUrl=queue, MessageBody=body)
            variables = {"STOCKTAKE_SEEN_CACHE": redis.url} if turn else {}
            option = () if turn else ("--seen-cache", redis.url)
            metrics = inside(*command, *option, **variables).json["metrics"]
            assert (metrics["held"], metrics["duplicate"]) == ((0, 2) if turn else (2, 0))
            assert len(client.keys("stocktake:seen:cat_*")) == 2
    # a Redis that is gone is no reason to fail
    sqs.send_message(QueueUrl=queue, MessageBody=body)
    answer = inside(*command, "--seen-cache", redis.url)
    assert (answer.code, answer.json["metrics"]["duplicate"]) == (0, 2)
    answer = inside(*command, "--seen-cache", "nonsense")
    assert (answer.code, answer.json["error"]["code"]) == (2, "invalid-setting")


def test_what_was_not_understood_can_be_listed_tried_again_and_thrown_away(inside, sqs, queue):
    """EVT-1"""
    sqs.send_message(QueueUrl=queue, MessageBody='{"from": "somebody else"}')
    inside("events", "receive", queue, "--wait", "1s")
    listed = inside("events", "quarantine", "--json").json
    assert set(listed) == members_in(help_of(inside, "events", "quarantine"))
    (kept,) = listed["messages"]
    assert kept["body"] == '{"from": "somebody else"}'
    assert (listed["total"], kept["attempts"], kept["queue"]) == (1, 1, queue)
    people = inside("events", "quarantine").out.splitlines()
    assert people[0].split() == ["RECEIVED", "(UTC)", "ID", "QUEUE", "REASON"]
    again = inside("events", "release", kept["id"], "--json")
    assert (again.code, again.json) == (3, {"released": [], "kept": [kept["id"]]})
    gone = inside("events", "discard", kept["id"], "--json")
    assert gone.json == {"discarded": 1}
    assert inside("events", "quarantine").out == "no messages in quarantine\n"


def test_check_names_what_would_lose_events(inside, sqs, queue):
    """EVT-3"""
    attributes = {"MessageRetentionPeriod": "600"}
    sqs.set_queue_attributes(QueueUrl=queue, Attributes=attributes)
    answer = inside("events", "check", queue, "--json")
    assert answer.code == 3
    assert set(answer.json) == members_in(help_of(inside, "events", "check"))
    codes = {problem["code"] for problem in answer.json["problems"]}
    assert "retention" in codes
    assert "events that wait longer than 0.2 h are lost" in inside("events", "check", queue).err


@pytest.mark.parametrize(
    ("queue", "code", "error"),
    [("not a queue", 2, "invalid-setting"), ("no-such-queue", 1, "event-queue")],
)
def test_a_queue_that_cannot_be_read_is_an_error_with_a_hint(inside, queue, code, error):
    answer = inside("events", "receive", queue, "--json")
    assert answer.code == code, answer
    assert answer.json["error"]["code"] == error
    assert answer.json["error"]["hint"]


def test_a_longer_wait_than_queues_grant_is_refused(inside):
    answer = inside("events", "receive", "photos", "--wait", "1m", "--json")
    assert (answer.code, answer.json["error"]["code"]) == (2, "invalid-setting")


def test_the_webhook_answers_when_the_event_is_kept_and_ends_when_interrupted(make_shell):
    """EVT-3"""
    shell = make_shell()
    shell.environment["STOCKTAKE_WEBHOOK_TOKEN"] = "change-me"
    process = shell.start("events", "serve", "--port", "0", "--json")
    said = "".join(process.stdout.readline() for _ in range(3))
    where = urlsplit(json.loads(said)["url"])
    assert post(where, message(record("a.jpg")), "change-me") == 200
    assert post(where, message(record("a.jpg")), "guessed") == 401
    answer = Shell.interrupt(process)
    assert answer.code == 130
    assert "Traceback" not in answer.err
    held = shell("events", "quarantine", "--json")
    assert (held.code, held.json["total"]) == (0, 0)


def test_a_webhook_that_others_can_reach_needs_a_token(inside):
    answer = inside("events", "serve", "--host", "0.0.0.0", "--port", "0", "--json")
    assert (answer.code, answer.json["error"]["code"]) == (2, "invalid-setting")


def post(where, body, token):
    connection = http.client.HTTPConnection(where.hostname, where.port, timeout=30)
    connection.request("POST", "/", body, {"Authorization": f"Bearer {token}"})
    status = connection.getresponse().status
    connection.close()
    return status
