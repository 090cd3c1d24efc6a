"""Recursive figures of every folder, in one pass over the folders that hold objects.

Folders come in descending UTF-8 order, so that everything below a folder comes before it: a folder
is finished as soon as the next one lies outside of it. Only the chain of ancestors of the last
folder stays open between batches; memory is that of one batch, whatever the number of folders.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stocktake.catalog._format import folders_schema

Ints: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"

DIRECT: pa.Schema = pa.schema(
    [
        pa.field("folder", pa.string(), nullable=False),
        pa.field("storage_class", pa.string()),
        pa.field("objects", pa.int64(), nullable=False),
        pa.field("size_bytes", pa.int64()),
        pa.field("newest", pa.timestamp("ms")),
    ]
)
"""What goes in: figures of the objects directly in a folder, a row per storage class."""

_CELLS_MAX = 8_000_000
_NEVER = np.iinfo(np.int64).min

# the figures of a node, one int64 each; the bytes of each storage class follow
_OBJECTS, _BYTES, _SIZED, _TOTAL_OBJECTS, _TOTAL_BYTES, _TOTAL_SIZED, _CHILDREN, _CLASSES = range(8)


@dataclass(slots=True)
class _Level:
    """The nodes of one depth in a batch: node 0 is carried over, the others begin at rows `opened`.

    `figures` and `newest` have one row per node. `closed` are the nodes that end in this batch, and
    `closed_at` the row before which each ends.
    """

    opened: Ints
    figures: Ints
    newest: Ints
    closed: Ints
    closed_at: Ints

    def node_at(self, rows: Ints) -> Ints:
        """The node that is open at these rows."""
        return np.searchsorted(self.opened, rows, side="right")

    def begins(self, nodes: Ints) -> Ints:
        """The row at which nodes begin; 0 for the carried one."""
        return np.concatenate([[0], self.opened])[nodes]


@dataclass(slots=True)
class _Paths:
    """Folders of a batch as components. Row 0 is the last folder of the batch before.

    Attributes:
        names: The folders.
        depth: Components of each.
        shared: Leading components that each shares with the row before it; row 0: all.
        prefix_chars: Length of the first k components with their slashes, [row, k].
    """

    names: pa.StringArray
    depth: Ints
    shared: Ints
    prefix_chars: Ints

    @classmethod
    def of(cls, names: pa.StringArray) -> _Paths:
        pieces = pc.split_pattern(names, "/")
        depth = pc.list_value_length(pieces).to_numpy().astype(np.int64) - 1
        flat = pieces.flatten()
        starts = np.concatenate([[0], np.cumsum(depth + 1)[:-1]])
        rows = np.repeat(np.arange(len(names)), depth)
        columns = np.arange(len(rows)) - np.repeat(np.cumsum(depth) - depth, depth)
        taken = flat.take(pa.array(starts[rows] + columns))
        width = int(depth.max(initial=0))
        ids = np.full((len(names), width), -1, dtype=np.int32)
        ids[rows, columns] = pc.dictionary_encode(taken).indices.to_numpy()
        same = np.logical_and.accumulate(ids[1:] == ids[:-1], axis=1).sum(axis=1)
        shared = np.concatenate([depth[:1], np.minimum(np.minimum(same, depth[1:]), depth[:-1])])
        chars = np.zeros((len(names), width + 1), dtype=np.int64)
        chars[rows, columns + 1] = pc.utf8_length(taken).to_numpy() + 1
        return cls(names, depth, shared, np.cumsum(chars, axis=1))


class FolderTree:
    """Climbs from folders with objects to all folders.

    Args:
        classes: Every storage class whose bytes are told apart, sorted.
        sizes_known: False if the source has no sizes: then no bytes are given.
    """

    def __init__(self, classes: list[str], *, sizes_known: bool) -> None:
        self._classes = pa.array(classes, pa.string())
        self._sizes_known = sizes_known
        self._schema = folders_schema(classes if sizes_known else [])
        self._held: pa.Table = DIRECT.empty_table()
        self._last = ""
        # figures and newest of the open chain, by depth; the root is always open
        self._chain: list[tuple[Ints, int]] = [self._blank()]

    def add(self, batch: pa.Table) -> pa.Table:
        """Take rows of DIRECT in descending order of folder; gives the folders now finished.

        The result has the schema of `folders.parquet`, in descending order, all below earlier ones.
        """
        rows = pa.concat_tables([self._held, batch.cast(DIRECT)]).combine_chunks()
        if not rows.num_rows:
            return self._schema.empty_table()
        names = rows.column("folder")
        # rows of the last folder may go on in the next batch
        held = int(pc.sum(pc.equal(names, names[-1])).as_py())
        self._held = rows.slice(rows.num_rows - held)
        return self._climb(rows.slice(0, rows.num_rows - held))

    def finish(self) -> pa.Table:
        """The folders that were still open; the root is the last, and there in any case."""
        root = pa.table([[""], [None], [0], [None], [None]], schema=DIRECT)
        done = self._climb(pa.concat_tables([self._held, root]).combine_chunks())
        figures, newest = self._chain[0]
        last = self._table(
            pa.array([""]),
            pa.nulls(1, pa.string()),
            np.zeros(1, dtype=np.int64),
            figures[None],
            np.array([newest]),
        )
        return pa.concat_tables([done, last])

    def _blank(self) -> tuple[Ints, int]:
        return np.zeros(_CLASSES + len(self._classes), dtype=np.int64), int(_NEVER)

    def _climb(self, rows: pa.Table) -> pa.Table:
        if not rows.num_rows:
            return self._schema.empty_table()
        folders = rows.column("folder").combine_chunks()
        deepest = pc.max(pc.count_substring(folders, "/")).as_py() + self._last.count("/")
        half = rows.num_rows // 2
        if half and rows.num_rows * deepest > _CELLS_MAX and folders[half - 1] != folders[half]:
            done = [self._climb(rows.slice(0, half)), self._climb(rows.slice(half))]
            return pa.concat_tables(done)
        first = np.ones(rows.num_rows, dtype=np.bool_)
        first[1:] = pc.not_equal(folders.slice(1), folders.slice(0, len(folders) - 1))
        names = pa.concat_arrays([pa.array([self._last]), folders.filter(pa.array(first))])
        paths = _Paths.of(names)
        figures, newest = self._direct(rows, np.cumsum(first) - 1)
        levels = self._levels(paths, figures, newest)
        for depth in range(len(levels) - 1, 0, -1):
            _add_to_parents(levels[depth], levels[depth - 1])
        self._last = names[-1].as_py()
        self._chain = [
            (levels[depth].figures[-1], int(levels[depth].newest[-1]))
            for depth in range(int(paths.depth[-1]) + 1)
        ]
        return self._finished(paths, levels)

    def _direct(self, rows: pa.Table, owner: Ints) -> tuple[Ints, Ints]:
        """Figures and newest of each folder, from its rows per storage class."""
        count = int(owner[-1]) + 1
        objects = rows.column("objects").to_numpy()
        sizes = rows.column("size_bytes")
        size = pc.fill_null(sizes, 0).to_numpy()
        sized = objects * pc.is_valid(sizes).to_numpy()
        figures = np.zeros((count, _CLASSES + len(self._classes)), dtype=np.int64)
        for at, values in ((_OBJECTS, objects), (_BYTES, size), (_SIZED, sized)):
            np.add.at(figures[:, at], owner, values)
            figures[:, at + _TOTAL_OBJECTS] = figures[:, at]
        index = pc.index_in(rows.column("storage_class"), value_set=self._classes)
        known = pc.is_valid(index).to_numpy()
        at = _CLASSES + pc.fill_null(index, 0).to_numpy()[known]
        np.add.at(figures, (owner[known], at), size[known])
        newest = np.full(count, _NEVER)
        instants = pc.fill_null(rows.column("newest").cast(pa.int64()), _NEVER).to_numpy()
        np.maximum.at(newest, owner, instants)
        return figures, newest

    def _levels(self, paths: _Paths, figures: Ints, newest: Ints) -> list[_Level]:
        """The nodes of every depth, with the figures of their own objects and what was carried."""
        levels = []
        for depth in range(int(paths.depth.max()) + 1):
            outside = np.flatnonzero(paths.shared < depth)  # rows that leave the node before them
            opened = outside[paths.depth[outside] >= depth]
            carried = self._chain[depth] if depth < len(self._chain) else self._blank()
            level = _Level(
                opened,
                np.zeros((len(opened) + 1, figures.shape[1]), dtype=np.int64),
                np.full(len(opened) + 1, _NEVER),
                *_closings(opened, outside, carried_over=depth < len(self._chain)),
            )
            level.figures[0], level.newest[0] = carried
            own = np.flatnonzero(paths.depth[1:] == depth) + 1
            nodes = level.node_at(own)
            level.figures[nodes] += figures[own - 1]
            level.newest[nodes] = np.maximum(level.newest[nodes], newest[own - 1])
            levels.append(level)
        return levels

    def _finished(self, paths: _Paths, levels: list[_Level]) -> pa.Table:
        """The closed nodes of all depths as rows of `folders.parquet`, in descending order."""
        closed = [level.closed for level in levels]
        depth = np.repeat(np.arange(len(levels)), [len(nodes) for nodes in closed])
        if not len(depth):
            return self._schema.empty_table()
        row = np.concatenate([lv.begins(lv.closed) for lv in levels])
        order = np.lexsort((-depth, np.concatenate([lv.closed_at for lv in levels])))
        figures = np.concatenate([lv.figures[lv.closed] for lv in levels])[order]
        newest = np.concatenate([lv.newest[lv.closed] for lv in levels])[order]
        row, depth = row[order], depth[order]
        names = _prefixes(paths, row, depth)
        parents = _prefixes(paths, row, depth - 1)
        return self._table(names, parents, depth, figures, newest)

    def _table(
        self, names: pa.Array, parents: pa.Array, depth: Ints, figures: Ints, newest: Ints
    ) -> pa.Table:
        columns: dict[str, pa.Array] = {
            "folder": names,
            "parent": parents,
            "depth": pa.array(depth, pa.int32()),
            "direct_objects": pa.array(figures[:, _OBJECTS]),
            "direct_bytes": self._bytes(figures, _BYTES),
            "total_objects": pa.array(figures[:, _TOTAL_OBJECTS]),
            "total_bytes": self._bytes(figures, _TOTAL_BYTES),
            "newest": pa.array(newest, pa.int64(), mask=newest == _NEVER).cast(pa.timestamp("ms")),
            "child_folders": pa.array(figures[:, _CHILDREN]),
        }
        if "bytes_by_class" in self._schema.names:
            by_class = self._schema.field("bytes_by_class").type
            sums = [pa.array(figures[:, _CLASSES + n]) for n in range(by_class.num_fields)]
            columns["bytes_by_class"] = pa.StructArray.from_arrays(sums, fields=list(by_class))
        return pa.table(list(columns.values()), schema=self._schema)

    def _bytes(self, figures: Ints, at: int) -> pa.Array:
        """Bytes, unknown where there are objects but none with a size."""
        if not self._sizes_known:
            return pa.nulls(len(figures), pa.int64())
        objects, sized = figures[:, at - _BYTES + _OBJECTS], figures[:, at - _BYTES + _SIZED]
        return pa.array(figures[:, at], mask=(objects > 0) & (sized == 0))


def _closings(opened: Ints, outside: Ints, *, carried_over: bool) -> tuple[Ints, Ints]:
    """Which nodes of a depth end within the batch, and at which row: the first one outside."""
    begins = np.concatenate([[0], opened])
    following = np.searchsorted(outside, begins, side="right")
    ends = following < len(outside)
    if not carried_over:
        ends[0] = False
    closed = np.flatnonzero(ends)
    return closed, outside[following[closed]]


def _add_to_parents(level: _Level, above: _Level) -> None:
    """Add the totals of closed nodes to the level above."""
    if not len(level.closed):
        return
    parents = above.node_at(level.begins(level.closed))
    starts = np.flatnonzero(np.diff(parents, prepend=-1))
    sums = np.add.reduceat(level.figures[level.closed], starts, axis=0)
    at = parents[starts]
    above.figures[at, _TOTAL_OBJECTS:_CHILDREN] += sums[:, _TOTAL_OBJECTS:_CHILDREN]
    above.figures[at, _CLASSES:] += sums[:, _CLASSES:]
    above.figures[at, _CHILDREN] += np.diff(starts, append=len(parents))
    newest = np.maximum.reduceat(level.newest[level.closed], starts)
    above.newest[at] = np.maximum(above.newest[at], newest)


def _prefixes(paths: _Paths, rows: Ints, depths: Ints) -> pa.StringArray:
    """The first components of the folders at these rows."""
    names = paths.names.take(pa.array(rows))
    short = np.flatnonzero(depths < paths.depth[rows])
    if not len(short):
        return names
    chars = paths.prefix_chars[rows[short], depths[short]].tolist()
    cut = [
        name[:length]
        for name, length in zip(names.take(pa.array(short)).to_pylist(), chars, strict=True)
    ]
    mask = np.zeros(len(rows), dtype=np.bool_)
    mask[short] = True
    return pc.replace_with_mask(names, pa.array(mask), pa.array(cut, pa.string()))
