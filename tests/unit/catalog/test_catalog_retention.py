"""Retention, deletion in two steps, and the sweep after a kill (CAT-6)."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update

from snapshot_world import DAY, publish, row, source_row
from stocktake.catalog import (
    Catalog,
    RetentionPolicy,
    Snapshot,
    delete_snapshot,
    diff_snapshots,
    find_snapshot,
    list_snapshots,
    pin_snapshot,
    retain,
    snapshot_folder,
    sweep,
    use_snapshot,
)
from stocktake.catalog import _retention as retention
from stocktake.catalog._change_log import append_changes, changes_path
from stocktake.catalog._owners import host, is_gone
from stocktake.clock import FixedClock, format_utc
from stocktake.errors import InvalidSettingError, SnapshotInUseError, SnapshotNotFoundError
from stocktake.state import imports, snapshots


def at(catalog: Catalog, *days: int, **of: str) -> list[Snapshot]:
    """Snapshots taken so many days after the first, oldest first."""
    return [
        publish(catalog, [row("a")], as_of=DAY + timedelta(days=day), parts=1, **of) for day in days
    ]


def files_of(catalog: Catalog, snapshot: Snapshot) -> list[str]:
    return list(catalog.files.listing(snapshot.path))


def put(catalog: Catalog, path: str) -> str:
    with catalog.files.create(path) as sink:
        sink.write(b"x")
    return path


@pytest.mark.parametrize(
    ("policy", "kept"),
    [
        (RetentionPolicy(last=2), {400, 399}),
        (RetentionPolicy(daily=3), {400, 399, 398}),
        (RetentionPolicy(weekly=2), {400, 394}),
        (RetentionPolicy(monthly=3), {400, 375, 10}),
        (RetentionPolicy(last=1, monthly=2), {400, 375}),
        (RetentionPolicy(last=99), {0, 10, 375, 390, 394, 398, 399, 400}),
    ],
)
def test_policies_keep_the_newest_of_each_period(
    catalog: Catalog, policy: RetentionPolicy, kept: set[int]
) -> None:
    """Day 0 is 20 November 2026, day 400 is Saturday, 25 December 2027."""
    at(catalog, 0, 10, 375, 390, 394, 398, 399, 400)
    plan = retain(catalog, policy)
    assert {(s.as_of - DAY).days for s, _ in plan.kept} == kept
    assert len(plan.kept) + len(plan.deleted) == 8
    assert plan.dry_run
    assert len(list_snapshots(catalog)) == 8


def test_applying_a_policy_deletes_what_the_dry_run_said(catalog: Catalog) -> None:
    made = at(catalog, 0, 1, 2, 3)
    policy = RetentionPolicy(last=1)
    planned = [s.id for s in retain(catalog, policy).deleted]
    done = retain(catalog, policy, dry_run=False)
    assert [s.id for s in done.deleted] == planned == [s.id for s in made[2::-1]]
    assert [s.id for s in list_snapshots(catalog)] == [made[3].id]
    assert [files_of(catalog, s) for s in made[:3]] == [[], [], []]
    assert retain(catalog, policy, dry_run=False).deleted == ()


def test_each_source_is_kept_for_itself(catalog: Catalog) -> None:
    at(catalog, 0, 1)
    at(catalog, 0, 1, bucket="films")
    assert len(retain(catalog, RetentionPolicy(last=1)).deleted) == 2
    only = retain(catalog, RetentionPolicy(last=1), source="films")
    assert [s.bucket for s in only.deleted] == ["films"]


def test_pinned_and_read_ones_stay_with_the_reason(catalog: Catalog) -> None:
    first, second, third, last = at(catalog, 0, 1, 2, 3)
    pin_snapshot(catalog, first)
    with use_snapshot(catalog, second):
        plan = retain(catalog, RetentionPolicy(last=1), dry_run=False)
    assert {s.id: why for s, why in plan.kept} == {
        last.id: ("newest", "last"),
        second.id: ("in use",),
        first.id: ("pinned",),
    }
    assert [s.id for s in plan.deleted] == [third.id]


def test_what_somebody_begins_to_read_meanwhile_stays(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, _ = at(catalog, 0, 1)
    monkeypatch.setattr(retention, "_held", lambda *_: [])
    with use_snapshot(catalog, old):
        plan = retain(catalog, RetentionPolicy(last=1), dry_run=False)
    assert plan.deleted == ()
    assert plan.kept[1][1] == ("in use",)


def test_what_somebody_else_deletes_meanwhile_counts_as_deleted(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, _ = at(catalog, 0, 1)

    def first_somebody_else(*_: object) -> list[str]:
        delete_snapshot(catalog, old)
        return []

    monkeypatch.setattr(retention, "_held", first_somebody_else)
    plan = retain(catalog, RetentionPolicy(last=1), dry_run=False)
    assert [s.id for s in plan.deleted] == [old.id]


@pytest.mark.parametrize("counts", [{}, {"last": 0, "daily": 0}, {"last": 1, "daily": -1}])
def test_a_policy_that_keeps_nothing_is_refused(counts: dict[str, int]) -> None:
    with pytest.raises(InvalidSettingError, match="must keep something"):
        RetentionPolicy(**counts)


def test_the_newest_and_pinned_go_only_by_force(catalog: Catalog) -> None:
    old, new = at(catalog, 0, 1)
    with pytest.raises(SnapshotInUseError, match="is the newest of its source"):
        delete_snapshot(catalog, new)
    pin_snapshot(catalog, old)
    with pytest.raises(SnapshotInUseError, match="is pinned"):
        delete_snapshot(catalog, old)
    delete_snapshot(catalog, old, force=True)
    delete_snapshot(catalog, new, force=True)
    assert list_snapshots(catalog) == []
    assert list(catalog.files.listing("snapshots")) == []
    with pytest.raises(SnapshotNotFoundError, match="is gone"):
        delete_snapshot(catalog, new)


@pytest.mark.parametrize("removed_before", [0, 1, 2])
def test_a_deletion_that_was_killed_is_finished_by_the_sweep(
    catalog: Catalog, removed_before: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = at(catalog, 0, 1)
    remove = catalog.files.remove
    removed: list[str] = []

    def killed(path: str) -> None:
        if len(removed) == removed_before:
            raise KeyboardInterrupt
        removed.append(path)
        remove(path)

    monkeypatch.setattr(catalog.files, "remove", killed)
    with pytest.raises(KeyboardInterrupt):
        delete_snapshot(catalog, old)
    monkeypatch.setattr(catalog.files, "remove", remove)
    assert [s.id for s in list_snapshots(catalog)] == [new.id]
    assert sweep(catalog).deletions_finished == (old.id,)
    assert files_of(catalog, old) == []
    assert sweep(catalog) == type(sweep(catalog))((), (), (), ())


def running_import(catalog: Catalog, snapshot_id: str, state: str, finished: str | None) -> None:
    source_id = source_row(catalog, "photos", "daily")
    with catalog.state.write() as connection:
        connection.execute(
            insert(imports).values(
                id=f"imp_{snapshot_id}",
                source_id=source_id,
                snapshot_id=snapshot_id,
                identity="x",
                as_of="2026-01-01T00:00:00Z",
                state=state,
                started_at="2026-01-01T00:00:00Z",
                finished_at=finished,
            )
        )


def test_the_sweep_removes_what_belongs_to_nothing(catalog: Catalog, clock: FixedClock) -> None:
    snapshot = at(catalog, 0)[0]
    now = clock.now()
    recently, long_ago = (format_utc(now - timedelta(days=n)) for n in (6, 8))
    running_import(catalog, "snp_running", "running", None)
    running_import(catalog, "snp_failed", "failed", recently)
    running_import(catalog, "snp_old", "failed", long_ago)
    running_import(catalog, "snp_given_up", "abandoned", recently)
    paths = {
        name: put(catalog, f"{snapshot_folder('photos', 'daily', name)}/objects/0.parquet")
        for name in ("snp_running", "snp_failed", "snp_old", "snp_given_up", "snp_unknown")
    }
    stray = put(catalog, "snapshots/readme.txt")
    orphans = sweep(catalog).orphans
    assert set(orphans) == {paths[n] for n in ("snp_old", "snp_given_up", "snp_unknown")}
    assert catalog.files.exists(paths["snp_running"])
    assert catalog.files.exists(paths["snp_failed"])
    assert catalog.files.exists(stray)
    assert files_of(catalog, snapshot)


def test_changes_stay_as_long_as_the_log_names_them(catalog: Catalog) -> None:
    old, _ = at(catalog, 0, 1)
    kept = put(catalog, changes_path(old.source_id, "snp_of_old_times"))
    lost = put(catalog, changes_path(old.source_id, "snp_never_published"))
    with catalog.state.write() as connection:
        append_changes(
            connection,
            catalog,
            old.source_id,
            old_snapshot_id=None,
            new_snapshot_id="snp_of_old_times",
            path=kept,
            count=3,
        )
    assert sweep(catalog).orphans == (lost,)
    assert catalog.files.exists(kept)


def test_diffs_go_with_their_snapshots(catalog: Catalog) -> None:
    first, second, third = at(catalog, 0, 1, 2)
    diff_snapshots(catalog, first, second)
    diff_snapshots(catalog, second, third, prefix="a")
    delete_snapshot(catalog, first)
    gone = sweep(catalog).orphans
    assert gone == (f"diffs/{first.id}/{second.id}.parquet",)
    assert len(list(catalog.files.listing("diffs"))) == 1


def test_spilled_data_of_dead_processes_goes(catalog: Catalog) -> None:
    parent = catalog.temp_parent
    dead = parent / f"{host()}.{2**22 + 1}.0123abcd"
    alive = parent / f"{host()}.{os.getpid()}.0123abcd"
    elsewhere = parent / f"elsewhere.{2**22 + 1}.0123abcd"
    strange = parent / "notes"
    for folder in (dead, alive, elsewhere, strange):
        folder.mkdir(parents=True)
        (folder / "spill.tmp").write_bytes(b"x")
    assert sweep(catalog).temp_folders == (dead.name,)
    assert {p.name for p in parent.iterdir()} >= {alive.name, elsewhere.name, strange.name}
    assert not dead.exists()


def test_a_catalog_without_a_temporary_folder_sweeps(catalog: Catalog, tmp_path: Path) -> None:
    catalog.temp_parent = tmp_path / "none"
    assert sweep(catalog).temp_folders == ()


def test_owners_elsewhere_and_of_others_count_as_running(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(pid: int, signal: int) -> None:
        raise PermissionError

    assert not is_gone("elsewhere", 2**22 + 1)
    assert is_gone(host(), 2**22 + 1)
    assert not is_gone(host(), os.getpid())
    monkeypatch.setattr(os, "kill", forbidden)
    assert not is_gone(host(), 1)


def test_the_row_goes_last(catalog: Catalog) -> None:
    """While files are left, the row is there to find them by."""
    old, _ = at(catalog, 0, 1)
    with catalog.state.write() as connection:
        connection.execute(
            update(snapshots).where(snapshots.c.id == old.id).values(state="deleting")
        )
    with pytest.raises(SnapshotNotFoundError):
        find_snapshot(catalog, old.id)
    sweep(catalog)
    with catalog.state.read() as connection:
        assert old.id not in connection.execute(select(snapshots.c.id)).scalars().all()
