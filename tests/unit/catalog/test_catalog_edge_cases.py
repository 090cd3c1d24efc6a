"""What odd reports become in the catalog; tests are named after rows of the edge cases (INV-12).

How such rows are read is tested with the reader; here is what folders, snapshots and diffs make of
them.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from import_doubles import rows_of

from stocktake.catalog import (
    Catalog,
    ImportOptions,
    ImportResult,
    Snapshot,
    diff_snapshots,
    find_snapshot,
    folder_figures,
    import_snapshot,
    list_children,
    list_snapshots,
)
from stocktake.errors import CoverageMismatchError, StaleReportError
from stocktake.model import Coverage
from stocktake.testing import MemorySource

DAY = datetime(2026, 1, 5, 1, tzinfo=UTC)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
VERSIONS = (
    "key", "version_id", "is_latest", "is_delete_marker", "size_bytes", "last_modified", "etag",
)  # fmt: skip

Row = dict[str, Any]


def objects(*keys: str, size_bytes: int | None = 1) -> list[Row]:
    return [
        {"key": k, "size_bytes": size_bytes, "etag": f"e-{k}", "last_modified": LONG_AGO}
        for k in keys
    ]


def version(key: str, name: str, day: int, *, latest: bool, marker: bool = False) -> Row:
    at = LONG_AGO + timedelta(days=day)
    size = None if marker else day
    return {"key": key, "version_id": name, "is_latest": latest, "is_delete_marker": marker,
            "size_bytes": size, "last_modified": at, "etag": None if marker else name}  # fmt: skip


def put(
    catalog: Catalog,
    *parts: list[Row],
    day: int = 0,
    options: ImportOptions = ImportOptions(),
    **more: Any,
) -> ImportResult:
    source = MemorySource(parts, as_of=DAY + timedelta(days=day), **more)
    return import_snapshot(catalog, source, options)


def newest(catalog: Catalog) -> Snapshot:
    return find_snapshot(catalog, "latest")


def children(catalog: Catalog, folder: str = "") -> dict[tuple[str, str], tuple[int, int | None]]:
    """(kind, path) -> (objects, bytes) of what lies directly in a folder."""
    rows = list_children(catalog, newest(catalog), folder).rows.to_pylist()
    return {(row["kind"], row["path"]): (row["objects"], row["size_bytes"]) for row in rows}


def keys(catalog: Catalog) -> list[str]:
    return [row["key"] for row in rows_of(catalog, newest(catalog))]


def changed(catalog: Catalog) -> list[tuple[str, str]]:
    """(change, key) between the two newest snapshots."""
    new, old = list_snapshots(catalog)[:2]
    batches = diff_snapshots(catalog, old, new).rows()
    return [(row["change"], row["key"]) for batch in batches for row in batch.to_pylist()]


def test_edge_13_leading_slash_makes_a_folder_without_a_name(catalog: Catalog) -> None:
    put(catalog, objects("/a/b", "a/b"))
    assert children(catalog) == {("folder", "/"): (1, 1), ("folder", "a/"): (1, 1)}
    assert children(catalog, "/") == {("folder", "/a/"): (1, 1)}


def test_edge_14_doubled_slash_is_a_folder_of_its_own(catalog: Catalog) -> None:
    put(catalog, objects("a//b", "a/b"))
    assert children(catalog, "a/") == {("folder", "a//"): (1, 1), ("object", "a/b"): (1, 1)}
    assert children(catalog, "a//") == {("object", "a//b"): (1, 1)}


def test_edge_15_dots_are_names_like_others(catalog: Catalog) -> None:
    put(catalog, objects("a/../../etc/passwd", "..\\x"))
    assert children(catalog, "a/../../") == {("folder", "a/../../etc/"): (1, 1)}
    assert ("object", "..\\x") in children(catalog)


def test_edge_16_keys_of_a_dot_or_with_a_space_last_stay_as_they_are(catalog: Catalog) -> None:
    odd = [".", "a ", "a.", "a"]
    put(catalog, objects(*odd))
    assert keys(catalog) == sorted(odd)
    assert len(children(catalog)) == 4


@pytest.mark.parametrize("size_bytes", [0, None])
def test_edge_17_empty_folder_marker_is_a_folder_and_no_object(
    catalog: Catalog, size_bytes: int | None
) -> None:
    result = put(catalog, objects("x/", size_bytes=size_bytes))
    assert children(catalog) == {("folder", "x/"): (0, 0)}
    assert children(catalog, "x/") == {}
    assert result.stats is not None
    assert (result.stats.objects, result.stats.folder_markers) == (0, 1)
    assert keys(catalog) == ["x/"]


def test_edge_18_folder_marker_with_data_is_an_object(catalog: Catalog) -> None:
    put(catalog, objects("x/", size_bytes=7))
    assert children(catalog) == {("folder", "x/"): (1, 7)}
    assert children(catalog, "x/") == {("object", "x/"): (1, 7)}


def test_edge_19_file_and_folder_of_one_name_stand_side_by_side(catalog: Catalog) -> None:
    put(catalog, objects("a", "a/b"))
    assert children(catalog) == {("object", "a"): (1, 1), ("folder", "a/"): (1, 1)}


def test_edge_20_keys_that_differ_by_case_are_two_objects(catalog: Catalog) -> None:
    put(catalog, objects("Photo.jpg", "photo.jpg", "A/x", "a/x"))
    assert len(children(catalog)) == 4
    put(
        catalog,
        objects("photo.jpg", "A/x", "a/x"),
        day=1,
        options=ImportOptions(accept_deletions=True),
    )
    assert changed(catalog) == [("deleted", "Photo.jpg")]


def test_edge_22_of_two_latest_versions_the_newest_wins_with_a_warning(catalog: Catalog) -> None:
    result = put(
        catalog,
        [version("a", "v1", 1, latest=True)],
        [version("a", "v2", 2, latest=True)],
        columns=VERSIONS,
    )
    assert children(catalog) == {("object", "a"): (1, 2)}
    assert [row["is_latest"] for row in rows_of(catalog, newest(catalog))] == [False, True]
    assert any("claimed to be the latest" in warning for warning in result.warnings)


def test_edge_22_a_newer_delete_marker_wins_too(catalog: Catalog) -> None:
    marker = version("a", "v2", 2, latest=True, marker=True)
    put(catalog, [version("a", "v1", 1, latest=True), marker], columns=VERSIONS)
    assert children(catalog) == {}


def test_edge_23_row_that_stands_in_two_parts_counts_once(catalog: Catalog) -> None:
    older = version("a", "v1", 1, latest=True)
    newer = older | {"last_modified": LONG_AGO + timedelta(days=9), "size_bytes": 9}
    result = put(catalog, [older], [newer, older], columns=VERSIONS)
    assert children(catalog) == {("object", "a"): (1, 9)}
    assert result.stats is not None
    assert (result.stats.rows, result.stats.duplicates) == (1, 2)
    assert any("2 rows stood twice" in warning for warning in result.warnings)


def test_edge_25_change_from_all_to_current_versions_deletes_nothing(catalog: Catalog) -> None:
    rows = [version(f"k{n}", "v2", 2, latest=True) for n in range(5)]
    old = [version(f"k{n}", "v1", 1, latest=False) for n in range(5)]
    put(catalog, rows + old, columns=VERSIONS, coverage=Coverage(versions="all"))
    current = ("key", "size_bytes", "last_modified", "etag")
    result = put(catalog, rows, columns=current, day=1)
    assert result.diff is not None
    assert result.diff.changes == 0
    assert any("from all to current versions" in warning for warning in result.warnings)
    assert any("-version_id" in warning for warning in result.warnings)


def test_edge_26_unsorted_overlapping_parts_make_one_sorted_answer(catalog: Catalog) -> None:
    put(catalog, objects("m", "a", "z"), objects("b", "y", "c"))
    assert [path for _, path in children(catalog)] == ["a", "b", "c", "m", "y", "z"]


def test_edge_27_parts_that_begin_with_the_same_key_both_count(catalog: Catalog) -> None:
    result = put(catalog, objects("a", "b"), objects("a", "c"))
    assert keys(catalog) == ["a", "b", "c"]
    assert result.stats is not None
    assert result.stats.duplicates == 1


def test_edge_28_part_without_rows_makes_no_file(catalog: Catalog) -> None:
    result = put(catalog, [], objects("a"), [])
    assert result.parts == 3
    assert len(newest(catalog).manifest.files) == 1


def test_edge_28_report_of_empty_parts_is_an_empty_snapshot(catalog: Catalog) -> None:
    put(catalog, [], [])
    assert (newest(catalog).objects, newest(catalog).size_bytes, children(catalog)) == (0, 0, {})


def test_edge_29_report_without_files_deletes_nothing_by_itself(catalog: Catalog) -> None:
    put(catalog, objects("a"))
    with pytest.raises(Exception, match="lists no files"):
        put(catalog, day=1)
    assert keys(catalog) == ["a"]
    put(catalog, day=1, options=ImportOptions(accept_deletions=True))
    assert changed(catalog) == [("deleted", "a")]


def test_edge_35_totals_without_a_size_column_are_unknown_not_zero(catalog: Catalog) -> None:
    put(catalog, objects("a/b", "c"), columns=("key", "etag"))
    assert newest(catalog).size_bytes is None
    own = folder_figures(catalog, newest(catalog), "a/")
    assert (own["objects"], own["size_bytes"], own["direct_bytes"]) == (1, None, None)


def test_edge_61_own_files_of_the_report_stay_out_of_folders_and_diffs(catalog: Catalog) -> None:
    """INV-10."""
    own = {"excluded_prefixes": ("inv/photos/daily/",)}
    result = put(catalog, objects("a", "inv/photos/daily/data/1.csv.gz", "inv/other"), **own)
    assert result.stats is not None
    assert (result.stats.objects, result.stats.excluded_objects) == (2, 1)
    assert children(catalog, "inv/") == {("object", "inv/other"): (1, 1)}
    assert any("kept out of folders and totals" in warning for warning in result.warnings)
    put(catalog, objects("a", "inv/photos/daily/data/2.csv.gz", "inv/other"), day=1, **own)
    assert changed(catalog) == []
    assert len(keys(catalog)) == 3


def test_edge_62_object_newer_than_the_report_is_neither_deleted_nor_undone(
    catalog: Catalog,
) -> None:
    """A listing knows what a report that is scanned earlier cannot: they do not overwrite."""
    late = objects("late")[0] | {"last_modified": DAY}
    put(catalog, [*objects(*"abcdefghijkl"), late], day=1, config_id="list")
    put(catalog, objects(*"abcdefghijkl"), config_id="daily")
    assert [s.config_id for s in list_snapshots(catalog)] == ["list", "daily"]
    # also of one source: a report that is a day younger is no witness of what was just written
    result = put(catalog, objects(*"abcdefghijkl"), day=2, config_id="list")
    assert result.diff is not None
    assert (result.diff.deleted, result.diff.unconfirmed) == (0, 1)


def test_edge_63_what_is_known_to_be_deleted_is_not_brought_back_by_an_older_report(
    catalog: Catalog,
) -> None:
    """The part of this row that does not need events: a report that is older than what is known.

    It is refused, and if forced in, it is no news: the key stays deleted for whoever follows.
    """
    put(catalog, objects(*"abcdefghijkl"))
    put(catalog, objects(*"abcdefghijk"), day=2)
    older = objects(*"abcdefghijkl", "m")
    with pytest.raises(StaleReportError):
        put(catalog, older, day=1)
    result = put(catalog, older, day=1, options=ImportOptions(force=True))
    assert result.diff is None
    assert "l" not in keys(catalog)


def test_edge_64_narrower_filter_deletes_nothing_outside_it(catalog: Catalog) -> None:
    put(catalog, objects("a/1", "b/1"), coverage=Coverage(""))
    result = put(catalog, objects("a/1", "a/2"), coverage=Coverage("a/"), day=1)
    assert changed(catalog) == [("new", "a/2")]
    assert any("the filter changed" in warning for warning in result.warnings)


def test_edge_64_wider_filter_finds_nothing_new_outside_the_old_one(catalog: Catalog) -> None:
    put(catalog, objects("a/1"), coverage=Coverage("a/"))
    put(catalog, objects("a/1", "a/2", "b/1"), coverage=Coverage(""), day=1)
    assert changed(catalog) == [("new", "a/2")]


def test_edge_64_filter_that_moved_to_other_keys_is_not_compared(catalog: Catalog) -> None:
    put(catalog, objects("a/1"), coverage=Coverage("a/"))
    result = put(catalog, objects("b/1"), coverage=Coverage("b/"), day=1)
    assert (result.state, result.diff) == ("published", None)
    assert any("they cover `a/` and `b/`" in warning for warning in result.warnings)
    with pytest.raises(CoverageMismatchError):
        changed(catalog)


def test_edge_65_configurations_of_one_bucket_are_never_compared(catalog: Catalog) -> None:
    put(catalog, objects("a", "b"), config_id="all-columns")
    result = put(
        catalog, objects("a"), config_id="keys", columns=("key",), day=1, coverage=Coverage(None)
    )
    assert result.diff is None
    new, old = list_snapshots(catalog)
    with pytest.raises(CoverageMismatchError, match="may cover different keys"):
        diff_snapshots(catalog, old, new)


def test_edge_66_going_back_in_time_needs_force(catalog: Catalog) -> None:
    put(catalog, objects("a"), day=1)
    with pytest.raises(StaleReportError, match="older than the newest snapshot"):
        put(catalog, objects("b"))
    put(catalog, objects("b"), options=ImportOptions(force=True))
    assert keys(catalog) == ["a"]


def test_edge_74_keys_that_look_like_values_sort_and_compare_as_text(catalog: Catalog) -> None:
    odd = ["007", "7", "10", "1e6", "NULL", "true", "2024-05-06", "NaN"]
    put(catalog, objects(*odd))
    assert keys(catalog) == sorted(odd)
    put(catalog, objects(*odd[1:]), day=1, options=ImportOptions(accept_deletions=True))
    assert changed(catalog) == [("deleted", "007")]
