"""How an object file is best written: size, and CPU to write and to read, per million rows."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import Any

from bench.measure import keep, table

ROWS = 500_000
FORMS: dict[str, dict[str, Any]] = {
    "as the catalog does": {},
    "dictionaries tried on every column": {"use_dictionary": True},
    "zstd level 3": {"compression_level": 3},
    "snappy": {"compression": "snappy", "compression_level": None},
    "not compressed": {"compression": "none", "compression_level": None},
    "row groups of 122,880": {"row_group_size": 122_880},
}


def _cpu_s(work: Callable[[], object], times: int = 3) -> float:
    best = float("inf")
    for _ in range(times):
        started = time.process_time()
        work()
        best = min(best, time.process_time() - started)
    return best * 1e6 / ROWS


def main(argv: list[str] | None = None) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from stocktake.catalog._runs import ROW_GROUP_ROWS, parquet_options
    from stocktake.testing import SyntheticBucket

    bucket = SyntheticBucket(rows=ROWS, seed=1)
    content = pa.Table.from_batches(list(bucket.batches())).combine_chunks()
    results = []
    for name, changes in FORMS.items():
        options = {"row_group_size": ROW_GROUP_ROWS, **parquet_options(content.schema), **changes}
        file = b""

        def write(options: dict[str, Any] = options) -> None:
            nonlocal file
            sink = io.BytesIO()
            pq.write_table(content, sink, **options)
            file = sink.getvalue()

        def read() -> None:
            pq.read_table(io.BytesIO(file), use_threads=False)  # noqa: B023

        written = _cpu_s(write)
        results.append(
            {
                "form": name,
                "write_s": written,
                "read_s": _cpu_s(read),
                "mb_per_million": len(file) / ROWS,
            }
        )
    rows = [[r["form"], r["mb_per_million"], r["write_s"], r["read_s"]] for r in results]
    table("Per million rows", ["form", "MB", "write, CPU s", "read, CPU s"], rows)
    keep("storage-forms", results)
    return 0
