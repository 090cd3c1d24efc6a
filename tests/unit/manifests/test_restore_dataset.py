"""Restoring a dataset: what comes back, what does not and why, what is never touched (MAN-4)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from restore_world import MTIME_NS, PREFIX, RestoreWorld, Served, record_of, restore_world, serve
from stocktake.clock import FixedClock, SystemClock
from stocktake.errors import (
    BucketNotFoundError,
    DatasetNotFoundError,
    DiskFullError,
    LocalFolderError,
    StoreUnavailableError,
)
from stocktake.manifests import RunKind, version_at
from stocktake.manifests._restore import restore_dataset
from stocktake.manifests._restore_claims import PathClaims
from stocktake.manifests._restore_folder import TargetFolder, part_tag
from stocktake.manifests._restore_options import Overwrite, RestoreOptions, RestoreResult
from stocktake.manifests._restore_part import PartFile
from stocktake.testing import FaultStore, Planned
from stocktake.testing._blobs import BytesBlob

FILES = {"a.jpg": b"first", "d/b.jpg": b"second" * 1000, "d/e/ü é.txt": b"", "z": b"last"}


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serve() as served:
        yield served


@pytest.fixture
def world(served: Served, tmp_path: Path) -> Iterator[RestoreWorld]:
    with restore_world(served, tmp_path) as world:
        yield world


def _restore(world: RestoreWorld, **options: Any) -> RestoreResult:
    return restore_dataset(
        world.dataset,
        world.store,
        world.folder,
        RestoreOptions(**options),
        clock=SystemClock(),
        meter=world.meter,
    )


def _problems(result: RestoreResult) -> dict[str, str]:
    return {one.key.removeprefix(PREFIX): one.problem for one in result.findings}


def test_everything_comes_back_as_it_was(world: RestoreWorld) -> None:
    world.add(FILES)
    result = _restore(world)
    assert world.tree() == FILES
    assert (result.files, result.size_bytes) == (4, sum(map(len, FILES.values())))
    assert result.is_complete
    assert result.calls == {"GetObject": 4}
    assert (world.folder / "d/b.jpg").stat().st_mtime_ns == MTIME_NS


def test_second_restore_fetches_nothing(world: RestoreWorld) -> None:
    world.add(FILES)
    _restore(world)
    (world.folder / "a.jpg").unlink()
    result = _restore(world)
    assert (result.files, result.identical) == (1, 3)
    assert result.calls == {"GetObject": 1}
    assert world.tree() == FILES


@pytest.mark.parametrize(
    ("overwrite", "calls", "replaced", "kept"),
    [
        (Overwrite.NEVER, 0, 0, True),
        (Overwrite.DIFFERENT, 1, 1, False),
        (Overwrite.ALWAYS, 2, 2, False),
    ],
)
def test_files_that_are_there_are_replaced_only_if_asked(
    world: RestoreWorld, overwrite: Overwrite, calls: int, replaced: int, kept: bool
) -> None:
    world.add({"same": b"same", "other": b"theirs"})
    world.folder.mkdir()
    (world.folder / "same").write_bytes(b"same")
    (world.folder / "other").write_bytes(b"mine!!")
    (world.folder / "own").write_bytes(b"not in the manifest")
    result = _restore(world, overwrite=overwrite)
    assert sum(result.calls.values()) == calls
    assert result.replaced == replaced
    assert _problems(result) == ({"other": "exists"} if kept else {})
    assert world.tree()["other"] == (b"mine!!" if kept else b"theirs")
    assert world.tree()["own"] == b"not in the manifest"


def test_only_what_globs_ask_for(world: RestoreWorld) -> None:
    world.add({"a/1.jpg": b"1", "a/2.txt": b"2", "b/c/3.jpg": b"3", "4.jpg": b"4"})
    result = _restore(world, include=("b", "/4.jpg"))
    assert sorted(world.tree()) == ["4.jpg", "b/c/3.jpg"]
    assert result.excluded == 2
    _restore(world, include=("*.txt",))
    assert "a/2.txt" in world.tree()


def test_hostile_keys_are_findings_and_the_others_come(world: RestoreWorld) -> None:
    bad = {
        "../up": "outside",
        "x/../../up": "outside",
        "/abs": "illegal-name",
        "x//y": "illegal-name",
        "nul\0": "illegal-name",
        "n" * 300: "too-long",
        "data/": "folder-marker",
    }
    world.enter(*(record_of(path, b"bad") for path in bad))
    world.add(FILES)
    result = _restore(world)
    assert _problems(result) == bad
    assert world.tree() == FILES
    assert not (world.folder.parent / "up").exists()
    assert result.calls == {"GetObject": 4}
    assert dict(result.problems) == {
        "folder-marker": 1,
        "illegal-name": 3,
        "outside": 2,
        "too-long": 1,
    }


def test_file_and_folder_of_one_name_are_decided_alike_in_every_run(world: RestoreWorld) -> None:
    files = {"a": b"file", "a!": b"between", "a/b": b"in folder", "a/c/d": b"deeper", "b/": b""}
    world.add(files)
    for _ in range(3):
        result = _restore(world, workers=4)
        assert _problems(result) == {"a/b": "file-in-the-way", "a/c/d": "file-in-the-way"}
        assert world.tree() == {"a": b"file", "a!": b"between"}
        assert result.folders == 1
        assert (world.folder / "b").is_dir()


def test_links_in_the_target_are_not_followed(world: RestoreWorld, tmp_path: Path) -> None:
    world.add({"d/x": b"1", "f": b"2", "g": b"3"})
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "f").write_bytes(b"precious")
    world.folder.mkdir()
    (world.folder / "d").symlink_to(outside)
    (world.folder / "f").symlink_to(outside / "f")
    result = _restore(world, overwrite=Overwrite.ALWAYS)
    assert _problems(result) == {"d/x": "symlink", "f": "symlink"}
    assert sorted(one.name for one in outside.iterdir()) == ["f"]
    assert (outside / "f").read_bytes() == b"precious"
    assert (world.folder / "g").read_bytes() == b"3"


def test_names_that_no_key_can_have_come_back(world: RestoreWorld) -> None:
    raws = {"caf%E9 7%25.csv": b"caf\xe9 7%.csv", "a%0Ab": b"a\nb"}
    for key, raw in raws.items():
        record = world.upload(key, key.encode())
        world.enter(replace(record, source=key, source_raw=raw.hex()))
    _restore(world)
    names = {os.fsencode(one.name) for one in world.folder.iterdir()}
    assert names == set(raws.values())


@pytest.mark.parametrize("raw", ["2e2e2f7570", "zz", "6f74686572"])
def test_raw_name_that_is_not_the_keys_is_not_believed(world: RestoreWorld, raw: str) -> None:
    """A manifest says `../up` is the name behind an innocent key."""
    record = world.upload("innocent", b"1")
    world.enter(replace(record, source_raw=raw))
    _restore(world)
    assert list(world.tree()) == ["innocent"]


def test_two_keys_of_one_name_do_not_replace_each_other(world: RestoreWorld) -> None:
    world.add({"a\nb": b"literally"})
    record = world.upload("a%0Ab", b"escaped")
    world.enter(replace(record, source_raw=b"a\nb".hex()))
    result = _restore(world, overwrite=Overwrite.ALWAYS)
    assert _problems(result) == {"a%0Ab": "same-name"}
    assert world.tree() == {"a\nb": b"literally"}


def test_key_that_says_it_is_another_name_stays_its_own(world: RestoreWorld) -> None:
    """`a%2Fb` with the raw name `a/b` would take the place of the file `a/b`."""
    world.add({"a/b": b"theirs"})
    record = world.upload("a%2Fb", b"escaped")
    world.enter(replace(record, source_raw=b"a/b".hex()))
    assert _restore(world, overwrite=Overwrite.ALWAYS).is_complete
    assert world.tree() == {"a/b": b"theirs", "a%2Fb": b"escaped"}


def test_case_insensitive_file_system_keeps_the_first(
    world: RestoreWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.add({"A.JPG": b"1", "Straße": b"3", "a.jpg": b"2", "STRASSE": b"4", "é": b"5"})
    world.add({"e\u0301": b"6"})
    monkeypatch.setattr(TargetFolder, "folds_names", lambda _: True)
    result = _restore(world, overwrite=Overwrite.ALWAYS)
    assert _problems(result) == {"Straße": "same-name", "a.jpg": "same-name", "é": "same-name"}
    assert len(world.tree()) == 3


def test_usual_file_system_tells_spellings_apart(tmp_path: Path) -> None:
    with TargetFolder(tmp_path, "run") as folder:
        assert folder.folds_names() is (tmp_path / tmp_path.name.upper()).exists()
        assert list(tmp_path.iterdir()) == []
    claims = PathClaims(folds=False)
    for path in (b"a", b"A", b"a-b", "é".encode(), "e\u0301".encode()):
        claims.claim(path)


def test_object_gone_changed_rotten_or_archived_is_said(world: RestoreWorld) -> None:
    world.add({name: name.encode() * 10 for name in ("fine", "gone", "changed", "rot", "cold")})
    world.delete("gone")
    world.put("changed", b"by somebody else")
    world.rot("rot", blob=BytesBlob(b"x" * 30))
    world.rot("cold", storage_class="GLACIER")
    result = _restore(world)
    assert _problems(result) == {
        "changed": "changed",
        "cold": "archived",
        "gone": "gone",
        "rot": "mismatch",
    }
    assert world.tree() == {"fine": b"fine" * 10}
    why = {one.problem: one.why for one in result.findings}
    assert "no version of it" in why["gone"]
    assert "no version of it" in why["changed"]


def test_earlier_version_comes_back_where_the_bucket_keeps_versions(
    served: Served, tmp_path: Path
) -> None:
    with restore_world(served, tmp_path, versioned=True) as world:
        old = {"a": b"one", "b": b"two", "c": b"three"}
        first = world.add(old)
        world.add({"a": b"one, again", "d": b"four"})
        world.drop("b")
        world.delete("b")
        result = _restore(world, version=first)
        assert result.is_complete
        assert world.tree() == old
        assert result.version == first
        assert _restore(world, overwrite=Overwrite.DIFFERENT).replaced == 1
        assert world.tree() == {"a": b"one, again", "b": b"two", "c": b"three", "d": b"four"}


def test_earlier_version_without_bucket_versions_says_which_bytes_are_gone(
    world: RestoreWorld,
) -> None:
    first = world.add({"a": b"one", "b": b"two", "c": b"three"})
    world.add({"a": b"one, again"})
    world.drop("b")
    world.delete("b")
    result = _restore(world, version=first)
    assert _problems(result) == {"a": "changed", "b": "gone"}
    assert world.tree() == {"c": b"three"}


def test_manifest_as_it_was_at_a_time(served: Served, tmp_path: Path) -> None:
    clock = FixedClock(datetime.now(UTC))
    with restore_world(served, tmp_path, versioned=True, clock=clock) as world:
        clock.advance(60)
        world.add({"a": b"one"})
        between = clock.now() + timedelta(seconds=30)
        clock.advance(60)
        world.add({"a": b"two"})
        assert _restore(world, version=version_at(world.dataset, between)).is_complete
        assert world.tree() == {"a": b"one"}
        with pytest.raises(DatasetNotFoundError, match="no version 7"):
            _restore(world, version=7)


def test_restores_are_the_download_history(world: RestoreWorld) -> None:
    world.add(FILES)
    _restore(world)
    world.delete("z")
    (world.folder / "z").unlink()
    _restore(world)
    last, first = world.dataset.runs(RunKind.RESTORE)
    assert (first.state, last.state) == ("done", "partial")
    assert last.place == str(world.folder.resolve())
    assert last.version == 1
    assert last.result["problems"] == {"gone": 1}
    assert first.result["files"] == 4
    assert first.finished_at is not None


def test_dry_run_asks_nothing_and_makes_nothing(world: RestoreWorld) -> None:
    world.add({**FILES, "m/": b""})
    world.enter(record_of("../up", b"bad"))
    result = _restore(world, dry_run=True)
    assert (result.files, result.folders, dict(result.problems)) == (4, 1, {"outside": 1})
    assert result.calls == {}
    assert not world.folder.exists()
    assert world.dataset.runs(RunKind.RESTORE) == []
    _restore(world)
    (world.folder / "z").write_bytes(b"LAST")
    result = _restore(world, dry_run=True, overwrite=Overwrite.DIFFERENT)
    assert (result.files, result.replaced, result.identical) == (1, 1, 3)
    assert world.tree()["z"] == b"LAST"


def test_full_disk_ends_it_and_keeps_what_is_finished(
    world: RestoreWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.add({f"{n:02}": b"%02d" % n for n in range(20)})
    write = PartFile.write

    def limited(part: PartFile, data: bytes | memoryview) -> None:
        if bytes(data) == b"07":
            raise OSError(28, "No space left on device")
        write(part, data)

    monkeypatch.setattr(PartFile, "write", limited)
    with pytest.raises(DiskFullError):
        _restore(world, workers=1)
    tree = world.tree()
    assert set(tree) >= {"00", "01", "02", "03", "04", "05", "06"}
    assert all(data == name.encode() for name, data in tree.items())
    (run,) = world.dataset.runs(RunKind.RESTORE)
    assert run.state == "partial"
    assert "no space left" in run.result["interrupted"]


def test_store_that_stops_answering_is_given_up(world: RestoreWorld) -> None:
    world.add({f"{n:03}": b"%03d" % n for n in range(100)})
    dead = Planned("get", StoreUnavailableError("nobody there"), times=10**6, skip=5)
    result = restore_dataset(
        world.dataset,
        FaultStore(world.store, [dead]),
        world.folder,
        RestoreOptions(workers=2),
        clock=SystemClock(),
    )
    assert result.interrupted == "nobody there"
    assert result.files == len(world.tree()) == 5
    assert result.files + sum(result.problems.values()) == 100
    assert result.problems["not-tried"] >= 80
    assert _restore(world).files == 95


def test_one_cut_download_does_not_stop_the_others(world: RestoreWorld) -> None:
    world.add(FILES)
    cut = Planned("get", StoreUnavailableError("cut"), key=PREFIX + "d/b.jpg", after_bytes=10)
    result = restore_dataset(
        world.dataset,
        FaultStore(world.store, [cut]),
        world.folder,
        RestoreOptions(),
        clock=SystemClock(),
    )
    assert _problems(result) == {"d/b.jpg": "unreadable"}
    assert result.files == 3


def test_keyboard_interrupt_keeps_what_is_finished(
    world: RestoreWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.add({f"{n:02}": b"%02d" % n for n in range(20)})
    entries = list(world.dataset.entries())

    def interrupted(**_: object) -> Iterator[object]:
        yield from entries[:10]
        raise KeyboardInterrupt

    monkeypatch.setattr(world.dataset, "entries", interrupted)
    with pytest.raises(KeyboardInterrupt):
        _restore(world, workers=1)
    (run,) = world.dataset.runs(RunKind.RESTORE)
    assert run.result["interrupted"] == "KeyboardInterrupt"
    assert run.result["files"] == len(world.tree())
    assert not list(world.folder.rglob("*.part"))


def test_leftovers_of_a_killed_run_are_removed_and_it_is_ended(world: RestoreWorld) -> None:
    world.add(FILES)
    world.folder.mkdir()
    place = str(world.folder.resolve())
    killed = world.dataset.begin_run(RunKind.RESTORE, place=place, version=1)
    left = world.folder / f".a.jpg.{part_tag(killed)}-0123abcd.part"
    left.write_bytes(b"half")
    foreign = world.folder / ".a.jpg.part"
    foreign.write_bytes(b"somebody's")
    result = _restore(world)
    assert result.leftovers == 1
    assert not left.exists()
    assert foreign.exists()
    states = {run.id: run.state for run in world.dataset.runs(RunKind.RESTORE)}
    assert states[killed] == "failed"


def test_wrong_bucket_and_wrong_target_are_said_at_once(world: RestoreWorld) -> None:
    world.add(FILES)
    world.fake.buckets.clear()
    with pytest.raises(BucketNotFoundError):
        _restore(world)
    world.folder.rmdir()
    world.folder.write_bytes(b"a file")
    with pytest.raises(LocalFolderError, match="no folder"):
        _restore(world)
    assert {run.state for run in world.dataset.runs(RunKind.RESTORE)} == {"failed"}


def test_what_the_disk_gives_back_is_compared(
    world: RestoreWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.add(FILES)
    monkeypatch.setattr(PartFile, "pieces", lambda *_: iter([b"what?"]))
    assert set(_problems(_restore(world, read_back=True)).values()) == {"mismatch"}
    assert world.tree() == {}
    monkeypatch.undo()
    assert _restore(world, read_back=True).files == 4


def test_imported_record_without_any_digest_is_counted_as_unproven(world: RestoreWorld) -> None:
    record = world.upload("a", b"data")
    nothing = {"md5": None, "sha256": None, "crc64nvme": None, "etag": None}
    world.enter(replace(record, **nothing))  # type: ignore[arg-type]
    result = _restore(world)
    assert (result.files, result.unproven) == (1, 1)
