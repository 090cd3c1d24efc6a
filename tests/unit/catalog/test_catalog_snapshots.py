"""Finding snapshots by what people call them, pinning, leases (CAT-6)."""

from __future__ import annotations

import json
import threading
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from snapshot_world import DAY, publish, row
from stocktake.catalog import (
    Catalog,
    Snapshot,
    delete_snapshot,
    describe_snapshot,
    find_snapshot,
    list_snapshots,
    pin_snapshot,
    snapshot_json,
    use_snapshot,
)
from stocktake.catalog import _snapshot_uses as uses
from stocktake.clock import FixedClock
from stocktake.errors import (
    AmbiguousSnapshotError,
    CatalogCorruptError,
    CatalogVersionError,
    InvalidQueryError,
    SnapshotInUseError,
    SnapshotNotFoundError,
    StateLockedError,
)
from stocktake.state import snapshot_uses


def days(catalog: Catalog, count: int, **of: str) -> list[Snapshot]:
    """Snapshots of so many days, newest first."""
    made = []
    for number in range(count):
        at = DAY + timedelta(days=number)
        made.append(publish(catalog, [row("a")], as_of=at, parts=1, **of))
    return made[::-1]


def test_latest_previous_and_steps_back(catalog: Catalog) -> None:
    known = [s.id for s in days(catalog, 4)]
    references = ["latest", "", "previous", "latest~1", "latest~2", "latest~3", "latest~0"]
    found = [find_snapshot(catalog, text).id for text in references]
    assert found == [known[i] for i in (0, 0, 1, 1, 2, 3, 0)]
    with pytest.raises(SnapshotNotFoundError, match="further than the 4 snapshots"):
        find_snapshot(catalog, "latest~4")


def test_dates_stamps_instants_and_ids(catalog: Catalog) -> None:
    known = days(catalog, 3)
    middle = known[1]
    for text in (
        "2026-11-21",
        "2026-11-21T01-00Z",
        "2026-11-21T01:00:00Z",
        "2026-11-21T02:00:30+01:00",
        middle.id,
        middle.id[:-1],
        middle.id.removeprefix("snp_"),
    ):
        assert find_snapshot(catalog, text).id == middle.id
    with pytest.raises(SnapshotNotFoundError, match="no snapshot matches `2020-01-01`"):
        find_snapshot(catalog, "2020-01-01")
    with pytest.raises(SnapshotNotFoundError):
        find_snapshot(catalog, "snp_zz")


@pytest.mark.parametrize("text", ["yesterday", "latest~x", "2026-13-01", "2026-11-21T99-00Z", "+"])
def test_what_is_no_reference_is_told(catalog: Catalog, text: str) -> None:
    days(catalog, 1)
    with pytest.raises(InvalidQueryError, match="does not name a snapshot"):
        find_snapshot(catalog, text)


def test_an_empty_catalog_says_so(catalog: Catalog) -> None:
    with pytest.raises(SnapshotNotFoundError, match="there is no snapshot yet"):
        find_snapshot(catalog, "latest")
    days(catalog, 1)
    with pytest.raises(SnapshotNotFoundError, match="no snapshot of `films` yet"):
        find_snapshot(catalog, "films@latest")


def test_several_sources_must_be_told_apart(catalog: Catalog) -> None:
    days(catalog, 2)
    weekly = days(catalog, 1, config_id="weekly")[0]
    films = days(catalog, 1, bucket="films")[0]
    with pytest.raises(AmbiguousSnapshotError, match=r"photos/daily@.*films/daily@|films/.*photos"):
        find_snapshot(catalog, "latest")
    with pytest.raises(AmbiguousSnapshotError) as caught:
        find_snapshot(catalog, "photos@latest")
    assert len(caught.value.attrs["candidates"]) == 2
    assert find_snapshot(catalog, "photos/weekly@latest").id == weekly.id
    assert find_snapshot(catalog, "films@").id == films.id
    assert find_snapshot(catalog, "latest", source="films").id == films.id
    assert find_snapshot(catalog, "films@latest", source="photos/daily").id == films.id
    assert find_snapshot(catalog, films.id).id == films.id


def test_a_day_with_several_snapshots_lists_them(catalog: Catalog) -> None:
    for hour in range(12):
        publish(catalog, [row("a")], as_of=DAY + timedelta(hours=hour), parts=1)
    with pytest.raises(AmbiguousSnapshotError, match=r"T12-00Z .* and 2 more") as caught:
        find_snapshot(catalog, "2026-11-20")
    assert len(caught.value.attrs["candidates"]) == 12
    assert find_snapshot(catalog, "2026-11-20T07-00Z").stamp == "2026-11-20T07-00Z"


def test_listing_is_newest_first_and_by_source(catalog: Catalog) -> None:
    photos = days(catalog, 3)
    films = days(catalog, 1, bucket="films")
    assert [s.id for s in list_snapshots(catalog, source="photos")] == [s.id for s in photos]
    assert [s.id for s in list_snapshots(catalog, source="films/daily")] == [films[0].id]
    assert list_snapshots(catalog, source="films/other") == []
    assert len(list_snapshots(catalog)) == 4


def test_what_is_said_about_a_snapshot(catalog: Catalog) -> None:
    snapshot = days(catalog, 1)[0]
    assert describe_snapshot(snapshot) == f"photos/daily@2026-11-20T01-00Z ({snapshot.id})"
    assert json.loads(json.dumps(snapshot_json(snapshot))) == {
        "id": snapshot.id,
        "source": "photos/daily",
        "kind": "aws_inventory",
        "as_of": "2026-11-20T01:00:00Z",
        "published_at": "2026-01-10T12:00:00Z",
        "objects": 1,
        "size_bytes": None,
        "pinned": False,
    }


def test_a_damaged_manifest_is_told(catalog: Catalog, tmp_path: Path) -> None:
    snapshot, other = days(catalog, 2)
    path = Path(catalog.files.engine_path(f"{snapshot.path}/snapshot.json"))
    whole = path.read_text()
    path.write_text(Path(catalog.files.engine_path(f"{other.path}/snapshot.json")).read_text())
    with pytest.raises(CatalogCorruptError, match="is the manifest of"):
        _ = find_snapshot(catalog, snapshot.id).manifest
    path.write_text(json.dumps(json.loads(whole) | {"version": 99}))
    with pytest.raises(CatalogVersionError):
        _ = find_snapshot(catalog, snapshot.id).manifest
    path.unlink()
    with pytest.raises(CatalogCorruptError, match="missing"):
        _ = find_snapshot(catalog, snapshot.id).manifest


def test_the_manifest_is_read_once(catalog: Catalog) -> None:
    snapshot = days(catalog, 1)[0]
    assert snapshot.manifest is snapshot.manifest
    assert snapshot.view is snapshot.view
    assert snapshot.view.manifest is snapshot.manifest


def test_pinning_and_unpinning(catalog: Catalog) -> None:
    snapshot = days(catalog, 1)[0]
    pin_snapshot(catalog, snapshot)
    assert find_snapshot(catalog, "latest").pinned
    pin_snapshot(catalog, snapshot, pinned=False)
    assert not find_snapshot(catalog, "latest").pinned
    delete_snapshot(catalog, snapshot, force=True)
    with pytest.raises(SnapshotNotFoundError):
        pin_snapshot(catalog, snapshot)


def lease(catalog: Catalog) -> list[datetime | str]:
    with catalog.state.read() as connection:
        return list(connection.execute(select(snapshot_uses.c.lease_until)).scalars())


def test_a_snapshot_that_is_read_is_not_deleted(catalog: Catalog) -> None:
    _, old = days(catalog, 2)
    with use_snapshot(catalog, old) as used:
        assert used is old
        for force in (False, True):
            with pytest.raises(SnapshotInUseError, match="is being read by"):
                delete_snapshot(catalog, old, force=force)
    assert lease(catalog) == []
    delete_snapshot(catalog, old)
    with pytest.raises(SnapshotNotFoundError), use_snapshot(catalog, old):
        pass


@pytest.mark.parametrize(
    "change",
    [
        {"lease_until": "2026-01-10T11:59:59Z"},
        {"owner_pid": 2**22 + 1},  # above every number that Linux gives
    ],
)
def test_readers_that_died_do_not_count(catalog: Catalog, change: dict[str, object]) -> None:
    _, old = days(catalog, 2)
    with use_snapshot(catalog, old):
        with catalog.state.write() as connection:
            connection.execute(update(snapshot_uses).values(**change))
        delete_snapshot(catalog, old)


def test_readers_on_other_hosts_count_until_their_lease_ends(
    catalog: Catalog, clock: FixedClock
) -> None:
    _, old = days(catalog, 2)
    with use_snapshot(catalog, old):
        with catalog.state.write() as connection:
            connection.execute(
                update(snapshot_uses).values(owner_host="elsewhere", owner_pid=2**22 + 1)
            )
        with pytest.raises(SnapshotInUseError, match="elsewhere"):
            delete_snapshot(catalog, old)
        clock.advance(uses.LEASE.total_seconds() + 1)
        delete_snapshot(catalog, old)


def test_a_long_read_renews_its_lease(
    catalog: Catalog, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uses, "_RENEW_EVERY_S", 0.01)
    snapshot = days(catalog, 1)[0]
    with use_snapshot(catalog, snapshot):
        clock.advance(3600)
        for _ in range(500):
            if lease(catalog) == ["2026-01-10T13:05:00Z"]:
                break
            threading.Event().wait(0.01)
        assert lease(catalog) == ["2026-01-10T13:05:00Z"]


def test_a_failed_renewal_does_not_end_the_read(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uses, "_RENEW_EVERY_S", 0.001)
    snapshot = days(catalog, 1)[0]
    failed = threading.Event()
    until = uses._until

    def locked(clock: FixedClock) -> str:
        if threading.current_thread().name.startswith("lease-") and not failed.is_set():
            failed.set()
            raise StateLockedError("busy")
        return until(clock)

    monkeypatch.setattr(uses, "_until", locked)
    with use_snapshot(catalog, snapshot):
        assert failed.wait(5)
    assert lease(catalog) == []
