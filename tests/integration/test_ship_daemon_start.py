"""A start with 100,000 completed files: SHP-41."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from shipyard import BUCKET, Shipyard
from stocktake.clock import SystemClock
from stocktake.ship import Ledger, ObjectResult, ReadySource, SourceKind, SourceState, ledger_path
from stocktake.ship._folder import identity_of
from stocktake.ship._keys import plain_key
from stocktake.testing import FakeS3

FILES = 100_000
START_S = 30.0


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Shipyard]:
    with FakeS3() as fake:
        fake.create_bucket(BUCKET)
        yield Shipyard(tmp_path, fake)


def completed(yard: Shipyard, files: int) -> None:
    """A folder and a ledger in which everything was shipped."""
    ready = []
    for number in range(files):
        path = yard.folder / f"d{number % 100}" / f"f{number}.txt"
        if number < 100:
            path.parent.mkdir()
        path.touch()
        name = os.fsencode(path.relative_to(yard.folder))
        ready.append(ReadySource(name, identity_of(path.stat()), SourceKind.PLAIN))
    yard.settings.state_folder.mkdir()
    ledger = Ledger.open(ledger_path(yard.settings), clock=SystemClock())
    ledger.add_sources(ready)
    while True:
        jobs, _ = ledger.claim_files(
            files_max=5000,
            bytes_max=1 << 40,
            small_max_bytes=yard.settings.small_max_bytes,
            key_of=partial(plain_key, yard.settings),
        )
        if not jobs:
            break
        ledger.complete([_result(job.object_id) for job in jobs])
    assert ledger.counts() == {SourceState.COMPLETED: files}
    ledger.segment_written(files, "written")
    ledger.close()


def _result(object_id: int) -> ObjectResult:
    sha256, md5 = "00" * 32, "00" * 16
    return ObjectResult(object_id, 0, "AA==", md5, sha256, "e", None, None, None, "checksum")


@pytest.mark.slow
def test_start_with_100_000_completed_files_takes_seconds_and_ships_what_is_new(
    yard: Shipyard,
) -> None:
    completed(yard, FILES)
    yard.put("new.txt", "x")
    began_s = time.monotonic()
    summary = yard.once()
    assert time.monotonic() - began_s < START_S
    assert summary.figures.files_done == 1
    assert summary.states == {SourceState.COMPLETED: FILES + 1}
    assert yard.keys_there() == ["new.txt"]
    print(f"started and shipped one file in {time.monotonic() - began_s:.1f} s")
