"""Rows in key order without reading a whole prefix: from where the page begins, a bit at a time.

Files hold sorted runs whose row groups have known bounds, so it is known in advance how far one
must read to have enough rows. If a filter leaves too few of them, the next piece is larger.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from stocktake.catalog._catalog import Catalog
from stocktake.catalog._format import ObjectFile
from stocktake.catalog._query import fetch
from stocktake.catalog._ranges import KeyRange, files_in_range, overlaps
from stocktake.catalog._snapshots import Snapshot
from stocktake.catalog.engines._duckdb_fragments import (
    in_range,
    objects_table,
    table_parameters,
)

_GROWTH = 8
_FIRST_ROWS_MIN = 2_000


@dataclass(frozen=True, slots=True)
class Selection:
    """What to take of each row, and of which rows. `where` may not depend on other rows.

    Attributes:
        columns: Select list.
        where: Predicate.
        parameters: Of the predicate.
        order_by: Within the scan; begins with `key`.
    """

    columns: str
    where: str
    parameters: tuple[Any, ...] = ()
    order_by: str = "key"


def scan_in_key_order(
    catalog: Catalog,
    snapshot: Snapshot,
    wanted: KeyRange,
    selection: Selection,
    rows_max: int,
    files: Sequence[ObjectFile] | None = None,
) -> pa.Table:
    """The first `rows_max` selected rows of a key range, in order.

    `files`, if given, are the manifest's with some row groups left out that hold no selected row.
    """
    files = snapshot.manifest.files if files is None else files
    found: list[pa.Table] = []
    count = 0
    for piece in _pieces(files, wanted, max(rows_max, _FIRST_ROWS_MIN)):
        table = select_range(catalog, snapshot, piece, selection, rows_max - count, files)
        found.append(table)
        count += table.num_rows
        if count >= rows_max:
            break
    if not found:
        return select_range(catalog, snapshot, wanted, selection, 0, ())
    return pa.concat_tables(found)


def select_range(
    catalog: Catalog,
    snapshot: Snapshot,
    wanted: KeyRange,
    selection: Selection,
    rows_max: int,
    files: Sequence[ObjectFile] | None = None,
) -> pa.Table:
    """The first `rows_max` selected rows of a key range, in order; one statement."""
    view = snapshot.view
    files = view.manifest.files if files is None else files
    paths = [view.paths[i] for i in files_in_range(files, wanted)]
    within, bounds = in_range(wanted)
    statement = (
        f"SELECT {selection.columns} FROM {objects_table(view, paths)} "
        f"WHERE {within} AND {selection.where} ORDER BY {selection.order_by} LIMIT {rows_max}"
    )
    parameters = [*table_parameters(view, paths), *bounds, *selection.parameters]
    return fetch(catalog, statement, parameters)


def _pieces(files: Sequence[ObjectFile], wanted: KeyRange, rows: int) -> Iterator[KeyRange]:
    """Adjoining ranges that cover `wanted`, the first with at least `rows` rows, each larger."""
    groups = sorted(
        (group.max_key, group.min_key, group.rows)
        for file in files
        if overlaps(file.min_key, file.max_key, wanted)
        for group in file.row_groups
        if overlaps(group.min_key, group.max_key, wanted)
    )
    low, high = wanted
    sure = 0
    for max_key, min_key, count in groups:
        if high is not None and max_key >= high:
            break
        # a row group that begins before the range may have any share of its rows in it
        if low is None or min_key >= low:
            sure += count
        if sure >= rows:
            cut = max_key + "\0"  # the smallest key after it
            yield (low, cut)
            low, sure, rows = cut, 0, rows * _GROWTH
    if groups and (low is None or groups[-1][0] >= low):
        yield (low, high)
