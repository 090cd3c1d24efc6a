"""The dataset that the golden manifest was drawn of; run this file to draw it again elsewhere.

python tests/unit/manifests/golden_manifest.py FILE
"""

from __future__ import annotations

import sys
import tempfile
from datetime import timedelta
from pathlib import Path

from stocktake.clock import FixedClock
from stocktake.manifests import (
    Dataset,
    DatasetSpec,
    DeleteEntry,
    PutEntry,
    Reason,
    UploadRecord,
    create_dataset,
    render_manifest,
    set_base_url,
)
from stocktake.state import State

sys.path.insert(0, str(Path(__file__).parents[2]))

from dataset_world import NOW, record, sqlite_state

RECORDS: tuple[UploadRecord, ...] = (
    record("image_001.jpg", 1),
    record("set b/100% ü.jpg", 2, version_id="3/L4kqtJ", source="set b/100% ü.jpg"),
    record(
        "big.tif",
        3,
        etag="0123456789abcdef0123456789abcdef-26",
        md5=None,
        sha256=None,
        source_sha256=None,
        source_size_bytes=None,
        part_size_bytes=8 << 20,
        verified_by="etag",
    ),
    record(
        "tables/a.parquet",
        4,
        source="in/caf%E9.zip",
        source_raw="696e2f636166e92e7a6970",
        source_sha256="cd" * 32,
        source_size_bytes=77,
        entry="a.csv",
        rows=12,
        columns=({"name": "id", "type": "int64", "why": "every value is a whole number"},),
    ),
    record(
        "theirs.png",
        5,
        crc64nvme=None,
        etag=None,
        sha256=None,
        source_sha256=None,
        source_size_bytes=None,
        source_mtime_ns=None,
        token="",
        verified_by="imported",
        extra={"local_path": "/resources/theirs.png", "tags": ["x"], "rows": "many"},
    ),
)


def golden_dataset(state: State, clock: FixedClock) -> Dataset:
    """Three versions; an address of its own."""
    dataset = create_dataset(
        state, DatasetSpec("16", "Dynamic Simplicity", "storyboard", "styles/16/")
    )
    set_base_url(dataset, "https://storyboard.s3.us-west-1.amazonaws.com/")
    clock.advance(1.5)
    first = [record("image_001.jpg", 0), record("gone.jpg", 9)]
    dataset.commit(map(PutEntry, first), Reason.SYNC, synced=True)
    clock.advance(60)
    dataset.commit(map(PutEntry, RECORDS), Reason.SYNC, synced=True)
    clock.advance(60)
    dataset.commit([DeleteEntry("styles/16/gone.jpg")], Reason.DELETE)
    return dataset


def golden_state(folder: Path) -> tuple[State, FixedClock]:
    """A database in a folder, and its clock."""
    clock = FixedClock(NOW - timedelta(days=1))
    return sqlite_state(folder, clock), clock


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        state, clock = golden_state(Path(folder))
        Path(sys.argv[1]).write_bytes(b"".join(render_manifest(golden_dataset(state, clock))))
        state.close()
