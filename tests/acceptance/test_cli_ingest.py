"""`stocktake ingest`: from an empty catalog to loaded rows, corrections, and everything refused."""

from __future__ import annotations

import signal
import stat

import duckdb
import pytest
from acceptance_shell import Inside, Shell, help_of, members_in

from stocktake.store import Store, open_store
from stocktake.testing import FakeS3

BUCKET = "ingest-photos"
KEYS = [f"2026/{month:02d}/img-{number:03d}.csv" for month in range(1, 4) for number in range(20)]
GROUP = [
    *("create", "run", "status", "explain", "dead", "replay", "rewind", "skip"),
    *("pause", "resume", "delete"),
]


@pytest.fixture(scope="module")
def fake():
    with FakeS3() as server:
        yield server


@pytest.fixture
def store(fake) -> Store:
    fake.buckets.pop(BUCKET, None)
    fake.behaviour.denied.clear()
    fake.create_bucket(BUCKET)
    opened = open_store(fake.options())
    for number, key in enumerate(KEYS):
        opened.put(BUCKET, key, f"number,name\n{number},a\n".encode())
    opened.put(BUCKET, "2026/_SUCCESS", b"")
    return opened


@pytest.fixture
def user(fake, store, tmp_path) -> Inside:
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


def create(user: Inside, *options: str, name: str = "photos") -> None:
    answer = user(
        *("ingest", "create", name, f"s3://{BUCKET}/2026/", "--sink", "duckdb"),
        *("--sink-set", "database=lake.duckdb", "--sink-set", "table=photos"),
        *("--sink-set", "reader=csv", *options),
    )
    assert answer.code == 0, answer


def rows(user: Inside, what: str = "count(*)") -> int:
    with duckdb.connect(str(user.home / "lake.duckdb"), read_only=True) as connection:
        return connection.execute(f"SELECT {what} FROM photos").fetchone()[0]


def test_a_run_loads_everything_and_the_next_one_nothing(user, store):
    """ING-1, ING-2, ING-4"""
    create(user)
    first = user("ingest", "run", "photos", "--json")
    assert first.code == 0, first
    assert first.json["discovery"]["metrics"]["new"] == len(KEYS) + 1
    assert first.json["result"]["files"] == len(KEYS)
    assert first.json["result"]["skipped"] == 1
    assert first.json["status"]["claim"].startswith("complete through 20")
    second = user("ingest", "run", "photos", "--json").json
    assert (second["result"]["files"], second["status"]["files_outstanding"]) == (0, 0)
    store.put(BUCKET, "2026/04/img-000.csv", b"number,name\n1000,new\n")
    store.put(BUCKET, KEYS[0], b"number,name\n2000,overwritten\n")
    people = user("ingest", "run", "photos")
    assert "discovered by full: 1 new, 1 changed, 0 gone" in people.out
    assert "loaded 2 objects" in people.out
    assert "receipt of this run" in people.err
    assert rows(user) == len(KEYS) + 2


def test_several_workers_load_each_object_once(user):
    """ING-3"""
    create(user, "--batch-files", "7")
    answer = user("ingest", "run", "photos", "--workers", "4", "--json")
    assert answer.json["result"]["batches"] >= len(KEYS) // 7
    assert rows(user) == rows(user, "count(DISTINCT number)") == len(KEYS)


def test_a_run_killed_after_the_sinks_commit_loads_nothing_twice(user, tmp_path):
    """ING-2: the token in the table tells the next run that the batch is there."""
    create(user, "--batch-files", "10")
    killed = Shell(tmp_path, user.environment)(
        "ingest", "run", "photos", STOCKTAKE_KILL_AT="sink.committed:3"
    )
    assert killed.code == -signal.SIGKILL
    again = user("ingest", "run", "photos", "--json")
    assert again.code == 0, again
    assert again.json["result"]["recovered"] == 10
    assert rows(user) == rows(user, "count(DISTINCT number)") == len(KEYS)


def test_filters_decide_and_explain_names_the_rule(user):
    """ING-1, ING-5"""
    create(user, "--include", "01/**", "--exclude", "*-007.csv")
    user("ingest", "run", "photos")
    assert rows(user) == 19
    loaded = user("ingest", "explain", "photos", KEYS[0], "--json")
    assert set(loaded.json) == members_in(help_of(user, "ingest", "explain"))
    (change,) = loaded.json["changes"]
    assert (change["state"], change["origin"]) == ("done", "full")
    left_out = user("ingest", "explain", "photos", "2026/01/img-007.csv")
    assert "skipped" in left_out.out
    assert "*-007.csv" in left_out.out
    assert max(map(len, left_out.out.splitlines())) <= 80
    unknown = user("ingest", "explain", "photos", "2026/01/img-999.csv", "--json")
    assert (unknown.code, unknown.json["error"]["code"]) == (2, "item-not-found")


def test_what_cannot_be_read_dies_alone_and_can_be_replayed(user, store):
    """ING-2, ING-4"""
    store.put(BUCKET, "2026/02/broken.csv", b'number,name\n"never closed\n')
    create(user, "--attempts", "1")
    run = user("ingest", "run", "photos", "--json")
    assert run.code == 3, run
    assert (run.json["result"]["files"], run.json["result"]["dead"]) == (len(KEYS), 1)
    dead = user("ingest", "dead", "photos", "--json")
    assert set(dead.json) == members_in(help_of(user, "ingest", "dead"))
    (item,) = dead.json["items"]
    assert (item["key"], dead.json["total"]) == ("2026/02/broken.csv", 1)
    shown = user("ingest", "dead", "photos")
    assert shown.out.splitlines()[0].split() == [
        *("SEQ", "SINCE", "(UTC)", "ATTEMPTS", "KEY", "REASON")
    ]
    assert user("ingest", "replay", "photos", "--dead", "--json").json["reopened"] == 1
    assert user("ingest", "run", "photos", "--no-discover", "--json").json["result"]["dead"] == 1
    skipped = user("ingest", "skip", "photos", "--key", "2026/02/broken.csv", "--json")
    assert skipped.code == 0
    assert user("ingest", "status", "photos", "--json").json["status"]["files_outstanding"] == 0


def test_rewind_hands_out_again_from_a_number_on(user):
    create(user)
    user("ingest", "run", "photos")
    answer = user("ingest", "rewind", "photos", "--to", "1", "--prefix", "2026/03/", "--json")
    assert answer.json == {"ingestion": "photos", "reopened": 20}
    assert user("ingest", "run", "photos", "--json").json["result"]["files"] == 20
    by_time = user("ingest", "rewind", "photos", "--to", "2099-01-01", "--json")
    assert by_time.json["reopened"] == 0


def test_status_of_all_and_of_one(user):
    """STR-9, STR-10"""
    assert user("ingest", "status").code == 1  # no catalog yet
    create(user)
    create(user, name="again")
    user("ingest", "run", "photos")
    table = user("ingest", "status")
    assert table.out.splitlines()[0].split() == [
        *("NAME", "SOURCE", "STRATEGY", "STATE", "LEFT", "LOADED", "DEAD")
    ]
    assert max(map(len, table.out.splitlines())) <= 80
    everyone = user("ingest", "status", "--json").json["ingestions"]
    assert [one["name"] for one in everyone] == ["again", "photos"]
    # the second consumer of the feed has its work without another listing
    assert [one["files_outstanding"] for one in everyone] == [len(KEYS), 0]
    one = user("ingest", "status", "photos", "--json").json
    assert set(one) == {"ingestion", "status", "runs"}
    assert one["runs"][0]["metrics"]["requests"] == 1
    people = user("ingest", "status", "photos")
    assert people.err.splitlines()[-1].startswith("complete through 20")


def test_a_paused_ingestion_hands_out_nothing(user):
    create(user)
    assert user("ingest", "pause", "photos", "--json").json["state"] == "paused"
    assert user("ingest", "run", "photos", "--json").json["result"]["files"] == 0
    assert user("ingest", "resume", "photos", "--json").json["state"] == "active"
    assert user("ingest", "run", "photos", "--json").json["result"]["files"] == len(KEYS)
    assert user("ingest", "delete", "photos", "--json").json == {"deleted": "photos"}
    assert user("ingest", "status", "--json").json == {"ingestions": []}


def test_a_command_gets_the_batch_as_json_lines(user):
    """ING-4"""
    script = user.home / "load"
    script.write_text('#!/bin/sh\ncat >> "$HOME/lines"\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    user("ingest", "create", "cmd", f"s3://{BUCKET}/2026/01/")
    assert user("ingest", "run", "cmd", "--json").json["error"]["code"] == "usage"
    answer = user("ingest", "run", "cmd", "--exec", str(script), "--json")
    assert answer.code == 0, answer
    assert len((user.home / "lines").read_text().splitlines()) == 20


@pytest.mark.parametrize(
    ("args", "error", "hint"),
    [
        (["run", "nobody"], "ingestion-not-found", "ingest create"),
        (["status", "nobody"], "ingestion-not-found", "ingest create"),
        (["create", "x", "photos"], "invalid-url", "s3://bucket/key"),
        (["create", "x", "s3://b-1", "--strategy", "magic"], "invalid-setting", "full"),
        (["create", "x", "s3://b-1", "--strategy", "sample"], "invalid-setting", "full"),
        (["create", "x", "s3://b-1", "--set", "depth"], "usage", "name=value"),
        (
            ["create", "x", "s3://b-1", "--strategy", "incremental_lexical", "--set", "lookbak=2h"],
            "invalid-setting",
            "did you mean `lookback`",
        ),
        (["create", "x", "s3://b-1", "--overwrite", "always"], "invalid-setting", "latest-only"),
        (["create", "x", "s3://b-1", "--sink", "mysql"], "invalid-setting", "iceberg"),
        (
            ["create", "x", "s3://b-1", "--sink", "duckdb", "--sink-set", "tabel=x"],
            "invalid-setting",
            "did you mean `table`",
        ),
        (["create", "x", "s3://b-1", "--sink-set", "table=x"], "usage", "which sink"),
        (["create", "x", "s3://b-1", "--max-age", "soon"], "invalid-setting", "90s, 15m"),
        (["create", "x", "s3://b-1", "--modified-after", "soon"], "invalid-setting", "2026-11-20"),
        (["replay", "nobody"], "usage", "--dead"),
        (["rewind", "nobody"], "usage", "--to SEQ"),
        (["skip", "nobody"], "usage", "--key"),
    ],
)
def test_what_is_wrong_is_said_with_code_and_hint(user, args, error, hint):
    user("ingest", "create", "other", f"s3://{BUCKET}/")
    user("ingest", "delete", "other")
    answer = user("ingest", *args, "--json")
    assert answer.code == 2, answer
    assert answer.json["error"]["code"] == error
    assert hint in answer.json["error"]["hint"]


def test_a_name_is_given_once(user):
    create(user)
    answer = user("ingest", "create", "photos", f"s3://{BUCKET}", "--json")
    assert (answer.code, answer.json["error"]["code"]) == (2, "ingestion-exists")


@pytest.mark.parametrize(
    ("source", "code"), [("s3://no-such-bucket", "bucket-not-found"), (None, "access-denied")]
)
def test_a_bucket_that_cannot_be_listed_is_an_error_of_the_run(user, fake, source, code):
    if source is None:
        fake.behaviour.denied.add(("ListObjectsV2", BUCKET))
    user(
        "ingest",
        "create",
        "p",
        source or f"s3://{BUCKET}",
        "--sink",
        "command",
        "--sink-set",
        "command=true",
    )
    answer = user("ingest", "run", "p", "--json")
    assert (answer.code, answer.json["error"]["code"]) == (1, code)


@pytest.mark.parametrize("command", GROUP)
def test_the_help_of_each_command_names_its_json(user, command):
    assert members_in(help_of(user, "ingest", command))


def test_a_young_listing_is_used_again_and_the_answer_says_so(user):
    """STR-11"""
    create(user, "--max-age", "1h")
    user("ingest", "run", "photos")
    answer = user("ingest", "run", "photos", "--json").json
    assert answer["discovery"]["reused"] is True
    assert answer["discovery"]["metrics"]["calls"] == {}
    assert "not listed again" in user("ingest", "run", "photos").out
