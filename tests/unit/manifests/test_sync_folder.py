"""Synchronising a folder: what goes up, what is left alone, what the manifest says (MAN-3)."""

from __future__ import annotations

import os
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
from stocktake.errors import DeletionRefusedError, LocalFolderError, SyncConflictError
from stocktake.manifests._compare import OnConflict
from stocktake.manifests._sync_values import LocalCheck

FILES = {"a.jpg": b"first", "d/b.jpg": b"second" * 1000, "d/e/ü é.txt": b"", "z": b"last"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SyncServer]:
    with sync_server(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def world(tmp_path: Path, server: SyncServer) -> Iterator[FolderSyncWorld]:
    with folder_sync_world(tmp_path, server) as world:
        yield world


def test_first_sync_uploads_everything_once(world: FolderSyncWorld) -> None:
    world.write(FILES)
    result = world.sync()
    world.check_agreement()
    assert (result.total_local, result.total_s3) == (4, 0)
    assert (result.missing_in_s3, result.uploaded, result.identical) == (4, 4, 0)
    assert result.uploaded_bytes == sum(map(len, FILES.values()))
    assert world.calls == {"ListObjectsV2": 1, "PutObject": 4}
    assert result.state == "done"


def test_second_sync_costs_one_listing_and_not_a_byte(world: FolderSyncWorld) -> None:
    world.write(FILES)
    world.sync()
    version = world.dataset.info().version
    result = world.sync()
    assert world.calls == {"ListObjectsV2": 1}
    assert (world.sent_bytes, result.uploaded, result.identical) == (0, 0, 4)
    assert world.dataset.info().version == version


def test_objects_say_whose_they_are(world: FolderSyncWorld) -> None:
    world.write({"a b.jpg": b"x"})
    world.sync()
    head = world.store.head(BUCKET, PREFIX + "a b.jpg")
    record = world.entries()["a b.jpg"].record
    assert head.metadata["stocktake-token"] == record.token
    assert head.metadata["stocktake-dataset"] == "16"
    assert head.metadata["stocktake-sha256"] == record.sha256
    assert head.metadata["stocktake-mtime"] == str((world.folder / "a b.jpg").stat().st_mtime_ns)
    assert head.content_type == "image/jpeg"
    assert record.verified_by == "checksum"


def test_only_what_changed_goes_up(world: FolderSyncWorld) -> None:
    world.write(FILES)
    world.sync()
    world.write({"a.jpg": b"FIRST", "new": b"n"})
    result = world.sync()
    world.check_agreement()
    assert (result.uploaded, result.different, result.missing_in_s3, result.identical) == (
        2,
        1,
        1,
        3,
    )
    assert world.calls == {"ListObjectsV2": 1, "PutObject": 2}


def test_same_size_and_time_but_other_bytes_is_seen(world: FolderSyncWorld) -> None:
    world.write({"a": b"one"})
    world.sync()
    path = world.folder / "a"
    before = path.stat()
    path.write_bytes(b"two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert world.sync().uploaded == 1
    world.check_agreement()


def test_times_are_trusted_only_if_asked(world: FolderSyncWorld) -> None:
    world.write({"a": b"one"})
    world.sync()
    path = world.folder / "a"
    before = path.stat()
    path.write_bytes(b"two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert world.sync(check=LocalCheck.TIMES).uploaded == 0
    assert world.sync(check=LocalCheck.CONTENT).uploaded == 1


def test_what_is_there_already_with_the_same_bytes_is_only_recorded(world: FolderSyncWorld) -> None:
    world.write(FILES)
    for name, data in FILES.items():
        world.put(name, data)
    result = world.sync()
    world.check_agreement()
    assert (result.uploaded, result.recorded, result.identical) == (0, 4, 4)
    assert world.calls == {"ListObjectsV2": 1}


def test_an_object_of_somebody_else_is_never_overwritten(world: FolderSyncWorld) -> None:
    world.write({"a": b"mine", "b": b"b"})
    world.put("a", b"theirs")
    result = world.sync()
    assert world.objects() == {"a": b"theirs", "b": b"b"}
    assert (result.conflicts, result.uploaded) == (1, 1)
    assert [(one.key, one.kind) for one in result.findings] == [(PREFIX + "a", "conflict")]
    assert set(world.entries()) == {"b"}


def test_an_object_that_changed_behind_our_back_is_never_overwritten(
    world: FolderSyncWorld,
) -> None:
    world.write({"a": b"mine", "b": b"b"})
    world.sync()
    world.put("a", b"theirs")
    assert world.sync().conflicts == 1
    world.write({"a": b"mine too"})
    assert world.sync().conflicts == 1
    assert world.objects()["a"] == b"theirs"


def test_local_wins_if_it_was_said_so(world: FolderSyncWorld) -> None:
    world.write({"a": b"mine"})
    world.put("a", b"theirs")
    result = world.sync(on_conflict=OnConflict.LOCAL)
    world.check_agreement()
    assert (result.uploaded, result.conflicts) == (1, 0)
    assert world.objects() == {"a": b"mine"}


def test_remote_wins_if_it_was_said_so(world: FolderSyncWorld) -> None:
    world.write({"a": b"mine"})
    world.put("a", b"theirs")
    result = world.sync(on_conflict=OnConflict.REMOTE)
    world.check_agreement()
    assert (result.downloaded, result.uploaded) == (1, 0)
    assert world.files() == {"a": b"theirs"}
    assert world.sync().identical == 1


def test_both_are_kept_if_it_was_said_so(world: FolderSyncWorld) -> None:
    world.write({"d/a.txt": b"mine"})
    world.put("d/a.txt", b"theirs")
    result = world.sync(on_conflict=OnConflict.BOTH)
    world.check_agreement()
    names = sorted(world.files())
    assert len(names) == 2
    assert names[0].startswith("d/a.conflict-")
    assert names[0].endswith(".txt")
    assert world.files()["d/a.txt"] == b"theirs"
    assert (result.uploaded, result.downloaded) == (1, 1)
    assert world.sync().identical == 2


def test_stop_at_conflicts_does_nothing_at_all(world: FolderSyncWorld) -> None:
    world.write({"a": b"mine", "b": b"b"})
    world.put("a", b"theirs")
    with pytest.raises(SyncConflictError, match="1 files"):
        world.sync(on_conflict=OnConflict.FAIL)
    assert world.objects() == {"a": b"theirs"}
    assert world.entries() == {}
    (world.folder / "a").unlink()
    assert world.sync(on_conflict=OnConflict.FAIL).uploaded == 1


def test_deletions_are_not_carried_over_unless_asked(world: FolderSyncWorld) -> None:
    world.write({str(number): b"x" for number in range(20)})
    world.sync()
    (world.folder / "7").unlink()
    result = world.sync()
    assert (result.missing_locally, result.deleted) == (1, 0)
    assert "7" in world.objects()
    result = world.sync(delete=True)
    assert result.deleted == 1
    world.check_agreement()
    assert [one.record.s3_key for one, _ in world.dataset.deletions(limit=9)] == [PREFIX + "7"]


def test_mass_deletions_are_refused_whole(world: FolderSyncWorld) -> None:
    world.write({str(number): b"x" for number in range(20)})
    world.sync()
    for number in range(3):
        (world.folder / str(number)).unlink()
    world.write({"new": b"n"})
    with pytest.raises(DeletionRefusedError) as refused:
        world.sync(delete=True)
    assert refused.value.attrs["deletions"] == 3
    assert len(world.objects()) == 21
    assert world.sync(delete=True, accept_deletions=True).deleted == 3
    world.check_agreement()


def test_an_emptied_folder_deletes_nothing(world: FolderSyncWorld) -> None:
    world.write(FILES)
    world.sync()
    for path in sorted(world.folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    with pytest.raises(DeletionRefusedError, match="empty"):
        world.sync(delete=True)
    assert world.objects() == FILES


def test_a_folder_that_is_gone_deletes_nothing(world: FolderSyncWorld) -> None:
    world.write(FILES)
    world.sync()
    world.folder.rename(world.folder.with_name("moved"))
    with pytest.raises(LocalFolderError):
        world.sync(delete=True, accept_deletions=True)
    assert world.objects() == FILES


def test_what_cannot_be_read_is_not_deleted(world: FolderSyncWorld) -> None:
    world.write({f"d/{number}": b"x" for number in range(30)} | {"link": b"was a file"})
    world.sync()
    (world.folder / "link").unlink()
    (world.folder / "link").symlink_to("/etc/passwd")
    (world.folder / "d").rename(world.folder / "elsewhere")
    (world.folder / "d").symlink_to(world.folder / "elsewhere")
    result = world.sync(delete=True)
    assert result.deleted == 0
    assert {one.kind for one in result.findings} == {"skipped"}
    assert {f"d/{number}" for number in range(30)} < set(world.objects())
    assert world.objects()["link"] == b"was a file"


def test_an_object_that_changed_is_not_deleted(world: FolderSyncWorld) -> None:
    world.write({str(number): b"x" for number in range(20)})
    world.sync()
    (world.folder / "7").unlink()
    world.put("7", b"somebody needs it")
    result = world.sync(delete=True)
    assert (result.deleted, result.conflicts) == (0, 1)
    assert world.objects()["7"] == b"somebody needs it"


def test_what_is_gone_on_both_sides_is_recorded(world: FolderSyncWorld) -> None:
    world.write({str(number): b"x" for number in range(20)})
    world.sync()
    (world.folder / "7").unlink()
    world.store.delete(BUCKET, [PREFIX + "7"])
    result = world.sync()
    assert result.recorded == 1
    world.check_agreement()


def test_an_object_that_was_deleted_comes_back(world: FolderSyncWorld) -> None:
    world.write(FILES)
    world.sync()
    world.store.delete(BUCKET, [PREFIX + "z"])
    result = world.sync()
    assert (result.missing_in_s3, result.uploaded) == (1, 1)
    world.check_agreement()


def test_dry_run_changes_nothing_and_says_what_it_would(world: FolderSyncWorld) -> None:
    world.write(FILES)
    world.put("only-there", b"x")
    result = world.sync(dry_run=True, two_way=True)
    assert result.planned == {"upload": 4, "download": 1}
    assert result.uploaded_bytes == sum(map(len, FILES.values()))
    assert sorted(one.key for one in world.told) == sorted(
        PREFIX + name for name in (*FILES, "only-there")
    )
    assert world.objects() == {"only-there": b"x"}
    assert world.files() == FILES
    assert world.entries() == {}
    assert world.dataset.runs() == []


def test_excluded_names_are_left_alone_on_both_sides(world: FolderSyncWorld) -> None:
    world.write({"a": b"a", "x.tmp": b"t", "cache/k": b"k"})
    world.put("y.tmp", b"theirs")
    world.put("cache/z", b"theirs")
    result = world.sync(exclude=("*.tmp", "cache"), two_way=True, delete=True)
    assert (result.total_local, result.total_s3, result.uploaded) == (1, 0, 1)
    assert set(world.objects()) == {"a", "y.tmp", "cache/z"}
    assert set(world.files()) == {"a", "x.tmp", "cache/k"}


def test_names_that_are_no_text_have_a_key_and_come_back(world: FolderSyncWorld) -> None:
    path = os.fsencode(world.folder) + b"/caf\xe9\n1"
    Path(os.fsdecode(path)).write_bytes(b"x")
    world.write({"cafe": b"y", "cag": b"z"})
    assert world.sync().uploaded == 3
    assert set(world.objects()) == {"caf%E9%0A1", "cafe", "cag"}
    assert world.sync().identical == 3
    record = world.entries()["caf%E9%0A1"].record
    assert bytes.fromhex(record.source_raw or "") == b"caf\xe9\n1"
    Path(os.fsdecode(path)).unlink()
    assert world.sync(two_way=True).downloaded == 1
    assert Path(os.fsdecode(path)).read_bytes() == b"x"


def test_own_objects_and_folder_markers_are_no_part_of_it(world: FolderSyncWorld) -> None:
    world.put(".stocktake/manifests/16_s3_manifest.json", b"{}")
    world.put("folder/", b"")
    world.write({"a": b"a"})
    result = world.sync(two_way=True, delete=True)
    assert (result.total_s3, result.skipped, result.downloaded) == (0, 1, 0)
    assert set(world.files()) == {"a"}


def test_the_manifest_is_written_beside(world: FolderSyncWorld, tmp_path: Path) -> None:
    world.write({"a": b"a"})
    result = world.sync(manifest_folder=tmp_path / "manifests")
    assert result.manifest_file == tmp_path / "manifests" / "16_s3_manifest.json"
    assert result.manifest_file.exists()
