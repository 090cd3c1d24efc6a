"""`stocktake reconcile`: a folder and a bucket become findings, tasks and a page (REC-1 to 4)."""

from __future__ import annotations

import json
import os
import shlex
import signal
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from acceptance_shell import Inside, Shell, help_of, members_in

from stocktake.store import ListQuery, Store, open_store
from stocktake.testing import FakeS3
from stocktake.testing._blobs import BytesBlob
from stocktake.testing._object_table import Version

BUCKET, OTHER, REPORTS = "reconcile-photos", "reconcile-other", "reconcile-reports"
FILES = {
    **{f"2025/img_{n:03d}.jpg": b"a" * (100 + n) for n in range(30)},
    **{f"2026/new {n}.jpg": b"b" * (10 + n) for n in range(10)},
    "top.txt": b"top",
}
HOSTILE = "<script>alert(1)</script>\u202e.txt"


@pytest.fixture
def fake():
    with FakeS3() as server:
        for bucket in (BUCKET, OTHER, REPORTS):
            server.create_bucket(bucket)
        yield server


@pytest.fixture
def store(fake) -> Store:
    opened = open_store(fake.options())
    for name, body in FILES.items():
        opened.put(BUCKET, f"p/{name}", body)
    return opened


@pytest.fixture
def user(fake, tmp_path) -> Inside:
    home = tmp_path / "home"
    for name, body in FILES.items():
        path = home / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        os.utime(path, (1_700_000_000, 1_700_000_000))
    environment = {
        "PATH": "/usr/bin",
        "HOME": str(home),
        "AWS_ENDPOINT_URL": fake.endpoint_url,
        "AWS_ACCESS_KEY_ID": fake.credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": fake.credentials.secret_access_key,
        "AWS_REGION": fake.region,
    }
    return Inside(home, environment)


SOURCE = f"s3://{BUCKET}/p/"
FOLDER = ("reconcile", SOURCE, "--folder", "photos")


def damage(store: Store) -> dict[str, str]:
    """Five kinds of damage; the key and what it should be called."""
    store.put(BUCKET, "p/2025/img_001.jpg", b"X" * 101)
    store.put(BUCKET, "p/2025/img_002.jpg", b"")
    store.put(BUCKET, "p/2025/img_003.jpg", b"a" * 7)
    store.put(BUCKET, f"p/{HOSTILE}", b"x")
    store.delete(BUCKET, ["p/2026/new 1.jpg"])
    return {
        "2025/img_001.jpg": "checksum-mismatch",
        "2025/img_002.jpg": "empty",
        "2025/img_003.jpg": "size-mismatch",
        HOSTILE: "extra",
        "2026/new 1.jpg": "missing",
    }


def found(document) -> dict[str, str]:
    return {one["key"]: one["kind"] for one in document["findings"]}


def write_config(user: Inside, text: str, name: str = "reconcile.yaml") -> str:
    (user.home / name).write_text(text)
    return name


def test_a_folder_that_is_in_the_bucket_is_found_whole(store, user):
    """REC-1: 41 files, one LIST call, every byte proven."""
    answer = user(*FOLDER, "--json")
    assert answer.code == 0, answer
    said = answer.json
    assert (said["totals"]["should"], said["totals"]["identical"]) == (41, 41)
    assert said["have"]["requests"] == {"LIST": 1}
    assert (said["have"]["complete"], said["partial"], said["mode"]) == (True, False, "full")
    people = user(*FOLDER)
    assert "Everything is as it should be." in people.out
    assert "41 identical, proven by a checksum" in people.out
    assert max(map(len, (people.out + people.err).splitlines())) <= 80


def test_an_answer_has_exactly_the_members_that_the_help_names(store, user):
    assert set(user(*FOLDER, "--json").json) == members_in(help_of(user, "reconcile"))


def test_every_damage_is_found_named_and_rated(store, user):
    """REC-1, REC-2"""
    damaged = damage(store)
    answer = user(*FOLDER, "--json")
    assert answer.code == 4
    assert found(answer.json) == damaged
    assert answer.json["by_severity"] == {"CRITICAL": 1, "HIGH": 3, "LOW": 1}
    coverage = {one["prefix"]: one["percent"] for one in answer.json["coverage"]}
    assert coverage.pop("<script>alert(1)</") is None  # nothing should be there
    assert coverage == {"": 100.0, "2025/": 100.0, "2026/": 90.0}
    people = user(*FOLDER)
    assert people.code == 4
    assert "\u202e" not in people.out
    assert "5 findings: 1 CRITICAL, 3 HIGH, 1 LOW." in people.out
    assert "CRITICAL checksum-mismatch" in people.out
    assert "the folder has it, the bucket does not" in people.out
    assert max(map(len, (people.out + people.err).splitlines())) <= 80


def test_findings_below_the_wanted_severity_do_not_fail(store, user):
    """REC-2"""
    store.put(BUCKET, "p/extra.txt", b"x")
    assert user(*FOLDER).code == 4
    answer = user(*FOLDER, "--fail-on", "medium", "--json")
    assert (answer.code, answer.json["exit_code"], answer.json["findings_total"]) == (0, 0, 1)


def test_a_configuration_file_gives_page_tasks_and_findings(store, user):
    """REC-2, REC-3"""
    damage(store)
    config = write_config(
        user,
        f"""
        s3: {{bucket: {BUCKET}, prefix: p/, scan_mode: full}}
        expect: {{folder: ./photos}}
        rules:
          - {{prefix: 2026/, objects: {{min: 10}}, severity: CRITICAL}}
          - {{name: only photos, patterns: ["**.jpg", top.txt]}}
        severity: {{missing: LOW}}
        findings_file: all.jsonl
        """,
    )
    answer = user(
        *("reconcile", "--config", config, "--html", "r.html", "--tasks", "t.json"), "--json"
    )
    assert answer.code == 4, answer
    rules = {(one["rule"], one["expectation"]): one["verdict"] for one in answer.json["rules"]}
    assert rules == {("2026/", "objects"): "violated", ("only photos", "patterns"): "violated"}
    severity = {one["key"]: one["severity"] for one in answer.json["findings"]}
    assert (severity["2026/"], severity["2026/new 1.jpg"]) == ("CRITICAL", "LOW")

    page = (user.home / "r.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)" in page
    assert "<script" not in page
    assert "\u202e" not in page
    assert page.count("<svg") >= 4

    tasks = json.loads((user.home / "t.json").read_text())["tasks"]
    upload = next(one for one in tasks if one["key"] == "2026/new 1.jpg")
    assert upload["action"] == "upload"
    assert upload["source"].startswith("/")
    assert Path(upload["source"]).read_bytes() == FILES["2026/new 1.jpg"]
    assert upload["target"] == f"{SOURCE}2026/new 1.jpg"
    assert shlex.split(upload["command"])[-1] == upload["target"]
    delete = next(one for one in tasks if one["key"] == HOSTILE and one["finding"] == "extra")
    assert delete["action"] == "delete"

    lines = [json.loads(line) for line in (user.home / "all.jsonl").read_text().splitlines()]
    assert len(lines) == answer.json["findings_total"]
    assert {line["key"] for line in lines} >= {HOSTILE, "2026/new 1.jpg"}
    assert not list(user.home.glob("*.part")) + list(user.home.glob(".*.part"))


def test_a_multipart_etag_is_no_md5_and_still_proves_the_bytes(store, user):
    """REC-4: parts of 8 MiB as many tools cut them; what no way of cutting explains is not called
    the same, nor different, and counted with the reason."""
    body = bytes(range(256)) * (9 << 12)  # 9 MiB
    for name, sent in (("same.bin", body), ("other.bin", body[:-1] + b"!")):
        (user.home / "photos" / name).write_bytes(body)
        os.utime(user.home / "photos" / name, (1_700_000_000, 1_700_000_000))
        upload = store.begin_upload(BUCKET, f"p/{name}")
        parts = [sent[: 8 << 20], sent[8 << 20 :]]
        upload.complete({n: upload.put_part(n, part) for n, part in enumerate(parts, 1)})
    assert store.head(BUCKET, "p/same.bin").etag.endswith("-2")
    answer = user(*FOLDER, "--json")
    assert found(answer.json) == {}
    assert answer.json["totals"]["identical"] == len(FILES) + 1
    assert answer.json["totals"]["unproven"] == 1
    ((why, count),) = answer.json["not_comparable"].items()
    assert (count, "multipart" in why) == (1, True)


def test_a_dataset_says_what_should_be_there(store, user):
    """REC-1: the manifest of what was uploaded."""
    synced = user("sync", "photos", f"s3://{OTHER}/d/", "--dataset", "16", "--json")
    assert synced.code == 0, synced
    command = ("reconcile", f"s3://{OTHER}/d/", "--dataset", "16", "--json")
    clean = user(*command)
    assert clean.code == 0, clean.json
    assert clean.json["totals"]["should"] == len(FILES)
    store.delete(OTHER, ["d/top.txt"])
    store.put(OTHER, "d/2025/img_000.jpg", b"z" * 100)
    answer = user(*command)
    assert answer.code == 4
    kinds = found(answer.json)
    assert kinds.pop("top.txt") == "missing"
    assert kinds == {"2025/img_000.jpg": "checksum-mismatch"}


def test_another_bucket_and_a_snapshot_say_it_too(store, user):
    """REC-1"""
    for name, body in FILES.items():
        store.put(OTHER, f"copy/{name}", body)
    against = ("reconcile", SOURCE, "--bucket", f"s3://{OTHER}/copy/", "--json")
    assert user(*against).code == 0
    assert user("scan", f"s3://{BUCKET}").code == 0
    store.delete(BUCKET, ["p/top.txt"])
    assert found(user(*against).json) == {"top.txt": "missing"}
    then = user("reconcile", SOURCE, "--snapshot", f"{BUCKET}@latest", "--json")
    assert found(then.json) == {"top.txt": "missing"}
    assert then.json["should"]["age_s"] > 0


def test_the_catalog_instead_of_a_listing_says_how_old_it_is(store, user):
    """REC-1, REC-2: no LIST call, and nothing is proposed for deletion by what is old."""
    missing = user(*FOLDER, "--mode", "catalog", "--json")
    assert missing.json["error"]["code"] == "side-unavailable"
    assert f"stocktake scan {SOURCE}" in missing.json["error"]["hint"]
    store.put(BUCKET, "p/extra.txt", b"x")
    assert user("scan", f"s3://{BUCKET}").code == 0
    answer = user(*FOLDER, "--mode", "catalog", "--tasks", "t.json", "--json")
    assert (answer.code, answer.json["mode"]) == (4, "catalog")
    assert answer.json["have"]["requests"].get("LIST", 0) == 0
    assert answer.json["have"]["age_s"] > 0
    (task,) = json.loads((user.home / "t.json").read_text())["tasks"]
    assert (task["action"], task["finding"]) == ("rescan", "extra")


def test_an_inventory_report_instead_of_a_listing(store, user):
    """REC-1, REC-3: the names that users have, and the newest report."""
    wrote = user("inventory", "write", f"s3://{BUCKET}", "--to", f"s3://{REPORTS}/inv", "--json")
    assert wrote.code == 0, wrote
    config = write_config(
        user,
        f"""
        s3: {{bucket: {BUCKET}, prefix: p/, inventory_bucket: {REPORTS}, inventory_prefix: inv}}
        use_aws_inventory: true
        expect: {{folder: photos}}
        """,
    )
    answer = user("reconcile", "--config", config, "--json")
    assert answer.code == 0, answer.json
    assert (answer.json["mode"], answer.json["totals"]["should"]) == ("aws_inventory", 41)
    assert answer.json["have"]["objects"] == 41


@pytest.mark.parametrize("age", ["", "max_age: 1s\n"])
def test_a_report_that_is_not_to_be_had_gives_way_to_a_sample_loudly(store, user, age):
    """REC-1: fallback_to_sample."""
    if age:
        user("inventory", "write", f"s3://{BUCKET}", "--to", f"s3://{REPORTS}/inv")
        time.sleep(1.2)
    text = (
        f"s3: {{bucket: {BUCKET}, prefix: p/, inventory_bucket: {REPORTS}}}\n"
        "scan_mode: aws_inventory\ninventory_prefix: inv\nexpect: {folder: photos}\n" + age
    )
    without = user("reconcile", "--config", write_config(user, text), "--json")
    if not age:
        assert without.code == 1
    config = write_config(user, text + "fallback_to_sample: true\n")
    answer = user("reconcile", "--config", config, "--json")
    assert answer.json["mode"] == "sample", answer
    assert answer.json["fell_back"]
    people = user("reconcile", "--config", config)
    assert "THIS IS A SAMPLE" in people.out
    assert "this is a sample" in people.err


def test_a_sample_of_many_objects_skips_pages_and_says_intervals(fake, user):
    """REC-1: with the calls it saved."""
    store = open_store(fake.options())
    keys = [f"many/{n:05d}" for n in range(4_000)]
    body, modified = BytesBlob(b"x"), datetime(2026, 11, 1, tzinfo=UTC)
    fake.create_bucket("reconcile-many").table.load(
        Version(key, body, "e", modified) for key in keys
    )
    user("scan", "s3://reconcile-many")
    store.delete("reconcile-many", keys[::10])
    config = write_config(
        user,
        "bucket: reconcile-many\nprefix: many/\nscan_mode: sample\nsample: {probes: 2}\n"
        "expect: {snapshot: reconcile-many@latest}\n",
    )
    answer = user("reconcile", "--config", config, "--json")
    assert answer.code == 4, answer
    sample = answer.json["sample"]
    assert sample["missing"]["low"] <= 400
    assert sample["missing"]["high"] is None or sample["missing"]["high"] >= 400


def test_rules_alone_need_no_other_side(store, user):
    """REC-1: a rules file; every kind of expectation, violated and held."""
    violated = {
        "too few": ("objects: {min: 11}", "below-expected"),
        "too many": ("objects: 9", "above-expected"),
        "too much": ("bytes: {max: 10}", "above-expected"),
        "not required": ("required: [_SUCCESS]", None),
        "names": ("patterns: ['*.png']", "pattern"),
        "class": ("storage_class: GLACIER", "wrong-class"),
    }
    held = {
        "enough": "objects: {min: 10, max: 10}",
        "fresh": "max_age: 1h",
        "photos": "patterns: ['*.jpg'], allow_empty: false",
    }
    rules = {**{name: rule for name, (rule, _) in violated.items()}, **held}
    lines = [f"- {{name: {name}, prefix: p/2026/, {rule}}}" for name, rule in rules.items()]
    config = write_config(user, f"bucket: {BUCKET}\nrules:\n" + "\n".join(lines))
    answer = user("reconcile", "--config", config, "--json")
    assert answer.code == 4, answer
    verdicts: dict[str, set[str]] = {}
    for one in answer.json["rules"]:
        verdicts.setdefault(one["rule"], set()).add(one["verdict"])
    assert verdicts == {name: {"violated" if name in violated else "held"} for name in rules}
    kinds = {one["rule"]: one["kind"] for one in answer.json["findings"]}
    assert set(kinds) == set(violated)
    for name, (_, kind) in violated.items():
        assert kind in (None, kinds[name])
    people = user("reconcile", "--config", config)
    assert people.out.count("violated") == 6
    assert max(map(len, people.out.splitlines())) <= 80


def test_one_configuration_again_and_again_until_stopped(store, user):
    """REC-3: on a schedule; each answer is one line, and a stop is a stop."""
    shell = Shell(user.home, user.environment)
    process = shell.start(*FOLDER, "--every", "1s", "--json")
    try:
        lines = [process.stdout.readline() for _ in range(2)]
    finally:
        answer = shell.interrupt(process)
    assert answer.code in (130, -signal.SIGINT)
    first, second = map(json.loads, lines)
    assert first["started_at"] < second["started_at"]
    assert first["receipt"]["calls"] == second["receipt"]["calls"]


@pytest.mark.parametrize(
    ("args", "code", "error", "hint"),
    [
        ([], 2, "usage", "--config FILE"),
        ([SOURCE], 2, "usage", "--folder"),
        ([SOURCE, "--folder", "a", "--dataset", "b"], 2, "usage", "--snapshot"),
        (["--config", "none.yaml"], 2, "reconcile-config", "--config"),
        ([SOURCE, "--config", "none.yaml"], 2, "usage", "keep one"),
        ([SOURCE, "--folder", "nope"], 1, "local-folder", ""),
        ([SOURCE, "--dataset", "nope"], 1, "dataset-not-found", "sync"),
        ([SOURCE, "--bucket", SOURCE], 2, "usage", "another place"),
        ([SOURCE, "--bucket", "photos"], 2, "invalid-url", "s3://"),
        ([SOURCE, "--snapshot", "nope"], 2, "invalid-query", ""),
        ([SOURCE, "--snapshot", "latest"], 1, "snapshot-not-found", "snapshots lists"),
        (["photos", "--folder", "photos"], 2, "invalid-url", "s3://"),
        (["s3://no-such-bucket/p/", "--folder", "photos"], 1, "bucket-not-found", "spelling"),
        ([SOURCE, "--folder", "photos", "--mode", "samples"], 2, "invalid-setting", "sample"),
        ([SOURCE, "--folder", "photos", "--fail-on", "hihg"], 2, "invalid-setting", "HIGH"),
        ([SOURCE, "--folder", "photos", "--mode", "aws_inventory"], 2, "usage", "inventory_buck"),
        ([SOURCE, "--folder", "photos", "--every", "soon"], 2, "invalid-setting", "1h"),
        ([SOURCE, "--folder", "photos", "--every", "0s"], 2, "invalid-setting", ""),
        ([SOURCE, "--folder", "photos", "--html", "no/such/r.html"], 2, "usage", "make it"),
        ([SOURCE, "--folder", "photos", "--tasks", "photos"], 2, "usage", "a file in it"),
    ],
)
def test_what_is_wrong_is_said_with_code_and_hint(user, args, code, error, hint):
    answer = user("reconcile", *args, "--json")
    assert answer.code == code, answer
    assert answer.json["error"]["code"] == error, answer
    assert hint in (answer.json["error"]["hint"] or "")


def test_a_mistake_in_the_file_is_named_with_its_line(user):
    """REC-3"""
    config = write_config(user, f"bucket: {BUCKET}\nexpect: {{folder: photos}}\nscan_mod: full\n")
    answer = user("reconcile", "--config", config)
    assert answer.code == 2
    assert "`reconcile.yaml`, line 3: `scan_mod` is not a setting" in answer.err
    assert "did you mean `scan_mode`?" in answer.err


def test_a_missing_permission_and_a_dead_endpoint_are_named(fake, store, user):
    fake.behaviour.denied.add(("ListObjectsV2", BUCKET))
    denied = user(*FOLDER, "--json")
    assert denied.code == 1
    said = denied.json["error"]
    assert said["code"] == "access-denied"
    assert "s3:ListBucket" in said["message"] + said["hint"]
    gone = user(*FOLDER, "--json", "--endpoint-url", "http://127.0.0.1:1", STOCKTAKE_ATTEMPTS="1")
    assert (gone.code, gone.json["error"]["retryable"]) == (1, True)


def test_nothing_in_the_bucket_or_the_folder_is_changed(store, user):
    """The room's "Never": a change to either side."""
    damage(store)
    before = {
        path: (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted((user.home / "photos").rglob("*"))
        if path.is_file()
    }
    listed = [(one.key, one.etag) for one in _listed(store)]
    user(*FOLDER, "--html", "r.html", "--tasks", "t.json", "--findings", "f.jsonl")
    assert listed == [(one.key, one.etag) for one in _listed(store)]
    after = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in before}
    assert before == after
    assert sorted(p for p in (user.home / "photos").rglob("*") if p.is_file()) == list(before)


def _listed(store: Store):
    return store.list_page(ListQuery(BUCKET)).objects
