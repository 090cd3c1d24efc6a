"""Synchronising both ways, and what a run that died has left (MAN-3, MAN-5)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from folder_sync_world import (
    BUCKET,
    PREFIX,
    FolderSyncWorld,
    SyncServer,
    folder_sync_world,
    sync_server,
)
from stocktake.errors import (
    DatasetBusyError,
    DeletionRefusedError,
    ObjectNotFoundError,
    StoreUnavailableError,
)
from stocktake.manifests import DatasetSpec, RunKind, create_dataset
from stocktake.manifests._local_digests import place_of
from stocktake.state import dataset_runs
from stocktake.testing import Planned

MANY = {f"d/{number:02}": b"%d" % number for number in range(20)}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SyncServer]:
    with sync_server(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def world(tmp_path: Path, server: SyncServer) -> Iterator[FolderSyncWorld]:
    with folder_sync_world(tmp_path, server) as world:
        yield world


def test_both_sides_have_everything_afterwards(world: FolderSyncWorld) -> None:
    world.write({"here": b"h"})
    world.put("d/e/there", b"t")
    result = world.sync(two_way=True)
    world.check_agreement()
    assert (result.uploaded, result.downloaded, result.downloaded_bytes) == (1, 1, 1)
    assert world.entries()["d/e/there"].record.verified_by == "read-back"
    assert world.sync(two_way=True).identical == 2
    assert world.calls == {"ListObjectsV2": 1}


def test_changes_of_either_side_come_to_the_other(world: FolderSyncWorld) -> None:
    world.write({"a": b"1", "b": b"2"})
    world.sync()
    world.write({"a": b"one"})
    world.put("b", b"two")
    result = world.sync(two_way=True)
    world.check_agreement()
    assert world.files() == {"a": b"one", "b": b"two"}
    assert (result.uploaded, result.downloaded, result.conflicts) == (1, 1, 0)


def test_what_changed_on_both_sides_is_left_alone(world: FolderSyncWorld) -> None:
    world.write({"a": b"1"})
    world.sync()
    world.write({"a": b"one"})
    world.put("a", b"two")
    result = world.sync(two_way=True)
    assert (result.conflicts, result.uploaded, result.downloaded) == (1, 0, 0)
    assert (world.files(), world.objects()) == ({"a": b"one"}, {"a": b"two"})


def test_the_same_change_on_both_sides_is_no_conflict(world: FolderSyncWorld) -> None:
    world.write({"a": b"1"})
    world.sync()
    world.write({"a": b"same"})
    world.put("a", b"same")
    result = world.sync(two_way=True)
    assert (result.conflicts, result.recorded) == (0, 1)
    world.check_agreement()


def test_deletions_go_both_ways_if_asked(world: FolderSyncWorld) -> None:
    world.write(MANY)
    world.sync()
    (world.folder / "d/03").unlink()
    world.store.delete(BUCKET, [PREFIX + "d/05"])
    result = world.sync(two_way=True, delete=True)
    assert (result.deleted, result.deleted_locally) == (1, 1)
    world.check_agreement()
    assert len(world.files()) == 18


def test_without_deletions_what_is_gone_from_one_side_comes_back(world: FolderSyncWorld) -> None:
    world.write(MANY)
    world.sync()
    (world.folder / "d/03").unlink()
    world.store.delete(BUCKET, [PREFIX + "d/05"])
    result = world.sync(two_way=True)
    assert (result.uploaded, result.downloaded) == (1, 1)
    assert world.files() == MANY
    world.check_agreement()


def test_a_change_beats_a_deletion(world: FolderSyncWorld) -> None:
    world.write(MANY)
    world.sync()
    (world.folder / "d/03").unlink()
    world.put("d/03", b"new")
    world.store.delete(BUCKET, [PREFIX + "d/05"])
    world.write({"d/05": b"newer"})
    world.sync(two_way=True, delete=True)
    world.check_agreement()
    assert (world.files()["d/03"], world.files()["d/05"]) == (b"new", b"newer")


def test_an_emptied_bucket_deletes_no_file(world: FolderSyncWorld) -> None:
    world.write(MANY)
    world.sync()
    world.store.delete(BUCKET, [PREFIX + name for name in MANY])
    with pytest.raises(DeletionRefusedError):
        world.sync(two_way=True, delete=True)
    assert world.files() == MANY


@pytest.mark.parametrize(
    "key", ["../out", "/abs", "a//b", "x/../../y", "line\nfeed", "c" * 300], ids=str.__repr__
)
def test_keys_that_are_no_file_names_are_told_and_hinder_nobody(
    world: FolderSyncWorld, key: str
) -> None:
    try:
        world.put(key, b"x")
    except ObjectNotFoundError:
        pytest.fail("the fake keeps every key")
    world.put("fine", b"y")
    outside = sorted(path.name for path in world.folder.parent.iterdir())
    result = world.sync(two_way=True)
    assert (result.downloaded, result.failed) == (1, 1)
    assert world.files() == {"fine": b"y"}
    assert sorted(path.name for path in world.folder.parent.iterdir()) == outside


def test_a_download_that_breaks_leaves_nothing_half(world: FolderSyncWorld) -> None:
    world.put("a", b"x" * 3_000_000)
    cut = StoreUnavailableError("cut")
    world.store.add(Planned("get", cut, after_bytes=1_500_000))
    assert world.sync(two_way=True).state == "partial"
    assert world.files() == {}
    assert list(world.folder.iterdir()) == []
    assert world.sync(two_way=True).downloaded == 1
    world.check_agreement()


def test_times_of_files_travel_with_them(world: FolderSyncWorld, tmp_path: Path) -> None:
    world.write({"a": b"x"})
    os.utime(world.folder / "a", ns=(10**18, 10**18))
    world.sync()
    world.folder = tmp_path / "other"
    world.folder.mkdir()
    world.sync(two_way=True)
    assert (world.folder / "a").stat().st_mtime_ns == 10**18


def test_a_second_process_at_the_same_folder_is_refused(world: FolderSyncWorld) -> None:
    world.write({"a": b"x"})
    run_id = world.dataset.begin_run(RunKind.SYNC, place=place_of(world.folder), version=0)
    with pytest.raises(DatasetBusyError, match=str(os.getpid())):
        world.sync()
    assert world.objects() == {}
    world.dataset.end_run(run_id, "done", {})
    assert world.sync().uploaded == 1


def test_what_a_dead_run_left_is_ended(world: FolderSyncWorld) -> None:
    world.write({"a": b"x"})
    dead = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"],
        check=True,
        capture_output=True,
        text=True,
    )
    run_id = world.dataset.begin_run(RunKind.SYNC, place=place_of(world.folder), version=0)
    with world.state.write() as connection:
        connection.execute(dataset_runs.update().values(owner_pid=int(dead.stdout)))
    known = world.store.begin_upload(BUCKET, PREFIX + "big")
    known.put_part(1, b"x")
    world.dataset.note_upload(PREFIX + "big", "token-1", known.upload_id, run_id)
    world.dataset.note_upload(PREFIX + "lost", "token-2", None, run_id)
    world.store.begin_upload(BUCKET, PREFIX + "lost")
    foreign = world.store.begin_upload(BUCKET, PREFIX + "theirs")
    result = world.sync()
    assert result.uploaded == 1
    assert [one["UploadId"] for one in world.open_uploads()] == [foreign.upload_id]
    assert world.dataset.uploads() == []
    assert {run.state for run in world.dataset.runs()} == {"failed", "done"}


def test_an_upload_of_a_run_that_lives_is_left_alone(world: FolderSyncWorld) -> None:
    other = world.dataset.begin_run(RunKind.SYNC, place="elsewhere:/folder", version=0)
    upload = world.store.begin_upload(BUCKET, PREFIX + "big")
    world.dataset.note_upload(PREFIX + "big", "token-1", upload.upload_id, other)
    world.write({"a": b"x"})
    world.sync()
    assert len(world.open_uploads()) == 1
    assert len(world.dataset.uploads()) == 1


def test_two_folders_share_a_dataset(world: FolderSyncWorld, tmp_path: Path) -> None:
    world.write({"a": b"x", "both": b"1"})
    world.sync(two_way=True)
    first, world.folder = world.folder, tmp_path / "second"
    world.folder.mkdir()
    world.write({"b": b"y"})
    world.sync(two_way=True)
    world.check_agreement()
    world.folder = first
    world.sync(two_way=True)
    world.check_agreement()
    assert world.files() == {"a": b"x", "both": b"1", "b": b"y"}


def test_another_dataset_of_the_bucket_is_not_touched(world: FolderSyncWorld) -> None:
    other = create_dataset(world.state, DatasetSpec("17", "Other", BUCKET, "set2/"))
    world.inner.put(BUCKET, "set2/x", b"x")
    world.write({"a": b"x"})
    world.sync(two_way=True, delete=True, accept_deletions=True)
    assert set(world.files()) == {"a"}
    assert world.inner.head(BUCKET, "set2/x").size_bytes == 1
    assert other.info().total_files == 0
