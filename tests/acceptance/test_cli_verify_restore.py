"""`stocktake manifest verify|restore|runs`: is it still there, and bring it back (MAN-4, MAN-5)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from acceptance_shell import Inside, Shell, help_of, members_in

from stocktake.store import Store, open_store
from stocktake.testing import FakeS3
from stocktake.testing._blobs import BytesBlob

BUCKET, PREFIX = "verify-photos", "styles/16/"
TARGET = f"s3://{BUCKET}/{PREFIX}"
FILES = {
    **{f"covers/{n:03d}.jpg": b"a" * (100 + n) for n in range(20)},
    "deep/er/ü 1.txt": b"text",
    "empty": b"",
}


@pytest.fixture
def fake() -> Iterator[FakeS3]:
    with FakeS3() as server:
        server.create_bucket(BUCKET)
        yield server


@pytest.fixture
def store(fake: FakeS3) -> Iterator[Store]:
    store = open_store(fake.options())
    yield store
    store.close()


@pytest.fixture
def user(fake: FakeS3, tmp_path: Path) -> Inside:
    """A user who has synchronised a folder."""
    home = tmp_path / "home"
    for name, body in FILES.items():
        path = home / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        os.utime(path, (1_700_000_000, 1_700_000_000))
    environment = {
        "AWS_ENDPOINT_URL": fake.endpoint_url,
        "AWS_ACCESS_KEY_ID": fake.credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": fake.credentials.secret_access_key,
        "AWS_REGION": fake.region,
    }
    user = Inside(home, environment)
    answer = user("sync", "photos", TARGET, "--dataset", "16", "--title", "Watercolour")
    assert answer.code == 0, answer
    return user


def _damage(fake: FakeS3, store: Store) -> None:
    """Four kinds, behind the manifest's back."""
    store.delete(BUCKET, [PREFIX + "covers/001.jpg"])
    store.put(BUCKET, PREFIX + "covers/002.jpg", b"b" * 102)
    table = fake.buckets[BUCKET].table
    version = table.find(PREFIX + "covers/003.jpg")
    table.put(replace(version, blob=BytesBlob(b"c" * version.size_bytes)))
    store.put(BUCKET, PREFIX + "covers/<b>\u202egpj.exe", b"new")


def _found(document: dict) -> dict[str, str]:
    (dataset,) = document["datasets"]
    return {one["key"].removeprefix(PREFIX): one["what"] for one in dataset["findings"]}


def _tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_what_was_uploaded_is_verified_and_restored(user: Inside) -> None:
    for level, calls in (
        ("list", {"ListObjectsV2": 1}),
        ("head", {"ListObjectsV2": 1, "HeadObject": 22}),
        ("full", {"ListObjectsV2": 1, "GetObject": 22}),
        ("local", {}),
    ):
        answer = user("manifest", "verify", "16", "--level", level, "--json")
        assert answer.code == 0, answer
        (told,) = answer.json["datasets"]
        assert (told["identical"], told["unproven"], told["calls"]) == (22, 0, calls)
    answer = user("manifest", "restore", "16", "--to", "copy", "--json")
    assert answer.code == 0, answer
    assert (answer.json["files"], answer.json["calls"]) == (22, {"GetObject": 22})
    assert _tree(user.home / "copy") == FILES
    assert (user.home / "copy/covers/001.jpg").stat().st_mtime == 1_700_000_000
    again = user("manifest", "restore", "16", "--to", "copy", "--json").json
    assert (again["files"], again["identical"], again["calls"]) == (0, 22, {})


def test_damage_is_found_by_each_level_that_can(user: Inside, fake: FakeS3, store: Store) -> None:
    _damage(fake, store)
    by_list = {"covers/001.jpg": "missing", "covers/002.jpg": "etag"}
    by_list["covers/<b>\u202egpj.exe"] = "extra"
    by_bytes = {**by_list, "covers/002.jpg": "checksum", "covers/003.jpg": "checksum"}
    by_head = {**by_list, "covers/002.jpg": "etag"}
    for level, expected in (("list", by_list), ("head", by_head), ("full", by_bytes)):
        answer = user("manifest", "verify", "16", "--level", level, "--json")
        assert answer.code == 4, answer
        assert _found(answer.json) == expected, level
    people = user("manifest", "verify", "16")
    assert people.code == 4
    assert "20 as they should be, 1 missing, 1 extra, 1 etag" in people.out
    assert "requests: 1 ListObjectsV2" in people.out
    assert "list cannot see" in people.err
    assert "\u202e" not in people.out + people.err


def test_what_cannot_be_restored_is_said_and_the_rest_comes(
    user: Inside, fake: FakeS3, store: Store
) -> None:
    _damage(fake, store)
    answer = user("manifest", "restore", "16", "--to", "copy", "--json")
    assert answer.code == 3
    assert answer.json["problems"] == {"changed": 1, "gone": 1, "mismatch": 1}
    assert len(_tree(user.home / "copy")) == 19
    people = user("manifest", "restore", "16", "--to", "copy")
    assert people.code == 3
    assert "3 not restored: 1 changed, 1 gone, 1 mismatch" in people.out
    assert "19 were there already, with the right bytes" in people.out
    assert max(map(len, people.out.splitlines())) <= 80


def test_earlier_version_comes_back(fake: FakeS3, store: Store, tmp_path: Path) -> None:
    versioning = {"Status": "Enabled"}
    store.describe("PutBucketVersioning", BUCKET, VersioningConfiguration=versioning)
    home = tmp_path / "home"
    (home / "photos").mkdir(parents=True)
    identity = fake.credentials
    user = Inside(
        home,
        {
            "AWS_ENDPOINT_URL": fake.endpoint_url,
            "AWS_ACCESS_KEY_ID": identity.access_key_id,
            "AWS_SECRET_ACCESS_KEY": identity.secret_access_key,
            "AWS_REGION": fake.region,
        },
    )
    for text, name in ((b"one", "a"), (b"two", "a"), (b"three", "b")):
        (home / "photos" / name).write_bytes(text)
        assert user("sync", "photos", TARGET, "--dataset", "16").code == 0
    for version, tree in (
        ("1", {"a": b"one"}),
        ("previous", {"a": b"two"}),
        ("latest", {"a": b"two", "b": b"three"}),
    ):
        answer = user("manifest", "restore", "16", "--to", f"v-{version}", "--version", version)
        assert answer.code == 0, answer
        assert _tree(home / f"v-{version}") == tree
    answer = user("manifest", "restore", "16", "--to", "x", "--at", "2001-01-01")
    assert answer.code == 1
    assert "no version of 2001-01-01" in answer.err


def test_runs_are_the_download_history(user: Inside) -> None:
    user("manifest", "restore", "16", "--to", "copy")
    user("manifest", "verify", "16")
    document = user("manifest", "runs", "16", "--json").json
    assert [one["kind"] for one in document["runs"]] == ["verify", "restore", "sync"]
    assert document["runs"][1]["place"] == str((user.home / "copy").resolve())
    assert document["runs"][1]["result"]["files"] == 22
    people = user("manifest", "runs", "16", "--kind", "restore")
    assert "restore done, version 1" in people.out
    assert "22 restored" in people.out
    assert "verify" not in people.out


def test_answers_have_exactly_the_members_that_the_help_names(user: Inside) -> None:
    commands = {
        ("manifest", "verify"): ("16",),
        ("manifest", "restore"): ("16", "--to", "copy"),
        ("manifest", "runs"): ("16",),
    }
    for words, arguments in commands.items():
        document = user(*words, *arguments, "--json").json
        assert set(document) == members_in(help_of(user, *words)), words
    (told,) = user("manifest", "verify", "16", "--json").json["datasets"]
    text = help_of(user, "manifest", "verify")
    assert all(name in text for name in told), set(told)


MISTAKES: tuple[tuple[tuple[str, ...], int, str, str], ...] = (
    (("verify", "17"), 1, "no dataset `17`", "16"),
    (("verify",), 2, "name datasets, or --all", "manifest list"),
    (("verify", "16", "--level", "deep"), 2, "`deep`", "list, head, full, local"),
    (("verify", "16", "--sample", "5"), 2, "takes no sample", "sample `head` or `full`"),
    (("verify", "16", "--folder", "nowhere"), 1, "`nowhere` is not there", ""),
    (("verify", "16", "--level", "full", "--folder", "photos"), 2, "level local", ""),
    (("restore", "16"), 2, "--to", ""),
    (("restore", "16", "--to", "s3://b/p"), 2, "local folder", ""),
    (("restore", "16", "--to", "photos/empty"), 1, "is no folder", ""),
    (("restore", "16", "--to", "x", "--version", "9"), 1, "no version", "manifest history"),
    (("restore", "16", "--to", "x", "--overwrite", "all"), 2, "`all`", "different, always"),
    (("runs", "16", "--kind", "download"), 2, "`download`", "sync, verify, restore"),
)


def test_likely_mistakes_say_what_to_do(user: Inside) -> None:
    for words, code, said, hint in MISTAKES:
        answer = user("manifest", *words)
        assert answer.code == code, answer
        assert said in answer.err, words
        assert hint in answer.err, words


def test_store_that_refuses_is_named_with_the_permission(user: Inside, fake: FakeS3) -> None:
    fake.behaviour.denied.add(("GetObject", BUCKET))
    answer = user("manifest", "restore", "16", "--to", "copy")
    assert answer.code == 3
    assert "22 unreadable" in answer.out
    assert "s3:GetObject" in answer.err
    fake.behaviour.denied.add(("ListObjectsV2", BUCKET))
    answer = user("manifest", "verify", "16")
    assert answer.code == 1
    assert "s3:ListBucket" in answer.err
    fake.buckets.clear()
    assert "no such bucket" in user("manifest", "verify", "16").err.lower()


def test_several_datasets_are_verified_and_one_that_fails_stops_nobody(
    user: Inside, store: Store
) -> None:
    user("manifest", "create", "17", "s3://no-such-bucket/x/")
    answer = user("manifest", "verify", "--all", "--json")
    assert answer.code == 3
    first, second = answer.json["datasets"]
    assert first["identical"] == 22
    assert second["error"]["code"] == "bucket-not-found"
    store.delete(BUCKET, [PREFIX + "empty"])
    assert user("manifest", "verify", "--all").code == 4


def test_restore_of_the_real_command(user: Inside) -> None:
    shell = Shell(user.home, {name: user.environment[name] for name in user.environment})
    answer = shell("manifest", "restore", "16", "--to", "copy", "--include", "deep")
    assert answer.code == 0, answer
    assert _tree(user.home / "copy") == {"deep/er/ü 1.txt": b"text"}
    assert "21 not asked for" in answer.out
