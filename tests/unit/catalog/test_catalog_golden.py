"""Snapshots of every format version load, answer and say what they said (CAT-10)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest
from golden_snapshot import AS_OF, COLUMNS, ROWS, UNCONFIRMED, UNDECODABLE, Row, make
from sqlalchemy import insert

from snapshot_world import source_row
from stocktake.catalog import (
    Catalog,
    Snapshot,
    diff_snapshots,
    find_snapshot,
    folder_figures,
    list_children,
    snapshot_folder,
)
from stocktake.catalog._format import SnapshotManifest
from stocktake.catalog.engines._protocol import DIFF
from stocktake.clock import format_utc
from stocktake.state import snapshots

FIXTURES = Path(__file__).parents[2] / "fixtures" / "snapshots"
VERSIONS = sorted(path.name for path in FIXTURES.iterdir() if path.is_dir())


@pytest.fixture(params=VERSIONS)
def golden(request: pytest.FixtureRequest) -> Path:
    return FIXTURES / str(request.param)


@pytest.fixture
def snapshot(golden: Path, catalog: Catalog) -> Snapshot:
    """The golden snapshot, published in a new catalog."""
    manifest = SnapshotManifest.from_bytes((golden / "snapshot.json").read_bytes(), path="golden")
    header, stats = manifest.header, manifest.stats
    path = snapshot_folder(header.bucket, header.config_id, manifest.snapshot_id)
    shutil.copytree(golden, Path(catalog.location) / path)
    source_id = source_row(catalog, header.bucket, header.config_id)
    with catalog.state.write() as connection:
        connection.execute(
            insert(snapshots).values(
                id=manifest.snapshot_id,
                source_id=source_id,
                identity=header.identity,
                as_of=format_utc(header.as_of),
                published_at=manifest.created_at,
                path=path,
                objects=stats.objects,
                size_bytes=stats.size_bytes,
                coverage={"prefix": "", "versions": "all", "config_hash": None},
                pinned=0,
                state="published",
            )
        )
    return find_snapshot(catalog, "latest")


def naive(row: Row) -> Row:
    return row | {"last_modified": row["last_modified"].replace(tzinfo=None)}


def in_order(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (row["key"], row["version_id"]))


EXPECTED = in_order([naive(row) for row in ROWS])


def test_there_is_a_golden_snapshot_of_each_version() -> None:
    assert VERSIONS == ["v1"]


def test_manifest_says_what_it_said(snapshot: Snapshot) -> None:
    manifest = snapshot.manifest
    assert (manifest.header.bucket, manifest.header.config_id) == ("photos", "daily")
    assert (manifest.header.as_of, manifest.header.columns) == (AS_OF, COLUMNS)
    assert manifest.header.coverage.config_hash == "0123456789abcdef"
    assert manifest.header.attrs == {"format": "CSV", "key_encoding": "form"}
    stats = manifest.stats
    assert (stats.objects, stats.size_bytes, stats.rows) == (7, 431, 11)
    assert (stats.folders, stats.folder_markers, stats.excluded_objects) == (6, 1, 1)
    assert (stats.delete_markers, stats.noncurrent_versions, stats.noncurrent_bytes) == (1, 1, 64)
    assert (stats.undecodable_keys, stats.duplicates, stats.bad_rows) == (1, 1, 0)
    assert (stats.oldest, stats.newest) == (
        "2025-01-01T12:30:15.250000Z",
        "2025-01-11T12:30:15.250000Z",
    )
    assert stats.by_storage_class == {"GLACIER": [1, 8], "STANDARD": [6, 423]}
    assert len(manifest.warnings) == 5


def test_folders_and_objects_are_found(catalog: Catalog, snapshot: Snapshot) -> None:
    root = folder_figures(catalog, snapshot, "")
    assert (root["objects"], root["size_bytes"], root["direct_objects"]) == (7, 431, 3)
    assert root["bytes_by_class"] == {"GLACIER": 8, "STANDARD": 423}
    rows = list_children(catalog, snapshot, "").rows.to_pylist()
    assert [(row["kind"], row["path"], row["objects"], row["size_bytes"]) for row in rows] == [
        ("folder", "/", 1, 1),
        ("object", "a", 1, 2),
        ("folder", "a/", 2, 12),
        ("folder", "data/", 0, 0),
        ("object", "line\nbreak", 1, 32),
        ("object", "\uffff", 1, 128),
        ("folder", "\U0001f600/", 1, 256),
    ]


def test_it_differs_in_nothing_from_itself(catalog: Catalog, snapshot: Snapshot) -> None:
    assert diff_snapshots(catalog, snapshot, snapshot).summary.changes == 0


def test_bounds_in_the_manifest_are_those_of_the_files(golden: Path, snapshot: Snapshot) -> None:
    for file in (*snapshot.manifest.files, *snapshot.manifest.undecodable_files):
        stored = pq.ParquetFile(golden / file.name)
        assert (golden / file.name).stat().st_size == file.size_bytes
        assert stored.metadata.num_row_groups == len(file.row_groups)
        for number, group in enumerate(file.row_groups):
            keys = stored.read_row_group(number, columns=["key"]).column("key").to_pylist()
            assert keys == sorted(keys, key=str.encode)
            assert (group.min_key, group.max_key, group.rows) == (keys[0], keys[-1], len(keys))


def objects_of(golden: Path) -> list[str]:
    """The object files as a stranger finds them: by `snapshot.json` alone."""
    raw = json.loads((golden / "snapshot.json").read_text("ascii"))
    return [str(golden / file["name"]) for file in raw["files"]]


def by_pyarrow(paths: list[str]) -> list[Row]:
    rows: list[Row] = [row for path in paths for row in pq.read_table(path).to_pylist()]
    return rows


def by_polars(paths: list[str]) -> list[Row]:
    return pl.read_parquet(paths).to_dicts()


def by_duckdb(paths: list[str]) -> list[Row]:
    rows: list[Row] = (
        duckdb.sql("SELECT * FROM read_parquet($p)", params={"p": paths})
        .to_arrow_table()
        .to_pylist()
    )
    return rows


Reader = Callable[[list[str]], list[Row]]


@pytest.mark.parametrize("reader", [by_pyarrow, by_polars, by_duckdb])
def test_readers_that_are_not_ours_read_every_row(golden: Path, reader: Reader) -> None:
    assert in_order(reader(objects_of(golden))) == EXPECTED
    raw = json.loads((golden / "snapshot.json").read_text("ascii"))
    odd = [str(golden / file["name"]) for file in raw["undecodable_files"]]
    assert reader(odd) == [naive(UNDECODABLE)]
    (pending,) = reader([str(golden / "unconfirmed.parquet")])
    assert list(pending) == DIFF.names
    assert (pending["key"], pending["change"]) == (UNCONFIRMED["key"], "unconfirmed")
    folders = {row["folder"]: row for row in reader([str(golden / raw["folders_file"])])}
    assert sorted(folders) == ["", "/", "a/", "a//", "data/", "\U0001f600/"]
    assert folders["a/"] == {
        "folder": "a/",
        "parent": "",
        "depth": 1,
        "direct_objects": 1,
        "direct_bytes": 8,
        "total_objects": 2,
        "total_bytes": 12,
        "newest": datetime(2025, 1, 4, 12, 30, 15, 250_000),  # noqa: DTZ001 - stored so
        "child_folders": 1,
        "bytes_by_class": {"GLACIER": 8, "STANDARD": 4},
    }


def shape(folder: Path) -> dict[str, Any]:
    """Names of files and the types of their columns."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*.parquet")):
        name = path.relative_to(folder).as_posix()
        schema = pq.read_schema(path)
        found[name] = [(field.name, str(field.type), field.nullable) for field in schema]
    manifest = json.loads((folder / "snapshot.json").read_text("ascii"))
    found["snapshot.json"] = sorted([*manifest, *manifest["source"], *manifest["stats"]])
    return found


def test_what_is_written_now_has_the_golden_shape(tmp_path: Path) -> None:
    """A change of the format needs a new version and a golden snapshot of its own."""
    make(tmp_path / "now")
    assert shape(tmp_path / "now") == shape(FIXTURES / VERSIONS[-1])
