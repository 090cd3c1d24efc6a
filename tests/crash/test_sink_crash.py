"""Kill -9 between the steps of a sink: what it says has landed is what is there (ING-2, ING-4)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sink_world import BUCKET, DURABLE, FixedBatch, SinkPlace, items_of, lines
from stocktake import faults
from stocktake.store import open_store
from stocktake.testing import FakeS3

CHILD = Path(__file__).with_name("sink_child.py")
KEYS = [f"in/{n}.jsonl" for n in range(4)]
TOKEN = "clm_1"

POINTS = {
    "parquet": {
        "sink.rows-ready": False,
        "sink.file-written": False,
        "sink.file-placed": True,
    },
    "parquet-s3": {
        "sink.rows-ready": False,
        "sink.file-sending": False,
        "sink.file-placed": True,
    },
    "duckdb": {
        "sink.rows-ready": False,
        "sink.rows-inserted": False,
        "sink.token-written": False,
        "sink.committed": True,
    },
    "iceberg": {
        "sink.rows-ready": False,
        "sink.table-made": False,
        "sink.rows-inserted": False,
        "sink.committed": True,
    },
}
"""By sink: every point it reaches, and whether the batch has landed there."""

CASES = [(kind, point, landed) for kind in DURABLE for point, landed in POINTS[kind].items()]


def test_every_point_of_sinks_is_here() -> None:
    declared = {point for point in faults.POINTS if point.startswith("sink.")}
    assert declared == {point for points in POINTS.values() for point in points}


@pytest.fixture
def endpoint(fake_s3: FakeS3) -> str:
    store = open_store(fake_s3.options())
    for bucket in (BUCKET, "sinks"):
        store.describe("CreateBucket", bucket)
    for n, key in enumerate(KEYS):
        store.put(BUCKET, key, lines({"n": n}))
    return fake_s3.options().endpoint_url or ""


@pytest.mark.parametrize(("kind", "point", "landed"), CASES)
def test_sink_killed_at_a_point_tells_the_truth(
    kind: str, point: str, landed: bool, endpoint: str, fake_s3: FakeS3, tmp_path: Path
) -> None:
    store = open_store(fake_s3.options())
    child = subprocess.run(
        [sys.executable, str(CHILD), kind, str(tmp_path), endpoint, TOKEN, *KEYS],
        env={**os.environ, "STOCKTAKE_KILL_AT": point},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert child.returncode == -signal.SIGKILL, f"`{point}` was not reached: {child.stderr}"
    place = SinkPlace(kind, tmp_path, store)
    found = place.open().landed("photos", [TOKEN])
    assert bool(found) == landed
    assert place.seqs() == ([1, 2, 3, 4] if landed else [])
    # whoever takes the batch over loads it again, whole, under the same token
    place.open().load(FixedBatch(TOKEN, store, items_of(store, KEYS)))
    assert place.seqs() == [1, 2, 3, 4]
    assert sorted(place.open().landed("photos", [TOKEN])[TOKEN].seqs) == [1, 2, 3, 4]
    leftovers = [p for p in tmp_path.rglob("*") if p.name.endswith((".part", ".wal", ".tmp"))]
    assert leftovers == [] or landed
    store.close()
