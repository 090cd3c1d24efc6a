"""Makes the golden files of feeds. Run once per format version: python golden_feed.py FOLDER."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

AT = datetime(2026, 11, 20, 18, 0, 3, 250_000, tzinfo=UTC).replace(tzinfo=None)
_SEEN = {"observed_at": AT, "run_id": "run_1", "late": False, "seen_to": AT}

CHANGES: list[dict[str, Any]] = [
    {
        "change": "new",
        "key": "a/\x00b+%2F",
        "size_bytes": 0,
        "last_modified": AT,
        "etag": "e1-2",
        "storage_class": "STANDARD",
        "origin": "full",
        **_SEEN,
    },
    {
        "change": "modified",
        "key": "a/😀",
        "version_id": "v2",
        "size_bytes": 2**40,
        "etag": "e2",
        "sequencer": "0055AED6DCD90281E5",
        "origin": "event_driven",
        **_SEEN,
    },
    {"change": "deleted", "key": "b", "origin": "full", **_SEEN, "late": True},
]
CARRIED: list[dict[str, Any]] = [
    {"key": "c", "size_bytes": 3, "etag": "e3", "gone": False, "seen_from": AT, "seen_to": AT},
    {"key": "d", "gone": True, "seen_from": AT, "seen_to": AT},
]


def make(folder: Path) -> None:
    """Write both files."""
    from stocktake.catalog._feed_segments import SEGMENT
    from stocktake.catalog.engines._protocol import KNOWN

    folder.mkdir(parents=True)
    for name, rows, schema in (("segment", CHANGES, SEGMENT), ("carried", CARRIED, KNOWN)):
        table = pa.Table.from_pylist(rows, schema)
        pq.write_table(table, folder / f"{name}.parquet", compression="zstd", compression_level=1)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
