"""What `ship check` finds (SHP-1): folders, libraries, memory, the bucket and its abilities."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from arrival_folder import Watched

from stocktake.clock import SystemClock
from stocktake.ship import ShipSettings
from stocktake.ship import _check as check_module
from stocktake.ship import _check_machine as machine_module
from stocktake.ship._check import Finding, Level, check_settings
from stocktake.ship._check_machine import check_machine
from stocktake.ship._lease import Lease
from stocktake.store import S3_UPLOADS, ListQuery, Store, iter_listing, open_store
from stocktake.testing import FakeS3


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    with FakeS3() as fake:
        fake.create_bucket("landing")
        with closing(open_store(fake.options())) as opened:
            yield opened


def machine(settings: ShipSettings) -> dict[str, Finding]:
    return {one.name: one for one in check_machine(settings)}


def bad(found: list[Finding]) -> list[str]:
    return [one.name for one in found if one.level is Level.FAIL]


def test_shp_1_everything_is_well(watched: Watched, store: Store) -> None:
    watched.write("a.txt")
    found = check_settings(watched.settings, store)
    assert bad(found) == []
    by_name = {one.name: one for one in found}
    assert by_name["bucket"].level is Level.OK
    assert by_name["lease"].message == "the kernel says who is still writing"
    assert by_name["error-folder"].level is Level.OK
    assert by_name["clock"].level is Level.OK
    for name in ("crc64nvme", "full-object-crc", "put-if-absent", "complete-if-absent"):
        assert by_name[name].level is Level.OK
    assert by_name["bucket"].to_dict()["level"] == "ok"


def test_shp_1_checking_leaves_nothing_behind(watched: Watched, store: Store) -> None:
    check_settings(watched.settings, store)
    pages = iter_listing(store, ListQuery("landing"))
    assert [one.key for page in pages for one in page.objects] == []
    assert store.describe("ListMultipartUploads", "landing").get("Uploads", []) == []
    assert list(watched.folder.iterdir()) == []
    assert not watched.settings.state_folder.exists()


def test_shp_1_a_bucket_that_is_not_there(watched: Watched, store: Store) -> None:
    found = check_settings(replace(watched.settings, bucket="another"), store)
    (one,) = [one for one in found if one.level is Level.FAIL]
    assert one.name == "bucket"
    assert "s3://another/" in one.message
    assert one.hint


def test_shp_1_a_store_that_is_not_there(watched: Watched) -> None:
    with FakeS3() as fake:
        options = fake.options()
    options = replace(options, connect_timeout_s=0.2, retry=replace(options.retry, attempts_max=1))
    with closing(open_store(options)) as store:
        assert bad(check_settings(watched.settings, store)) == ["bucket"]


def test_shp_1_abilities_that_a_store_lacks_are_warnings(
    watched: Watched, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking = replace(S3_UPLOADS, full_object_crc=False, complete_if_absent=False)
    monkeypatch.setattr(check_module, "probe_uploads", lambda *_, **__: lacking)
    found = {one.name: one for one in check_settings(watched.settings, store)}
    assert found["full-object-crc"].level is Level.WARN
    assert found["complete-if-absent"].level is Level.WARN
    assert found["put-if-absent"].level is Level.OK


@pytest.mark.parametrize(
    ("ahead_s", "level"), [(0, Level.OK), (120, Level.WARN), (-120, Level.WARN), (900, Level.FAIL)]
)
def test_shp_1_a_clock_that_is_off(
    watched: Watched,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    ahead_s: float,
    level: Level,
) -> None:
    class Clock(SystemClock):
        def now(self) -> Any:
            return super().now() + timedelta(seconds=ahead_s)

    monkeypatch.setattr(check_module, "probe_uploads", lambda *_, **__: S3_UPLOADS)
    found = check_settings(watched.settings, store, clock=Clock())
    (one,) = [one for one in found if one.name == "clock"]
    assert one.level is level
    assert (one.hint is None) == (level is Level.OK)


def test_shp_1_a_folder_that_is_not_there(watched: Watched) -> None:
    found = machine(replace(watched.settings, folder=watched.root / "gone"))
    assert found["folder"].level is Level.FAIL
    assert "lease" not in found


def test_shp_1_a_network_file_system_is_told(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine_module, "file_system", lambda _: ("nfs", False))
    found = machine(watched.settings)
    assert found["file-system"].level is Level.WARN
    assert "20 s" in found["file-system"].message
    assert found["state-folder"].level is Level.WARN


def test_shp_1_files_of_others_cannot_be_asked_about(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "no file is there yet" in machine(watched.settings)["lease"].message
    watched.write("a.txt")
    monkeypatch.setattr(machine_module, "probe_lease", lambda _: Lease.UNKNOWN)
    assert machine(watched.settings)["lease"].level is Level.WARN


def test_fault_62_an_error_folder_on_another_file_system_is_told(watched: Watched) -> None:
    elsewhere = Path("/dev/shm/failed")
    found = machine(replace(watched.settings, error_folder=elsewhere))["error-folder"]
    assert found.level is Level.WARN
    assert "stay where they are" in found.message


def test_shp_1_folders_that_cannot_be_written(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    found = machine(watched.settings)
    assert found["error-folder"].level is Level.WARN
    assert found["state-folder"].level is Level.FAIL


def test_fault_61_little_space_for_the_ledger_is_told(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    for free_bytes, level in ((1 << 20, Level.FAIL), (1 << 28, Level.WARN), (1 << 31, Level.OK)):
        usage = type("Usage", (), {"free": free_bytes})
        monkeypatch.setattr(machine_module.shutil, "disk_usage", lambda _, usage=usage: usage)
        assert machine(watched.settings)["state-space"].level is level


def test_fault_08_more_folders_than_watches_is_told(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        (watched.folder / str(number)).mkdir()
    read = machine_module._read
    monkeypatch.setattr(machine_module, "_read", lambda p: "3" if "inotify" in p else read(p))
    found = machine(watched.settings)["notices"]
    assert found.level is Level.WARN
    assert "sysctl" in (found.hint or "")
    monkeypatch.setattr(machine_module, "_read", lambda _: "")
    assert "no inotify" in machine(watched.settings)["notices"].message


def test_shp_13_more_workers_than_memory_is_told(watched: Watched) -> None:
    assert machine(replace(watched.settings, workers=1))["memory"].level is Level.OK
    found = machine(replace(watched.settings, workers=100_000))["memory"]
    assert found.level is Level.WARN
    assert "--workers" in (found.hint or "")


def test_shp_1_missing_libraries_are_named_with_the_command(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    absent = {"awscrt", "watchfiles"}

    def find_some(name: str) -> object:
        return None if name in absent else find(name)

    monkeypatch.setattr(importlib.util, "find_spec", find_some)
    found = [one for one in check_machine(watched.settings) if one.name == "library"]
    assert [(one.message.split()[0], one.level) for one in found] == [
        ("awscrt", Level.FAIL),
        ("watchfiles", Level.WARN),
    ]
    assert {one.hint for one in found} == {"pip install 'stocktake[ship]'"}
