"""Datasets on both databases: MAN-1, MAN-2, MAN-5."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from dataset_world import AWKWARD, BUCKET, NOW, counts, names, new_dataset, of, record
from stocktake.clock import FixedClock
from stocktake.errors import (
    DatasetChangedError,
    DatasetExistsError,
    DatasetNotFoundError,
    UsageError,
)
from stocktake.manifests import (
    ANY,
    Dataset,
    DatasetSpec,
    DeleteEntry,
    Edit,
    Entry,
    PutEntry,
    Reason,
    RunKind,
    create_dataset,
    forget_dataset,
    list_datasets,
    open_dataset,
)
from stocktake.manifests import _dataset_read as reading
from stocktake.state import State, open_state


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)]
)
def address(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path_factory.mktemp('state')}/state.db"
    return str(request.getfixturevalue("postgres").new_database())


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture
def state(address: str, clock: FixedClock) -> Iterator[State]:
    with open_state(address, clock=clock) as opened:
        yield opened


@pytest.fixture
def dataset(state: State) -> Dataset:
    return new_dataset(state)


def test_every_key_and_value_comes_back_as_it_was(dataset: Dataset) -> None:
    """MAN-1: identity is the key, whatever it looks like; order is that of its bytes."""
    prefix = dataset.info().prefix
    records = [record(name, at, prefix=prefix) for at, name in enumerate(AWKWARD)]
    records += [
        record("nothing", prefix=prefix, etag=None, md5=None, sha256=None, crc64nvme=None,
               token="", source_sha256=None, source_size_bytes=None, source_mtime_ns=None),
        record("other-source", prefix=prefix, source_sha256="ab" * 32, source_size_bytes=7,
               source="caf%E9", source_raw="636166e9", entry="in\ud800side", rows=2**40,
               columns=({"name": "a", "type": "int64", "why": "x"},)),
        record("no-source", prefix=prefix, source_sha256=None, source_size_bytes=None),
        record("size-only", prefix=prefix, sha256=None, source_sha256=None, source_size_bytes=5),
        record("extra", prefix=prefix, extra={"tags": ["a", {"b": None}], "NUL": "\x00", "": 1.5}),
        record("texts", prefix=prefix, source="a\x00b", token="\ud800", etag="\x00", sha256="\x00",
               uploaded_at=NOW + timedelta(microseconds=1)),
        record("multipart", prefix=prefix, etag="ab" * 16 + "-3", part_size_bytes=8 << 20,
               version_id="null", size_bytes=1 << 50, source_mtime_ns=-1),
    ]  # fmt: skip
    done = dataset.commit([PutEntry(one) for one in reversed(records)], Reason.IMPORT)
    assert (done.version, done.added, done.conflicts) == (1, len(records), ())
    expected = sorted(records, key=lambda one: one.s3_key.encode())
    assert [one.record for one in dataset.entries()] == expected
    assert all(dataset.find(one.s3_key) == Entry(one, 1) for one in records)
    assert dataset.commit([PutEntry(one) for one in records], Reason.IMPORT).version == 1


def test_versions_totals_and_times(dataset: Dataset, clock: FixedClock) -> None:
    """MAN-5: every commit is a version; totals are derived, in the same transaction."""
    assert dataset.info().last_synced is None
    assert counts(dataset, of(dataset, "a"), of(dataset, "b", 5), synced=True) == (1, 2, 0, 0)
    clock.advance(60)
    assert counts(dataset, of(dataset, "b", 7)) == (2, 0, 1, 0)
    key = dataset.info().prefix + "a"
    run = dataset.begin_run(RunKind.SYNC, place="/x", version=None)
    clock.advance(60)
    done = dataset.commit([DeleteEntry(key)], Reason.DELETE, run_id=run)
    assert (done.version, done.deleted) == (3, 1)
    info = dataset.info()
    assert (info.version, info.total_files, info.total_size_bytes) == (3, 1, 1007)
    assert (info.created_at, info.last_synced) == (NOW, NOW)
    newest, middle, oldest = dataset.history()
    assert (newest.reason, newest.run_id, newest.deleted) == (Reason.DELETE, run, 1)
    assert (middle.at, middle.replaced, middle.total_size_bytes) == (
        NOW + timedelta(seconds=60),
        1,
        2007,
    )
    assert (oldest.version, oldest.added, oldest.total_files) == (1, 2, 2)
    assert dataset.history(limit=1) == [newest]
    assert names(dataset) == ["b"]
    assert names(dataset, version=1) == names(dataset, version=2) == ["a", "b"]
    assert names(dataset, version=0) == []
    before = dataset.find(dataset.info().prefix + "b", version=1)
    assert before is not None
    assert before.record.size_bytes == 1005


def test_nothing_changed_is_no_version(dataset: Dataset, clock: FixedClock) -> None:
    counts(dataset, of(dataset, "a"))
    clock.advance(1)
    prefix = dataset.info().prefix
    assert counts(dataset, of(dataset, "a"), DeleteEntry(prefix + "never")) == (1, 0, 0, 0)
    assert counts(dataset) == (1, 0, 0, 0)
    assert dataset.info().last_synced is None
    assert counts(dataset, synced=True) == (1, 0, 0, 0)
    assert dataset.info().last_synced == clock.now()


@pytest.mark.parametrize(
    ("before", "edits", "counted", "left"),
    [
        ([], ["+a", "+a2", "+a3"], (1, 0, 0), {"a": 3}),
        ([], ["+a", "-a"], (0, 0, 0), {}),
        ([], ["+a", "-a", "+a2"], (1, 0, 0), {"a": 2}),
        (["+a"], ["+a2", "+a3"], (0, 1, 0), {"a": 3}),
        (["+a"], ["-a", "+a2"], (0, 1, 0), {"a": 2}),
        (["+a"], ["+a2", "-a"], (0, 0, 1), {}),
        (["+a"], ["-a", "+a2", "-a", "-a"], (0, 0, 1), {}),
        (["+a", "+b"], ["-a", "+b2", "+c", "-c", "+d4"], (1, 1, 1), {"b": 2, "d": 4}),
    ],
)
def test_a_key_twice_in_a_commit_counts_by_the_outcome(
    dataset: Dataset,
    before: list[str],
    edits: list[str],
    counted: tuple[int, int, int],
    left: dict[str, int],
) -> None:
    prefix = dataset.info().prefix

    def edit(word: str) -> Edit:
        if word[0] == "-":
            return DeleteEntry(prefix + word[1])
        return of(dataset, word[1], int(word[2:] or 0))

    dataset.commit(map(edit, before), Reason.SYNC)
    first = dataset.info().version
    done = dataset.commit(map(edit, edits), Reason.SYNC)
    assert (done.added, done.replaced, done.deleted) == counted
    assert done.version == first + (1 if any(counted) else 0)
    now = {one.record.s3_key[-1]: one.record.size_bytes - 1000 for one in dataset.entries()}
    assert now == left
    info = dataset.info()
    assert info.total_files == len(left)
    assert info.total_size_bytes == sum(1000 + number for number in left.values())
    assert len(names(dataset, version=first)) == len(before)


def test_a_stale_writer_gets_the_entry_that_stands_there(dataset: Dataset) -> None:
    """MAN-2, MAN-5: an edit is made only if its writer saw what is there now."""
    counts(dataset, of(dataset, "a"), of(dataset, "b"))
    counts(dataset, of(dataset, "a", 1))
    prefix = dataset.info().prefix
    stale: list[Edit] = [
        replace(of(dataset, "a", 2), expected=1),
        replace(of(dataset, "b", 2), expected=None),
        replace(of(dataset, "gone", 2), expected=1),
        DeleteEntry(prefix + "a", expected=1),
    ]
    good: list[Edit] = [
        replace(of(dataset, "c", 2), expected=None),
        DeleteEntry(prefix + "b", expected=1),
        DeleteEntry(prefix + "never", expected=1),
    ]
    done = dataset.commit([*stale, *good], Reason.SYNC)
    assert [edit for edit, _ in done.conflicts] == stale
    there = [None if one is None else one.since_version for _, one in done.conflicts]
    assert there == [2, 1, None, 2]
    assert (done.version, done.added, done.deleted) == (3, 1, 1)
    assert names(dataset) == ["a", "c"]
    # the same again, as after an answer that was lost: done already, so no conflict
    again = dataset.commit(good, Reason.SYNC)
    assert (again.version, again.conflicts) == (3, ())


def test_expected_version_is_all_or_nothing(dataset: Dataset) -> None:
    counts(dataset, of(dataset, "a"))
    with pytest.raises(DatasetChangedError, match="version 1"):
        dataset.commit([of(dataset, "b")], Reason.MERGE, expected_version=0)
    assert counts(dataset, of(dataset, "b"), expected_version=1)[0] == 2


@pytest.mark.parametrize(
    "key", ["elsewhere/a", "", "{p}", "{p}.stocktake/manifests/x", "{p}\ud800", "{p}" + "x" * 1030]
)
def test_a_key_that_cannot_be_in_it_leaves_nothing(dataset: Dataset, key: str) -> None:
    key = key.replace("{p}", dataset.info().prefix)
    bad = PutEntry(record("x", s3_key=key))
    with pytest.raises(UsageError):
        dataset.commit([of(dataset, "a"), bad], Reason.SYNC)
    assert dataset.info().version == 0
    assert names(dataset) == []


@pytest.mark.parametrize(
    "other",
    [{"size_bytes": -1}, {"size_bytes": 2**63}, {"source_mtime_ns": 2**63},
     {"extra": {"x": float("nan")}}, {"extra": {"x": {1, 2}}}],
)  # fmt: skip
def test_a_value_that_no_database_holds_is_refused(dataset: Dataset, other: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        dataset.commit([of(dataset, "a", **other)], Reason.SYNC)
    assert dataset.info().version == 0


def test_an_edit_source_that_fails_leaves_nothing(dataset: Dataset) -> None:
    def edits() -> Iterator[Edit]:
        for number in range(1200):
            yield of_prefix(number)
        raise RuntimeError("the source broke")

    prefix = dataset.info().prefix

    def of_prefix(number: int) -> PutEntry:
        return PutEntry(record(f"{number:05d}", number, prefix=prefix))

    with pytest.raises(RuntimeError, match="broke"):
        dataset.commit(edits(), Reason.SYNC)
    assert (dataset.info().version, names(dataset)) == (0, [])


def test_entries_by_page_prefix_and_start(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One moment: what is committed between two pages does not show."""
    monkeypatch.setattr(reading, "PAGE_ROWS", 3)
    prefix = dataset.info().prefix
    folders = ("a", "b", "b\x00", "c\U0010ffff")
    keys = [f"{folder}/{number}" for folder in folders for number in range(4)]
    counts(dataset, *(of(dataset, key) for key in keys))
    reader = dataset.entries()
    seen = [next(reader).record.s3_key for _ in range(2)]
    counts(dataset, DeleteEntry(prefix + "b/1"), of(dataset, "b/2", 9), of(dataset, "b/new", 9))
    seen += [one.record.s3_key for one in reader]
    assert seen == sorted(prefix + key for key in keys)
    assert names(dataset, prefix=prefix + "b/") == ["b/0", "b/2", "b/3", "b/new"]
    assert names(dataset, prefix=prefix + "c\U0010ffff", version=1) == [
        f"c\U0010ffff/{number}" for number in range(4)
    ]
    assert names(dataset, after=prefix + "b\x00/3", version=1)[0] == "b/0"
    assert names(dataset, prefix=prefix + "nothing") == []


@pytest.mark.parametrize("at_once", [0, 10_000])
def test_changes_are_the_outcome_in_key_order(
    dataset: Dataset, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MAN-5: by index when few changed, by merging two versions when many did."""
    monkeypatch.setattr(reading, "CHANGES_AT_ONCE", at_once)
    prefix = dataset.info().prefix
    counts(dataset, *(of(dataset, name) for name in "abcd"))
    counts(dataset, of(dataset, "b", 1), DeleteEntry(prefix + "c"), of(dataset, "e"))
    counts(dataset, of(dataset, "b", 0), of(dataset, "c", 3), of(dataset, "d", 4))
    counts(dataset, DeleteEntry(prefix + "a"), DeleteEntry(prefix + "e"))

    def told(old: int, new: int) -> list[str]:
        pairs = [
            (one and one.record, other and other.record) for one, other in dataset.changes(old, new)
        ]
        return [
            (
                f"+{after.s3_key[-1]}" if before is None and after
                else f"-{before.s3_key[-1]}" if after is None and before
                else f"{before and before.s3_key[-1]}{after and after.size_bytes - 1000}"
            )
            for before, after in pairs
        ]  # fmt: skip

    assert told(0, 1) == ["+a", "+b", "+c", "+d"]
    assert told(1, 2) == ["b1", "-c", "+e"]
    assert told(1, 4) == ["-a", "c3", "d4"]  # b came back to what it was, e came and went
    assert told(4, 1) == ["+a", "c0", "d0"]
    assert told(2, 2) == []
    with pytest.raises(DatasetNotFoundError, match="no version 5"):
        dataset.changes(1, 5)


def test_deletions_are_kept_and_replacements_are_none(dataset: Dataset) -> None:
    """MAN-5: recorded deletions, also of what came back."""
    prefix = dataset.info().prefix
    counts(dataset, *(of(dataset, name) for name in "abc"))
    counts(dataset, of(dataset, "a", 1), DeleteEntry(prefix + "b"))
    counts(dataset, of(dataset, "b", 2))
    dataset.commit([DeleteEntry(prefix + "c"), DeleteEntry(prefix + "b")], Reason.DELETE)
    told = [
        (entry.record.s3_key[-1], entry.since_version, version.version, version.reason)
        for entry, version in dataset.deletions(limit=10)
    ]
    assert told == [
        ("b", 3, 4, Reason.DELETE),
        ("c", 1, 4, Reason.DELETE),
        ("b", 1, 2, Reason.SYNC),
    ]
    assert len(dataset.deletions(limit=1)) == 1
    stats = dataset.stats()
    assert (stats.files, stats.versions, stats.replacements, stats.deletions) == (1, 4, 1, 3)
    assert (dataset.stats(version=1).files, dataset.stats(version=1).deletions) == (3, 0)


def test_figures_of_a_dataset(dataset: Dataset) -> None:
    counts(
        dataset,
        of(dataset, "x/a.JPG", 5),
        of(dataset, "b.jpg", 3, verified_by="etag"),
        of(dataset, "a.b/none", 9, uploaded_at=NOW + timedelta(microseconds=1)),
        of(dataset, ".hidden", 1, uploaded_at=NOW),
    )
    stats = dataset.stats()
    assert {name: one.files for name, one in stats.by_extension.items()} == {".jpg": 2, "": 2}
    assert stats.by_extension[".jpg"].size_bytes == 2008
    assert {name: one.files for name, one in stats.by_verified_by.items()} == {
        "checksum": 3,
        "etag": 1,
    }
    assert stats.largest
    assert stats.oldest
    assert stats.newest
    assert stats.largest.s3_key.endswith("none")
    assert (stats.oldest.s3_key[-7:], stats.oldest.uploaded_at) == (".hidden", NOW)
    assert stats.newest.s3_key.endswith("a.JPG")
    assert stats.size_bytes == dataset.info().total_size_bytes


def test_runs_are_the_download_history(dataset: Dataset, clock: FixedClock) -> None:
    """MAN-5."""
    first = dataset.begin_run(RunKind.RESTORE, place="/back/ü", version=3)
    clock.advance(5)
    second = dataset.begin_run(RunKind.VERIFY, place=None, version=None)
    dataset.end_run(first, "partial", {"files": 7, "calls": {"GetObject": 7}})
    newest, oldest = dataset.runs()
    assert (newest.id, newest.state, newest.finished_at, newest.result) == (
        second,
        "running",
        None,
        {},
    )
    assert (oldest.kind, oldest.state, oldest.place, oldest.version) == (
        RunKind.RESTORE,
        "partial",
        "/back/ü",
        3,
    )
    assert oldest.result == {"files": 7, "calls": {"GetObject": 7}}
    assert oldest.finished_at == NOW + timedelta(seconds=5)
    assert [one.id for one in dataset.runs(RunKind.VERIFY)] == [second]
    assert len(dataset.runs(limit=1)) == 1


def test_an_upload_is_noted_before_it_begins(dataset: Dataset) -> None:
    run = dataset.begin_run(RunKind.SYNC, place="/x", version=None)
    dataset.note_upload("k\x00\n", "token", None, run)
    (intent,) = dataset.uploads()
    assert (intent.s3_key, intent.upload_id, intent.recorded_at) == ("k\x00\n", None, NOW)
    dataset.note_upload("k\x00\n", "token", "id-1", run)
    dataset.note_upload("k\x00\n", "other", None, run)
    assert [(one.token, one.upload_id) for one in dataset.uploads()] == [
        ("other", None),
        ("token", "id-1"),
    ]
    dataset.drop_upload("k\x00\n", "token")
    dataset.drop_upload("k\x00\n", "token")
    assert [one.token for one in dataset.uploads()] == ["other"]


def test_a_dataset_is_made_once(state: State) -> None:
    made = new_dataset(state)
    info = made.info()
    spec = DatasetSpec(info.id, "A better title", info.bucket, info.prefix)
    assert create_dataset(state, spec).info().title == "A better title"
    assert create_dataset(state, replace(spec, title=info.id)).info().title == "A better title"
    with pytest.raises(DatasetExistsError, match=f"`{info.id}` is at"):
        create_dataset(state, replace(spec, prefix="other/place/"))
    with pytest.raises(DatasetExistsError, match=f"is dataset `{info.id}`"):
        create_dataset(state, replace(spec, id="another-id"))
    assert [one.id for one in list_datasets(state)].count(info.id) == 1


def test_two_makers_of_one_place_at_once(state: State) -> None:
    """PostgreSQL has no row to lock before there is one."""
    outcomes: list[str] = []

    def make(number: int) -> None:
        try:
            create_dataset(state, DatasetSpec(f"racer-{number}", "", BUCKET, "race/"))
            outcomes.append("made")
        except DatasetExistsError:
            outcomes.append("exists")

    threads = [threading.Thread(target=make, args=(number,)) for number in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(outcomes) == ["exists"] * 5 + ["made"]


def test_any_legal_prefix_and_id(state: State) -> None:
    for number, prefix in enumerate(["", "a//", "ü\n%\x00/", "/"]):
        spec = DatasetSpec(f"x{number}ü %'\"\\..", "t", "another-bucket", prefix)
        made = create_dataset(state, spec)
        made.commit([PutEntry(record("a", prefix=prefix))], Reason.SYNC)
        info = open_dataset(state, spec.id).info()
        assert (info.prefix, info.total_files, info.bucket) == (prefix, 1, "another-bucket")


def test_a_forgotten_dataset_is_gone_with_all_it_had(state: State, dataset: Dataset) -> None:
    other = new_dataset(state)
    for one in (dataset, other):
        counts(one, of(one, "a"))
        run = one.begin_run(RunKind.SYNC, place=None, version=None)
        one.note_upload("k", "t", None, run)
    info = dataset.info()
    forget_dataset(state, dataset.id)
    assert dataset.id not in [one.id for one in list_datasets(state)]
    for question in (
        dataset.info,
        lambda: dataset.find("a"),
        lambda: dataset.commit([], Reason.SYNC),
        lambda: dataset.begin_run(RunKind.SYNC, place=None, version=None),
        lambda: dataset.note_upload("k", "t", None, "run_x"),
        lambda: forget_dataset(state, dataset.id),
    ):
        with pytest.raises(DatasetNotFoundError):
            question()
    dataset.end_run("run_x", "done", {})
    assert (names(other), len(other.runs()), len(other.uploads())) == (["a"], 1, 1)
    again = create_dataset(state, DatasetSpec(info.id, "", info.bucket, info.prefix))
    assert (again.info().version, again.history(), again.runs(), names(again)) == (0, [], [], [])


def test_a_reader_is_told_when_the_rest_was_forgotten(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An end that only looks like one would be taken for deletions."""
    monkeypatch.setattr(reading, "PAGE_ROWS", 2)
    info = dataset.info()
    for again in (False, True):
        made = create_dataset(dataset.state, DatasetSpec(info.id, "", info.bucket, info.prefix))
        counts(made, *(of(made, name) for name in "abcd"))
        reader = made.entries()
        next(reader)
        forget_dataset(dataset.state, dataset.id)
        if again:
            create_dataset(dataset.state, DatasetSpec(info.id, "", info.bucket, info.prefix))
        with pytest.raises(DatasetNotFoundError, match="while it was read"):
            list(reader)


def test_writers_at_once_lose_nothing(state: State) -> None:
    """MAN-2: many threads, one manifest; versions are dense and totals are right."""
    dataset = new_dataset(state)
    prefix = dataset.info().prefix
    lost: list[object] = []

    def write(writer: int) -> None:
        for turn in range(8):
            shared = PutEntry(record("shared", writer * 100 + turn, prefix=prefix), ANY)
            own = PutEntry(record(f"{writer}/{turn}", turn, prefix=prefix), None)
            lost.extend(dataset.commit([own, shared], Reason.SYNC).conflicts)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert not lost
    entries = [one.record for one in dataset.entries()]
    assert len(entries) == 33
    info = dataset.info()
    assert info.total_size_bytes == sum(one.size_bytes for one in entries)
    assert (info.version, info.total_files) == (32, 33)
    assert [one.version for one in dataset.history()] == list(range(32, 0, -1))
