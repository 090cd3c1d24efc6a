"""Queries: nasty keys, absent columns, cursors, limits, where answers come from (CAT-2, CAT-3)."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from snapshot_world import PLAIN, VERSIONED, Row, naive, publish, row
from stocktake.catalog import (
    Catalog,
    ChildOrder,
    ChildSort,
    Extreme,
    KeyPattern,
    Page,
    PageRequest,
    Snapshot,
    by_extension,
    by_storage_class,
    find_duplicates,
    find_object,
    folder_figures,
    folder_tree,
    list_children,
    list_objects,
    search,
    top_objects,
    usage,
)
from stocktake.catalog import _query_duplicates as duplicates
from stocktake.clock import format_utc
from stocktake.errors import InvalidQueryError, NotInSnapshotError, QueryLimitError


def keys(page: Page) -> list[str]:
    name = "path" if "path" in page.rows.column_names else "key"
    return page.rows.column(name).to_pylist()


def names(page: Page) -> list[tuple[str, str]]:
    return [(r["kind"], r["name"]) for r in page.rows.to_pylist()]


def test_every_answer_says_where_it_comes_from_and_how_old_it_is(catalog: Catalog) -> None:
    snapshot = publish(catalog, [row("a/b")])
    answers: list[Any] = [
        list_children(catalog, snapshot),
        list_objects(catalog, snapshot),
        search(catalog, snapshot, KeyPattern.substring("a")),
        top_objects(catalog, snapshot, Extreme.LARGEST),
        by_extension(catalog, snapshot),
        by_storage_class(catalog, snapshot),
        find_duplicates(catalog, snapshot),
        folder_tree(catalog, snapshot),
        usage(catalog, snapshot),
        find_object(catalog, snapshot, "a/b"),
    ]
    for answer in answers:
        assert answer.origin.to_dict() == {
            "source": "photos/daily",
            "kind": "aws_inventory",
            "as_of": format_utc(snapshot.as_of),
            "snapshot_id": snapshot.id,
            "prefix": "",
        }


def test_edge_13_a_leading_slash_is_a_folder_of_its_own(catalog: Catalog) -> None:
    snapshot = publish(catalog, [row("/a/b"), row("a/b"), row("/c")])
    assert names(list_children(catalog, snapshot)) == [("folder", "/"), ("folder", "a/")]
    assert names(list_children(catalog, snapshot, "/")) == [("folder", "a/"), ("object", "c")]
    assert keys(list_children(catalog, snapshot, "/a/")) == ["/a/b"]
    assert keys(list_children(catalog, snapshot, "a/")) == ["a/b"]


def test_edge_14_double_slashes_are_not_collapsed(catalog: Catalog) -> None:
    snapshot = publish(catalog, [row("a//b"), row("a/b"), row("a///")])
    assert names(list_children(catalog, snapshot, "a/")) == [("folder", "/"), ("object", "b")]
    assert names(list_children(catalog, snapshot, "a//")) == [("folder", "/"), ("object", "b")]
    assert find_object(catalog, snapshot, "a//b").current is not None


def test_edge_15_keys_that_look_like_paths_out_are_only_keys(catalog: Catalog) -> None:
    nasty = ["a/../../etc/passwd", "..\\x", "../x", "file:///etc/passwd", "*.parquet"]
    snapshot = publish(catalog, [row(key) for key in nasty])
    assert keys(list_objects(catalog, snapshot)) == sorted(nasty)
    assert names(list_children(catalog, snapshot, "a/../")) == [("folder", "../")]


def test_edge_16_dots_and_blanks_at_the_end_are_kept(catalog: Catalog) -> None:
    nasty = [".", "..", "a ", "a.", "a", " a", "a\t"]
    snapshot = publish(catalog, [row(key) for key in nasty])
    assert keys(list_objects(catalog, snapshot)) == sorted(nasty)
    for key in nasty:
        assert find_object(catalog, snapshot, key).versions.num_rows == 1


def test_edge_17_a_marker_is_a_folder_and_not_a_file(catalog: Catalog) -> None:
    snapshot = publish(catalog, [row("x/", 0), row("y")])
    assert names(list_children(catalog, snapshot)) == [("folder", "x/"), ("object", "y")]
    assert names(list_children(catalog, snapshot, "x/")) == []
    assert folder_figures(catalog, snapshot, "x/")["objects"] == 0
    assert keys(list_objects(catalog, snapshot)) == ["y"]
    assert find_object(catalog, snapshot, "x/").versions.num_rows == 1


def test_edge_18_a_marker_with_data_is_an_object(catalog: Catalog) -> None:
    snapshot = publish(catalog, [row("x/", 5), row("x/y", 1)])
    assert names(list_children(catalog, snapshot, "x/")) == [("object", ""), ("object", "y")]
    assert keys(list_objects(catalog, snapshot)) == ["x/", "x/y"]


def test_edge_19_a_file_and_a_folder_of_one_name(catalog: Catalog) -> None:
    snapshot = publish(catalog, [row("a"), row("a/b"), row("a-c"), row("a0")])
    assert names(list_children(catalog, snapshot)) == [
        ("object", "a"),
        ("object", "a-c"),
        ("folder", "a/"),
        ("object", "a0"),
    ]


def test_edge_20_keys_that_differ_by_case_are_two(catalog: Catalog) -> None:
    snapshot = publish(catalog, [row("A/x"), row("a/x"), row("a/X")])
    assert names(list_children(catalog, snapshot)) == [("folder", "A/"), ("folder", "a/")]
    assert keys(list_children(catalog, snapshot, "a/")) == ["a/X", "a/x"]
    assert keys(search(catalog, snapshot, KeyPattern.substring("A/"))) == ["A/x"]
    every = KeyPattern.substring("A/X", ignore_case=True)
    assert keys(search(catalog, snapshot, every)) == ["A/x", "a/X", "a/x"]


def test_quotes_percents_and_newlines_are_data_not_sql(catalog: Catalog) -> None:
    nasty = ["it's", "';drop table x;--/a", "100%/_", "a\nb/c", 'say "hi"/x', "a\x00b/c", "?/?"]
    snapshot = publish(catalog, [row(key) for key in nasty])
    assert keys(list_objects(catalog, snapshot)) == sorted(nasty)
    for key in nasty:
        folder = key[: key.rfind("/") + 1]
        assert key in keys(list_children(catalog, snapshot, folder))
        assert keys(search(catalog, snapshot, KeyPattern.substring(key))) == [key]
        assert usage(catalog, snapshot, key[:-1]).attrs["total"]["objects"] == 1
    assert keys(search(catalog, snapshot, KeyPattern.substring("%"))) == ["100%/_"]
    assert keys(search(catalog, snapshot, KeyPattern.substring("_"))) == ["100%/_"]


def test_columns_the_report_does_not_have_are_unknown(catalog: Catalog) -> None:
    rows: list[Row] = [{"key": "a/1"}, {"key": "a/2/3"}]
    snapshot = publish(catalog, rows, columns=("key",))
    listed = list_objects(catalog, snapshot).rows.to_pylist()
    assert [{v for k, v in r.items() if k != "key"} for r in listed] == [{None}, {None}]
    for order in ("name", "size", "count", "date"):
        page = list_children(catalog, snapshot, "a/", order=ChildOrder(order))
        assert sorted(keys(page)) == ["a/1", "a/2/"]
        assert page.rows.column("size_bytes").to_pylist() == [None, None]
    assert "bytes_by_class" not in folder_figures(catalog, snapshot, "a/")
    assert by_storage_class(catalog, snapshot).rows.to_pylist() == [
        {"storage_class": None, "objects": 2, "size_bytes": None, "newest": None}
    ]
    assert find_duplicates(catalog, snapshot).rows.num_rows == 0
    assert usage(catalog, snapshot, "a/2").attrs["total"]["size_bytes"] is None
    assert keys(top_objects(catalog, snapshot, Extreme.LARGEST)) == ["a/1", "a/2/3"]


def test_an_empty_snapshot_answers_everything(catalog: Catalog) -> None:
    snapshot = publish(catalog, [])
    assert keys(list_children(catalog, snapshot)) == []
    assert keys(list_objects(catalog, snapshot)) == []
    assert keys(list_objects(catalog, snapshot, "a", versions=True)) == []
    assert keys(top_objects(catalog, snapshot, Extreme.NEWEST)) == []
    assert by_extension(catalog, snapshot).rows.num_rows == 0
    assert find_duplicates(catalog, snapshot).rows.num_rows == 0
    assert folder_tree(catalog, snapshot).rows.num_rows == 0
    assert usage(catalog, snapshot, "a").attrs["total"]["objects"] == 0


def test_extra_columns_come_with_the_objects(catalog: Catalog) -> None:
    column = 'extra_odd "name"'
    snapshot = publish(catalog, [row("a", **{column: "x"})], columns=(*PLAIN, column))
    assert list_objects(catalog, snapshot).rows.column(column).to_pylist() == ["x"]


def test_the_reports_own_files_stay_out_unless_asked_for(catalog: Catalog) -> None:
    """INV-10."""
    rows = [row("a/1", 5), row("inventory/photos/daily/data/x.csv.gz", 100)]
    snapshot = publish(catalog, rows, excluded=["inventory/photos/daily/"])
    assert keys(list_objects(catalog, snapshot)) == ["a/1"]
    assert keys(top_objects(catalog, snapshot, Extreme.LARGEST)) == ["a/1"]
    assert names(list_children(catalog, snapshot)) == [("folder", "a/")]
    assert usage(catalog, snapshot).attrs["total"]["objects"] == 1
    own = "inventory/photos/daily/data/"
    assert keys(list_objects(catalog, snapshot, own)) == [own + "x.csv.gz"]
    assert keys(list_objects(catalog, snapshot, "inventory/", versions=True)) == [own + "x.csv.gz"]
    assert find_object(catalog, snapshot, own + "x.csv.gz").current is not None


def version(key: str, number: str, *, latest: bool, marker: bool = False, size: int = 1) -> Row:
    return row(
        key,
        None if marker else size,
        version_id=number,
        is_latest=latest,
        is_delete_marker=marker,
        last_modified=naive(2026, 1, int(number)),
    )


def test_deleted_objects_are_gone_but_their_versions_are_not(catalog: Catalog) -> None:
    rows = [
        version("gone", "2", latest=True, marker=True),
        version("gone", "1", latest=False, size=50),
        version("kept", "2", latest=True, size=7),
        version("kept", "1", latest=False, size=9),
    ]
    snapshot = publish(catalog, rows, columns=VERSIONED)
    assert keys(list_objects(catalog, snapshot)) == ["kept"]
    gone = find_object(catalog, snapshot, "gone")
    assert gone.current is None
    assert gone.versions.column("version_id").to_pylist() == ["2", "1"]
    kept = find_object(catalog, snapshot, "kept").current
    assert kept is not None
    assert (kept.size_bytes, kept.last_modified and kept.last_modified.isoformat()) == (
        7,
        "2026-01-02T00:00:00+00:00",
    )
    assert keys(top_objects(catalog, snapshot, Extreme.LARGEST, versions=True))[0] == "gone"
    assert by_storage_class(catalog, snapshot).rows.column("size_bytes").to_pylist() == [7]
    everything = by_storage_class(catalog, snapshot, versions=True).rows
    assert everything.column("size_bytes").to_pylist() == [66]
    found = search(catalog, snapshot, KeyPattern.substring("gone"), versions=True)
    assert keys(found) == ["gone", "gone"]


def test_folders_and_objects_that_are_not_there_say_so(catalog: Catalog) -> None:
    snapshot = publish(catalog, [row("a/b")])
    with pytest.raises(NotInSnapshotError, match=r"no folder `x/` in photos/daily@2026"):
        list_children(catalog, snapshot, "x/")
    with pytest.raises(NotInSnapshotError, match=r"no object `a\\nb`"):
        find_object(catalog, snapshot, "a\nb")
    with pytest.raises(InvalidQueryError, match="does not end in `/`"):
        list_children(catalog, snapshot, "a")
    with pytest.raises(NotInSnapshotError):
        usage(catalog, snapshot, "x/")


def walk(catalog: Catalog, snapshot: Snapshot, folder: str, order: ChildOrder) -> list[str]:
    found, cursor = [], None
    while True:
        request = PageRequest(1, cursor)
        page = list_children(catalog, snapshot, folder, order=order, page=request)
        found += keys(page)
        cursor = page.next_cursor
        if cursor is None:
            return found


def test_pages_of_every_order_join_between_folders_and_objects(catalog: Catalog) -> None:
    rows = [row(k) for k in ("/b/1", "/b/2", "/d/e/1", "/a", "/c", "/e", "/z")]
    rows += [row("/m/", 0), row("/n/", 0)]
    snapshot = publish(catalog, rows)
    expected = {
        ("name", False): ["/a", "/b/", "/c", "/d/", "/e", "/m/", "/n/", "/z"],
        ("name", True): ["/z", "/n/", "/m/", "/e", "/d/", "/c", "/b/", "/a"],
        ("count", False): ["/m/", "/n/", "/a", "/c", "/d/", "/e", "/z", "/b/"],
        ("count", True): ["/b/", "/a", "/c", "/d/", "/e", "/z", "/m/", "/n/"],
    }
    for (by, descending), paths in expected.items():
        order = ChildOrder(ChildSort(by), descending)
        assert walk(catalog, snapshot, "/", order) == paths


def test_a_cursor_of_another_question_is_refused(catalog: Catalog) -> None:
    snapshot = publish(catalog, [row(f"a/{n}") for n in range(5)])
    one = PageRequest(2)
    cursor = list_objects(catalog, snapshot, "a/", page=one).next_cursor
    for other in ("", "a"):
        with pytest.raises(InvalidQueryError, match="another question"):
            list_objects(catalog, snapshot, other, page=PageRequest(2, cursor))
    with pytest.raises(InvalidQueryError, match="another question"):
        top_objects(catalog, snapshot, Extreme.LARGEST, page=PageRequest(2, cursor))
    by_size = list_children(catalog, snapshot, "a/", order=ChildOrder("size"), page=one)
    with pytest.raises(InvalidQueryError, match="another question"):
        list_children(catalog, snapshot, "a/", page=PageRequest(2, by_size.next_cursor))
    # of the same question it may be used with pages of another size
    assert len(keys(list_objects(catalog, snapshot, "a/", page=PageRequest(9, cursor)))) == 3


def token(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode()


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "%%%", token(5), token([]), "é", token(["x", {"at": "noon"}])],
)
def test_what_is_no_cursor_is_refused(catalog: Catalog, cursor: str) -> None:
    snapshot = publish(catalog, [row("a")])
    with pytest.raises(InvalidQueryError, match="cursor"):
        list_objects(catalog, snapshot, page=PageRequest(2, cursor))


@pytest.mark.parametrize("rows_max", [0, -1, 10_001])
def test_pages_have_a_size(rows_max: int) -> None:
    with pytest.raises(InvalidQueryError, match="a page has 1 to 10000 rows"):
        PageRequest(rows_max)


@pytest.mark.parametrize(
    ("key", "extension"),
    [
        ("a/b.JPG", "jpg"),
        ("a/b.tar.gz", "gz"),
        ("a.b/c", ""),
        (".bashrc", ""),
        ("a/.bashrc", ""),
        ("a/.config.json", "json"),
        ("a/b.", ""),
        ("a/b..x", ""),
        ("noextension", ""),
        ("a/b.c/d.E\n", "e\n"),
        ("x.ÄÖ", "äö"),
    ],
)
def test_what_counts_as_an_extension(catalog: Catalog, key: str, extension: str) -> None:
    snapshot = publish(catalog, [row(key)])
    assert by_extension(catalog, snapshot).rows.column("extension").to_pylist() == [extension]


GLOBS = [
    ("*.jpg", ["2020/a.jpg", "2020/x/b.jpg", "c.jpg"]),
    ("2020/*.jpg", ["2020/a.jpg"]),
    ("2020/**/*.jpg", ["2020/a.jpg", "2020/x/b.jpg"]),
    ("2020/**", ["2020/a.jpg", "2020/d[1].png", "2020/x/b.jpg"]),
    ("**/b.*", ["2020/x/b.jpg"]),
    ("?.jpg", ["2020/a.jpg", "2020/x/b.jpg", "c.jpg"]),
    ("20?0/a*", ["2020/a.jpg"]),
    ("[ab].jpg", ["2020/a.jpg", "2020/x/b.jpg"]),
    ("[!a].jpg", ["2020/x/b.jpg", "c.jpg"]),
    ("[b-c].jpg", ["2020/x/b.jpg", "c.jpg"]),
    ("d[[]1].png", ["2020/d[1].png"]),
    ("d[[]1[]].png", ["2020/d[1].png"]),
    ("20[!x]0/a.jpg", ["2020/a.jpg"]),
    ("2020[!x]a.jpg", []),
    ("*.JPG", []),
    ("/*", []),
]


@pytest.mark.parametrize(("pattern", "expected"), GLOBS)
def test_globs(catalog: Catalog, pattern: str, expected: list[str]) -> None:
    rows = [row(k) for k in ("2020/a.jpg", "2020/x/b.jpg", "c.jpg", "2020/d[1].png", "20.0x/y")]
    snapshot = publish(catalog, rows)
    assert keys(search(catalog, snapshot, KeyPattern.glob(pattern))) == expected


def test_globs_may_ignore_case(catalog: Catalog) -> None:
    snapshot = publish(catalog, [row("A/x.JPG"), row("a/y.jpg")])
    pattern = KeyPattern.glob("a/*.Jpg", ignore_case=True)
    assert keys(search(catalog, snapshot, pattern)) == ["A/x.JPG", "a/y.jpg"]


def test_a_search_stays_below_its_prefix(catalog: Catalog) -> None:
    snapshot = publish(catalog, [row("a/x1"), row("b/x2")])
    pattern = KeyPattern.substring("x")
    assert keys(search(catalog, snapshot, pattern, prefix="b/")) == ["b/x2"]
    assert keys(search(catalog, snapshot, KeyPattern.glob("a/*"), prefix="b/")) == []
    assert keys(search(catalog, snapshot, KeyPattern.glob("a/*"), prefix="a")) == ["a/x1"]


@pytest.mark.parametrize("pattern", ["[", "a[b", "[!]", "[]", "[z-a]", "", "x" * 1025])
def test_patterns_that_cannot_be_are_refused(pattern: str) -> None:
    with pytest.raises(InvalidQueryError):
        KeyPattern.glob(pattern)


def test_the_tree_keeps_the_largest_children_and_their_branches(catalog: Catalog) -> None:
    rows = [row(f"d{n}/s{m}/f", n * 10 + m) for n in range(4) for m in range(3)]
    snapshot = publish(catalog, rows)
    page = folder_tree(catalog, snapshot, depth=2, children_max=2)
    assert keys(page) == ["d2/", "d2/s1/", "d2/s2/", "d3/", "d3/s1/", "d3/s2/"]
    assert page.attrs["folder"]["child_folders"] == 4
    deeper = folder_tree(catalog, snapshot, "d1/", depth=1)
    assert keys(deeper) == ["d1/s0/", "d1/s1/", "d1/s2/"]
    assert deeper.rows.column("rank").to_pylist() == [3, 2, 1]


def test_a_tree_too_large_for_one_answer_says_so(catalog: Catalog) -> None:
    snapshot = publish(catalog, [row(f"{n:05}/x") for n in range(10_002)], run_rows=4096)
    with pytest.raises(QueryLimitError, match="more than 10001 rows"):
        folder_tree(catalog, snapshot, children_max=99_999)
    assert len(keys(folder_tree(catalog, snapshot, children_max=10))) == 10


def test_encrypted_etags_are_weaker_evidence(catalog: Catalog) -> None:
    status = "extra_encryption_status"
    rows = [
        row(f"{name}/{n}", 9, etag="a" * 32, **{status: encryption})
        for name, encryption in (("k", "SSE-KMS"), ("s", "SSE-S3"), ("n", "NOT-SSE"))
        for n in range(2)
    ]
    snapshot = publish(catalog, rows, columns=(*PLAIN, status))
    found = find_duplicates(catalog, snapshot).rows.to_pylist()
    assert [(r["evidence"], r["keys"]) for r in found] == [
        ("strong", ["n/0", "n/1", "s/0", "s/1"]),
        ("likely", ["k/0", "k/1"]),
    ]


def test_duplicates_are_found_in_passes_and_beyond_the_candidates_limit(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [row(f"{n:03}", 1 + n % 50, etag=f"{n % 50:032x}") for n in range(100)]
    snapshot = publish(catalog, rows)
    whole = find_duplicates(catalog, snapshot).rows
    assert whole.num_rows == 50
    monkeypatch.setattr(duplicates, "_HASHES_PER_PASS", 9)
    monkeypatch.setattr(duplicates, "_CANDIDATES_MAX", 3)
    assert find_duplicates(catalog, snapshot).rows.equals(whole)


def test_pages_cross_pieces_of_the_scan(catalog: Catalog) -> None:
    rows = [row(f"k{n:05}") for n in range(9_000)]
    snapshot = publish(catalog, rows[::2] + rows[1::2], run_rows=512)
    cursor, found = None, []
    while True:
        page = list_objects(catalog, snapshot, "k", page=PageRequest(2_500, cursor))
        found += keys(page)
        cursor = page.next_cursor
        if cursor is None:
            break
    assert found == [r["key"] for r in rows]
    rare = search(catalog, snapshot, KeyPattern.substring("8999"))
    assert keys(rare) == ["k08999"]
    assert keys(search(catalog, snapshot, KeyPattern.substring("nowhere"))) == []
