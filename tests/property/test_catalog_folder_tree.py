"""The folder tree against a model, whatever way its input is cut into batches (CAT-2)."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stocktake.catalog import _folder_tree
from stocktake.catalog._folder_tree import DIRECT, FolderTree
from stocktake.model import parent_folder

names = st.lists(st.sampled_from(["", "a", "b", "a!", "é", "\U0001f600", "\uffff"]), max_size=5)
folders = names.map(lambda parts: "".join(f"{part}/" for part in parts))
figures = st.tuples(
    st.integers(0, 3),
    st.none() | st.integers(0, 10**15),
    st.none() | st.integers(0, 10**12),
).map(lambda f: f if f[0] else (0, None, None))  # a folder marker has neither bytes nor a date
Direct = dict[tuple[str, str | None], tuple[int, int | None, int | None]]


def model(direct: Direct) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}

    def at(folder: str) -> dict[str, Any]:
        blank = {"direct": 0, "total": 0, "bytes": 0, "newest": None, "children": set()}
        return found.setdefault(folder, blank)

    at("")
    for (folder, _), (objects, size, newest) in direct.items():
        at(folder)["direct"] += objects
        child = None
        here = folder
        while True:
            node = at(here)
            node["total"] += objects
            node["bytes"] += size or 0
            if newest is not None:
                node["newest"] = max(newest, node["newest"] or newest)
            if child is not None:
                node["children"].add(child)
            if here == "":
                break
            child, here = here, parent_folder(here)
    return found


@given(
    direct=st.dictionaries(st.tuples(folders, st.sampled_from([None, "A", "B"])), figures),
    cuts=st.integers(1, 7),
    cells=st.sampled_from([1, 8, 10_000]),
)
@example(direct={("//", None): (1, 1, 1), ("/", None): (0, None, None)}, cuts=1, cells=1)
@settings(deadline=None, max_examples=300)
def test_every_ancestor_is_there_once_with_the_sums_of_what_is_below(
    direct: Direct, cuts: int, cells: int
) -> None:
    plain: Direct = direct
    ordered = sorted(plain.items(), key=lambda item: item[0][0].encode(), reverse=True)
    rows = [
        {
            "folder": folder,
            "storage_class": name,
            "objects": objects,
            "size_bytes": size,
            "newest": newest,
        }
        for (folder, name), (objects, size, newest) in ordered
    ]
    tree = FolderTree(["A", "B"], sizes_known=True)
    before, _folder_tree._CELLS_MAX = _folder_tree._CELLS_MAX, cells
    try:
        step = max(1, len(rows) // cuts)
        done = [
            tree.add(pa.Table.from_pylist(rows[n : n + step], schema=DIRECT))
            for n in range(0, len(rows), step)
        ]
        found = pa.concat_tables([*done, tree.finish()]).to_pylist()
    finally:
        _folder_tree._CELLS_MAX = before
    paths = [row["folder"] for row in found]
    assert paths == sorted(set(paths), key=lambda path: path.encode(), reverse=True)
    expected = model(plain)
    assert set(paths) == set(expected)
    for row in found:
        node = expected[row["folder"]]
        assert row["parent"] == (parent_folder(row["folder"]) if row["folder"] else None)
        assert row["depth"] == row["folder"].count("/")
        assert row["direct_objects"] == node["direct"]
        assert row["total_objects"] == node["total"]
        assert (row["total_bytes"] or 0) == node["bytes"]
        assert row["child_folders"] == len(node["children"])
        newest = None if row["newest"] is None else int(row["newest"].timestamp())
        assert (newest is None) == (node["newest"] is None)
        below = {k: v for k, v in plain.items() if k[0].startswith(row["folder"])}
        for name in ("A", "B"):
            size = sum(v[1] or 0 for k, v in below.items() if k[1] == name)
            assert row["bytes_by_class"][name] == size
