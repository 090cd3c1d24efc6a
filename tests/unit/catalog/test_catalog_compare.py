"""Comparisons that are kept: totals, pages, folders (CAT-4)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from import_doubles import Watcher, files_of

from stocktake.catalog import (
    Catalog,
    DiffResult,
    ImportOptions,
    diff_snapshots,
    find_snapshot,
    import_snapshot,
)
from stocktake.errors import InvalidQueryError
from stocktake.model import Coverage
from stocktake.testing import MemorySource

DAY = datetime(2026, 1, 5, 1, tzinfo=UTC)


def obj(key: str, etag: str | None, size_bytes: int | None) -> dict[str, Any]:
    return {"key": key, "etag": etag, "size_bytes": size_bytes}


BEFORE = [
    obj("a/gone", "g", 10),
    obj("a/same", "s", 1),
    obj("a/b/grown", "x", 100),
    obj("old/moved", "m", 1000),
    obj("unsized", "u", None),
]
AFTER = [
    obj("a/same", "s", 1),
    obj("a/b/grown", "y", 150),
    obj("a/b/line\nbreak", "n", 7),
    obj("new/moved", "m", 1000),
    obj("unsized", "v", None),
]


def publish(catalog: Catalog, *states: list[dict[str, Any]], **more: Any) -> None:
    for number, rows in enumerate(states):
        source = MemorySource([rows], as_of=DAY + timedelta(days=number), **more)
        import_snapshot(catalog, source, ImportOptions(accept_deletions=True))


@pytest.fixture
def diff(catalog: Catalog) -> DiffResult:
    publish(catalog, BEFORE, AFTER)
    return compared(catalog)


def compared(catalog: Catalog, prefix: str = "") -> DiffResult:
    old, new = find_snapshot(catalog, "previous"), find_snapshot(catalog, "latest")
    return diff_snapshots(catalog, old, new, prefix=prefix)


def keys(diff: DiffResult, *arguments: Any, **more: Any) -> list[tuple[str, str]]:
    rows = (row for batch in diff.rows(*arguments, **more) for row in batch.to_pylist())
    return [(row["change"], row["key"]) for row in rows]


def test_totals_tell_a_move_from_a_deletion(diff: DiffResult) -> None:
    assert diff.summary.to_dict() == {
        "new": 1,
        "modified": 2,
        "deleted": 1,
        "renamed": 1,
        "unconfirmed": 0,
        "new_bytes": 7,
        "deleted_bytes": 10,
        "modified_old_bytes": 100,
        "modified_new_bytes": 150,
        "changes": 5,
        "bytes_delta": 47,
    }


def test_changes_come_in_key_order_and_by_kind(diff: DiffResult) -> None:
    every = [
        ("modified", "a/b/grown"),
        ("new", "a/b/line\nbreak"),
        ("deleted", "a/gone"),
        ("renamed", "new/moved"),
        ("modified", "unsized"),
    ]
    assert keys(diff) == every
    assert keys(diff, ("new", "deleted")) == every[1:3]
    assert keys(diff, prefix="a/b/") == every[:2]
    assert keys(diff, after="a/gone") == every[3:]
    assert keys(diff, after="a/b/grown", limit=2) == every[1:3]
    assert keys(diff, ("modified",), prefix="u", limit=0) == []


def test_unknown_kind_is_named(diff: DiffResult) -> None:
    with pytest.raises(InvalidQueryError, match="`gone` is not a kind of change") as caught:
        keys(diff, ("new", "gone"))
    assert "renamed" in str(caught.value.hint)


def test_folders_balance_what_came_and_what_left(diff: DiffResult) -> None:
    folders = {row["folder"]: row for row in diff.folders()}
    assert {name: row["bytes_delta"] for name, row in folders.items()} == {
        "a/": -10,
        "a/b/": 57,
        "new/": 1000,
        "old/": -1000,
        "": 0,
    }
    assert sum(row["bytes_delta"] for row in folders.values()) == diff.summary.bytes_delta
    assert {name: row["renamed"] for name, row in folders.items() if row["renamed"]} == {"new/": 1}
    for kind in ("new", "modified", "deleted", "renamed"):
        assert sum(row[kind] for row in folders.values()) == diff.summary.to_dict()[kind]


def test_folders_with_most_changes_come_first_and_can_be_cut(diff: DiffResult) -> None:
    assert [row["folder"] for row in diff.folders()] == ["a/b/", "", "a/", "new/", "old/"]
    assert [row["folder"] for row in diff.folders(limit=1)] == ["a/b/"]


def test_folders_of_a_depth_hold_what_is_below_them(diff: DiffResult) -> None:
    shallow = {row["folder"]: row["bytes_delta"] for row in diff.folders(depth=1)}
    assert shallow == {"a/": 47, "new/": 1000, "old/": -1000, "": 0}
    assert [row["folder"] for row in diff.folders(depth=0)] == [""]


def test_comparison_is_made_once_and_kept(catalog: Catalog, diff: DiffResult) -> None:
    before = files_of(catalog)
    assert [path for path in before if path.startswith("diffs/")] == [diff.path]
    again = compared(catalog)
    assert (again.path, again.summary) == (diff.path, diff.summary)
    assert files_of(catalog) == before


def test_each_prefix_has_a_comparison_of_its_own(catalog: Catalog, diff: DiffResult) -> None:
    below = compared(catalog, "a/b/")
    assert below.path != diff.path
    assert [key for _, key in keys(below)] == ["a/b/grown", "a/b/line\nbreak"]
    # a move out of the prefix is a deletion within it
    assert keys(compared(catalog, "old/")) == [("deleted", "old/moved")]


def test_prefix_is_narrowed_to_what_both_snapshots_cover(catalog: Catalog) -> None:
    publish(catalog, BEFORE[:2], AFTER[:2], coverage=Coverage("a/"))
    assert compared(catalog).prefix == "a/"
    assert compared(catalog, "a/b/").prefix == "a/b/"
    with pytest.raises(InvalidQueryError, match="nothing below `new/` is in both"):
        compared(catalog, "new/")


def test_watcher_hears_of_a_comparison_only_when_it_is_made(catalog: Catalog) -> None:
    publish(catalog, BEFORE, AFTER)
    old, new = find_snapshot(catalog, "previous"), find_snapshot(catalog, "latest")
    watcher = Watcher()
    for _ in range(2):
        diff_snapshots(catalog, old, new, progress=watcher)
    assert watcher.phases == [("compare", None, "changes")]
    assert watcher.done == {"compare": 5}


def test_comparing_backwards_mirrors_the_change(catalog: Catalog, diff: DiffResult) -> None:
    old, new = find_snapshot(catalog, "previous"), find_snapshot(catalog, "latest")
    back = diff_snapshots(catalog, new, old).summary
    assert (back.new, back.deleted, back.renamed) == (1, 1, 1)
    assert back.bytes_delta == -diff.summary.bytes_delta
