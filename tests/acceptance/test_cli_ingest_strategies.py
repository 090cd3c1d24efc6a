"""`stocktake ingest` with strategies that do not list everything: events, lexical, partitions."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import botocore.session
import pytest

BUCKET = "strategy-logs"
KEYS = [
    f"logs/dt=2026-11-{day:02d}/part-{part:04d}.json" for day in range(1, 6) for part in range(5)
]


@pytest.fixture(scope="module")
def logs(acceptance_store):
    acceptance_store.describe("CreateBucket", BUCKET)
    return acceptance_store


@pytest.fixture
def user(inside, logs):
    old = [entry.key for entry in logs_of(logs)]
    if old:
        logs.delete(BUCKET, old)
    for key in KEYS:
        logs.put(BUCKET, key, b"{}")
    return inside


def logs_of(store):
    from stocktake.store import ListQuery

    return store.list_page(ListQuery(BUCKET)).objects


@pytest.fixture(scope="module")
def queue(acceptance_server):
    keys = acceptance_server.credentials
    sqs = botocore.session.Session().create_client(
        "sqs",
        region_name="us-east-1",
        endpoint_url=acceptance_server.endpoint_url,
        aws_access_key_id=keys.access_key_id,
        aws_secret_access_key=keys.secret_access_key,
    )
    url = sqs.create_queue(QueueName="strategy-events")["QueueUrl"]

    def send(key, name="ObjectCreated:Put", sequencer="0A"):
        entity = {"key": key, "sequencer": sequencer, "size": 2}
        body = {"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": name}
        body["eventTime"] = (datetime.now(UTC) + timedelta(seconds=2)).strftime(
            "%Y-%m-%dT%H:%M:%S.000Z"
        )
        body["s3"] = {"bucket": {"name": BUCKET}, "object": entity}
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"Records": [body]}))

    return url, send


def run(user, *options):
    answer = user("ingest", "run", "logs", "--exec", "true", "--json", *options)
    assert answer.code == 0, answer
    return answer.json


def test_events_are_loaded_and_the_audit_finds_what_no_event_told_of(user, logs, queue):
    """STR-6, STR-9, EVT-3"""
    url, send = queue
    made = user(
        *("ingest", "create", "logs", f"s3://{BUCKET}/logs/", "--strategy", "event_driven"),
        *("--set", f"queue_url={url}", "--audit-every", "1d"),
    )
    assert made.code == 0, made
    first = run(user)
    assert first["result"]["files"] == len(KEYS)
    logs.put(BUCKET, "logs/dt=2026-11-06/told.json", b"{}")
    send("logs/dt%3D2026-11-06/told.json")
    logs.put(BUCKET, "logs/dt=2026-11-06/untold.json", b"{}")
    second = run(user)
    assert second["discovery"]["strategy"] == "event_driven"
    assert second["result"]["files"] == 1
    audited = run(user, "--audit")
    assert audited["result"]["files"] == 1
    told = user("ingest", "explain", "logs", "logs/dt=2026-11-06/told.json", "--json").json
    assert told["changes"][0]["origin"] == "event_driven"
    untold = user("ingest", "explain", "logs", "logs/dt=2026-11-06/untold.json", "--json").json
    assert untold["changes"][0]["origin"] == "full"
    assert "fresh to" in second["status"]["claim"]
    assert "next audit" in audited["status"]["claim"]


@pytest.mark.parametrize("strategy", ["incremental_lexical", "partitioned"])
def test_partial_strategies_see_what_comes_at_the_end(user, logs, strategy):
    """STR-3, STR-4"""
    made = user(
        *("ingest", "create", "logs", f"s3://{BUCKET}/logs/", "--strategy", strategy),
        *("--set", "lookback=400d") if strategy == "partitioned" else (),
    )
    assert made.code == 0, made
    assert run(user)["result"]["files"] == len(KEYS)
    logs.put(BUCKET, "logs/dt=2026-11-05/part-0009.json", b"{}")
    second = run(user)
    assert second["discovery"]["strategy"] == strategy
    assert second["result"]["files"] == 1


def test_a_strategy_that_would_miss_objects_is_refused_with_the_evidence(user, logs):
    """STR-3"""
    for number in (*range(1, 30), 100, 1000):
        logs.put(BUCKET, f"plain/part-{number}.json", b"{}")
    user(
        *("ingest", "create", "logs", f"s3://{BUCKET}/plain/"),
        *("--strategy", "incremental_lexical"),
    )
    answer = user("ingest", "run", "logs", "--exec", "true", "--json")
    assert (answer.code, answer.json["error"]["code"]) == (2, "strategy-refused")
    assert "full" in answer.json["error"]["hint"]
