"""Folders against a model that looks at every ancestor of every key (CAT-2)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from catalog_models import (
    PLAIN,
    VERSIONED,
    Row,
    columns,
    current,
    folders_model,
    is_marker,
    keys,
    rows,
    split,
    unique_rows,
    write_parts,
)
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from stocktake.catalog._format import FOLDERS
from stocktake.catalog.engines import _duckdb_rollup
from stocktake.catalog.engines._duckdb_connection import DuckDbConnections, DuckDbSettings
from stocktake.catalog.engines._duckdb_rollup import roll_up
from stocktake.catalog.engines._protocol import RollUp

quick = settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
version_rows = st.builds(
    lambda row, more: row | more,
    rows,
    st.fixed_dictionaries(
        {
            "version_id": st.sampled_from(["v1", "v2", "null"]),
            "is_latest": st.none() | st.booleans(),
            "is_delete_marker": st.none() | st.booleans(),
        }
    ),
)


def rolled(
    folder: Path, content: Sequence[Row], columns: Sequence[str], excluded: Sequence[str] = ()
) -> tuple[RollUp, list[Row]]:
    """The totals and the rows of `folders.parquet`, classes without bytes left out."""
    view, _ = write_parts(folder, split(content, 2), columns, excluded)
    sink = io.BytesIO()
    result = roll_up(DuckDbConnections(DuckDbSettings(threads=1)), view, sink)
    table = pq.read_table(io.BytesIO(sink.getvalue()))
    assert table.schema.names[: len(FOLDERS)] == FOLDERS.names
    found = table.to_pylist()
    for row in found:
        classes = row.setdefault("bytes_by_class", {})
        row["bytes_by_class"] = {k: v for k, v in classes.items() if v}
    return result, found


def check(
    folder: Path, content: Sequence[Row], columns: Sequence[str], excluded: Sequence[str] = ()
) -> RollUp:
    result, found = rolled(folder, content, columns, excluded)
    expected = folders_model(content, columns, excluded)
    for row in expected.values():
        row["bytes_by_class"] = {k: v for k, v in row["bytes_by_class"].items() if v}
    order = sorted(found, key=lambda row: row["folder"].encode(), reverse=True)
    assert found == order
    assert {row["folder"]: row for row in found} == expected
    assert len(found) == len(expected) == result.folders
    return result


@given(content=unique_rows(max_size=12), columns=columns)
@example(content=[], columns=PLAIN)
@example(content=[{"key": "/"}, {"key": "//"}], columns=("key",))
@example(content=[{"key": "a/", "size_bytes": 0}, {"key": "b/", "size_bytes": 1}], columns=PLAIN)
@quick
def test_folders_of_current_objects(
    tmp_path: Path, content: list[Row], columns: tuple[str, ...]
) -> None:
    result = check(tmp_path, content, columns)
    objects = [row for row in current(content, columns) if not is_marker(row)]
    sizes = [row["size_bytes"] for row in objects if row.get("size_bytes") is not None]
    dates = [row["last_modified"] for row in objects if row.get("last_modified") is not None]
    assert result.totals["objects"] == len(objects)
    known = "size_bytes" in columns and (sizes or not objects)
    assert result.totals["size_bytes"] == (sum(sizes) if known else None)
    assert result.totals["folder_markers"] == len(current(content, columns)) - len(objects)
    assert result.totals["oldest"] == stamp(min(dates, default=None))
    assert result.totals["newest"] == stamp(max(dates, default=None))
    assert result.totals["by_storage_class"] == classes_of(objects)


@given(content=st.lists(version_rows, max_size=12))
@quick
def test_folders_of_a_versioned_report_count_the_current_view(
    tmp_path: Path, content: list[Row]
) -> None:
    """INV-6."""
    totals = check(tmp_path, content, VERSIONED).totals
    old = [row for row in content if not row["is_latest"] and not row["is_delete_marker"]]
    assert totals["delete_markers"] == sum(row["is_delete_marker"] is True for row in content)
    assert totals["noncurrent_versions"] == len(old)
    sizes = [row["size_bytes"] for row in old if row["size_bytes"] is not None]
    assert totals["noncurrent_bytes"] == (sum(sizes) if sizes or not old else None)


@given(content=unique_rows(max_size=12), excluded=st.lists(keys, min_size=1, max_size=2))
@quick
def test_excluded_prefixes_stay_out_of_folders_and_totals(
    tmp_path: Path, content: list[Row], excluded: list[str]
) -> None:
    """INV-10."""
    totals = check(tmp_path, content, PLAIN, excluded).totals
    assert totals["excluded_objects"] == len(content) - len(current(content, PLAIN, excluded))


def test_sizes_beyond_64_bits_in_sum_are_not_wrapped(tmp_path: Path) -> None:
    half = 2**62
    result, found = rolled(
        tmp_path,
        [{"key": f"a/{n}", "size_bytes": half - n} for n in range(2)],
        ("key", "size_bytes"),
    )
    assert result.totals["size_bytes"] == 2 * half - 1
    assert found[0]["total_bytes"] == 2 * half - 1


def classes_of(objects: Sequence[Row]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for row in objects:
        if row.get("storage_class") is not None:
            counted = found.setdefault(row["storage_class"], [0, None])
            counted[0] += 1
            if row.get("size_bytes") is not None:
                counted[1] = (counted[1] or 0) + row["size_bytes"]
    return dict(sorted(found.items()))


def stamp(value: datetime | None) -> str | None:
    return None if value is None else value.isoformat() + "Z"


@pytest.mark.parametrize("marker_size", [0, None])
def test_folder_that_only_a_marker_makes_is_there_and_empty(
    tmp_path: Path, marker_size: int | None
) -> None:
    _, found = rolled(tmp_path, [{"key": "x/y/", "size_bytes": marker_size}], PLAIN)
    assert [(row["folder"], row["total_objects"], row["total_bytes"]) for row in found] == [
        ("x/y/", 0, 0),
        ("x/", 0, 0),
        ("", 0, 0),
    ]


@given(content=unique_rows(min_size=1, max_size=12))
@quick
def test_folders_are_the_same_however_many_key_ranges_they_are_made_from(
    tmp_path: Path, content: list[Row]
) -> None:
    whole, once = rolled(tmp_path, content, PLAIN)
    view, _ = write_parts(tmp_path, split(content, 2), PLAIN)
    quantiles = tuple(sorted({row["key"] for row in content}))
    stats = replace(view.manifest.stats, rows=len(content))
    view = replace(view, manifest=replace(view.manifest, quantiles=quantiles, stats=stats))
    sink = io.BytesIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_duckdb_rollup, "_ROWS_PER_RANGE", 1)
        pieces = roll_up(DuckDbConnections(DuckDbSettings(threads=1)), view, sink)
    assert pieces == whole
    found = pq.read_table(io.BytesIO(sink.getvalue())).to_pylist()
    for row in found:
        row["bytes_by_class"] = {k: v for k, v in row.pop("bytes_by_class", {}).items() if v}
    assert found == once
