"""A dataset of 1,000 and of 10,000 files by the command alone: MAN-1, MAN-2, MAN-3, MAN-4, MAN-5.

Sync, change one file in a hundred, sync again, damage five objects behind its back, find exactly
those at each level that can, restore elsewhere, byte-identical.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from acceptance_shell import Answer, Shell

from stocktake.testing import FakeS3
from stocktake.testing._blobs import BytesBlob
from stocktake.testing._object_table import Version

PLACE = "s3://lake/styles/16/"
PREFIX = "styles/16/"


def write_files(folder: Path, files: int) -> dict[str, bytes]:
    chance = random.Random(16)
    bodies: dict[str, bytes] = {}
    for number in range(files):
        path = f"day-{number % 40:02d}/image {number:05d}.jpg"
        bodies[path] = chance.randbytes(chance.randrange(0, 600))
    for path, body in bodies.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(body)
    return bodies


def requests_of(answer: Answer) -> dict[str, int]:
    requests: dict[str, int] = answer.json["receipt"]["calls"]
    return requests


@dataclass
class Dataset:
    """A synchronised folder, its user, the server, and what every file holds."""

    shell: Shell
    server: FakeS3
    folder: Path
    bodies: dict[str, bytes]
    first: Answer

    @property
    def files(self) -> int:
        return len(self.bodies)

    @property
    def pages(self) -> int:
        """Of a listing: by 1,000, and the one that says there are no more."""
        return self.files // 1000 + 1

    def objects(self) -> dict[str, Version]:
        table = self.server.buckets["lake"].table
        keys = [PREFIX + path for path in self.bodies]
        found = {key: table.current(key) for key in keys}
        return {key: one for key, one in found.items() if one is not None}

    def put(self, version: Version) -> None:
        self.server.buckets["lake"].table.put(version)

    def load(self, version: Version) -> None:
        """As it would be if the disk changed it: no request was made."""
        self.server.buckets["lake"].table.load([version])


@pytest.fixture(params=[1_000, pytest.param(10_000, marks=pytest.mark.slow)])
def dataset(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Dataset]:
    home = tmp_path
    folder = home / "photos"
    bodies = write_files(folder, request.param)
    with FakeS3() as server:
        server.create_bucket("lake")
        identity = server.credentials
        environment = {
            "STOCKTAKE_ENDPOINT_URL": server.endpoint_url,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": identity.access_key_id,
            "AWS_SECRET_ACCESS_KEY": identity.secret_access_key,
        }
        shell = Shell(home, environment)
        first = shell("sync", "photos", PLACE, "--dataset", "16", "--json")
        yield Dataset(shell, server, folder, bodies, first)


def test_files_are_synchronised_damaged_found_and_restored(dataset: Dataset) -> None:
    check_the_first_sync(dataset)
    check_that_nothing_to_do_costs_a_listing_only(dataset)
    check_that_one_in_a_hundred_is_sent(dataset)
    check_the_manifest(dataset)
    damaged = damage_five(dataset)
    check_what_each_level_finds(dataset, damaged)
    check_that_a_restore_brings_nothing_damaged(dataset, damaged)
    check_that_a_sync_mends_what_a_person_decides(dataset, damaged)
    check_that_a_restore_is_byte_identical(dataset)


def check_the_first_sync(dataset: Dataset) -> None:
    answer = dataset.first
    assert answer.code == 0, answer.err
    said = answer.json
    summary = ("total_local", "total_s3", "missing_in_s3", "different", "identical")
    assert [said[name] for name in summary] == [dataset.files, 0, dataset.files, 0, 0]
    assert said["missing_locally"] == 0
    assert said["uploaded"] == dataset.files
    assert said["uploaded_bytes"] == sum(map(len, dataset.bodies.values()))
    assert requests_of(answer)["PutObject"] == dataset.files
    assert "HeadObject" not in requests_of(answer)
    assert len(dataset.objects()) == dataset.files


def check_that_nothing_to_do_costs_a_listing_only(dataset: Dataset) -> None:
    again = dataset.shell("sync", "photos", PLACE, "--dataset", "16", "--json")
    assert again.code == 0, again.err
    assert (again.json["identical"], again.json["uploaded"]) == (dataset.files, 0)
    assert set(requests_of(again)) == {"ListObjectsV2"}
    assert requests_of(again)["ListObjectsV2"] <= dataset.pages
    assert again.json["version"] == dataset.first.json["version"]


def check_that_one_in_a_hundred_is_sent(dataset: Dataset) -> None:
    changed = dataset.files // 100
    chosen = random.Random(1).sample(sorted(dataset.bodies), changed)
    for path in chosen:
        body = b"changed " + path.encode()
        dataset.bodies[path] = body
        (dataset.folder / path).write_bytes(body)
    answer = dataset.shell("sync", "photos", PLACE, "--dataset", "16", "--json")
    assert answer.code == 0, answer.err
    said = answer.json
    assert (said["different"], said["uploaded"], said["identical"]) == (
        *(changed, changed),
        dataset.files - changed,
    )
    assert said["uploaded_bytes"] == sum(len(dataset.bodies[path]) for path in chosen)
    assert requests_of(answer)["PutObject"] == changed
    assert requests_of(answer)["ListObjectsV2"] <= dataset.pages
    assert said["version"] > dataset.first.json["version"]


def check_the_manifest(dataset: Dataset) -> None:
    """MAN-1: the fields that readers have, beside ours."""
    again = dataset.shell("sync", "photos", PLACE, "--dataset", "16", "--json")
    file = Path(again.json["manifest_file"])
    assert (file.parent.name, file.name) == ("manifests", "16_s3_manifest.json")
    said = json.loads(file.read_text(encoding="utf-8"))
    assert said["style_id"] == said["dataset_id"] == "16"
    assert (said["s3_bucket"], said["s3_prefix"]) == ("lake", PREFIX)
    assert said["total_files"] == len(said["files"]) == dataset.files
    assert said["total_size_bytes"] == sum(map(len, dataset.bodies.values()))
    by_path = {one["local_path"]: one for one in said["files"]}
    assert set(by_path) == set(dataset.bodies)
    for path, body in dataset.bodies.items():
        one = by_path[path]
        assert one["md5_hash"] == hashlib.md5(body, usedforsecurity=False).hexdigest()
        assert one["sha256"] == hashlib.sha256(body).hexdigest()
        assert (one["filename"], one["s3_key"]) == (path, PREFIX + path)
        assert one["s3_url"].startswith(f"{dataset.server.endpoint_url}/lake/{PREFIX}day-")
        assert one["size_bytes"] == len(body)
        assert one["uploaded_at"].endswith("Z")


def damage_five(dataset: Dataset) -> dict[str, str]:
    """Five objects, each harmed in another way: how -> key."""
    objects = dataset.objects()
    large = sorted(key for key, one in objects.items() if one.size_bytes > 100)
    keys = random.Random(2).sample(large, 5)
    hows = ("deleted", "truncated", "other bytes", "written again", "rotten")
    chosen = dict(zip(hows, keys, strict=True))
    table = dataset.server.buckets["lake"].table
    now = objects[keys[0]].last_modified
    table.delete(chosen["deleted"], now)

    def harmed(how: str, body: bytes) -> Version:
        md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
        version = objects[chosen[how]]
        return replace(version, blob=BytesBlob(body), etag=md5, metadata={}, checksums={})

    def body_of(how: str) -> bytes:
        return dataset.bodies[chosen[how].removeprefix(PREFIX)]

    dataset.put(harmed("truncated", body_of("truncated")[:-1]))
    dataset.put(harmed("other bytes", body_of("other bytes")[:-1] + b"\0"))
    dataset.put(harmed("written again", body_of("written again")))
    rotten = bytearray(body_of("rotten"))
    rotten[50] ^= 1
    dataset.load(replace(objects[chosen["rotten"]], blob=BytesBlob(bytes(rotten))))
    return chosen


def check_what_each_level_finds(dataset: Dataset, damaged: dict[str, str]) -> None:
    seen = {
        "list": ("deleted", "truncated", "other bytes"),
        "head": ("deleted", "truncated", "other bytes", "written again"),
        "full": ("deleted", "truncated", "other bytes", "written again", "rotten"),
    }
    for level, hows in seen.items():
        answer = dataset.shell("manifest", "verify", "16", "--level", level, "--json")
        assert answer.code == 4, (level, answer.err)
        (said,) = answer.json["datasets"]
        found = {one["key"]: one["what"] for one in said["findings"]}
        assert set(found) == {damaged[how] for how in hows}, level
        assert found[damaged["deleted"]] == "missing"
        assert found[damaged["truncated"]] == "size"
        calls = said["calls"]
        assert calls["ListObjectsV2"] <= dataset.pages
        # what the listing already found wrong needs no further request
        assert calls.get("HeadObject", 0) <= (dataset.files if level == "head" else 0)
        assert calls.get("GetObject", 0) <= (dataset.files if level == "full" else 0)
        assert said["checked"] == dataset.files
    local = dataset.shell(
        "manifest", "verify", "16", "--level", "local", "--folder", "photos", "--json"
    )
    (said,) = local.json["datasets"]
    assert (local.code, said["findings"], said["calls"]) == (0, [], {})


def check_that_a_restore_brings_nothing_damaged(dataset: Dataset, damaged: dict[str, str]) -> None:
    wanted = [part for key in damaged.values() for part in ("--include", key.removeprefix(PREFIX))]
    answer = dataset.shell("manifest", "restore", "16", "--to", "partly", *wanted, "--json")
    assert answer.code == 3, answer.err
    # the same bytes are the same bytes, whoever wrote them
    lost = {key for how, key in damaged.items() if how != "written again"}
    assert {one["key"] for one in answer.json["findings"]} == lost
    assert answer.json["files"] == 1
    assert not list((dataset.shell.home / "partly").rglob("*.part"))
    for key in lost:
        assert not (dataset.shell.home / "partly" / key.removeprefix(PREFIX)).exists()


def check_that_a_sync_mends_what_a_person_decides(
    dataset: Dataset, damaged: dict[str, str]
) -> None:
    """What changed behind our back is told, and written over only when somebody says so."""
    told = dataset.shell("sync", "photos", PLACE, "--dataset", "16", "--dry-run", "--json")
    assert told.code == 4, told.err
    conflicts = {one["key"] for one in told.json["findings"] if one["kind"] == "conflict"}
    assert conflicts == {damaged["truncated"], damaged["other bytes"]}
    mended = dataset.shell(
        *("sync", "photos", PLACE, "--dataset", "16", "--on-conflict", "local", "--json")
    )
    assert mended.code == 0, mended.err
    assert mended.json["uploaded"] == 3
    # a rotten object has the right size and ETag: only reading it tells, only sending it mends
    key = damaged["rotten"]
    dataset.server.buckets["lake"].table.delete(key, dataset.objects()[key].last_modified)
    resent = dataset.shell("sync", "photos", PLACE, "--dataset", "16", "--json")
    assert (resent.code, resent.json["uploaded"]) == (0, 1), resent.err


def check_that_a_restore_is_byte_identical(dataset: Dataset) -> None:
    answer = dataset.shell("manifest", "restore", "16", "--to", "elsewhere", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["files"] == dataset.files
    target = dataset.shell.home / "elsewhere"
    found = {
        os.path.relpath(os.path.join(place, name), target): Path(place, name).read_bytes()  # noqa: PTH118
        for place, _, names in os.walk(target)
        for name in names
    }
    assert found == dataset.bodies
