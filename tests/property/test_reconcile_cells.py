"""REC-1: ranges of a sample tile all keys, whatever both sides hold; none is read twice or left."""

from __future__ import annotations

from datetime import UTC, datetime
from unittest.mock import patch

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from reconcile_world import RowStore, listed
from stocktake.clock import FixedClock
from stocktake.model import S3Url
from stocktake.reconcile import _cells
from stocktake.reconcile._cell_reader import CellReader
from stocktake.reconcile._cells import draw_cells
from stocktake.reconcile._side import SIDE_ROW

CLOCK = FixedClock(datetime(2026, 1, 1, tzinfo=UTC))
KEYS = st.sets(
    st.text(
        st.one_of(st.sampled_from("ab/\0"), st.characters(exclude_categories=["Cs"])),
        min_size=1,
        max_size=4,
    )
)


@settings(max_examples=150)
@given(KEYS, KEYS, st.sampled_from(["", "p/", "a"]), st.integers(1, 5))
def test_all_ranges_together_are_the_whole_bucket(should, have, prefix, cell_rows):
    store = RowStore()
    keys = {prefix + key for key in have} | {"\U0010ffff", " "}
    store.fill("b", [listed(key) for key in keys])
    expected = sorted(key.removeprefix(prefix) for key in store.keys["b"] if key.startswith(prefix))
    rows = [{"key": key} for key in sorted(should)]
    batches = [pa.RecordBatch.from_pylist(rows, SIDE_ROW)] if rows else []
    with patch.object(_cells, "CELL_ROWS", cell_rows):
        drawn = draw_cells(iter(batches), 10_000, 0)
    cells = sorted([*drawn.ends, *drawn.drawn], key=lambda cell: cell.number)
    reader = CellReader(store, S3Url("b", prefix), CLOCK, workers=2)
    read = [key for one in reader.read(cells) for key in one.rows.column("key").to_pylist()]
    assert read == expected
    assert [key for cell in cells for key in cell.rows.column("key").to_pylist()] == sorted(should)
    assert reader.calls == len(cells)
