"""`stocktake scan`: a listing as a snapshot, what it says of itself, and what can be wrong."""

from __future__ import annotations

import signal
from datetime import UTC, datetime

import pytest
from acceptance_shell import Inside, Shell, help_of, members_in

from stocktake.store import Store, open_store
from stocktake.testing import FakeS3
from stocktake.testing._blobs import BytesBlob
from stocktake.testing._object_table import Version

DAYS, PARTS = range(30), range(9)
KEYS = {f"logs/2026/{day:02d}/part-{part}.json": day * part for day in DAYS for part in PARTS}
BUCKET = "scan-photos"


@pytest.fixture
def fake():
    with FakeS3() as server:
        server.create_bucket(BUCKET)
        yield server


@pytest.fixture
def store(fake) -> Store:
    opened = open_store(fake.options())
    for key, size_bytes in KEYS.items():
        opened.put(BUCKET, key, b"x" * size_bytes)
    return opened


@pytest.fixture
def user(fake, tmp_path) -> Inside:
    return Inside(
        tmp_path,
        {
            "PATH": "/usr/bin",
            "HOME": str(tmp_path),
            "AWS_ENDPOINT_URL": fake.endpoint_url,
            "AWS_ACCESS_KEY_ID": fake.credentials.access_key_id,
            "AWS_SECRET_ACCESS_KEY": fake.credentials.secret_access_key,
            "AWS_REGION": fake.region,
        },
    )


def test_scan_makes_a_snapshot_and_says_what_it_proves_and_cost(store, user):
    """STR-1, STR-9, STR-10"""
    answer = user("scan", f"s3://{BUCKET}", "--json")
    assert answer.code == 0, answer
    said = answer.json
    assert (said["state"], said["reused"]) == ("published", False)
    assert said["stats"]["objects"] == len(KEYS)
    assert said["metrics"]["objects"] == len(KEYS)
    assert said["metrics"]["requests"] == 1
    assert said["claim"].startswith(f"complete through {said['snapshot']['as_of']}")
    assert said["receipt"]["calls"]["ListObjectsV2"] == 1
    listed = user("find", f"s3://{BUCKET}/", "--json", "--limit", "1000").json
    assert {row["key"] for row in listed["rows"]} == set(KEYS)


def test_an_answer_has_exactly_the_members_that_the_help_names(store, user):
    named = members_in(help_of(user, "scan"))
    assert set(user("scan", f"s3://{BUCKET}", "--json").json) == named
    assert set(user("scan", f"s3://{BUCKET}", "--max-age", "1h", "--json").json) == named


def test_the_second_scan_says_what_changed(store, user):
    """STR-1"""
    user("scan", f"s3://{BUCKET}")
    store.put(BUCKET, "logs/2026/31/new.json", b"new")
    store.put(BUCKET, "logs/2026/05/part-3.json", b"changed")
    store.delete(BUCKET, ["logs/2026/00/part-0.json"])
    answer = user("scan", f"s3://{BUCKET}", "--json").json
    counts = {kind: answer["diff"][kind] for kind in ("new", "modified", "deleted")}
    assert counts == {"new": 1, "modified": 1, "deleted": 1}
    people = user("scan", f"s3://{BUCKET}")
    assert "changes: 0 new, 0 modified, 0 deleted" in people.out
    assert "receipt of this scan" in people.err
    assert max(map(len, (people.out + people.err).splitlines())) <= 80


def test_a_young_snapshot_is_used_again_and_the_answer_says_so(store, user):
    """STR-11"""
    first = user("scan", f"s3://{BUCKET}", "--json").json
    again = user("scan", f"s3://{BUCKET}/logs/2026/05/", "--max-age", "1h", "--json").json
    assert (again["state"], again["reused"]) == ("reused", True)
    assert again["snapshot_id"] == first["snapshot_id"]
    assert again["metrics"]["calls"] == {}
    people = user("scan", f"s3://{BUCKET}", "--max-age", "1h")
    assert people.out.startswith("not listed again: ")
    assert user("scan", f"s3://{BUCKET}", "--max-age", "0s", "--json").json["reused"] is False


def test_a_snapshot_of_current_objects_is_not_taken_for_one_of_versions(store, user):
    """STR-11"""
    user("scan", f"s3://{BUCKET}")
    answer = user("scan", f"s3://{BUCKET}", "--versions", "--max-age", "1h", "--json").json
    assert answer["reused"] is False
    assert answer["snapshot"]["coverage"]["versions"] == "all"


def test_scan_of_a_prefix_covers_nothing_else(store, user):
    answer = user("scan", f"s3://{BUCKET}/logs/2026/1", "--json").json
    assert answer["stats"]["objects"] == 90
    assert answer["snapshot"]["coverage"]["prefix"] == "logs/2026/1"


def test_a_sample_counts_a_small_bucket_and_keeps_nothing(store, user):
    """STR-7"""
    answer = user("scan", f"s3://{BUCKET}/logs/", "--sample", "--json")
    assert answer.code == 0, answer
    assert set(answer.json) == {"source", "estimate", "metrics", "receipt"}
    objects = answer.json["estimate"]["objects"]
    assert (objects["value"], objects["exact"]) == (len(KEYS), True)
    assert answer.json["estimate"]["bytes"]["value"] == sum(KEYS.values())
    people = user("scan", f"s3://{BUCKET}/logs/", "--sample")
    assert f"  objects  {len(KEYS)}" in people.out
    assert user("snapshots", "--json").json["error"]["code"] == "catalog-not-found"


def test_a_mass_deletion_needs_a_yes(store, user):
    user("scan", f"s3://{BUCKET}")
    store.delete(BUCKET, [key for key in KEYS if key < "logs/2026/10"])
    refused = user("scan", f"s3://{BUCKET}", "--json")
    assert refused.code == 3
    assert refused.json["error"]["code"] == "confirmation-needed"
    assert user("scan", f"s3://{BUCKET}", "--accept-deletions", "--json").code == 0


@pytest.mark.parametrize(
    ("args", "code", "error", "hint"),
    [
        (["s3://no-such-bucket"], 1, "bucket-not-found", "spelling"),
        (["photos"], 2, "invalid-url", "s3://bucket/key"),
        ([f"s3://{BUCKET}", "--max-age", "soon"], 2, "invalid-setting", "90s, 15m, 1h or 2d"),
        ([f"s3://{BUCKET}", "--workers", "0"], 2, "usage", "scan --help"),
    ],
)
def test_what_is_wrong_is_said_with_code_and_hint(user, args, code, error, hint):
    answer = user("scan", *args, "--json")
    assert answer.code == code, answer
    assert answer.json["error"]["code"] == error
    assert hint in answer.json["error"]["hint"]


def test_a_missing_permission_is_named(fake, store, user):
    fake.behaviour.denied.add(("ListObjectsV2", BUCKET))
    answer = user("scan", f"s3://{BUCKET}", "--json")
    assert answer.code == 1
    assert answer.json["error"]["code"] == "access-denied"
    said = answer.json["error"]
    assert "s3:ListBucket" in said["message"] + said["hint"]
    assert user("snapshots", "--json").json["snapshots"] == []


def test_a_killed_scan_goes_on_where_it_was(fake, user, tmp_path):
    """LST-1: finished parts are not listed again; what it proves is that of the first instant."""
    body, modified = BytesBlob(b"x"), datetime(2026, 11, 1, tzinfo=UTC)
    table = fake.create_bucket("scan-many").table
    table.load(Version(f"k{number:06d}", body, "e", modified) for number in range(260_000))
    killed = Shell(tmp_path, user.environment)(
        *("scan", "s3://scan-many", "--workers", "4"), STOCKTAKE_KILL_AT="import.part-recorded:2"
    )
    assert killed.code == -signal.SIGKILL
    assert user("snapshots", "--json").json["snapshots"] == []
    again = user("scan", "s3://scan-many", "--json")
    assert again.code == 0, again
    assert again.json["resumed_parts"] >= 1
    assert again.json["stats"]["objects"] == 260_000
    assert again.json["metrics"]["calls"]["page"] < 200
