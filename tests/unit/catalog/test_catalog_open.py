"""Opening and creating catalogs: what is refused, and what belongs together (CAT-1)."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from snapshot_world import publish, row, source_row
from stocktake.catalog import Catalog, find_snapshot, list_objects, open_catalog, snapshot_folder
from stocktake.catalog._catalog import user_data_folder
from stocktake.clock import FixedClock
from stocktake.errors import (
    CatalogCorruptError,
    CatalogError,
    CatalogNotFoundError,
    CatalogVersionError,
    InvalidSettingError,
    StateError,
)
from stocktake.testing import MemoryStore


def created(path: Path, clock: FixedClock) -> Catalog:
    return open_catalog(str(path), create=True, clock=clock, threads=1)


def edit_marker(path: Path, **changes: object) -> None:
    marker = path / "catalog.json"
    marker.write_text(json.dumps(json.loads(marker.read_text()) | changes))


def test_a_catalog_keeps_its_id(tmp_path: Path, clock: FixedClock) -> None:
    with created(tmp_path / "c", clock) as one, created(tmp_path / "c", clock) as again:
        assert one.id == again.id
        assert one.id.startswith("cat_")
        assert one.location == str(tmp_path / "c")


def test_nothing_is_made_unless_asked(tmp_path: Path, clock: FixedClock) -> None:
    with pytest.raises(CatalogNotFoundError, match="no catalog at"):
        open_catalog(str(tmp_path / "c"), clock=clock)
    assert list(tmp_path.iterdir()) == []


def test_a_directory_with_other_things_is_refused(tmp_path: Path, clock: FixedClock) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(CatalogError, match=r"not a catalog and not empty: `holiday\.jpg`"):
        created(tmp_path, clock)
    assert [p.name for p in tmp_path.iterdir()] == ["holiday.jpg"]


def test_a_file_is_refused(tmp_path: Path, clock: FixedClock) -> None:
    (tmp_path / "c").write_bytes(b"x")
    with pytest.raises(CatalogError, match="is a file"):
        created(tmp_path / "c", clock)


def test_a_place_below_a_file_is_refused(tmp_path: Path, clock: FixedClock) -> None:
    (tmp_path / "c").write_bytes(b"x")
    with pytest.raises(CatalogError, match="cannot make the folder"):
        created(tmp_path / "c" / "d", clock)


def test_a_creation_that_was_killed_goes_on(tmp_path: Path, clock: FixedClock) -> None:
    with created(tmp_path, clock) as one:
        first = one.id
    (tmp_path / "catalog.json").rename(tmp_path / ".catalog.json.0123456789abcdef.part")
    with created(tmp_path, clock) as again:
        assert again.id == first


@pytest.mark.parametrize("url", ["http://host/catalog", "file:///catalog"])
def test_other_addresses_are_refused(url: str, clock: FixedClock) -> None:
    with pytest.raises(InvalidSettingError, match="cannot be at"):
        open_catalog(url, clock=clock)


def test_a_newer_catalog_is_refused(tmp_path: Path, clock: FixedClock) -> None:
    created(tmp_path, clock).close()
    edit_marker(tmp_path, version=2)
    with pytest.raises(CatalogVersionError, match="has version 2"):
        created(tmp_path, clock)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"format": "stocktake-catalog"}'])
def test_a_damaged_marker_is_told(tmp_path: Path, clock: FixedClock, content: str) -> None:
    created(tmp_path, clock).close()
    (tmp_path / "catalog.json").write_text(content)
    with pytest.raises(CatalogCorruptError, match="cannot be read"):
        created(tmp_path, clock)


def test_another_programs_marker_is_told(tmp_path: Path, clock: FixedClock) -> None:
    created(tmp_path, clock).close()
    edit_marker(tmp_path, format="somebody-elses")
    with pytest.raises(CatalogCorruptError, match="is not a stocktake catalog"):
        created(tmp_path, clock)


def test_a_lost_control_database_is_not_taken_for_an_empty_catalog(
    tmp_path: Path, clock: FixedClock
) -> None:
    """A sweep would otherwise take every snapshot for an orphan and delete it."""
    created(tmp_path, clock).close()
    (tmp_path / "state.db").unlink()
    with pytest.raises(StateError, match="belongs to no catalog yet"):
        open_catalog(str(tmp_path), clock=clock)


def test_another_catalogs_control_database_is_refused(tmp_path: Path, clock: FixedClock) -> None:
    created(tmp_path / "one", clock).close()
    created(tmp_path / "two", clock).close()
    url = f"sqlite:///{tmp_path / 'one' / 'state.db'}"
    with pytest.raises(StateError, match="belongs to another catalog"):
        open_catalog(str(tmp_path / "two"), state_url=url, clock=clock)


def test_a_database_in_use_serves_no_second_catalog(tmp_path: Path, clock: FixedClock) -> None:
    with created(tmp_path / "one", clock) as one:
        source_row(one, "photos", "daily")
    url = f"sqlite:///{tmp_path / 'one' / 'state.db'}"
    with pytest.raises(StateError, match="already serves another catalog"):
        open_catalog(str(tmp_path / "two"), state_url=url, create=True, clock=clock)
    assert not (tmp_path / "two" / "catalog.json").exists()


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    store.describe("CreateBucket", "lake")
    return store


def test_a_catalog_in_a_store_answers_like_one_in_a_directory(
    store: MemoryStore, clock: FixedClock
) -> None:
    where = "s3://lake/team/catalog"
    with open_catalog(where, store=store, create=True, clock=clock, threads=1) as catalog:
        publish(catalog, [row(f"a/{n:03}") for n in range(100)])
    with open_catalog(where, store=store, clock=clock, threads=1) as catalog:
        page = list_objects(catalog, find_snapshot(catalog, "latest"), "a/09")
        assert page.rows.column("key").to_pylist() == [f"a/09{n}" for n in range(10)]
    kept = user_data_folder(os.environ)
    assert list((kept / "catalogs").glob("*.db"))


def test_a_catalog_in_a_store_needs_the_store(clock: FixedClock) -> None:
    with pytest.raises(InvalidSettingError, match="needs an object store"):
        open_catalog("s3://lake/catalog", clock=clock)


def test_a_prefix_with_other_things_is_refused(store: MemoryStore, clock: FixedClock) -> None:
    store.put("lake", "data/x", b"x")
    with pytest.raises(CatalogError, match="not a catalog and not empty"):
        open_catalog("s3://lake/data", store=store, create=True, clock=clock)
    with pytest.raises(CatalogNotFoundError):
        open_catalog("s3://lake/elsewhere", store=store, clock=clock)


def test_data_lives_below_the_home_directory_by_default() -> None:
    assert user_data_folder({}) == Path.home() / ".local" / "share" / "stocktake"
    assert user_data_folder({"XDG_DATA_HOME": "/data"}) == Path("/data/stocktake")


@pytest.mark.parametrize(
    ("config_id", "name"),
    [
        ("daily", "daily"),
        ("a/b c", "a%2Fb%20c"),
        ("..", "%2E%2E"),
        (".", "%2E"),
        ("", "-"),
        ("a=b", "a%3Db"),
        ("ü", "%C3%BC"),
    ],
)
def test_no_name_of_a_configuration_leaves_its_folder(config_id: str, name: str) -> None:
    assert snapshot_folder("photos", config_id, "snp_1") == f"snapshots/photos/{name}/snp_1"
