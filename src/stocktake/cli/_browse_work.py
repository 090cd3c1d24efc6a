"""Work of `ls`, `tree` and `du`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stocktake.catalog import (
    ChildOrder,
    ChildSort,
    Origin,
    find_object,
    folder_figures,
    folder_tree,
    list_children,
    usage,
)
from stocktake.cli._output import Column
from stocktake.cli._pages import Pages
from stocktake.cli._run import Run
from stocktake.cli._sources import Place, folder_prefix, open_place, show_source
from stocktake.cli._text import count_text, parse_size, plural, size_text, time_text
from stocktake.errors import InvalidSettingError, NotInSnapshotError
from stocktake.model import display_key, parent_folder

_ENTRIES = (
    Column("SIZE", right=True),
    Column("OBJECTS", right=True),
    Column("MODIFIED (UTC)"),
    Column("NAME", flexible=True),
)
_TREE = (
    Column("SIZE", right=True),
    Column("OBJECTS", right=True),
    Column("FOLDER", flexible=True),
)


@dataclass(frozen=True, slots=True)
class ListRequest:
    """What `ls` was asked for."""

    target: str
    snapshot: str = "latest"
    sort: str = "name"
    reverse: bool = False
    limit: int = 1000
    cursor: str | None = None

    def order(self) -> ChildOrder:
        """The order; largest and newest come first unless it is reversed."""
        try:
            by = ChildSort(self.sort)
        except ValueError:
            names = ", ".join(one.value for one in ChildSort)
            raise InvalidSettingError(
                f"--sort is `{self.sort}`", hint=f"it can be {names}"
            ) from None
        return ChildOrder(by, descending=(by is not ChildSort.NAME) != self.reverse)


@dataclass(frozen=True, slots=True)
class TreeRequest:
    """What `tree` was asked for."""

    target: str
    snapshot: str = "latest"
    depth: int = 2
    width: int = 20
    min_size: str = "0"


def show_folder(run: Run, request: ListRequest) -> int:
    """Answer `ls`."""
    order = request.order()
    with open_place(run, request.target, request.snapshot) as place:
        if _is_object(place):
            return _show_object(run, place)
        folder = folder_prefix(place.prefix)
        pages = Pages(
            lambda page: list_children(
                place.catalog, place.snapshot, folder, order=order, page=page
            ),
            request.limit,
            request.cursor,
        )
        if run.out.json:
            head = {"source": Origin.of(place.snapshot).to_dict(), "folder": pages.attrs["folder"]}
            run.out.rows_document(head, pages.rows(), tail=pages.tail)
            return 0
        if not run.out.table(_ENTRIES, map(_entry_cells, pages.rows())):
            run.out.line("(empty)")
        pages.say_more(run.out)
        show_source(run.out, place.snapshot)
    return 0


def _is_object(place: Place) -> bool:
    """True if the target is the key of an object and no folder, as `ls` of a file."""
    if not place.prefix or place.prefix.endswith("/"):
        return False
    try:
        folder_figures(place.catalog, place.snapshot, folder_prefix(place.prefix))
    except NotInSnapshotError:
        try:
            find_object(place.catalog, place.snapshot, place.prefix)
        except NotInSnapshotError:
            return False
        return True
    return False


def _show_object(run: Run, place: Place) -> int:
    answer = find_object(place.catalog, place.snapshot, place.prefix)
    versions = answer.versions.to_pylist()
    if run.out.json:
        head = {"source": answer.origin.to_dict(), "folder": None, "object": place.prefix}
        run.out.rows_document(head, versions, tail=lambda: {"next": None})
        return 0
    for version in versions:
        for name, value in version.items():
            if value is not None:
                run.out.line(f"{name.removeprefix('extra_'):20}  {_value_text(name, value)}")
        run.out.line()
    show_source(run.out, place.snapshot)
    return 0


def _value_text(name: str, value: Any) -> str:
    if name == "size_bytes":
        return f"{value:,} ({size_text(value)})"
    if isinstance(value, datetime):
        return f"{time_text(value)} UTC"
    return display_key(str(value))


def show_tree(run: Run, request: TreeRequest) -> int:
    """Answer `tree`."""
    min_size_bytes = parse_size(request.min_size, "--min-size")
    with open_place(run, request.target, request.snapshot) as place:
        page = folder_tree(
            place.catalog,
            place.snapshot,
            folder_prefix(place.prefix),
            depth=request.depth,
            children_max=request.width,
        )
        top = _nested(page.attrs["folder"], page.rows.to_pylist(), min_size_bytes, request.depth)
        if run.out.json:
            run.out.document({"source": page.origin.to_dict(), "tree": top})
            return 0
        name = f"s3://{place.snapshot.bucket}/{display_key(top['path'])}"
        run.out.table(_TREE, _tree_lines(top, name))
        show_source(run.out, place.snapshot)
    return 0


def show_usage(run: Run, target: str, reference: str, depth: int) -> int:
    """Answer `du`."""
    with open_place(run, target, reference) as place:
        page = usage(place.catalog, place.snapshot, place.prefix, depth=depth)
        total = page.attrs["total"]
        if run.out.json:
            head = {"source": page.origin.to_dict(), "total": total}
            run.out.rows_document(head, page.rows.to_pylist())
            return 0
        rows = [*page.rows.to_pylist(), total]
        name = f"s3://{place.snapshot.bucket}/{display_key(place.prefix)}"
        cells = (
            (
                size_text(row["size_bytes"]),
                count_text(row["objects"]),
                name if row is total else display_key(row["path"]),
            )
            for row in rows
        )
        run.out.table(_TREE, cells)
        show_source(run.out, place.snapshot)
    return 0


def _entry_cells(row: dict[str, Any]) -> tuple[str, ...]:
    is_folder = row["kind"] == "folder"
    return (
        size_text(row["size_bytes"]),
        count_text(row["objects"]) if is_folder else "",
        time_text(row["newest"]),
        display_key(row["name"]) or "(data under the folder's own key)",
    )


def _nested(
    top: dict[str, Any], rows: list[dict[str, Any]], min_size_bytes: int, depth: int
) -> dict[str, Any]:
    """The rows as a tree; folders in name order, smaller ones counted as left out."""
    nodes = {top["path"]: _node(top)}
    for row in rows:
        if row["path"] == top["path"] or (row["size_bytes"] or 0) < min_size_bytes:
            continue
        parent = nodes.get(parent_folder(row["path"]))
        if parent is not None:
            nodes[row["path"]] = _node(row)
            parent["folders"].append(nodes[row["path"]])
    last_level = top["depth"] + depth
    depths = {row["path"]: row["depth"] for row in [top, *rows]}
    for path, node in nodes.items():
        left_out = node["child_folders"] - len(node["folders"])
        node["more_folders"] = left_out if depths[path] < last_level else 0
    return nodes[top["path"]]


def _node(row: dict[str, Any]) -> dict[str, Any]:
    names = ("path", "objects", "size_bytes", "newest", "child_folders")
    return {**{name: row[name] for name in names}, "folders": []}


def _tree_lines(node: dict[str, Any], name: str, indent: str = "") -> Iterator[tuple[str, ...]]:
    yield size_text(node["size_bytes"]), count_text(node["objects"]), name
    children = node["folders"]
    for index, child in enumerate(children):
        last = index == len(children) - 1 and not node["more_folders"]
        branch, below = ("└── ", "    ") if last else ("├── ", "│   ")
        label = display_key(child["path"][len(node["path"]) :])
        lines = _tree_lines(child, label, indent + below)
        size, count, own = next(lines)
        yield size, count, f"{indent}{branch}{own}"
        yield from lines
    if node["more_folders"]:
        yield "", "", f"{indent}└── … {plural(node['more_folders'], 'more folder')}"
