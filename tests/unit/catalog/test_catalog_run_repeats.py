"""Keys that stand twice are noticed wherever a run ends (INV-6)."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from stocktake.catalog._runs import RunWriter
from stocktake.model import object_schema


def test_key_that_stands_twice_behind_a_break_in_a_block_is_flagged(tmp_path: Path) -> None:
    """The part before the break ends a run; what was known of the block must outlive that."""
    keys = [f"b{n:05d}" for n in range(2000)] + ["a1", "a2", "a2", "a3"]
    schema = object_schema(["key"])
    with (tmp_path / "f.parquet").open("wb") as sink, RunWriter(sink, schema) as writer:
        writer.add(pa.RecordBatch.from_pydict({"key": keys}, schema=schema))
        written = writer.close()
    assert [group.rows for group in written.row_groups] == [2000, 4]
    assert written.repeats == [1]
