"""A snapshot as an Iceberg table that other programs read, with time travel (CAT-11)."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest
from pyiceberg.catalog import Catalog as IcebergCatalog
from pyiceberg.catalog import load_catalog

from snapshot_world import DAY, PLAIN, publish, row
from stocktake.catalog import Catalog, find_snapshot, open_catalog
from stocktake.catalog._iceberg import SNAPSHOT_PROPERTY, publish_iceberg
from stocktake.clock import SystemClock
from stocktake.errors import CatalogError, InvalidQueryError, MissingExtraError


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    where = str(tmp_path / "catalog")
    with open_catalog(where, create=True, clock=SystemClock(), threads=1) as catalog:
        yield catalog


@pytest.fixture
def lake(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "lake").mkdir()
    return {
        "name": "lake",
        "type": "sql",
        "uri": f"sqlite:///{tmp_path / 'lake' / 'catalog.db'}",
        "warehouse": f"file://{tmp_path / 'lake'}",
    }


def reader(lake: dict[str, str]) -> IcebergCatalog:
    """Another program that knows the same Iceberg catalog."""
    return load_catalog(**lake)


def keys_at(lake: dict[str, str], snapshot_id: int | None = None) -> list[str]:
    table = reader(lake).load_table("s3.photos")
    return sorted(table.scan(snapshot_id=snapshot_id).to_arrow().column("key").to_pylist())


def test_every_publication_is_a_state_one_can_travel_to(
    catalog: Catalog, lake: dict[str, str]
) -> None:
    old = publish(catalog, [row(f"a/{n}") for n in range(9)])
    new = publish(catalog, [row(f"b/{n}") for n in range(5)], as_of=DAY + timedelta(days=1))
    files_before = sorted(catalog.files.listing("snapshots"))
    publish_iceberg(catalog, old, iceberg_catalog=lake, table="s3.photos")
    location = publish_iceberg(catalog, new, iceberg_catalog=lake, table="s3.photos")
    assert keys_at(lake) == [f"b/{n}" for n in range(5)]
    table = reader(lake).load_table("s3.photos")
    assert table.metadata_location == location
    first = next(
        s.snapshot_id
        for s in table.snapshots()
        if s.summary[SNAPSHOT_PROPERTY] == old.id and s.summary["total-records"] == "9"
    )
    assert keys_at(lake, first) == [f"a/{n}" for n in range(9)]
    # registered, not rewritten
    assert sorted(catalog.files.listing("snapshots")) == files_before
    in_table = {Path(t.file.file_path.removeprefix("file://")) for t in table.scan().plan_files()}
    assert in_table == {Path(path) for path in new.view.paths}


def test_other_programs_read_the_table(
    catalog: Catalog, lake: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POLARS_ICEBERG_PLANNER", "pyiceberg")
    snapshot = publish(catalog, [row("a/1", 5), row("a/2", 7), row("b", None)])
    publish_iceberg(catalog, snapshot, iceberg_catalog=lake, table="s3.photos")
    table = reader(lake).load_table("s3.photos")
    frame = pl.scan_iceberg(table).filter(pl.col("key") < "b").collect()
    assert frame.select(pl.col("size_bytes").sum()).item() == 12
    assert frame.schema["last_modified"] == pl.Datetime("us")
    paths = [task.file.file_path.removeprefix("file://") for task in table.scan().plan_files()]
    assert duckdb.sql("select count(*) from read_parquet($p)", params={"p": paths}).fetchall() == [
        (3,)
    ]


def test_files_are_skipped_by_key(catalog: Catalog, lake: dict[str, str]) -> None:
    parts = [row(f"{part}/{n}") for n in range(4) for part in "abc"]  # dealt out one each
    snapshot = publish(catalog, parts, parts=3)
    publish_iceberg(catalog, snapshot, iceberg_catalog=lake, table="s3.photos")
    table = reader(lake).load_table("s3.photos")
    assert len(list(table.scan("key >= 'b/' and key < 'b0'").plan_files())) == 1


def test_publishing_again_changes_nothing_and_the_snapshot_is_pinned(
    catalog: Catalog, lake: dict[str, str]
) -> None:
    snapshot = publish(catalog, [row("a")])
    locations = {
        publish_iceberg(catalog, snapshot, iceberg_catalog=lake, table="s3.photos")
        for _ in range(2)
    }
    assert len(locations) == 1
    assert find_snapshot(catalog, snapshot.id).pinned
    table = reader(lake).load_table("s3.photos")
    assert table.properties["gc.enabled"] == "false"


def test_a_report_with_more_columns_widens_the_table(
    catalog: Catalog, lake: dict[str, str]
) -> None:
    narrow = publish(catalog, [row("a")], columns=("key", "size_bytes"))
    wide = publish(
        catalog,
        [row("b", extra_owner="me")],
        columns=(*PLAIN, "extra_owner"),
        as_of=DAY + timedelta(days=1),
    )
    for snapshot in (narrow, wide, narrow):
        publish_iceberg(catalog, snapshot, iceberg_catalog=lake, table="s3.photos")
    table = reader(lake).load_table("s3.photos")
    assert (
        table.scan().to_arrow().to_pylist()[0] | {"etag": None, "extra_owner": None}
        == (table.scan().to_arrow().to_pylist()[0])
    )
    assert keys_at(lake) == ["a"]


def test_no_warning_is_given_about_statistics(catalog: Catalog, lake: dict[str, str]) -> None:
    snapshot = publish(catalog, [row("a"), row("b", None, etag=None)])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        publish_iceberg(catalog, snapshot, iceberg_catalog=lake, table="s3.photos")
    assert [str(w.message) for w in caught] == []


def test_what_cannot_be_published_is_told(
    catalog: Catalog, lake: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    snapshot = publish(catalog, [row("a")])
    with pytest.raises(InvalidQueryError, match="not an Iceberg table name"):
        publish_iceberg(catalog, snapshot, iceberg_catalog=lake, table="photos")
    with pytest.raises(InvalidQueryError, match="has no rows"):
        publish_iceberg(catalog, publish(catalog, []), iceberg_catalog=lake, table="s3.photos")
    with pytest.raises(CatalogError, match="Iceberg catalog cannot be opened"):
        publish_iceberg(catalog, snapshot, iceberg_catalog={"type": "no"}, table="s3.photos")
    broken = lake | {"uri": f"sqlite:///{tmp_path / 'nowhere' / 'x.db'}"}
    with pytest.raises(CatalogError, match="Iceberg"):
        publish_iceberg(catalog, snapshot, iceberg_catalog=broken, table="s3.photos")
    assert not find_snapshot(catalog, snapshot.id).pinned
    Path(snapshot.view.paths[0]).unlink()
    with pytest.raises(CatalogError, match="refuses the files"):
        publish_iceberg(catalog, snapshot, iceberg_catalog=lake, table="s3.photos")
    monkeypatch.setitem(sys.modules, "pyiceberg.catalog", None)
    with pytest.raises(MissingExtraError) as error:
        publish_iceberg(catalog, snapshot, iceberg_catalog=lake, table="s3.photos")
    assert error.value.hint == "pip install 'stocktake[iceberg]'"
