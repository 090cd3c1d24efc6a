"""Pages of every query, one after the other, are what plain Python finds in the rows (CAT-3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from typing import Any

import pytest
from catalog_models import VERSIONED as VERSION_COLUMNS
from catalog_models import columns, hours, keys, unique_rows
from hypothesis import given, settings
from hypothesis import strategies as st

from snapshot_world import PLAIN, Row, folders_of, objects_now, publish
from stocktake.catalog import (
    Catalog,
    ChildOrder,
    ChildSort,
    Evidence,
    Extreme,
    KeyPattern,
    Page,
    PageRequest,
    Snapshot,
    _query_scan,
    by_extension,
    by_storage_class,
    find_duplicates,
    find_object,
    folder_tree,
    list_children,
    list_objects,
    open_catalog,
    search,
    top_objects,
    usage,
)
from stocktake.catalog._query_gaps import direct_ranges
from stocktake.catalog._ranges import prefix_range
from stocktake.errors import NotInSnapshotError
from stocktake.model import folder_of

EXAMPLES = settings(max_examples=40)
sizes = st.integers(1, 7)


@pytest.fixture(autouse=True, scope="module")
def _short_pieces() -> Iterator[None]:
    """Scans of so few rows would otherwise be one piece."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_query_scan, "_FIRST_ROWS_MIN", 1)
        patch.setattr(_query_scan, "_GROWTH", 2)
        yield


versions = st.lists(
    st.fixed_dictionaries(
        {
            "key": keys,
            "version_id": st.sampled_from(["null", "v1", "v2", "v3"]),
            "is_latest": st.booleans(),
            "is_delete_marker": st.booleans(),
            "size_bytes": st.none() | st.integers(0, 3),
            "last_modified": st.none() | hours,
        }
    ),
    unique_by=lambda row: (row["key"], row["version_id"]),
    max_size=12,
)


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    where = str(tmp_path_factory.mktemp("pages") / "catalog")
    with open_catalog(where, create=True, threads=1) as catalog:
        yield catalog


def walk(question: Callable[[PageRequest], Page], rows_max: int) -> list[Row]:
    """All rows, page by page; every page but the last is full."""
    found: list[Row] = []
    cursor = None
    while True:
        page = question(PageRequest(rows_max, cursor))
        found += page.rows.to_pylist()
        cursor = page.next_cursor
        if cursor is None:
            assert page.rows.num_rows <= rows_max
            return found
        assert page.rows.num_rows == rows_max


def ordered(
    rows: list[Row], column: str, *, descending: bool = False, tie: str = "path"
) -> list[Row]:
    """Sorted as the catalog promises: unknown values last, ties by path."""
    known = sorted((r for r in rows if r[column] is not None), key=lambda r: r[tie])
    known.sort(key=lambda r: r[column], reverse=descending)
    return known + sorted((r for r in rows if r[column] is None), key=lambda r: r[tie])


def children(rows: list[Row], columns: tuple[str, ...], folder: str) -> list[Row]:
    """What lies directly in a folder."""
    found = [
        {
            "kind": "folder",
            "path": f["folder"],
            "objects": f["total_objects"],
            "size_bytes": f["total_bytes"],
            "newest": f["newest"],
        }
        for f in folders_of(rows, columns).to_pylist()
        if f["parent"] == folder and f["folder"]
    ]
    found += [
        {
            "kind": "object",
            "path": o["key"],
            "objects": 1,
            "size_bytes": o["size_bytes"],
            "newest": o["last_modified"],
        }
        for o in objects_now(rows, columns)
        if folder_of(o["key"]) == folder
    ]
    return found


@EXAMPLES
@given(
    rows=unique_rows(max_size=14),
    columns=columns,
    sort=st.sampled_from(ChildSort),
    descending=st.booleans(),
    rows_max=sizes,
)
def test_children_of_every_folder(
    catalog: Catalog,
    rows: list[Row],
    columns: tuple[str, ...],
    sort: ChildSort,
    descending: bool,
    rows_max: int,
) -> None:
    snapshot = publish(catalog, rows, columns=columns, run_rows=4)
    column = {"name": "path", "size": "size_bytes", "count": "objects", "date": "newest"}[sort]
    for folder in folders_of(rows, columns).column("folder").to_pylist():
        found = walk(
            lambda page, folder=folder: list_children(
                catalog, snapshot, folder, order=ChildOrder(sort, descending), page=page
            ),
            rows_max,
        )
        expected = ordered(children(rows, columns, folder), column, descending=descending)
        assert [{name: r[name] for name in expected[0]} for r in found] == expected
        assert [r["name"] for r in found] == [r["path"][len(folder) :] for r in found]


@EXAMPLES
@given(rows=unique_rows(max_size=20), prefix=st.just("") | keys, rows_max=sizes)
def test_objects_below_a_prefix(
    catalog: Catalog, rows: list[Row], prefix: str, rows_max: int
) -> None:
    snapshot = publish(catalog, rows, run_rows=4)
    found = walk(lambda page: list_objects(catalog, snapshot, prefix, page=page), rows_max)
    expected = sorted(
        (r for r in objects_now(rows, PLAIN) if r["key"].startswith(prefix)),
        key=lambda r: r["key"],
    )
    assert [{name: r[name] for name in VERSION_COLUMNS} for r in found] == expected


def one_latest(rows: list[Row]) -> list[Row]:
    """At most one version of a key is the latest, as an import sees to."""
    latest: set[str] = set()
    kept = []
    for row in rows:
        kept.append({**row, "is_latest": row["is_latest"] and row["key"] not in latest})
        if row["is_latest"]:
            latest.add(row["key"])
    return kept


def newest_first(row: Row) -> tuple[Any, ...]:
    at = row["last_modified"]
    return (row["key"], at is None, -at.timestamp() if at else 0, row["version_id"])


@EXAMPLES
@given(rows=versions, prefix=st.just("") | keys, rows_max=sizes)
def test_versions_below_a_prefix(
    catalog: Catalog, rows: list[Row], prefix: str, rows_max: int
) -> None:
    """INV-6: all versions are kept and queryable, of each key the newest first."""
    rows = one_latest(rows)
    snapshot = publish(catalog, rows, columns=VERSION_COLUMNS, run_rows=4)
    found = walk(
        lambda page: list_objects(catalog, snapshot, prefix, versions=True, page=page), rows_max
    )
    expected = sorted((r for r in rows if r["key"].startswith(prefix)), key=newest_first)
    assert [(r["key"], r["version_id"]) for r in found] == [
        (r["key"], r["version_id"]) for r in expected
    ]
    current = walk(lambda page: list_objects(catalog, snapshot, prefix, page=page), rows_max)
    now = [r for r in objects_now(rows, VERSION_COLUMNS) if r["key"].startswith(prefix)]
    assert [(r["key"], r["version_id"]) for r in current] == sorted(
        (r["key"], r["version_id"]) for r in now
    )


@EXAMPLES
@given(rows=versions, key=keys)
def test_one_object_and_its_versions(catalog: Catalog, rows: list[Row], key: str) -> None:
    snapshot = publish(catalog, rows, columns=VERSION_COLUMNS, run_rows=4)
    expected = sorted((r for r in rows if r["key"] == key), key=newest_first)
    if not expected:
        with pytest.raises(NotInSnapshotError):
            find_object(catalog, snapshot, key)
        return
    answer = find_object(catalog, snapshot, key)
    assert answer.versions.column("version_id").to_pylist() == [r["version_id"] for r in expected]
    live = [r for r in expected if r["is_latest"] and not r["is_delete_marker"]]
    assert (answer.current is not None) == bool(live)


@EXAMPLES
@given(
    rows=unique_rows(max_size=14),
    pattern=st.text("ab*?[]!-/é%", min_size=1, max_size=5),
    rows_max=sizes,
)
def test_search_by_text_and_by_glob_of_the_last_name(
    catalog: Catalog, rows: list[Row], pattern: str, rows_max: int
) -> None:
    snapshot = publish(catalog, rows, run_rows=4)
    present = sorted(r["key"] for r in objects_now(rows, PLAIN))

    def found(wanted: KeyPattern) -> list[str]:
        pages = walk(lambda page: search(catalog, snapshot, wanted, page=page), rows_max)
        return [r["key"] for r in pages]

    assert found(KeyPattern.substring(pattern)) == [k for k in present if pattern in k]
    if not {"/", "[", "]"} & set(pattern) and "**" not in pattern:  # `**` goes across folders
        names = [k for k in present if fnmatchcase(k[k.rfind("/") + 1 :], pattern)]
        assert found(KeyPattern.glob(pattern)) == names


@EXAMPLES
@given(rows=unique_rows(max_size=14), extreme=st.sampled_from(Extreme), rows_max=sizes)
def test_largest_oldest_and_newest(
    catalog: Catalog, rows: list[Row], extreme: Extreme, rows_max: int
) -> None:
    snapshot = publish(catalog, rows, run_rows=4)
    found = walk(lambda page: top_objects(catalog, snapshot, extreme, page=page), rows_max)
    column = "size_bytes" if extreme is Extreme.LARGEST else "last_modified"
    expected = ordered(
        objects_now(rows, PLAIN), column, descending=extreme is not Extreme.OLDEST, tie="key"
    )
    assert [r["key"] for r in found] == [r["key"] for r in expected]


def total(rows: list[Row]) -> int | None:
    known = [r["size_bytes"] for r in rows if r["size_bytes"] is not None]
    return sum(known) if known else None


@EXAMPLES
@given(rows=unique_rows(max_size=14), prefix=st.just("") | keys, rows_max=sizes)
def test_groups_by_storage_class_and_extension(
    catalog: Catalog, rows: list[Row], prefix: str, rows_max: int
) -> None:
    snapshot = publish(catalog, rows, run_rows=4)
    present = [r for r in objects_now(rows, PLAIN) if r["key"].startswith(prefix)]
    questions: list[tuple[Any, str, Callable[[Row], Any]]] = [
        (by_storage_class, "storage_class", lambda r: r["storage_class"]),
        (by_extension, "extension", lambda _: ""),  # no key of these has a dot
    ]
    for question, name, group_of in questions:
        found = walk(
            lambda page, question=question: question(catalog, snapshot, prefix, page=page),
            rows_max,
        )
        groups: dict[Any, list[Row]] = {}
        for row in present:
            groups.setdefault(group_of(row), []).append(row)
        assert {r[name]: (r["objects"], r["size_bytes"]) for r in found} == {
            value: (len(of), total(of)) for value, of in groups.items()
        }
        assert len(found) == len(groups)


@EXAMPLES
@given(rows=unique_rows(max_size=16), rows_max=sizes, minimum=st.integers(0, 3))
def test_duplicates(catalog: Catalog, rows: list[Row], rows_max: int, minimum: int) -> None:
    md5 = {"e1": "1" * 32, "e2": "2" * 32 + "-2", "e3": "not an md5", None: None}
    rows = [{**r, "etag": md5[r["etag"]]} for r in rows]
    snapshot = publish(catalog, rows, run_rows=4)
    groups: dict[tuple[Any, ...], list[str]] = {}
    for r in objects_now(rows, PLAIN):
        if r["size_bytes"] and r["size_bytes"] >= minimum:
            name = None if r["etag"] else r["key"][r["key"].rfind("/") + 1 :]
            groups.setdefault((r["size_bytes"], r["etag"], name), []).append(r["key"])
    grade = {"1" * 32: "strong", None: "maybe"}
    expected = {
        (grade.get(etag, "likely"), size, len(of), size * (len(of) - 1), etag, name): sorted(of)
        for (size, etag, name), of in groups.items()
        if len(of) > 1
    }
    found = walk(
        lambda page: find_duplicates(catalog, snapshot, size_bytes_min=minimum, page=page),
        rows_max,
    )
    assert {tuple(r[n] for n in list(r)[:-1]): r["keys"] for r in found} == {
        of: keys[:10] for of, keys in expected.items()
    }
    wasted = [r["wasted_bytes"] for r in found]
    assert wasted == sorted(wasted, reverse=True)
    strong = walk(
        lambda page: find_duplicates(
            catalog, snapshot, evidence=[Evidence.STRONG], size_bytes_min=minimum, page=page
        ),
        rows_max,
    )
    assert strong == [r for r in found if r["evidence"] == "strong"]


@EXAMPLES
@given(rows=unique_rows(max_size=14), prefix=st.just("") | keys, depth=st.integers(0, 3))
def test_usage_of_any_prefix_and_the_tree_of_any_folder(
    catalog: Catalog, rows: list[Row], prefix: str, depth: int
) -> None:
    snapshot = publish(catalog, rows, run_rows=4)
    table = {f["folder"]: f for f in folders_of(rows, PLAIN).to_pylist()}
    top = folder_of(prefix)
    levels = top.count("/") + depth
    below = {
        path: (f["total_objects"], f["total_bytes"], f["newest"])
        for path, f in table.items()
        if path.startswith(prefix) and path != prefix and f["depth"] <= levels
    }
    if prefix in table or not prefix.endswith("/"):
        answer = usage(catalog, snapshot, prefix, depth=depth)
        assert {r["path"]: tuple(r.values())[1:] for r in answer.rows.to_pylist()} == below
        inside = [r for r in objects_now(rows, PLAIN) if r["key"].startswith(prefix)]
        assert answer.attrs["total"]["objects"] == len(inside)
        assert (answer.attrs["total"]["size_bytes"] or 0) == (total(inside) or 0)
    if prefix in table:
        tree = folder_tree(catalog, snapshot, prefix, depth=depth).rows.to_pylist()
        assert [r["path"] for r in tree] == sorted(below)
        assert {r["path"]: (r["objects"], r["size_bytes"], r["newest"]) for r in tree} == below


@given(rows=unique_rows(min_size=1, max_size=20), folder=st.just("") | keys)
@EXAMPLES
def test_no_direct_object_lies_outside_the_ranges(
    catalog: Catalog, rows: list[Row], folder: str
) -> None:
    """Row groups between two keys of one subfolder are skipped: they hold none of the folder's."""
    folder = folder if folder.endswith("/") else ""
    snapshot: Snapshot = publish(catalog, rows, run_rows=4)
    near = direct_ranges(snapshot.manifest.files, folder)
    low, high = prefix_range(folder)
    bounds = list(near.parameters)
    if high is not None:
        assert bounds.pop() == high
    pairs = list(zip(bounds[::2], bounds[1::2], strict=True))
    for row in rows:
        key = row["key"]
        if folder_of(key) == folder and (low is None or key >= low):
            assert any(first <= key <= last for first, last in pairs)
