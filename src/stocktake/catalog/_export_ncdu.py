"""The folder tree as ncdu's JSON (format 1.2), for `ncdu -f` and everything else that reads it.

Written as it is read: objects come in key order, in which every folder is one stretch, so only the
path to the current folder is in memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any, BinaryIO

import pyarrow as pa

from stocktake import __version__
from stocktake.catalog._catalog import Catalog
from stocktake.catalog._export import folder_batches, object_batches
from stocktake.catalog._snapshots import Snapshot
from stocktake.errors import InvalidQueryError
from stocktake.model import folder_of

_NO_NAME = "(no name)"
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - times of the catalog are UTC without saying so


def write_ncdu(
    catalog: Catalog, snapshot: Snapshot, sink: BinaryIO, prefix: str = "", *, objects: bool = True
) -> int:
    """Write the tree below a folder; returns the number of entries.

    Args:
        catalog: The catalog.
        snapshot: The snapshot.
        sink: Stays open.
        prefix: '' or a prefix that ends in `/`.
        objects: Every object as a file. Else one file per folder stands for the objects directly
            in it: small enough for buckets of any size.

    Raises:
        InvalidQueryError: The prefix is not a folder.
    """
    if prefix and not prefix.endswith("/"):
        raise InvalidQueryError(f"`{prefix}` is not a folder: it does not end in `/`")
    tree = _TreeWriter(sink, prefix)
    tree.begin(f"s3://{snapshot.bucket}/{prefix}", int(snapshot.as_of.timestamp()))
    if objects:
        _write_objects(tree, object_batches(catalog, snapshot, prefix))
    else:
        _write_folders(tree, folder_batches(catalog, snapshot, prefix))
    tree.end()
    return tree.entries


def _write_objects(tree: _TreeWriter, batches: Iterable[pa.RecordBatch]) -> None:
    for batch in batches:
        rows = batch.select(["key", "size_bytes", "last_modified"]).to_pylist()
        for row in rows:
            key: str = row["key"]
            folder = folder_of(key)
            tree.enter(folder)
            modified = row["last_modified"]
            tree.file(key[len(folder) :], row["size_bytes"], modified)


def _write_folders(tree: _TreeWriter, batches: Iterable[pa.RecordBatch]) -> None:
    for batch in batches:
        rows = batch.select(["folder", "direct_objects", "direct_bytes", "newest"]).to_pylist()
        for row in rows:
            tree.enter(row["folder"])
            if row["direct_objects"]:
                name = f"({row['direct_objects']} objects)"
                tree.file(name, row["direct_bytes"], None)


class _TreeWriter:
    """Nested arrays, opened and closed as the path changes."""

    def __init__(self, sink: BinaryIO, top: str) -> None:
        self._sink = sink
        self._top = top
        self._path: list[str] = []
        self.entries = 0

    def begin(self, name: str, timestamp_s: int) -> None:
        about = {"progname": "stocktake", "progver": __version__, "timestamp": timestamp_s}
        self._sink.write(f"[1,2,{json.dumps(about)},\n[{json.dumps({'name': name})}".encode())

    def enter(self, folder: str) -> None:
        """Go to a folder (full path): close what it is not below, open what it is."""
        wanted = folder[len(self._top) :].split("/")[:-1]
        same = 0
        while same < min(len(wanted), len(self._path)) and wanted[same] == self._path[same]:
            same += 1
        self._sink.write(b"]" * (len(self._path) - same))
        for name in wanted[same:]:
            self._sink.write(b",\n[" + json.dumps({"name": name or _NO_NAME}).encode())
            self.entries += 1
        self._path = wanted

    def file(self, name: str, size_bytes: int | None, modified: Any) -> None:
        entry: dict[str, Any] = {"name": name or _NO_NAME}
        if size_bytes:
            entry |= {"asize": size_bytes, "dsize": size_bytes}
        if modified is not None:
            entry["mtime"] = int((modified - _EPOCH).total_seconds())
        self._sink.write(b",\n" + json.dumps(entry).encode())
        self.entries += 1

    def end(self) -> None:
        self._sink.write(b"]" * len(self._path) + b"]]\n")
