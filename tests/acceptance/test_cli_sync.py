"""`stocktake sync` as users run it: what it shows and costs, and each likely mistake (MAN-3)."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
from acceptance_shell import Inside, Shell, help_of, members_in

from stocktake.store import ListQuery, Store, open_store
from stocktake.testing import FakeS3

BUCKET = "sync-photos"
TARGET = f"s3://{BUCKET}/styles/16"
SUMMARY = (
    "total_local",
    "total_s3",
    "missing_in_s3",
    "different",
    "identical",
    "missing_locally",
)


@pytest.fixture(scope="module")
def fake():
    with FakeS3() as server:
        server.create_bucket("other-photos")
        yield server


@pytest.fixture
def store(fake) -> Store:
    fake.buckets.pop(BUCKET, None)
    fake.create_bucket(BUCKET)
    return open_store(fake.options())


@pytest.fixture
def environment(fake, tmp_path) -> dict[str, str]:
    return {
        "PATH": "/usr/bin",
        "HOME": str(tmp_path),
        "AWS_ENDPOINT_URL": fake.endpoint_url,
        "AWS_ACCESS_KEY_ID": fake.credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": fake.credentials.secret_access_key,
        "AWS_REGION": fake.region,
    }


@pytest.fixture
def folder(tmp_path) -> Path:
    path = tmp_path / "photos"
    for number in range(30):
        file = path / f"{number % 3}" / f"{number}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"%d" % number * 10)
    return path


@pytest.fixture
def user(store, folder, environment, tmp_path) -> Inside:
    return Inside(tmp_path, environment)


def _sync(user: Inside, *options: str):
    return user("sync", "photos", TARGET, "--dataset", "16", *options)


def test_first_and_second_sync_in_numbers(user, folder):
    answer = _sync(user, "--json", "--title", "Sixteen")
    assert answer.code == 0, answer
    said = answer.json
    assert [said[name] for name in SUMMARY] == [30, 0, 30, 0, 0, 0]
    assert (said["uploaded"], said["state"], said["version"]) == (30, "done", 1)
    again = _sync(user, "--json").json
    assert [again[name] for name in SUMMARY] == [30, 30, 0, 0, 30, 0]
    assert again["receipt"]["calls"] == {"ListObjectsV2": 1}
    assert again["receipt"]["cost"]["total_usd"] == pytest.approx(0.000005)


def test_an_answer_has_exactly_the_members_that_the_help_names(user):
    named = members_in(help_of(user, "sync"))
    assert set(_sync(user, "--json", "--dry-run").json) == named | {"actions"}
    assert set(_sync(user, "--json").json) == named - {"actions"}


def test_what_people_see_fits_a_terminal(user, folder, store):
    for dry in ((), ("--dry-run",)):
        store.put(BUCKET, "styles/16/0/0.jpg", b"of somebody else")
        (folder / "new.jpg").write_bytes(b"n")
        answer = _sync(user, *dry)
        assert answer.code == 4, answer
        assert "conflict: styles/16/0/0.jpg" in answer.out
        shown = (answer.out + answer.err).splitlines()
        assert max(map(len, shown)) <= 80, max(shown, key=len)


def test_dry_run_makes_no_dataset_and_no_object(user, store):
    answer = _sync(user, "--dry-run")
    assert answer.code == 0, answer
    assert "would upload: 30" in answer.out
    assert _datasets(user) == []
    assert _sync(user, "--json").json["total_s3"] == 0


def test_mass_deletions_are_refused_with_what_helps(user, folder):
    _sync(user)
    for file in (folder / "0").iterdir():
        file.unlink()
    answer = _sync(user, "--delete")
    assert answer.code == 3
    assert "10 of the 30 files of dataset `16` would be deleted (33%)" in answer.err
    assert "--accept-deletions" in answer.err
    done = _sync(user, "--delete", "--accept-deletions", "--json").json
    assert done["deleted"] == 10


def test_conflicts_are_told_until_somebody_decides(user, folder, store):
    _sync(user)
    store.put(BUCKET, "styles/16/1/1.jpg", b"theirs")
    assert _sync(user).code == 4
    assert _sync(user, "--on-conflict", "fail").code == 1
    assert _sync(user, "--on-conflict", "remote").code == 0
    assert (folder / "1/1.jpg").read_bytes() == b"theirs"
    assert _sync(user).code == 0


def test_the_manifest_is_written_beside_and_into_the_bucket(user, store, tmp_path):
    said = _sync(user, "--json", "--manifest-dir", "manifests", "--push-manifest").json
    assert Path(said["manifest_file"]).name == "16_s3_manifest.json"
    copy = "styles/16/.stocktake/manifests/16_s3_manifest.json"
    assert said["manifest_copy"] == f"s3://{BUCKET}/{copy}"
    assert store.head(BUCKET, copy).size_bytes > 1000
    assert _sync(user, "--json").json["total_s3"] == 30


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("nowhere", TARGET, "--dataset", "16"), 1, "the folder `nowhere` is not there"),
        (("photos", "s3://no-such/x", "--dataset", "16"), 1, "no-such"),
        (("photos", "photos", "--dataset", "16"), 2, "s3://"),
        ((TARGET, "photos", "--dataset", "16"), 2, "the first argument is the local folder"),
        (("photos", TARGET), 2, "--dataset"),
        (("photos", TARGET, "--dataset", "a/b"), 2, "a/b"),
        (("photos", TARGET, "--dataset", "16", "--on-conflict", "x"), 2, "--on-conflict"),
        (("photos", TARGET, "--dataset", "16", "--checksum", "--trust-times"), 2, "contradict"),
        (("photos", TARGET, "--dataset", "16", "--exclude", ""), 2, "glob"),
    ],
)
def test_likely_mistakes_are_named_and_leave_no_dataset(user, arguments, code, told):
    answer = user("sync", *arguments)
    assert (answer.code, told in answer.err) == (code, True), answer
    assert _datasets(user) == []


def test_a_dataset_elsewhere_is_not_taken_for_this_one(user):
    assert _sync(user).code == 0
    answer = user("sync", "photos", "s3://other-photos/x", "--dataset", "16")
    assert answer.code == 1
    assert f"{TARGET}/ already" in answer.err
    answer = user("sync", "photos", TARGET, "--dataset", "17")
    assert answer.code == 1
    assert "--dataset 16" in answer.err


def test_a_denied_bucket_and_a_dead_endpoint(user, fake):
    fake.behaviour.denied.add(("ListObjectsV2", BUCKET))
    try:
        answer = _sync(user)
    finally:
        fake.behaviour.denied.clear()
    assert answer.code == 1
    assert "s3:ListBucket" in answer.err
    dead = _sync(user, "--endpoint-url", "http://127.0.0.1:9")
    assert dead.code == 1
    assert "127.0.0.1:9" in dead.err


def test_ctrl_c_keeps_what_was_finished(store, folder, environment, tmp_path):
    for number in range(800):
        (folder / f"{number}.bin").write_bytes(b"%d" % number)
    shell = Shell(tmp_path, environment)
    process = shell.start("sync", "photos", TARGET, "--dataset", "16", "--workers", "1")
    while not _some(store):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert 0 < _datasets(Inside(tmp_path, environment))[0]["total_files"] < 830
    assert _sync(Inside(tmp_path, environment), "--json").json["total_local"] == 830


def _datasets(user: Inside) -> list[dict[str, Any]]:
    """What there is; nothing if there is not even a catalog."""
    return list(user("manifest", "list", "--json").json.get("datasets", []))


def _some(store: Store) -> bool:
    return len(store.list_page(ListQuery(BUCKET, "styles/")).objects) > 20
