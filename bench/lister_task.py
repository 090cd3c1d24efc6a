"""One listing as a process of its own, for `bench.lister`: prints JSON."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path


def main(url: str, workers: str, hints: str = "", rows_expected: str = "") -> None:
    os.environ |= {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench"}
    from stocktake.listing import RangeLister, RangeOptions
    from stocktake.model import S3Url
    from stocktake.store import S3StoreOptions, open_store

    options = RangeOptions(
        workers=int(workers),
        split_keys=tuple(json.loads(Path(hints).read_text())) if hints else (),
        rows_expected=int(rows_expected) if rows_expected else None,
    )
    lister = RangeLister(options)
    store = open_store(S3StoreOptions(endpoint_url=url, region="us-east-1"))
    started, cpu = time.perf_counter(), time.process_time()
    rows = sum(batch.num_rows for batch in lister.list_objects(store, S3Url("bench")))
    wall_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu
    calls = lister.metrics.requests
    print(json.dumps({"rows": rows, "wall_s": wall_s, "cpu_s": cpu_s, "calls": calls}))


if __name__ == "__main__":
    main(*sys.argv[1:])
