"""`stocktake manifest export|push|pull|import` as users run it: MAN-1, MAN-2, MAN-4, MAN-5."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from acceptance_shell import Inside, Shell, help_of, members_in

from bag_reader import check_complete, check_tags, read_bag
from copy_world import BUCKET, COPY_KEY, PREFIX, SPEC, drop, put, upload
from stocktake.catalog import open_catalog
from stocktake.manifests import (
    Dataset,
    SegmentLog,
    create_dataset,
    manifest_prefix,
    open_dataset,
    parse_manifest,
)
from stocktake.store import ListQuery, Store, open_store
from stocktake.testing import Server, start_fake_s3

FOREIGN = {
    "style_id": 16,
    "title": "Foxes",
    "s3_bucket": BUCKET,
    "s3_prefix": PREFIX,
    "created_at": "2025-10-24T14:00:00.000Z",
    "total_files": 3,
    "files": [
        {
            "filename": "fox \u202e.jpg",
            "s3_key": f"{PREFIX}fox \u202e.jpg",
            "s3_url": f"https://{BUCKET}.s3.us-east-1.amazonaws.com/{PREFIX}fox \u202e.jpg",
            "size_bytes": 3,
            "md5_hash": "0" * 32 + "-2",
            "uploaded_at": "2025-10-24T14:30:00.123Z",
            "local_path": "/data/fox.jpg",
        },
        {"filename": "gone.jpg", "s3_key": f"{PREFIX}gone.jpg", "size_bytes": 3},
        {"filename": "no size.jpg", "s3_key": f"{PREFIX}no size.jpg"},
    ],
}

MISTAKES: tuple[tuple[tuple[str, ...], int, str], ...] = (
    (("push", "99"), 1, "there is no dataset `99`"),
    (("push",), 2, "name datasets, or --all"),
    (("push", "16", "--to", f"s3://{BUCKET}/folder/"), 2, "no address of a file"),
    (("push", "--all", "--to", f"s3://{BUCKET}/x.json"), 2, "one place is for one dataset"),
    (("pull", "16"), 1, "has no copy"),
    (("pull", f"s3://{BUCKET}/nothing/"), 1, "no copy of a manifest is kept"),
    (("pull", "s3://no-such-bucket-at-all/x.json"), 1, "no-such-bucket-at-all"),
    (("pull", f"s3://{BUCKET}/", "--all"), 2, "contradict"),
    (("export", "16", "--format", "xml"), 2, "--format is `xml`"),
    (("export", "16", "--format", "bagit"), 2, "a bag is a folder"),
    (("export", "16", "--json"), 2, "--json describes a file"),
    (("export", "16", "--out", "no/such/folder"), 2, "there is no folder"),
    (("export", "16", "--version", "7"), 1, "no version `7`"),
    (("import", "none.json"), 2, "cannot be read"),
    (("import", f"s3://{BUCKET}/none.json"), 1, "none.json"),
    (("import", f"s3://{BUCKET}/"), 2, "--shipped"),
    (("import", f"s3://{BUCKET}/in/", "--shipped", "x"), 1, "nothing was shipped"),
    (("import", "x", "--shipped", "x"), 2, "no S3 address"),
    (("import", f"s3://{BUCKET}/in/", "--shipped", "x", "--check"), 2, "neither --check"),
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with start_fake_s3(tmp_path_factory.mktemp("transfer-server")) as found:
        yield found


@pytest.fixture
def store(server: Server) -> Iterator[Store]:
    found = open_store(server.options())
    found.describe("CreateBucket", BUCKET)
    yield found
    keys = [one.key for one in found.list_page(ListQuery(BUCKET)).objects]
    found.delete(BUCKET, keys)
    found.close()


def host(tmp_path: Path, server: Server, name: str) -> Inside:
    home = tmp_path / name
    home.mkdir()
    environment = {**server.environment(), "STOCKTAKE_CATALOG": str(home / "catalog")}
    return Inside(home, environment)


@pytest.fixture
def ada(tmp_path: Path, server: Server) -> Inside:
    """A host with a dataset of two files."""
    found = host(tmp_path, server, "ada")
    with open_catalog(str(found.home / "catalog"), create=True) as catalog:
        put(create_dataset(catalog.state, SPEC), upload("a b", 1), upload("=b", 2))
    return found


@pytest.fixture
def bob(tmp_path: Path, server: Server) -> Inside:
    """A host without a catalog."""
    return host(tmp_path, server, "bob")


def edit(shell: Inside, *records: Any, without: tuple[str, ...] = ()) -> None:
    with open_catalog(str(shell.home / "catalog")) as catalog:
        dataset: Dataset = open_dataset(catalog.state, "16")
        put(dataset, *records)
        drop(dataset, *without)


def names_of(shell: Inside) -> list[str]:
    return [one["filename"] for one in shell("manifest", "show", "16", "--json").json["files"]]


def test_dataset_goes_to_another_host_and_back(store: Store, ada: Inside, bob: Inside) -> None:
    pushed = ada("manifest", "push", "16")
    assert (pushed.code, pushed.out) == (
        0,
        "16  version 1: nothing new there; copy written\n",
    )
    pulled = bob("manifest", "pull", f"s3://{BUCKET}/{PREFIX}")
    assert pulled.code == 0, pulled.err
    assert "16  version 1: took over 2 added; copy unchanged" in pulled.out
    assert names_of(bob) == names_of(ada) == ["=b", "a b"]
    edit(bob, upload("c", 3), without=("a b",))
    assert "2 changes here" in bob("manifest", "pull", "16").err, (
        "what the copy does not know yet is said"
    )
    assert bob("manifest", "push", "--all").code == 0
    answer = ada("manifest", "pull", "16", "--json")
    (copy,) = answer.json["copies"]
    assert (copy["added"], copy["deleted"], copy["written"]) == (1, 1, False)
    assert set(copy) == copy_members(ada)
    assert names_of(ada) == ["=b", "c"]


def copy_members(shell: Inside) -> set[str]:
    text = help_of(shell, "manifest", "push")
    start = text.index("copies:")
    return members_in("JSON " + text[text.index("{", start) :])


def test_copy_elsewhere_makes_the_dataset_as_well(store: Store, ada: Inside, bob: Inside) -> None:
    place = f"s3://{BUCKET}/backup/foxes.json"
    assert ada("manifest", "push", "16", "--to", place).code == 0
    assert bob("manifest", "pull", place).code == 0
    assert names_of(bob) == ["=b", "a b"]
    assert bob("manifest", "pull", "16", "--from", place).code == 0


def test_address_of_the_endpoint_is_in_the_manifest(
    store: Store, ada: Inside, server: Server
) -> None:
    ada("manifest", "push", "16")
    with store.get(BUCKET, COPY_KEY) as body:
        text = body.read().decode()
    assert f"{server.endpoint_url}/{BUCKET}/{PREFIX}a%20b" in text
    assert len(parse_manifest(text.encode()).records) == 2


def test_likely_mistakes_are_said(store: Store, ada: Inside) -> None:
    for words, code, said in MISTAKES:
        answer = ada("manifest", *words)
        told = answer.err or answer.out
        assert (answer.code, said in told) == (code, True), told
        assert "hint" in told or code == 1
        assert "Traceback" not in told


def test_endpoint_that_is_down_is_said(ada: Inside) -> None:
    dead = {"STOCKTAKE_ENDPOINT_URL": "http://127.0.0.1:9", "STOCKTAKE_ATTEMPTS": "1"}
    answer = ada("manifest", "push", "16", **dead)
    assert answer.code == 1
    assert "127.0.0.1:9" in answer.err


def test_what_both_changed_is_said(store: Store, ada: Inside, bob: Inside) -> None:
    ada("manifest", "push", "16")
    bob("manifest", "pull", f"s3://{BUCKET}/{PREFIX}")
    edit(bob, upload("a b", 5))
    edit(ada, upload("a b", 6))
    bob("manifest", "push", "16")
    answer = ada("manifest", "push", "16")
    assert answer.code == 0
    assert "1 file had been changed on both sides" in answer.err
    assert "ours is newer: styles/16/a b" in answer.err


def test_nothing_to_push_is_said(bob: Inside) -> None:
    bob("manifest", "create", "16", f"s3://{BUCKET}/{PREFIX}")
    bob("manifest", "forget", "16", "--yes")
    assert bob("manifest", "push", "--all").out == "no datasets yet\n"


def test_one_that_fails_does_not_stop_the_others(store: Store, ada: Inside) -> None:
    ada("manifest", "create", "bad", f"s3://{BUCKET}/bad/")
    store.put(BUCKET, "bad/.stocktake/manifests/bad_s3_manifest.json", b"no manifest")
    answer = ada("manifest", "push", "--all")
    assert answer.code == 3
    assert "16  version 1" in answer.out
    assert "failed   bad: " in answer.out


def test_manifest_of_another_program_is_taken_over(store: Store, bob: Inside) -> None:
    store.put(BUCKET, f"{PREFIX}fox \u202e.jpg", b"fox")
    (bob.home / "16.json").write_text(json.dumps(FOREIGN))
    looked = bob("manifest", "import", "16.json", "--check", "--dry-run")
    assert (looked.code, looked.out) == (3, "would enter up to 1 file\n")
    answer = bob("manifest", "import", "16.json", "--check")
    assert answer.code == 3, "an entry without a size is left out"
    assert answer.out == "16  version 1: 1 added, 0 replaced\n"
    assert "\u202e" not in answer.err + answer.out
    for said in ("multipart upload", "left out: no size", "not in the bucket, left out: styles"):
        assert said in answer.err
    assert names_of(bob) == ["fox \u202e.jpg"]
    again = bob("manifest", "import", "16.json", "--check", "--json")
    assert (again.json["added"], again.json["gone_files"]) == (0, 1)
    assert set(again.json) == members_in(help_of(bob, "manifest", "import"))


def test_manifest_comes_from_the_bucket_or_a_pipe(
    store: Store, bob: Inside, tmp_path: Path
) -> None:
    text = json.dumps({**FOREIGN, "files": FOREIGN["files"][:2], "style_id": None})
    store.put(BUCKET, "old/manifest.json", text.encode())
    answer = bob("manifest", "import", f"s3://{BUCKET}/old/manifest.json")
    assert (answer.code, "name it with --dataset" in answer.err) == (1, True)
    answer = bob("manifest", "import", f"s3://{BUCKET}/old/manifest.json", "--dataset", "16")
    assert (answer.code, answer.out) == (0, "16  version 1: 2 added, 0 replaced\n")
    piped = Shell(bob.home, bob.environment)(
        "manifest", "import", "-", "--dataset", "16", stdin=text
    )
    assert (piped.code, piped.out) == (0, "16  version 1: nothing new\n")


def test_what_ship_recorded_becomes_a_dataset(store: Store, bob: Inside) -> None:
    log = SegmentLog(store, BUCKET, manifest_prefix(PREFIX, "cameras"))
    log.append("ship1", 1, [upload("a", 1), upload("b", 2)])
    words = ("manifest", "import", f"s3://{BUCKET}/{PREFIX}", "--shipped", "cameras")
    answer = bob(*words, "--dataset", "16", "--json")
    assert (answer.code, answer.json["added"]) == (0, 2)
    assert names_of(bob) == ["a", "b"]
    assert bob(*words, "--dataset", "16").out == "16  version 1: nothing new\n"


def test_synchronised_dataset_names_the_endpoint_it_is_at(
    store: Store, bob: Inside, server: Server
) -> None:
    (bob.home / "files").mkdir()
    (bob.home / "files" / "a b").write_bytes(b"x")
    done = bob("sync", "files", f"s3://{BUCKET}/{PREFIX}", "--dataset", "16", "--push-manifest")
    assert done.code == 0, done.err
    (file,) = bob("manifest", "show", "16", "--json").json["files"]
    assert file["s3_url"] == f"{server.endpoint_url}/{BUCKET}/{PREFIX}a%20b"
    with store.get(BUCKET, COPY_KEY) as body:
        assert len(parse_manifest(body).records) == 1
    again = bob("sync", "files", f"s3://{BUCKET}/{PREFIX}", "--dataset", "16", "--json")
    assert (again.json["total_s3"], again.json["identical"]) == (1, 1), "the copy is no file of it"


def test_exports_are_what_they_say(ada: Inside) -> None:
    shell = Shell(ada.home, ada.environment)
    sums = shell("manifest", "export", "16", "--format", "sha256sum")
    assert sums.out == f"{2:064x}  =b\n{1:064x}  a b\n"
    assert "2 files of version 1" in sums.err
    words = ("manifest", "export", "16", "--out")
    assert ada(*words, "a.csv", "--format", "csv", "--spreadsheet-safe").code == 0
    assert "\n'=b," in (ada.home / "a.csv").read_text()
    assert ada(*words, "a.json").code == 0
    assert len(parse_manifest((ada.home / "a.json").read_bytes()).records) == 2
    answer = ada("manifest", "export", "16", "--format", "bagit", "--out", "bag", "--json")
    assert (answer.code, answer.json["files"], answer.json["left_out"]) == (0, 2, [])
    check_tags(read_bag(ada.home / "bag"))
    assert ada("manifest", "export", "16", "--format", "bagit", "--out", "bag").code == 1
    whole = ada("manifest", "export", "16", "--format", "md5sum", "--out", "MD5SUMS", "--json")
    assert whole.json["size_bytes"] == (ada.home / "MD5SUMS").stat().st_size
    members = members_in(help_of(ada, "manifest", "export").replace("JSON (with --out)", "JSON"))
    assert set(whole.json) == members


def test_bag_is_made_whole_by_restoring(store: Store, bob: Inside) -> None:
    names = ("a b", "100%.txt", "deep/er/line\nbreak", "=ä")
    for name in names:
        path = bob.home / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode() * 3)
    assert bob("sync", "files", f"s3://{BUCKET}/{PREFIX}", "--dataset", "16").code == 0
    assert bob("manifest", "export", "16", "--format", "bagit", "--out", "bag").code == 0
    restored = bob("manifest", "restore", "16", "--to", "bag/data")
    assert restored.code == 0, restored.err
    bag = read_bag(bob.home / "bag")
    check_complete(bag)
    assert set(bag.fetch) == {f"data/{name}" for name in names}


def test_what_a_format_cannot_have_is_said(ada: Inside) -> None:
    edit(ada, upload("up/../and away", 3), upload("folder/", 4))
    answer = ada("manifest", "export", "16", "--format", "bagit", "--out", "bag")
    assert answer.code == 3
    assert "a part `.` or `..`" in answer.err
    assert "2 files of version 2" in answer.out
    edit(ada, *(upload(f"{number}/", 10 + number) for number in range(12)))
    answer = ada("manifest", "export", "16", "--format", "md5sum", "--out", "MD5SUMS")
    assert answer.code == 3
    assert "left out 4 files more" in answer.err
    assert "2 files of version 3" in answer.out
